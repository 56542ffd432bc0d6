"""One call here and in PyTorch, with the same arrays: results, gradients, and gradients of gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.testing.strategies import LAYOUTS, lay_out

Call = Callable[[Any, Any], Any]
"""f(functional module, *tensors) -> tensor."""


@st.composite
def normal(draw: Any, shape: Sequence[int], dtype: Any = np.float64) -> np.ndarray:
    """Normally distributed numbers in a drawn layout, channels-last among them."""
    values = np.random.default_rng(draw(st.integers(0, 2**32 - 1))).standard_normal(tuple(shape)).astype(dtype)
    layout = draw(st.sampled_from(("channels-last", *LAYOUTS)))
    if layout == "channels-last" and values.ndim > 2:
        return np.moveaxis(np.ascontiguousarray(np.moveaxis(values, 1, -1)), -1, 1)
    return lay_out(values, "C" if layout == "channels-last" else layout, draw(st.integers(0, 3)))


def plain(array: np.ndarray) -> np.ndarray:
    """A copy that PyTorch can take."""
    return np.array(array, order="C")


def ours(call: Any, arrays: Any, upstream: Any, vs: Any) -> list[np.ndarray]:
    """(result, gradients, second gradients) here."""
    import tinygrad_edu.nn.functional as F

    tensors = [tg.from_numpy(a).requires_grad_() for a in arrays]
    out = call(F, *tensors)
    g = tg.from_numpy(upstream(tuple(out.shape))).requires_grad_()
    grads = tg.autograd.grad(out, tensors, g, create_graph=True)
    seconds = tg.autograd.grad(
        grads, [*tensors, g], [tg.from_numpy(v) for v in vs], allow_unused=True, materialize_grads=True
    )
    fast = tg.autograd.grad(call(F, *tensors), tensors, tg.from_numpy(upstream(tuple(out.shape))))
    for a, b in zip(grads, fast, strict=True):
        tolerance = 1e-11 if a.dtype == np.float64 else 1e-4
        np.testing.assert_allclose(a.detach().numpy(), b.numpy(), rtol=tolerance, atol=tolerance)
    return [t.detach().numpy() for t in (out, *grads, *seconds)]


def theirs(torch: Any, call: Any, arrays: Any, upstream: Any, vs: Any) -> list[np.ndarray]:
    """The same in PyTorch."""
    tensors = [torch.from_numpy(plain(a)).requires_grad_() for a in arrays]
    out = call(torch.nn.functional, *tensors)
    g = torch.from_numpy(plain(upstream(tuple(out.shape)))).requires_grad_()
    grads = torch.autograd.grad(out, tensors, g, create_graph=True)
    live = [(r, torch.from_numpy(plain(v))) for r, v in zip(grads, vs, strict=True) if r.requires_grad]
    seconds = torch.autograd.grad(
        [r for r, _ in live], [*tensors, g], [v for _, v in live], allow_unused=True, materialize_grads=True
    )
    return [t.detach().numpy() for t in (out, *grads, *seconds)]


def assert_agreement(torch: Any, data: Any, call: Any, *arrays: np.ndarray, tolerance: float = 1e-10) -> None:
    """To first and second order, with drawn upstream gradients in drawn layouts (float64)."""
    known: dict[Any, np.ndarray] = {}

    def upstream(shape: tuple[int, ...]) -> np.ndarray:
        if shape not in known:
            known[shape] = data.draw(normal(shape), label="upstream")
        return known[shape]

    vs = [data.draw(normal(a.shape), label="second upstream") for a in arrays]
    before = [np.array(a) for a in arrays]
    found, expected = ours(call, arrays, upstream, vs), theirs(torch, call, arrays, upstream, vs)
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        scale = max(1.0, float(np.abs(b[np.isfinite(b)]).max(initial=0)))
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * scale)
    for old, now in zip(before, arrays, strict=True):
        np.testing.assert_array_equal(old, now)
