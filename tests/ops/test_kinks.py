"""The conventions at kinks, poles and infinities: each stated here as numbers, and each the one PyTorch has."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg

INF, NAN = math.inf, math.nan

# name: (function of a module and tensors, inputs, gradient of the summed result for each input)
KINKS: dict[str, tuple[Any, list[Any], list[Any]]] = {
    "relu at 0 and NaN": (lambda m, x: m.relu(x), [[-1.0, -0.0, 0.0, 2.0, NAN]], [[0, 0, 0, 1, 1]]),
    "abs at 0": (lambda m, x: m.abs(x), [[-2.0, 0.0, -0.0, 3.0, INF]], [[-1, 0, 0, 1, 1]]),
    "maximum ties": (
        lambda m, x, y: m.maximum(x, y), [[1.0, 2.0, 3.0], [1.0, 3.0, 2.0]], [[0.5, 0, 1], [0.5, 1, 0]],
    ),
    "minimum ties": (
        lambda m, x, y: m.minimum(x, y), [[1.0, 2.0, 3.0], [1.0, 3.0, 2.0]], [[0.5, 1, 0], [0.5, 0, 1]],
    ),
    "maximum(x, x) is x": (lambda m, x: m.maximum(x, x), [[1.0, -2.0]], [[1, 1]]),
    "minimum(x, x) is x": (lambda m, x: m.minimum(x, x), [[1.0, -2.0]], [[1, 1]]),
    "maximum with NaN": (lambda m, x, y: m.maximum(x, y), [[NAN, 1.0], [1.0, NAN]], [[1, 1], [1, 1]]),
    "amax ties": (lambda m, x: x.amax(1), [[[3.0, 3.0, 1.0], [2.0, 0.0, 1.0]]], [[[0.5, 0.5, 0], [1, 0, 0]]]),
    "amin ties over all": (lambda m, x: x.amin(), [[[1.0, 1.0], [1.0, 2.0]]], [[[1 / 3, 1 / 3], [1 / 3, 0]]]),
    "max() ties": (lambda m, x: x.max(), [[2.0, 2.0, 1.0, 2.0]], [[1 / 3, 1 / 3, 0, 1 / 3]]),
    "max(dim) first": (lambda m, x: x.max(0).values, [[2.0, 5.0, 5.0]], [[0, 1, 0]]),
    "min(dim) first": (
        lambda m, x: x.min(1).values, [[[2.0, 1.0, 1.0], [4.0, 4.0, 4.0]]], [[[0, 1, 0], [1, 0, 0]]],
    ),
    "max(dim) of NaN": (lambda m, x: x.max(0).values, [[1.0, NAN, 3.0]], [[0, 1, 0]]),
    "prod without zeros": (lambda m, x: x.prod(), [[2.0, -3.0, 4.0]], [[-12, 8, -6]]),
    "prod with one zero": (lambda m, x: x.prod(), [[2.0, 0.0, 4.0]], [[0, 8, 0]]),
    "prod with two zeros": (lambda m, x: x.prod(), [[0.0, 3.0, 0.0]], [[0, 0, 0]]),
    "prod(dim) with zeros": (
        lambda m, x: x.prod(1), [[[2.0, 0.0, 5.0], [0.0, 0.0, 1.0]]], [[[0, 10, 0], [0, 0, 0]]],
    ),
    "x ** 2 at 0": (lambda m, x: x**2, [[0.0, -3.0]], [[0, -6]]),
    "x ** 1 at 0": (lambda m, x: x**1, [[0.0, -3.0]], [[1, 1]]),
    "x ** 0": (lambda m, x: x**0, [[0.0, -3.0, INF, NAN]], [[0, 0, 0, 0]]),
    "x ** 0.5 at 0": (lambda m, x: x**0.5, [[0.0, 4.0]], [[INF, 0.25]]),
    "x ** -1 at 0": (lambda m, x: x**-1, [[0.0, 2.0]], [[-INF, -0.25]]),
    "x ** 3 of a negative base": (lambda m, x: x**3, [[-2.0, 0.0]], [[12, 0]]),
    "base and exponent at 0": (
        lambda m, x, y: m.pow(x, y), [[0.0, 0.0, 0.0], [0.0, 2.0, 1.0]], [[0, 0, 1], [0, 0, 0]],
    ),
    "0 ** a negative exponent": (lambda m, x, y: m.pow(x, y), [[0.0], [-1.0]], [[-INF], [-INF]]),
    "0 ** y": (lambda m, y: 0.0**y, [[0.0, 2.0]], [[0, 0]]),
    "2 ** y": (lambda m, y: 2.0**y, [[0.0, 3.0]], [[math.log(2), 8 * math.log(2)]]),
    "sqrt at 0": (lambda m, x: m.sqrt(x), [[0.0, 4.0]], [[INF, 0.25]]),
    "log at 0": (lambda m, x: m.log(x), [[0.0, 4.0]], [[INF, 0.25]]),
    "1 / x at 0": (lambda m, x: 1 / x, [[0.0, 2.0]], [[-INF, -0.25]]),
    "norm at 0": (lambda m, x: x.norm(), [[0.0, 0.0]], [[0, 0]]),
    "norm(dim) at 0": (lambda m, x: x.norm(dim=1), [[[0.0, 0.0], [3.0, 4.0]]], [[[0, 0], [0.6, 0.8]]]),
    "1-norm at 0": (lambda m, x: x.norm(1), [[0.0, -2.0]], [[0, -1]]),
    "3-norm at 0": (lambda m, x: x.norm(3), [[0.0, 0.0]], [[0, 0]]),
    "inf-norm ties": (lambda m, x: x.norm(INF), [[2.0, -2.0, 1.0]], [[0.5, -0.5, 0]]),
    "std of a constant": (lambda m, x: x.std(), [[3.0, 3.0, 3.0]], [[0, 0, 0]]),
    "std of a constant row": (
        lambda m, x: x.std(1), [[[3.0, 3.0], [1.0, 3.0]]], [[[0, 0], [-math.sqrt(0.5), math.sqrt(0.5)]]],
    ),
    "var of a constant": (lambda m, x: x.var(), [[3.0, 3.0]], [[0, 0]]),
    "clamp at its bounds": (
        lambda m, x: m.clamp(x, -1.0, 1.0), [[-2.0, -1.0, 0.0, 1.0, 2.0]], [[0, 1, 1, 1, 0]],
    ),
    "clamp from below": (lambda m, x: m.clamp(x, min=0.0), [[-1.0, 0.0, 1.0]], [[0, 1, 1]]),
    "clamp with min > max": (lambda m, x: m.clamp(x, 2.0, 1.0), [[0.0, 1.5, 3.0]], [[0, 0, 0]]),
    "clamp by tensors": (
        lambda m, x, low: m.clamp(x, min=low), [[-1.0, 0.0, 3.0], [0.0, 0.0, 0.0]], [[0, 1, 1], [1, 0, 0]],
    ),
    "sign": (lambda m, x: m.sign(x) * x, [[-2.0, 0.0, 3.0]], [[-1, 0, 1]]),
    "where with inf in the unused branch": (
        lambda m, x: m.where(x > 0, m.log(x), x * 2), [[1.0, -3.0]], [[1, 2]],
    ),
    "where with a NaN slope in the unused branch": (
        lambda m, x: m.where(x > 0, m.sqrt(x), m.zeros(2)), [[4.0, -1.0]], [[0.25, NAN]],
    ),
    "where hides an infinite value": (
        lambda m, x, y: m.where(m.tensor([True, False]), x, y), [[1.0, INF], [NAN, 2.0]], [[1, 0], [0, 1]],
    ),
    "logsumexp of -inf": (lambda m, x: m.logsumexp(x, 0), [[-INF, 0.0, 0.0]], [[0, 0.5, 0.5]]),
    "logsumexp of huge numbers": (lambda m, x: m.logsumexp(x, 0), [[1e4, 1e4]], [[0.5, 0.5]]),
    "log_softmax of -inf": (lambda m, x: m.log_softmax(x, 0)[1:], [[-INF, 0.0, 0.0]], [[0, 0, 0]]),
    "log_softmax of huge numbers": (lambda m, x: m.log_softmax(x, 0)[0], [[1e4, 1e4]], [[0.5, -0.5]]),
    "softmax of -inf": (lambda m, x: m.softmax(x, 0)[1], [[-INF, 0.0, 0.0]], [[0, 0.25, -0.25]]),
    "sigmoid far out": (lambda m, x: m.sigmoid(x), [[-1e4, 0.0, 1e4]], [[0, 0.25, 0]]),
    "tanh far out": (lambda m, x: m.tanh(x), [[-1e4, 0.0, 1e4]], [[0, 1, 0]]),
    "floor": (lambda m, x: m.floor(x) * x, [[1.5, 2.0]], [[1, 2]]),
    "remainder": (lambda m, x, y: x % y, [[5.5, -5.5], [2.0, 2.0]], [[1, 1], [-2, 3]]),
    "sort with ties": (lambda m, x: m.sort(x).values * m.tensor([1.0, 2.0, 3.0]), [[2.0, 1.0, 3.0]], [[2, 1, 3]]),
}  # fmt: skip

every_kink = pytest.mark.parametrize("name", KINKS)


def gradients(m: Any, name: str) -> tuple[Any, list[np.ndarray]]:
    """The value and the gradients, in float64 (0.0 where there is none)."""
    f, inputs, _ = KINKS[name]
    leaves = [m.tensor(v, dtype=m.float64, requires_grad=True) for v in inputs]
    out = f(m, *leaves)
    out.backward(m.ones_like(out))
    return out.detach().numpy(), [leaf.grad.numpy() for leaf in leaves]


@every_kink
def test_convention(name):
    for found, expected in zip(gradients(tg, name)[1], KINKS[name][2], strict=True):
        np.testing.assert_allclose(found, np.array(expected, float), rtol=1e-12, atol=1e-15)


@every_kink
def test_pytorch_has_the_same_convention(name, torch):
    value, grads = gradients(tg, name)
    expected_value, expected = gradients(torch, name)
    np.testing.assert_allclose(value, expected_value, rtol=1e-12)
    for a, b in zip(grads, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


ROWS = {
    "logsumexp": lambda m, x: m.logsumexp(x, 1),
    "log_softmax": lambda m, x: m.log_softmax(x, 1),
    "softmax": lambda m, x: m.softmax(x, 1),
    "amax": lambda m, x: m.amax(x, 1),
    "max": lambda m, x: m.max(x, 1).values,
    "cumsum": lambda m, x: m.cumsum(x, 1),
    "std": lambda m, x: m.std(x, 1),
    "norm": lambda m, x: m.norm(x, dim=1),
    "abs": lambda m, x: m.abs(x),
    "clamp": lambda m, x: m.clamp(x, -1.0, 1.0),
    "sigmoid": lambda m, x: m.sigmoid(x),
    "tanh": lambda m, x: m.tanh(x),
    "sign": lambda m, x: m.sign(x) * m.tensor([1.0, 2.0, 3.0]),
    "prod": lambda m, x: m.prod(x, 1),
}
INFINITE_ROWS = {
    "all -inf": [-INF] * 3,
    "all inf": [INF] * 3,
    "inf": [INF, 0.0, 1.0],
    "both": [INF, -INF, 0.0],
    "NaN": [NAN, 0.0, 1.0],
}
# what we give where PyTorch gives something else
OURS: dict[tuple[str, str], list[float]] = {
    ("prod", "all -inf"): [INF, INF, INF],  # the product of the others; PyTorch divides: NaN
    ("prod", "all inf"): [INF, INF, INF],
    ("abs", "NaN"): [NAN, 0.0, 1.0],  # PyTorch hides the NaN: 0
    ("clamp", "NaN"): [1.0, 1.0, 1.0],  # NaN passes, as through relu; PyTorch: 0
    ("amax", "NaN"): [0.0, 0.0, 0.0],  # nothing equals NaN; PyTorch: NaN everywhere
}


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("row", INFINITE_ROWS)
def test_rows_of_infinities_give_what_pytorch_gives(name, row, torch):
    found = []
    for m in (tg, torch):
        x = m.tensor([INFINITE_ROWS[row]], dtype=m.float64, requires_grad=True)
        out = ROWS[name](m, x)
        out.sum().backward()
        found.append((out.detach().numpy(), x.grad.numpy()))
    (value, grad), (expected_value, expected) = found
    ours = OURS.get((name, row))
    if name != "sign":
        np.testing.assert_allclose(value, expected_value, rtol=1e-12)
    np.testing.assert_allclose(grad, expected if ours is None else np.array([ours]), rtol=1e-12)


def test_an_infinite_upstream_gradient_stops_at_a_mask():
    """A boolean slope selects: 0, not 0 * inf = NaN."""
    x = tg.tensor([-1.0, 1.0], requires_grad=True)
    tg.relu(x).backward(tg.tensor([INF, INF]))
    assert x.grad.tolist() == [0.0, INF]
    y = tg.tensor([-1.0, 1.0], requires_grad=True)
    tg.where(y > 0, y, y * 0 + 5).backward(tg.tensor([NAN, 2.0]))
    assert y.grad[1].item() == 2.0


@pytest.mark.parametrize("name", ["relu", "abs", "amax", "x ** 2", "x ** 3", "norm", "prod"])
def test_second_order_at_kinks_is_finite(name, torch):
    functions = {
        "relu": lambda m, x: m.relu(x) ** 2,
        "abs": lambda m, x: m.abs(x) ** 2,
        "amax": lambda m, x: x.amax() ** 2,
        "x ** 2": lambda m, x: x**2,
        "x ** 3": lambda m, x: x**3,
        "norm": lambda m, x: x.norm() ** 2,
        "prod": lambda m, x: x.prod(),
    }
    found = []
    for m in (tg, torch):
        x = m.tensor([0.0, 0.0, -1.0], dtype=m.float64, requires_grad=True)
        (first,) = m.autograd.grad(functions[name](m, x).sum(), x, create_graph=True)
        (second,) = m.autograd.grad(first.sum(), x)
        found.append(second.numpy())
    np.testing.assert_allclose(*found, rtol=1e-12, atol=1e-15)
