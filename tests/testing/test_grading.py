"""`grade_tests`: which wrong gradients a student's tests notice."""

from __future__ import annotations

import types

import numpy as np
import pytest
from wrong_operations import Square

import tinygrad_edu as tg
from tinygrad_edu.testing import check, grade_tests, mutants, real


def check_with_ones():
    """The test most people write first: the gradient of a sum."""
    x = tg.tensor([[1.0, -2.0], [0.5, 3.0]], dtype=tg.float64, requires_grad=True)
    tg.ops.exp(x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.exp(x.detach().numpy()))


def check_with_a_random_g():
    x = tg.tensor([[1.0, -2.0], [0.5, 3.0]], dtype=tg.float64, requires_grad=True)
    g = tg.tensor([[2.0, -3.0], [5.0, 0.25]], dtype=tg.float64)
    tg.ops.exp(x).backward(g)
    np.testing.assert_allclose(x.grad.numpy(), g.numpy() * np.exp(x.detach().numpy()))


def check_nothing():
    pass


def check_that_is_wrong():
    raise AssertionError("this is the wrong test")


def test_a_check_with_ones_misses_a_rule_that_forgets_g():
    naive, better = grade_tests(check_with_ones, tg.ops.exp), grade_tests([check_with_a_random_g], tg.ops.exp)
    assert "exp.x: g forgotten" in {m.name for m in naive.survived}
    assert "exp.x: g forgotten" in {m.name for m in better.killed}
    assert 0 < naive.score < better.score < 1
    assert "not noticed  exp.x: g forgotten" in str(naive)


def test_the_kit_s_own_check_notices_all():
    grade = grade_tests(lambda op: check(op), tg.ops.exp)
    assert grade.survived == []
    assert grade.score == 1
    assert str(grade).startswith(f"exp: {len(grade.killed)} of {len(grade.killed)} wrong gradients noticed (100%)")


def test_several_tests_are_told_apart():
    grade = grade_tests([check_with_ones, check_nothing, check_that_is_wrong], tg.ops.exp)
    assert grade.wrong == {"check_that_is_wrong": "AssertionError: this is the wrong test"}
    assert {name for by in grade.killed.values() for name in by} == {"check_with_ones"}
    assert "fails with the right gradient too   check_that_is_wrong" in str(grade)


def test_modules_classes_and_functions_can_be_given():
    module = types.ModuleType("answers")
    module.test_with_ones = check_with_ones
    module.helper = check_that_is_wrong
    assert grade_tests(module, tg.ops.exp).score > 0

    class TestExp:
        def test_method(self):
            check_with_a_random_g()

    assert grade_tests(TestExp, tg.ops.exp).score == grade_tests(check_with_a_random_g, tg.ops.exp).score
    with pytest.raises(ValueError, match="there is no test"):
        grade_tests([], tg.ops.exp)


def test_a_function_of_the_teacher_and_chosen_mutants():
    def test_square(op):
        x = tg.tensor([3.0, -1.0], dtype=tg.float64, requires_grad=True)
        op.apply(x).backward(tg.tensor([2.0, 10.0], dtype=tg.float64))
        assert x.grad.tolist() == [12.0, -20.0]

    chosen = [m for m in mutants(Square) if m.what in ("g forgotten", "sign flipped", "rounded to float32")]
    grade = grade_tests(test_square, Square, chosen)
    assert {m.what for m in grade.killed} == {"g forgotten", "sign flipped"}
    assert [m.name for m in grade.survived] == ["Square.x: rounded to float32"]


def test_an_inherited_backward_is_graded_and_given_back():
    class Inherits(Square):
        pass

    assert grade_tests(lambda op: check(op, real((2, 2))), Inherits).score == 1.0
    assert "backward" not in vars(Inherits)


def test_a_test_may_fail_as_pytest_does():
    def raises_nothing(op):
        with pytest.raises(ValueError, match="never"):
            pass

    def leaves(op):
        raise SystemExit

    assert set(grade_tests([raises_nothing, leaves], Square).wrong) == {"raises_nothing", "leaves"}
