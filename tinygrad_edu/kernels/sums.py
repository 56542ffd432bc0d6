"""Sums over images, channel by channel: the gradient of a convolution's bias."""

from __future__ import annotations

from typing import Any

import numpy as np

from .channels import ALL, memory, nothing, plus, put, row_shape, row_width, tile_columns
from .jit import jit
from .layout import empty_channels_last
from .registry import Array, kernel, same_float

# So many pixels are added up in a register before they are added to the rest: fewer roundings, as in pairwise sums.
BLOCK = 256


@kernel
@np.errstate(all="ignore")
def channel_sums(x: Array) -> Array:
    """x (N, C, H, W) -> (C,), the sum of all entries of each channel.

    >>> channel_sums(np.ones((2, 3, 4, 5)))
    array([40., 40., 40.])
    """
    return np.add.reduce(x, axis=(0, 2, 3))


@jit
def channel_sums_loop(x: Array, out: Array, width: Any) -> None:
    """out (C,) = the sums of the columns of x (pixels, C)."""
    pixels, channels = x.shape
    shape, numbers, sums = row_shape(x, width), memory(x), memory(out)
    step = tile_columns(shape)
    whole = channels // step * step
    out[:] = 0
    for first in range(0, pixels, BLOCK):
        block = range(first * channels, min(first + BLOCK, pixels) * channels, channels)
        for c in range(0, whole, step):
            put(plus(_column_sums(shape, numbers, block, c, ALL), sums, c, ALL), sums, c, ALL)
        if whole < channels:
            rest = channels - whole
            put(plus(_column_sums(shape, numbers, block, whole, rest), sums, whole, rest), sums, whole, rest)


@jit(inner=True, inline=True)
def _column_sums(shape: Any, x: Any, rows: Any, c: int, count: Any) -> Any:
    """The sums of some columns over rows that begin at these places, in registers."""
    acc = nothing(shape)
    for row in rows:
        acc = plus(acc, x, row + c, count)
    return acc


@channel_sums.numba
def _(x: Array) -> Array:
    images = x.transpose(0, 2, 3, 1)
    # In other orders of memory NumPy is as fast.
    if not same_float(x, x) or not x.size or x.flags.c_contiguous or not images.flags.carray:
        return channel_sums.reference(x)
    out, channels = np.empty(x.shape[1], x.dtype), x.shape[1]
    channel_sums_loop(images.reshape(x.size // channels, channels), out, row_width(channels, x.itemsize))
    return out


def _examples(dtype: Any) -> list[tuple[Array]]:
    x = empty_channels_last((1, 2, 2, 2), dtype)
    x[...] = 1
    return [(x,)]


channel_sums.examples = _examples
