"""Channels-last memory: arrays that are (N, C, H, W) to everybody, with the channels next to each other in memory.

The spatial kernels read and leave such memory. NumPy's elementwise functions keep an array's order in memory by
themselves, so a chain of convolution, normalisation, activation and pooling is never converted on the way.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .registry import Array, in_c_order

# An array of every number of axes whose memory has the channels last; `empty_like` follows its order.
_PATTERNS = {n: np.empty((2,) * n).transpose(0, n - 1, *range(1, n - 1)) for n in range(2, 6)}


# By the number of axes, the order that puts the second one last.
_LAST = {n: (0, *range(2, n), 1) for n in range(2, 6)}


def channels_last(x: Array) -> Array:
    """x (N, C, ...) as an array (N, ..., C) in C order; without copying when that is how its memory lies."""
    return in_c_order(x.transpose(_LAST[x.ndim]))


def empty_channels_last(shape: tuple[int, ...], dtype: Any) -> Array:
    """A new array (N, C, ...) that owns memory in the order (N, ..., C).

    >>> empty_channels_last((2, 3, 4, 5), np.float64).transpose(0, 2, 3, 1).flags.c_contiguous
    True
    """
    return np.empty_like(_PATTERNS[len(shape)], dtype=dtype, shape=shape)


def empty_like_images(x: Array) -> Array:
    """A new array in the shape of x: channels-last if x is, else in C order."""
    if x.flags.c_contiguous or x.ndim not in _LAST or not x.transpose(_LAST[x.ndim]).flags.c_contiguous:
        return np.empty(x.shape, x.dtype)
    return empty_channels_last(x.shape, x.dtype)
