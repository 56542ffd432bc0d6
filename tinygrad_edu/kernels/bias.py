"""A number per channel added to images: the bias of a convolution."""

from __future__ import annotations

from typing import Any

import numpy as np

from .jit import jit
from .layout import empty_channels_last
from .registry import Array, in_c_order, kernel, same_float
from .vectors import wide_vectors

# NumPy adds a few channels at a time; so many numbers at once are worth the vectors of the processor.
PERIOD = 512


@kernel
@np.errstate(all="ignore")
def add_channels(x: Array, bias: Array) -> Array:
    """x (N, C, H, W) + bias (C, 1, 1).

    >>> add_channels(np.zeros((1, 2, 1, 3)), np.array([[[1.0]], [[2.0]]])).tolist()
    [[[[1.0, 1.0, 1.0]], [[2.0, 2.0, 2.0]]]]
    """
    return x + bias


@add_channels.numba
def _(x: Array, bias: Array) -> Array:
    if x.ndim != 4 or not same_float(x, bias) or not x.size or bias.shape != (x.shape[1], 1, 1):
        return x + bias
    images = x.transpose(0, 2, 3, 1)
    # In other orders of memory NumPy is as fast.
    if x.flags.c_contiguous or not images.flags.carray:
        return x + bias
    out = empty_channels_last(x.shape, x.dtype)
    add_periodic(images.reshape(-1), in_c_order(bias.reshape(-1)), out.transpose(0, 2, 3, 1).reshape(-1))
    return out


@jit
def add_periodic(x: Array, bias: Array, out: Array) -> None:
    """out = x plus bias, which is repeated over and over; the length of x is a multiple of its length."""
    wide_vectors()
    period = bias.size * (PERIOD // bias.size + 1)
    repeated = np.empty(period, bias.dtype)
    for i in range(period):
        repeated[i] = bias[i % bias.size]
    for start in range(0, x.size, period):
        source, target = x[start : start + period], out[start : start + period]
        for i in range(source.size):
            target[i] = source[i] + repeated[i]


def _examples(dtype: Any) -> list[tuple[Array, Array]]:
    x = empty_channels_last((1, 2, 2, 2), dtype)
    x[...] = 1
    return [(x, np.ones((2, 1, 1), dtype))]


add_channels.examples = _examples
