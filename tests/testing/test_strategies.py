"""Strategies: the same ones with a seed and with hypothesis, small dyadic numbers, everything people forget drawn."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

import tinygrad_edu.nn.functional as F
from tinygrad_edu import ops
from tinygrad_edu.engine.primitive import registry
from tinygrad_edu.testing import (
    axes,
    broadcastable,
    calls,
    conv_case,
    distinct,
    edge,
    graph_case,
    indices,
    laid_out,
    matmul_shapes,
    nonzero,
    permutation,
    pool_case,
    positive,
    real,
    shapes,
    strategy,
    tied,
    unit_interval,
    upstream,
)

NUMBERS = {
    "real": (real, lambda x: (np.abs(x) <= 4).all()),
    "positive": (positive, lambda x: (x > 0).all()),
    "nonzero": (nonzero, lambda x: (np.abs(x) >= 1 / 8).all()),
    "unit_interval": (unit_interval, lambda x: ((x > 0) & (x < 1)).all()),
    "distinct": (distinct, lambda x: len(np.unique(x)) == x.size),
    "tied": (tied, lambda x: x.size < 2 or len(np.unique(x)) < x.size),
}


@pytest.mark.parametrize("name", NUMBERS)
@given(data=st.data())
def test_numbers_are_dyadic_and_what_they_are_called(name, data):
    make, holds = NUMBERS[name]
    shape = data.draw(shapes().strategy())
    for x in (data.draw(make(shape).strategy()), make(shape).sample(data.draw(st.integers(0, 99)))):
        assert x.shape == shape
        assert x.dtype == np.float64
        assert holds(x)
        assert all(Fraction(v).limit_denominator(64) == Fraction(v) for v in x.ravel().tolist())


def test_a_seed_gives_the_same_again_and_another_one_something_else():
    assert np.array_equal(real((3, 4)).sample(1), real((3, 4)).sample(1))
    assert not np.array_equal(real((3, 4)).sample(1), real((3, 4)).sample(2))
    assert repr(real((3, 4))) == "real((3, 4))"


def test_failures_shrink_to_small_numbers():
    quiet = settings(database=None, derandomize=True)
    x = find(real((2, 2)).strategy(), lambda x: x.sum() > 0.2, settings=quiet)
    assert sorted(np.abs(x).ravel())[:3] == [0, 0, 0]
    assert x.sum() == 0.25


def seen(drawn, holds, count=300):
    return sum(bool(holds(drawn.sample(seed))) for seed in range(count))


def test_what_people_forget_is_drawn():
    assert seen(real((3,)), lambda x: (x == 0).any()) > 30
    assert seen(real((3,)), lambda x: len(np.unique(x)) < 3) > 50
    assert seen(edge((5,)), lambda x: np.isnan(x).any() and np.isinf(x).any()) > 30
    assert seen(shapes(), lambda s: 0 in s) > 30
    assert seen(shapes(min_dims=2), lambda s: len(set(s)) == 1) > 30
    assert seen(laid_out(real((3, 2))), lambda x: not x.flags.c_contiguous) > 100
    assert seen(laid_out(real((3, 2))), lambda x: 0 in x.strides) > 10
    assert seen(laid_out(real((3, 2))), lambda x: min(x.strides) < 0) > 10
    assert seen(permutation(3), lambda p: [d % 3 for d in p] in ([1, 2, 0], [2, 0, 1])) > 50
    assert seen(indices(3, (4,)), lambda at: len({i % 3 for i in at.tolist()}) < 4) == 300
    assert seen(indices(3, (2,)), lambda at: at.min() < 0) > 100
    assert seen(axes((2, 3, 4)), lambda dim: isinstance(dim, tuple) and len(dim) == 2) > 30
    assert seen(axes((2, 3, 4)), lambda dim: dim is None) > 30
    assert seen(matmul_shapes(), lambda s: len(s[0]) == 1 or len(s[1]) == 1) > 30
    assert seen(matmul_shapes(), lambda s: 0 in s[0]) > 30
    case = conv_case()
    assert seen(case, lambda c: c.static["groups"] > 1) > 50
    assert seen(case, lambda c: max(c.static["stride"]) > 1 and max(c.static["padding"]) > 0) > 30
    assert seen(case, lambda c: max(c.static["dilation"]) > 1) > 50
    overlapping = lambda c: any(s < k for s, k in zip(c.static["stride"], c.static["kernel_size"], strict=True))  # noqa: E731
    assert seen(pool_case(), overlapping) > 100
    assert seen(calls(ops.index), lambda c: len(c.inputs) > 1 and _repeats(c.inputs[1])) > 10


def _repeats(at):
    return at.dtype != bool and at.size > len(np.unique(at))


@given(st.data())
def test_shapes_fit_together(data):
    found = data.draw(broadcastable(3).strategy())
    np.broadcast_shapes(*found)
    a, b = data.draw(matmul_shapes().strategy())
    np.zeros(a) @ np.zeros(b)
    shape = data.draw(shapes(min_dims=1).strategy())
    dim = data.draw(axes(shape).strategy())
    np.zeros(shape).sum(dim)


@given(st.data())
def test_cases_can_be_called(data):
    from tinygrad_edu import from_numpy

    for f, case in ((F.conv2d, conv_case()), (F.max_pool2d, pool_case())):
        call = data.draw(case.strategy())
        assert f(*(from_numpy(np.array(v)) for v in call.inputs), **call.static).numel() > 0
    graph, x, y = data.draw(graph_case().strategy()).inputs
    assert len(graph(from_numpy(x), from_numpy(y))) == 2
    assert str(graph).startswith("v0 = ")


def test_upstream_gradients_are_all_different_and_neither_0_nor_1():
    u = np.array(upstream((3, 4)).sample(3))
    assert not np.isin(u, [0.0, 1.0]).any()
    plain = [upstream((3, 4)).sample(seed) for seed in range(30)]
    assert max(len(np.unique(p)) for p in plain) == 12


@pytest.mark.parametrize("op", [op for op in registry.values() if op.__module__.startswith("tinygrad_edu.")], ids=str)
def test_calls_of_a_primitive_are_drawn_from_a_seed(op):
    for seed in range(5):
        call = calls(op).sample(seed)
        op(*call.inputs, **call.static)


def test_own_strategies():
    @strategy
    def pairs(choices, longest):
        n = choices.integer(1, longest)
        return choices.draw(real((n,))), choices.order(n), choices.boolean()

    x, order, flag = pairs(3).sample(0)
    assert sorted(order) == list(range(len(x)))
    assert isinstance(flag, bool)
    assert pairs(3).map(len).sample(0) == 3
    assert pairs(3).filter(lambda p: len(p[0]) == 2).sample(0)[0].shape == (2,)
    with pytest.raises(ValueError, match=r"none of 1000 values .* passed the filter"):
        pairs(3).filter(lambda p: False).sample(0)


def test_everything_works_without_hypothesis():
    """Seeded cases, in a process that cannot import it."""
    code = """
import sys
sys.modules["hypothesis"] = None
import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "hypothesis" else find_spec(name, *rest)
import tinygrad_edu as tg
from tinygrad_edu.testing import GradientError, check, given_op, mutants, real
check(tg.ops.mul)
with mutants(tg.ops.exp)[0].installed():
    try:
        check(tg.ops.exp)
    except GradientError as error:
        print(error.property, error.causes[0])
seen = []
@given_op(lambda x: x * x, real((2,)))
def test(case):
    case.verify()
    seen.append(case)
test()
print(len(seen))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, last = done.stdout.splitlines()
    assert first.startswith("gradient it matches when g is all ones")
    assert last == "25"


def test_importing_the_kit_does_not_import_hypothesis_or_pytest():
    code = (
        "import sys, tinygrad_edu.testing; print(*{'hypothesis', 'pytest', 'numba', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
