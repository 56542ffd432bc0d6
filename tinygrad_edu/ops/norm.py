"""Batch and layer normalisation: z = h * weight + bias, where h has mean 0 and variance 1 (but for eps).

The rules are written with x alone, so that they can be differentiated again; on arrays a kernel uses the mean and the
variance that the forward found.
"""

from __future__ import annotations

import math
from typing import Any

from tinygrad_edu import kernels
from tinygrad_edu.engine.calls import primitive
from tinygrad_edu.engine.domain import Family
from tinygrad_edu.ops.elementwise import sqrt
from tinygrad_edu.ops.reduce import sum
from tinygrad_edu.ops.shape import reshape

__all__ = ["batch_norm", "layer_norm"]

VECTORS = {"weight": (3,), "bias": (3,)}


@primitive(
    domain=Family("batch_norm", data={"example": (VECTORS, {"eps": 1e-5})}),
    text="batch_norm({x}, {weight}, {bias})",
    latex=r"\mathrm{{batchnorm}}({x}, {weight}, {bias})",
    outputs=3,
    auxiliary=(1, 2),
)
def batch_norm(x, weight, bias, *, eps):
    """x (N, C, ...) normalised channel by channel, with weight and bias (C,); also the mean and the variance (C,)."""
    return kernels.batch_norm(x, weight, bias, eps)


@primitive(
    domain=Family("layer_norm", data={"example": (VECTORS, {"eps": 1e-5})}),
    text="layer_norm({x}, {weight}, {bias})",
    latex=r"\mathrm{{layernorm}}({x}, {weight}, {bias})",
    outputs=3,
    auxiliary=(1, 2),
)
def layer_norm(x, weight, bias, *, eps):
    """x (..., *K) normalised row by row, with weight and bias (*K); also the mean and the variance (...)."""
    return kernels.layer_norm(x, weight, bias, eps)


def normalised(x: Any, shape: tuple[int, ...], dim: tuple[int, ...], eps: float) -> tuple[Any, Any]:
    """(x - mean) / sqrt(var + eps) over the axes `dim`, and 1 / sqrt(var + eps)."""
    centred = x - mean(x, shape, dim)
    scale = 1 / sqrt(mean(centred * centred, shape, dim) + eps)
    return centred * scale, scale


def mean(x: Any, shape: tuple[int, ...], dim: tuple[int, ...]) -> Any:
    """The mean over some axes, which stay as 1; of nothing it is 0, so that no NaN gets into the gradients."""
    return sum(x, dim=dim, keepdim=True) / float(math.prod(shape[d] for d in dim) or 1)


def over_batch(shape: tuple[int, ...]) -> tuple[int, ...]:
    """All axes but that of the channels."""
    return (0, *range(2, len(shape)))


def over_rows(shape: tuple[int, ...], weight_shape: tuple[int, ...]) -> tuple[int, ...]:
    """The last axes, which the weight has too."""
    return tuple(range(len(shape) - len(weight_shape), len(shape)))


def lead(shape: tuple[int, ...], weight_shape: tuple[int, ...]) -> tuple[int, ...]:
    """The other axes."""
    return tuple(range(len(shape) - len(weight_shape)))


def batch_norm_x(g: Any, x: Any, weight: Any, x_shape: Any, eps: float) -> Any:
    """weight / sqrt(var + eps) * (g - mean(g) - h mean(g h))."""
    dim = over_batch(x_shape)
    h, scale = normalised(x, x_shape, dim, eps)
    by_channel = reshape(weight, shape=(1, x_shape[1], *(1,) * (len(x_shape) - 2)))
    return by_channel * scale * (g[0] - mean(g[0], x_shape, dim) - h * mean(g[0] * h, x_shape, dim))


def layer_norm_x(g: Any, x: Any, weight: Any, x_shape: Any, weight_shape: Any, eps: float) -> Any:
    """(gw - mean(gw) - h mean(gw h)) / sqrt(var + eps) with gw = g * weight."""
    dim, gw = over_rows(x_shape, weight_shape), g[0] * weight
    h, scale = normalised(x, x_shape, dim, eps)
    return scale * (gw - mean(gw, x_shape, dim) - h * mean(gw * h, x_shape, dim))


batch_norm.pullback(
    x=batch_norm_x,
    weight=lambda g, x, x_shape, eps: sum(
        g[0] * normalised(x, x_shape, over_batch(x_shape), eps)[0], dim=over_batch(x_shape)
    ),
    bias=lambda g, x_shape: sum(g[0], dim=over_batch(x_shape)),
    fast=lambda g, x, weight, z1, z2, eps: kernels.batch_norm_grad(g[0], x, weight, z1, z2, eps),
)
layer_norm.pullback(
    x=layer_norm_x,
    weight=lambda g, x, x_shape, weight_shape, eps: sum(
        g[0] * normalised(x, x_shape, over_rows(x_shape, weight_shape), eps)[0], dim=lead(x_shape, weight_shape)
    ),
    bias=lambda g, x_shape, weight_shape: sum(g[0], dim=lead(x_shape, weight_shape)),
    fast=lambda g, x, weight, z1, z2, eps: kernels.layer_norm_grad(g[0], x, weight, z1, z2, eps),
)
