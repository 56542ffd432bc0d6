"""Every wrong version of every rule, and of the walk, is noticed."""

from __future__ import annotations

import numpy as np
import pytest
import wrong_operations as own

import tinygrad_edu as tg
from tinygrad_edu import ops
from tinygrad_edu.engine.primitive import registry
from tinygrad_edu.testing import Mutant, check, mutants
from tinygrad_edu.testing.__main__ import main
from tinygrad_edu.testing.engine_mutants import engine_mutants
from tinygrad_edu.testing.equivalent import AT_POLES, EQUIVALENT
from tinygrad_edu.testing.kills import kills, walk_kills

WITH_RULES = [op for op in registry.values() if op.rules and op.__module__.startswith("tinygrad_edu.")]
EVERY = 8  # the ci profile takes every eighth mutant, `thorough` all of them


@pytest.mark.parametrize("op", WITH_RULES, ids=lambda op: op.name)
def test_a_sample_of_the_mutants_of_each_rule_is_noticed(op):
    found = mutants(op)
    assert kills(op, found[WITH_RULES.index(op) % EVERY % len(found) :: EVERY]).survivors == []


@pytest.mark.thorough
@pytest.mark.parametrize("op", WITH_RULES, ids=lambda op: op.name)
def test_all_mutants_of_each_rule_are_noticed(op):
    assert kills(op).survivors == []


def test_all_mutants_of_the_walk_are_noticed():
    found = walk_kills()
    assert found.survivors == []
    assert len(found.found) == len(engine_mutants()) >= 25


def test_the_list_of_equivalent_mutants_names_mutants_that_exist():
    known = {m.name for op in WITH_RULES for m in mutants(op) if any(n.startswith(f"{op.name}.") for n in EQUIVALENT)}
    assert set(EQUIVALENT) <= known
    assert set(AT_POLES) <= set(EQUIVALENT)


def named(op, name: str) -> Mutant:
    return next(m for m in mutants(op) if m.name == name)


@pytest.mark.parametrize(
    ("name", "x", "y", "expected"),
    [
        ("bce.x: maximum dropped (maximum)", 1.0, 0.0, 1e12),
        ("pow.x: == became <= (eq)", 0.0, -1.0, -np.inf),
        ("pow.y: condition forgotten (where)", 0.0, -1.0, -np.inf),
    ],
)
def test_what_differs_at_poles_alone(name, x, y, expected):
    assert name in AT_POLES
    op = registry[name.split(".")[0]]

    def slope():
        leaves = {k: tg.tensor(v, dtype=tg.float64, requires_grad=True) for k, v in (("x", x), ("y", y))}
        op(*leaves.values()).backward()
        return leaves[name.split(".")[1][0]].grad.item()

    assert slope() == pytest.approx(expected)
    with named(op, name).installed():
        assert slope() != pytest.approx(expected)
    assert slope() == pytest.approx(expected)


def test_a_mutant_leaves_no_trace():
    x = np.array([0.5, -1.0])
    for mutant in [*mutants(ops.tanh), *engine_mutants(), *mutants(own.Square)]:
        with mutant.installed():
            pass
    check(ops.tanh)
    check(own.Square, x)


def test_mutants_of_one_rule():
    names = {m.name for m in mutants(ops.matmul)}
    assert {
        "matmul.a: g forgotten",
        "matmul.b: sign flipped",
        "matmul.a: transpose omitted (mT)",
        "matmul.b: factors swapped (matmul)",
        "matmul: the rules of a and b exchanged",
    } <= names
    assert "conv2d.x: stride off by one (conv2d_to_input)" in {m.name for m in mutants(ops.conv2d)}
    assert "index.x: overwrites instead of adding (index_add)" in {m.name for m in mutants(ops.index)}
    assert "index.x: kernel overwrites the buffer" in {m.name for m in mutants(ops.index)}
    assert "amax.x: division forgotten (div)" in {m.name for m in mutants(ops.amax)}
    assert len(names) == len(mutants(ops.matmul))


def test_mutants_of_a_function():
    from tinygrad_edu.testing import real

    wrong = mutants(own.Square)
    assert len(wrong) > 10
    for mutant in wrong:
        with mutant.installed():
            harmless = mutant.what in ("transposed", "g computed with outside the graph")
            if not harmless:
                with pytest.raises(AssertionError):
                    check(own.Square, real((3, 2)))
    with pytest.raises(TypeError, match="Python function has no rule"):
        mutants(lambda x: x)


def test_the_command_prints_the_table(capsys):
    assert main(["neg", "relu"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("operation ")
    assert "mutants noticed, 2 are equivalent" in said
    assert "equivalent: relu.x: x taken for z\n    z <= 0 exactly where x <= 0" in said
    with pytest.raises(SystemExit):
        main(["no such primitive"])
