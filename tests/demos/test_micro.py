"""The engine in 60 lines: the worked example, random formulas, and what would go wrong."""

import random

import numpy as np
import pytest

from demos import micro


def test_its_bars(ran):
    done = ran("micro", data=False)
    assert done.code == 0
    assert [bar["met"] for bar in done.bars] == [True, True, True]
    assert "operand.grad += node.grad * slope" in done.page


def test_both_take_the_same_gradient_of_a_matrix_product(ran):
    a, b = np.random.default_rng(0).standard_normal((2, 5, 5))
    assert micro.entry_by_entry(a, b) == pytest.approx(b[0].sum(), rel=1e-12)
    assert micro.whole(a, b) == pytest.approx(b[0].sum(), rel=1e-12)
    times = ran("micro", data=False).numbers["ms"]
    assert [len(series) for series in times.values()] == [4, 4]


def test_a_value_used_twice_and_a_deep_chain():
    a = micro.Number(1.0)
    b = a + a
    c = b + b
    c.backward()
    assert a.grad == 4.0
    x = start = micro.Number(0.5)
    for _ in range(5000):
        x = -x
    x.backward()
    assert start.grad == 1.0


def test_numbers_on_either_side():
    x = micro.Number(2.0)
    y = 3 - 2 * x / 4 + 1
    y.backward()
    assert (y.value, x.grad) == (3.0, -0.5)


@pytest.mark.parametrize("operation", ["__add__", "__mul__", "__pow__", "exp", "log", "sigmoid"])
def test_a_wrong_slope_is_seen(monkeypatch, operation):
    right = getattr(micro.Number, operation)

    def wrong(self, *given):
        z = right(self, *given)
        return micro.Number(z.value, *((operand, 1.01 * slope) for operand, slope in z.operands))

    assert max(micro.distance(random.Random(seed)) for seed in range(5)) < 1e-12
    monkeypatch.setattr(micro.Number, operation, wrong)
    assert max(micro.distance(random.Random(seed)) for seed in range(5)) > 1e-6
