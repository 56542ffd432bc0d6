"""`gradcheck` and `gradgradcheck`: the spelling, the errors and the answers of PyTorch's."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from wrong_operations import ForgetsG, Square, WrongSecondOrder

import tinygrad_edu as tg
from tinygrad_edu.testing import GradcheckError


def leaf(*values):
    return tg.tensor(values, dtype=tg.float64, requires_grad=True)


@pytest.mark.parametrize("name", ["gradcheck", "gradgradcheck"])
def test_parameters_are_those_of_pytorch(name, torch):
    ours = inspect.signature(getattr(tg.autograd, name)).parameters
    theirs = inspect.signature(getattr(torch.autograd, name)).parameters
    assert list(ours) == list(theirs)
    assert [p.kind for p in ours.values()] == [p.kind for p in theirs.values()]
    measured = {"eps", "atol", "rtol"}  # None here: the error is measured
    assert {k: p.default for k, p in ours.items() if k not in measured} == {
        k: p.default for k, p in theirs.items() if k not in measured
    }


@pytest.mark.parametrize("options", [{}, {"eps": 1e-6, "atol": 1e-4}])
def test_right_and_wrong(options):
    x = leaf(1.0, -2.0, 0.5)
    for check in (tg.autograd.gradcheck, tg.autograd.gradgradcheck):
        assert check(Square.apply, x, **options)
        assert check(lambda x, y: (x * y).sum(), (x, leaf(3.0, 1.0, 2.0)), **options)
    with pytest.raises(GradcheckError, match="is wrong for"):
        tg.autograd.gradcheck(ForgetsG.apply, x, **options)
    with pytest.raises(RuntimeError):
        tg.autograd.gradcheck(ForgetsG.apply, x, **options)
    assert tg.autograd.gradcheck(ForgetsG.apply, x, raise_exception=False, **options) is False
    assert tg.autograd.gradcheck(WrongSecondOrder.apply, x, **options)
    with pytest.raises(GradcheckError):
        tg.autograd.gradgradcheck(WrongSecondOrder.apply, x, **options)


def test_the_tolerance_that_is_given_counts():
    class Off(Square):
        @staticmethod
        def backward(ctx, g):
            return Square.backward(ctx, g) * 1.0005

    x = leaf(1.0, -2.0)
    assert tg.autograd.gradcheck(Off.apply, x, eps=1e-6, atol=1e-5, rtol=1e-3)
    with pytest.raises(GradcheckError):
        tg.autograd.gradcheck(Off.apply, x, eps=1e-6, atol=1e-5, rtol=1e-4)
    with pytest.raises(GradcheckError):
        tg.autograd.gradcheck(Off.apply, x)


def test_repeatable_within_a_tolerance():
    noise = np.random.default_rng(0)

    class Noisy(Square):
        @staticmethod
        def backward(ctx, g):
            return Square.backward(ctx, g) * (1 + 1e-9 * noise.standard_normal())

    with pytest.raises(GradcheckError):
        tg.autograd.gradcheck(Noisy.apply, leaf(1.0), atol=1e-4)
    assert tg.autograd.gradcheck(Noisy.apply, leaf(1.0), atol=1e-4, nondet_tol=1e-6)


def test_upstream_gradients_can_be_given():
    x = leaf(1.0, -2.0)
    g = tg.tensor([2.0, 3.0], dtype=tg.float64)
    assert tg.autograd.gradgradcheck(Square.apply, x, g)
    assert tg.autograd.gradgradcheck(Square.apply, (x,), (g,), gen_non_contig_grad_outputs=True)


def test_only_inputs_that_require_grad():
    x, y = leaf(1.0, 2.0), tg.tensor([3.0, 4.0], dtype=tg.float64)
    assert tg.autograd.gradcheck(lambda x, y: x * y.detach(), (x, y))
    with pytest.raises(ValueError, match="at least one input"):
        tg.autograd.gradcheck(lambda n: n * 1.0, tg.tensor([1, 2]))


@pytest.mark.parametrize("option", ["check_batched_grad", "check_forward_ad"])
def test_what_is_not_there_is_refused(option):
    with pytest.raises(NotImplementedError, match="no forward mode"):
        tg.autograd.gradcheck(lambda x: x, leaf(1.0), **{option: True})


def test_nothing_to_check_is_not_right():
    x = tg.tensor([-1.0, 4.0], dtype=tg.float64, requires_grad=True)
    for f in (tg.autograd.gradcheck, tg.autograd.gradgradcheck):
        with pytest.raises(RuntimeError, match="not finite"):
            f(tg.sqrt, x)
        assert not f(tg.sqrt, x, raise_exception=False)
    with pytest.raises(AssertionError, match="check_backward_ad must be True"):
        tg.autograd.gradcheck(tg.sin, x, check_backward_ad=False)
    with pytest.raises(AssertionError, match="check_rev_over_rev must be True"):
        tg.autograd.gradgradcheck(tg.sin, x, check_rev_over_rev=False)


def test_arguments_of_gradgradcheck_mean_what_they_say():
    x = tg.tensor([-1.0, 4.0], dtype=tg.float64, requires_grad=True)
    with pytest.raises(RuntimeError, match="not the numerical one"):
        tg.autograd.gradgradcheck(tg.sin, x, atol=0.0, rtol=0.0)
    with pytest.raises(RuntimeError, match="grad_outputs have the shapes"):
        tg.autograd.gradgradcheck(tg.sin, x, tg.ones(3), raise_exception=False)
