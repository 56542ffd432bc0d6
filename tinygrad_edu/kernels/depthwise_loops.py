"""The compiled loops of depthwise convolution: every channel has a kernel of its own, and none meets another.

There is no matrix product in it. The loops go along the channels, which lie next to each other in memory. Arguments are
those of `conv_loops`, whose tables they use; weights are (C, 1, h, w).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .conv_loops import Padding, Pair, conv_tables, copy_rows
from .jit import jit
from .registry import Array


@jit(inner=True)
def _by_tap(w: Array) -> Array:
    """(C, 1, h, w) as (taps, C)."""
    channels, _, high, wide = w.shape
    out = np.empty((high * wide, channels), w.dtype)
    for c in range(channels):
        for i in range(high):
            for j in range(wide):
                out[i * wide + j, c] = w[c, 0, i, j]
    return out


@jit(nogil=True)
def depthwise(
    x: Array, w: Array, y: Array, stride: Pair, padding: Padding, dilation: Pair, groups: int, width: Any
) -> None:
    """y = each channel of x convolved with its own kernel."""
    (top, _), (left, _) = padding
    images, high, wide, channels = x.shape
    padded, row = _room(x, padding)
    kernel, factors = (w.shape[2], w.shape[3]), _by_tap(w)
    pixels, taps = conv_tables(row // channels, channels, 1, y.shape[1:3], kernel, stride, dilation)
    source, results = x.reshape(images, high * wide * channels), y.reshape(images, pixels.size, channels)
    for n in range(images):
        copy_rows(source[n], 0, wide * channels, padded, top * row + left * channels, row, high, wide * channels)
        for p in range(pixels.size):
            result = results[n, p]
            result[:] = 0
            for k in range(taps.size):
                _add_products(padded[pixels[p] + taps[k] :], factors[k], result)


@jit(nogil=True)
def depthwise_to_weight(
    x: Array, y: Array, w: Array, stride: Pair, padding: Padding, dilation: Pair, groups: int, width: Any
) -> None:
    """w = the products of every window of x and the y it went into, summed over the batch."""
    (top, _), (left, _) = padding
    images, high, wide, channels = x.shape
    padded, row = _room(x, padding)
    kernel = (w.shape[2], w.shape[3])
    pixels, taps = conv_tables(row // channels, channels, 1, y.shape[1:3], kernel, stride, dilation)
    source, upstream = x.reshape(images, high * wide * channels), y.reshape(images, pixels.size, channels)
    sums = np.zeros((taps.size, channels), x.dtype)
    for n in range(images):
        copy_rows(source[n], 0, wide * channels, padded, top * row + left * channels, row, high, wide * channels)
        for p in range(pixels.size):
            for k in range(taps.size):
                _add_products(padded[pixels[p] + taps[k] :], upstream[n, p], sums[k])
    for c in range(channels):
        for i in range(kernel[0]):
            for j in range(kernel[1]):
                w[c, 0, i, j] = sums[i * kernel[1] + j, c]


@jit(nogil=True)
def depthwise_to_input(
    y: Array, w: Array, x: Array, stride: Pair, padding: Padding, dilation: Pair, groups: int, width: Any
) -> None:
    """x = every y times its kernel, added to the window it came from."""
    (top, _), (left, _) = padding
    images, high, wide, channels = x.shape
    padded, row = _room(x, padding)
    kernel, factors = (w.shape[2], w.shape[3]), _by_tap(w)
    pixels, taps = conv_tables(row // channels, channels, 1, y.shape[1:3], kernel, stride, dilation)
    upstream, results = y.reshape(images, pixels.size, channels), x.reshape(images, high * wide * channels)
    for n in range(images):
        padded[:] = 0
        for p in range(pixels.size):
            for k in range(taps.size):
                _add_products(upstream[n, p], factors[k], padded[pixels[p] + taps[k] :])
        copy_rows(padded, top * row + left * channels, row, results[n], 0, wide * channels, high, wide * channels)


@jit(inner=True)
def _room(x: Array, padding: Padding) -> Any:
    """(zeros for one padded image, the entries of a row of it)."""
    (top, bottom), (left, right) = padding
    row = (left + x.shape[2] + right) * x.shape[3]
    return np.zeros((top + x.shape[1] + bottom) * row, x.dtype), row


@jit(inner=True)
def _add_products(a: Array, b: Array, out: Array) -> None:
    """Add a * b to out, as far as the shorter of b and out goes."""
    for c in range(min(b.size, out.size)):
        out[c] += a[c] * b[c]
