"""Reductions, and what else works along an axis.

Sums and extremes take `dim` as a tuple of axes, the others as one axis; the public functions translate PyTorch's
spelling (None, a number, negatives).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from tinygrad_edu.engine.basis import cast, expand, sum_to, where
from tinygrad_edu.engine.calls import primitive
from tinygrad_edu.engine.domain import Family, reduction
from tinygrad_edu.ops.shape import reshape

__all__ = ["amax", "amin", "argmax", "argmin", "argsort", "cumsum", "expand", "mean", "sum", "sum_to"]


def kept(shape: Any, dim: tuple[int, ...]) -> Any:
    """`shape` with the reduced axes left in as 1."""
    axes = {d % len(shape) for d in dim} if len(shape) else set()
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def spread(g: Any, shape: Any, dim: tuple[int, ...]) -> Any:
    """Repeat a reduced array along the axes it was reduced over: the adjoint of `sum`."""
    return expand(reshape(g, shape=kept(shape, dim)), shape=shape)


@primitive(domain=reduction, text="sum({x})", latex=r"\sum {x}")
def sum(x, *, dim, keepdim=False):
    """The sum over the axes `dim`."""
    return np.add.reduce(x, axis=dim, keepdims=keepdim)


def spread_array(g: np.ndarray, shape: Any, dim: tuple[int, ...]) -> np.ndarray:
    """The same of an array: copied where that takes less time than making a view."""
    apart = g if g.ndim == 0 or g.ndim == len(shape) else g.reshape(kept(shape, dim))
    if math.prod(shape) > 4096:
        return np.broadcast_to(apart, shape)
    out = np.empty(shape, g.dtype)
    out[...] = apart
    return out


sum.pullback(
    x=lambda g, x_shape, dim: spread(g, x_shape, dim),
    fast=lambda g, x_shape, dim: spread_array(g, x_shape, dim),
)


@primitive(domain=reduction, text="mean({x})", latex=r"\mathrm{{mean}}\,{x}")
def mean(x, *, dim, keepdim=False):
    """The sum over the axes `dim`, divided by how many entries each is of; NaN where there are none."""
    return np.add.reduce(x, axis=dim, keepdims=keepdim) / count(x.shape, dim)


def count(shape: Any, dim: Iterable[int]) -> float:
    """How many entries one result of a reduction comes from; NaN for none, so that a mean of nothing is NaN."""
    return float(math.prod([shape[d] for d in dim])) or math.nan


mean.pullback(
    x=lambda g, x_shape, dim: spread(g / count(x_shape, dim), x_shape, dim),
    fast=lambda g, x_shape, dim: spread_array(g / count(x_shape, dim), x_shape, dim),
)


@primitive(domain=Family("distinct_reduction"), text="amax({x})", latex=r"\max {x}")
def amax(x, *, dim, keepdim=False):
    """The largest over the axes `dim`; ties share the gradient evenly."""
    return np.max(x, axis=dim, keepdims=keepdim)


@primitive(domain=Family("distinct_reduction"), text="amin({x})", latex=r"\min {x}")
def amin(x, *, dim, keepdim=False):
    """The smallest over the axes `dim`; ties share the gradient evenly."""
    return np.min(x, axis=dim, keepdims=keepdim)


def share(g: Any, x: Any, z: Any, x_shape: Any, x_dtype: Any, dim: tuple[int, ...]) -> Any:
    """g divided evenly among the entries that equal the extreme value."""
    hit = x == spread(z, x_shape, dim)
    count = cast(sum(hit, dim=dim, keepdim=True), dtype=x_dtype)
    return where(hit, expand(reshape(g, shape=kept(x_shape, dim)) / count, shape=x_shape), 0)


amax.pullback(x=share)
amin.pullback(x=share)


@primitive(domain=Family("distinct_reduction"), text="argmax({x})", latex=r"\mathrm{{argmax}}\,{x}")
def argmax(x, *, dim, keepdim=False):
    """The position of the first largest entry along the one axis `dim` (of the flattened array when `dim` is None)."""
    return np.argmax(x, axis=dim, keepdims=keepdim)


@primitive(domain=Family("distinct_reduction"), text="argmin({x})", latex=r"\mathrm{{argmin}}\,{x}")
def argmin(x, *, dim, keepdim=False):
    """The position of the first smallest entry along the one axis `dim` (or flattened, as in `argmax`)."""
    return np.argmin(x, axis=dim, keepdims=keepdim)


argmax.no_gradient()
argmin.no_gradient()


@primitive(domain=Family("axis"), text="argsort({x})", latex=r"\mathrm{{argsort}}\,{x}")
def argsort(x, *, dim, descending=False):
    """The positions that put the axis `dim` in order; equal entries keep theirs."""
    if descending:
        # reversed twice: equal entries keep their order, NaN comes first, and no number has to be negated
        return np.flip(x.shape[dim] - 1 - np.argsort(np.flip(x, dim), axis=dim, kind="stable"), dim)
    return np.argsort(x, axis=dim, kind="stable")


argsort.no_gradient()


@primitive(domain=Family("axis"))
def cumsum(x, *, dim, reverse=False):
    """Running sums along the axis `dim`, from its end when `reverse`."""
    return np.flip(np.cumsum(np.flip(x, dim), axis=dim), dim) if reverse else np.cumsum(x, axis=dim, dtype=x.dtype)


cumsum.pullback(x=lambda g, dim, reverse: cumsum(g, dim=dim, reverse=not reverse))
