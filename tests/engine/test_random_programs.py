"""Random programs that compute, write in place and take views: no gradient that comes out is silently wrong.

The truth is finite differences of the program run without a graph; PyTorch says which programs must be accepted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import event, given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.testing.oracles import differences

Step = tuple[str, int, int]
KINDS = ("add", "mul", "tanh", "exp", "view", "slice", "copy", "constant", "rebind", "sum")
WRITES = ("add_", "mul_", "sigmoid_", "exp_", "copy_", "set", "set slice", "scale_", "augmented", "zero_")


@st.composite
def programs(draw: Any) -> list[Step]:
    kinds = st.one_of(st.sampled_from(KINDS), st.sampled_from(WRITES))
    return [(draw(kinds), draw(st.integers(0, 5)), draw(st.integers(0, 5))) for _ in range(draw(st.integers(1, 9)))]


def step(m: Any, values: list[Any], kind: str, i: int, j: int) -> None:
    """One step on a list of vectors of length 3; positions count around."""
    i, j = i % len(values), j % len(values)
    x, y = values[i], values[j]
    new = {
        "add": lambda: x + y,
        "mul": lambda: x * y * 0.5,
        "tanh": lambda: m.tanh(x),
        "exp": lambda: m.exp(x * 0.25),
        "view": lambda: x.reshape(3, 1).reshape(3),
        "slice": lambda: x[:],
        "copy": lambda: x.clone(),
        "constant": lambda: m.zeros(3, dtype=m.float64),
        "sum": lambda: x.sum() * y,
    }
    change = {
        "add_": lambda: x.add_(y),
        "mul_": lambda: x.mul_(y),
        "sigmoid_": lambda: x.sigmoid_(),
        "exp_": lambda: x.mul_(0.25).exp_(),
        "copy_": lambda: x.copy_(y),
        "set": lambda: x.__setitem__(j % 3, y[i % 3] * 2),
        "set slice": lambda: x.__setitem__(slice(1, 3), y[:2] * 2),
        "scale_": lambda: x.mul_(1.5),
        "augmented": lambda: x.__isub__(y * 0.5),
        "zero_": lambda: x.zero_(),
    }
    if kind == "rebind":
        values[i] = values[j]
    elif kind in new:
        values.append(new[kind]())
    else:
        change[kind]()


def run(m: Any, program: list[Step], x: Any, w: Any) -> Any:
    values = [x * 1.0, w * 1.0]
    for kind, i, j in program:
        step(m, values, kind, i, j)
    return sum((v * (k + 1.0)).sum() for k, v in enumerate(values))


def outcome(m: Any, program: list[Step], x: np.ndarray, w: np.ndarray) -> Any:
    """The gradients, or the stage and the error."""
    leaves = [m.tensor(v.tolist(), dtype=m.float64, requires_grad=True) for v in (x, w)]
    stage = "forward"
    try:
        loss = run(m, program, *leaves)
        stage = "backward"
        return [g.numpy() for g in m.autograd.grad(loss, leaves, materialize_grads=True)]
    except RuntimeError as error:
        return stage, str(error)


@settings(max_examples=60)
@given(programs())
def test_what_comes_out_is_right(torch, program):
    x, w = np.array([0.5, -0.75, 0.25]), np.array([-0.5, 0.375, 1.0])
    ours, theirs = (outcome(m, program, x, w) for m in (tg, torch))
    if isinstance(ours, tuple):
        event("refused")
        if isinstance(theirs, list):  # we refuse recorded writes to memory that others see, and say so before writing
            assert ours[0] == "forward"
            assert "shared with" in ours[1]
        return
    event("accepted")

    def f(arrays: Any) -> np.ndarray:
        with tg.no_grad():
            return run(tg, program, *(tg.tensor(a) for a in arrays)).numpy().reshape(1)

    slopes = differences(f, [x, w])
    assert slopes.smooth.all()
    np.testing.assert_allclose(np.concatenate(ours), slopes.value[0], rtol=1e-7, atol=1e-8 + 10 * slopes.error.max())
    if isinstance(theirs, list):
        event("accepted by both")
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)
