"""The softmax family, cross-entropy fused with it so that no logit is too large, and cross-entropy of probabilities."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu import kernels
from tinygrad_edu.engine.calls import primitive
from tinygrad_edu.engine.domain import Domain, Family, unit_interval
from tinygrad_edu.ops.elementwise import exp, log, log1p, maximum
from tinygrad_edu.ops.index import one_hot
from tinygrad_edu.ops.reduce import sum
from tinygrad_edu.ops.shape import reshape

__all__ = ["bce", "log_softmax", "mse", "softmax", "softmax_cross_entropy"]


@primitive(domain=Family("axis"), text="log_softmax({x})", latex=r"\log\mathrm{{softmax}}({x})")
def log_softmax(x, *, dim):
    """x - log(sum(exp(x))) along the axis `dim`."""
    return kernels.log_softmax(x, dim)


log_softmax.pullback(
    x=lambda g, z, dim: g - exp(z) * sum(g, dim=(dim,), keepdim=True),
    fast=lambda g, z, dim: kernels.log_softmax_grad(g, z, dim),
)


def softmax(x: Any, *, dim: int) -> Any:
    """exp(x) / sum(exp(x)) along the axis `dim`."""
    return exp(log_softmax(x, dim=dim))


@primitive(domain=Family("logits"), text="cross_entropy({x}, {target})", latex=r"H({target}, {x})")
def softmax_cross_entropy(x, target):
    """-log softmax(x)[target] for logits (N, C) and classes (N,): (N,)."""
    return kernels.cross_entropy(x, target)


softmax_cross_entropy.no_gradient("target")
softmax_cross_entropy.pullback(
    x=lambda g, x, target, x_shape, x_dtype: (
        (softmax(x, dim=1) - one_hot(target, classes=x_shape[1], dtype=x_dtype)) * reshape(g, shape=(x_shape[0], 1))
    ),
    fast=lambda g, x, target: kernels.cross_entropy_grad(g, x, target),
)


@primitive(
    domain=Family("pair"),
    text="mean(({x} - {y})^2)",
    latex=r"\mathrm{{mean}}\left(\left({x} - {y}\right)^2\right)",
)
def mse(x, y):
    """The mean of (x - y)^2 over all entries of two arrays of one shape; NaN where there are none."""
    if np.shape(x) != np.shape(y):
        raise ValueError(f"mse: the shapes {np.shape(x)} and {np.shape(y)} must be equal: mse_loss broadcasts")
    error = x - y
    return np.add.reduce(error * error, axis=None) / (error.size or math.nan)


def mse_slope(x: Any, y: Any, x_shape: Any, g: Any) -> Any:
    """2 (x - y) g / n."""
    return (x - y) * 2 * (g / (math.prod(x_shape) or math.nan))


mse.pullback(
    x=lambda g, x, y, x_shape: mse_slope(x, y, x_shape, g),
    y=lambda g, x, y, x_shape: mse_slope(y, x, x_shape, g),
)


@primitive(domain=(unit_interval, Domain("unit", low=0.0, high=1.0)), text="bce({x}, {y})", latex=r"H({y}, {x})")
def bce(x, y):
    """-(y log x + (1 - y) log(1 - x)) for a probability x and a target y; no logarithm below -100, as in PyTorch."""
    return (y - 1) * np.maximum(np.log1p(-x), -100) - y * np.maximum(np.log(x), -100)


# finite at x = 0 and x = 1, where the logarithms are cut
bce.slope(x=lambda x, y: (x - y) / maximum((1 - x) * x, 1e-12), y=lambda x: log1p(-x) - log(x))
