"""Primitives that move numbers without changing them.  Their gradients move them back."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.engine.basis import expand
from tinygrad_edu.engine.calls import primitive
from tinygrad_edu.engine.domain import Family

__all__ = ["cat", "embed", "expand", "mT", "narrow", "permute", "reshape", "split", "stack", "unbind"]


@primitive(domain=Family("reshape"), text="{x}.reshape({shape})", latex="{x}")
def reshape(x, *, shape):
    """The same entries in the same (row-major) order, in another shape."""
    return x.reshape(shape)


@primitive(domain=Family("permute"), text="{x}.permute({dims})", latex="{x}^{{\\pi}}")
def permute(x, *, dims):
    """Axis i of the result is axis dims[i] of x."""
    return x.transpose(dims)


@primitive(domain=Family("matrix"), text="{x}ᵀ", latex="{x}^{{\\top}}")
def mT(x):
    """Swap the last two axes: the transpose of each matrix."""
    return x.swapaxes(-1, -2)


def inverse(dims: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation that undoes `dims`."""
    n = len(dims)
    back = [0] * n
    for i, d in enumerate(dims):
        back[d % n] = i
    return tuple(back)


reshape.pullback(x=lambda g, x_shape: reshape(g, shape=x_shape))
permute.pullback(x=lambda g, dims: permute(g, dims=inverse(dims)))
mT.pullback(x=lambda g: mT(g))


@primitive(domain=Family("cat"), text="cat({tensors})", latex=r"[{tensors}]")
def cat(*tensors, dim):
    """Join along the existing axis `dim`."""
    return np.concatenate(tensors, axis=dim)


@primitive(
    domain=Family("narrow"), text="{x}.narrow({dim}, {start}, {length})", latex="{x}_{{[{start}:{start}+{length}]}}"
)
def narrow(x, *, dim, start, length):
    """`length` entries of the axis `dim`, from `start` on."""
    return x[(slice(None),) * (dim % x.ndim) + (slice(start, start + length),)]


@primitive(domain=Family("embed"), text="zeros_around({x})", latex=r"\mathrm{{embed}}({x})")
def embed(x, *, dim, start, size):
    """x as a part of an axis of `size` zeros: the adjoint of `narrow`."""
    out = np.zeros((*x.shape[:dim], size, *x.shape[dim + 1 :]), x.dtype)
    out[(slice(None),) * dim + (slice(start, start + x.shape[dim]),)] = x
    return out


def part_of_cat(g: Any, i: int, tensors_shape: Any, dim: int) -> Any:
    """The part of g that belongs to tensor i."""
    start = 0
    for shape in tensors_shape[:i]:
        start += shape[dim]
    return narrow(g, dim=dim, start=start, length=tensors_shape[i][dim])


def add_part(buffer: np.ndarray, g: np.ndarray, dim: int, start: int, length: int) -> None:
    """Add g into the narrowed part of a buffer."""
    buffer[(slice(None),) * (dim % buffer.ndim) + (slice(start, start + length),)] += g


cat.pullback(tensors=part_of_cat)
narrow.pullback(
    x=lambda g, x_shape, dim, start: embed(g, dim=dim % len(x_shape), start=start, size=x_shape[dim]),
    into=add_part,
)
embed.pullback(x=lambda g, x_shape, dim, start: narrow(g, dim=dim, start=start, length=x_shape[dim]))


@primitive(domain=Family("split"), text="split({x})", latex=r"\mathrm{{split}}({x})", outputs=None)
def split(x, *, sizes, dim):
    """Cut the axis `dim` into pieces of the given sizes."""
    return tuple(np.split(x, np.cumsum(sizes)[:-1], axis=dim))


@primitive(domain=Family("axis"), text="unbind({x})", latex=r"\mathrm{{unbind}}({x})", outputs=None)
def unbind(x, *, dim):
    """All slices along the axis `dim`, without that axis."""
    rows = np.moveaxis(x, dim, 0)
    return tuple(rows[i, ...] for i in range(len(rows)))


def stack(*tensors: Any, dim: int) -> Any:
    """Join along a new axis."""
    shape = tensors[0].shape
    at = dim % (len(shape) + 1)
    return cat(*(reshape(t, shape=(*shape[:at], 1, *shape[at:])) for t in tensors), dim=at)


split.pullback(x=lambda g, dim: cat(*g, dim=dim))
unbind.pullback(x=lambda g, dim: stack(*g, dim=dim))
