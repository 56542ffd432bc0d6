"""What compiled programs call for images: the loops of convolution and pooling, writing into memory that is given.

Images are (N, H, W, C) in C order, with their padding; weights are (O, C / groups, h, w). Each function arranges what
the loop takes and calls it, so a loop can change without a program noticing. Shapes and places are not checked.
"""

from __future__ import annotations

import numpy as np

from .conv_loops import (
    conv_loop,
    conv_tables,
    conv_to_input_loop,
    conv_to_weight_loop,
    depthwise_loop,
    depthwise_to_input_loop,
    depthwise_to_weight_loop,
)
from .jit import jit
from .norm import batch_norm_loop, layer_norm_loop
from .pool import average_loop, gather_loop, max_pool_loop, scatter_loop, spread_loop
from .registry import Array

Pair = tuple[int, int]


@jit
def _tables(x: Array, w: Array, y: Array, stride: Pair, dilation: Pair) -> tuple[Array, Array]:
    (_, _, wide, channels), (_, per_group, rows, columns) = x.shape, w.shape
    return conv_tables(wide, channels, per_group, (y.shape[1], y.shape[2]), (rows, columns), stride, dilation)


@jit
def _images(x: Array) -> Array:
    """(N, H, W, C) as (N, entries)."""
    return x.reshape(x.shape[0], x.shape[1] * x.shape[2] * x.shape[3])


@jit
def _pixels(x: Array) -> Array:
    """(N, H, W, C) as (N, H * W, C)."""
    return x.reshape(x.shape[0], x.shape[1] * x.shape[2], x.shape[3])


@jit
def _grouped_pixels(y: Array, groups: int) -> Array:
    """(N, H, W, O) as (N, H * W, groups, O / groups)."""
    return y.reshape(y.shape[0], y.shape[1] * y.shape[2], groups, y.shape[3] // groups)


@jit
def _grouped(w: Array, groups: int) -> Array:
    """(O, C / groups, h, w) as (groups, O / groups, C / groups, h, w)."""
    return w.reshape(groups, w.shape[0] // groups, w.shape[1], w.shape[2], w.shape[3])


@jit
def _is_depthwise(w: Array, groups: int) -> bool:
    return groups > 1 and w.shape[0] == groups and w.shape[1] == 1


@jit
def _by_channel(w: Array) -> Array:
    """Depthwise weights (C, 1, h, w) as (taps, C)."""
    return np.ascontiguousarray(w.reshape(w.shape[0], w.shape[2] * w.shape[3]).T)


@jit
def conv2d_into(x: Array, w: Array, y: Array, stride: Pair, dilation: Pair, groups: int) -> None:
    """y = the convolution of x with w."""
    pixels, taps = _tables(x, w, y, stride, dilation)
    if _is_depthwise(w, groups):
        depthwise_loop(_images(x), pixels, taps, _by_channel(w), _pixels(y))
    else:
        factors = np.ascontiguousarray(_grouped(w, groups).transpose(0, 3, 4, 2, 1))
        columns = factors.reshape(groups, taps.size, w.shape[0] // groups)
        conv_loop(_images(x), pixels, taps, w.shape[1], columns, _grouped_pixels(y, groups))


@jit
def conv2d_to_input_into(y: Array, w: Array, x: Array, stride: Pair, dilation: Pair, groups: int) -> None:
    """x = every y times w, added to the window it came from."""
    pixels, taps = _tables(x, w, y, stride, dilation)
    x[:] = 0
    if _is_depthwise(w, groups):
        depthwise_to_input_loop(_pixels(y), pixels, taps, _by_channel(w), _images(x))
    else:
        factors = np.ascontiguousarray(_grouped(w, groups).transpose(0, 1, 3, 4, 2))
        rows = factors.reshape(groups, w.shape[0] // groups, taps.size)
        # A row of the kernel reads neighbours when it takes all channels of undilated pixels.
        run = max(w.shape[1] * (w.shape[3] if groups == 1 and dilation[1] == 1 else 1), 1)
        scratch = np.empty((4, taps.size), y.dtype)
        conv_to_input_loop(_grouped_pixels(y, groups), pixels, taps, run, w.shape[1], rows, _images(x), scratch)


@jit
def conv2d_to_weight_into(x: Array, y: Array, w: Array, stride: Pair, dilation: Pair, groups: int) -> None:
    """w = every window of x times the y it went into, summed over the batch."""
    pixels, taps = _tables(x, w, y, stride, dilation)
    if _is_depthwise(w, groups):
        found = np.empty((taps.size, groups), x.dtype)
        depthwise_to_weight_loop(_images(x), pixels, taps, _pixels(y), found)
        w.reshape(groups, taps.size)[:] = found.T
    else:
        outputs, per_group, rows, columns = w.shape
        sums = np.empty((groups, taps.size, outputs // groups), x.dtype)
        conv_to_weight_loop(_images(x), pixels, taps, per_group, _grouped_pixels(y, groups), sums)
        ordered = sums.reshape(groups, rows, columns, per_group, outputs // groups)
        _grouped(w, groups)[:] = ordered.transpose(0, 4, 3, 1, 2)


@jit
def max_pool2d_into(
    x: Array, values: Array, places: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> None:
    """The largest entry of every window of x, and its place."""
    max_pool_loop(x, kernel, stride, padding, dilation, values, places)


@jit
def pool_gather_into(x: Array, places: Array, out: Array) -> None:
    """out = the entries of x at the places; 0 at place -1."""
    gather_loop(_pixels(x), _pixels(places), _pixels(out))


@jit
def pool_scatter_into(y: Array, places: Array, x: Array) -> None:
    """x = zeros with every y added at its place."""
    x[:] = 0
    scatter_loop(_pixels(y), _pixels(places), _pixels(x))


@jit
def check_places(places: Array, pixels: int) -> None:
    """Raise IndexError for a place that is not -1 or in an image of so many pixels."""
    for place in places.flat:
        if place < -1 or place >= pixels:
            raise IndexError("a place is outside of the image")


@jit
def average_windows_into(x: Array, out: Array, rows: Array, columns: Array, divisor: Array) -> None:
    """out = the sum of every window of x, divided by its divisor."""
    average_loop(x, rows, columns, divisor, out)


@jit
def spread_windows_into(y: Array, x: Array, rows: Array, columns: Array, divisor: Array) -> None:
    """x = every y divided by its divisor and added to all entries of its window."""
    x[:] = 0
    spread_loop(y, rows, columns, divisor, x)


@jit
def batch_norm_into(x: Array, weight: Array, bias: Array, z: Array, mean: Array, var: Array, eps: float) -> None:
    """z, mean, var of x (rows, C), channel by channel."""
    batch_norm_loop(x, weight, bias, eps, z, mean, var)


@jit
def layer_norm_into(x: Array, weight: Array, bias: Array, z: Array, mean: Array, var: Array, eps: float) -> None:
    """z, mean, var of x (rows, K), row by row; weight and bias (K,)."""
    layer_norm_loop(x, weight, bias, eps, z, mean, var)
