"""The compiled loops of convolution: matrix products whose left factor is read through two tables (see `conv`).

    x  (N, entries)                     images, flattened, channels last, with their padding
    y  (N, pixels, groups, O / groups)  outputs or upstream gradients
    w  (groups, taps, O / groups)       weights; taps last for `conv_to_input_loop`

`image[pixels[p] + taps[k]]` is what output pixel p meets at tap k. The tables are unsigned: for numbers that might be
negative numba would look twice. Four pixels and four taps meet at a time in loops along the output channels, as in
`linalg.gemm`: eight loads and four stores for sixteen multiply-adds. All can be called from compiled code; shapes are
not checked.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .jit import jit
from .registry import Array


@jit
def conv_tables(
    wide: int, channels: int, per_group: int, out: tuple[int, int], kernel: tuple[int, int], stride: Any, dilation: Any
) -> Any:
    """(pixels, taps) of images (rows, wide, channels): where each output pixel begins, and what it meets from there."""
    pixels = np.empty(out[0] * out[1], np.uintp)
    for a in range(out[0]):
        for b in range(out[1]):
            pixels[a * out[1] + b] = (a * stride[0] * wide + b * stride[1]) * channels
    taps = np.empty(kernel[0] * kernel[1] * per_group, np.uintp)
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            start = (i * dilation[0] * wide + j * dilation[1]) * channels
            for c in range(per_group):
                taps[(i * kernel[1] + j) * per_group + c] = start + c
    return pixels, taps


@jit
def _add_scaled(out: Array, factor: Any, row: Array) -> None:
    for j in range(row.size):
        out[j] += factor * row[j]


@jit
def conv_loop(x: Array, pixels: Array, taps: Array, shift: int, w: Array, y: Array) -> None:
    """y = the convolution of x with w; group g reads `g * shift` entries further on."""
    groups, depth, columns = w.shape
    whole_taps, whole_pixels = depth - depth % 4, pixels.size - pixels.size % 4
    y[...] = 0
    for n in range(x.shape[0]):
        for g in range(groups):
            for p in range(0, whole_pixels, 4):
                p0, p1, p2, p3 = pixels[p], pixels[p + 1], pixels[p + 2], pixels[p + 3]
                for k in range(0, whole_taps, 4):
                    s = np.uintp(g * shift)
                    t0, t1, t2, t3 = s + taps[k], s + taps[k + 1], s + taps[k + 2], s + taps[k + 3]
                    a00, a01, a02, a03 = x[n, p0 + t0], x[n, p0 + t1], x[n, p0 + t2], x[n, p0 + t3]
                    a10, a11, a12, a13 = x[n, p1 + t0], x[n, p1 + t1], x[n, p1 + t2], x[n, p1 + t3]
                    a20, a21, a22, a23 = x[n, p2 + t0], x[n, p2 + t1], x[n, p2 + t2], x[n, p2 + t3]
                    a30, a31, a32, a33 = x[n, p3 + t0], x[n, p3 + t1], x[n, p3 + t2], x[n, p3 + t3]
                    for j in range(columns):
                        w0, w1, w2, w3 = w[g, k, j], w[g, k + 1, j], w[g, k + 2, j], w[g, k + 3, j]
                        y[n, p, g, j] += a00 * w0 + a01 * w1 + a02 * w2 + a03 * w3
                        y[n, p + 1, g, j] += a10 * w0 + a11 * w1 + a12 * w2 + a13 * w3
                        y[n, p + 2, g, j] += a20 * w0 + a21 * w1 + a22 * w2 + a23 * w3
                        y[n, p + 3, g, j] += a30 * w0 + a31 * w1 + a32 * w2 + a33 * w3
                for k in range(whole_taps, depth):
                    for r in range(p, p + 4):
                        _add_scaled(y[n, r, g], x[n, pixels[r] + np.uintp(g * shift) + taps[k]], w[g, k])
            for p in range(whole_pixels, pixels.size):
                for k in range(depth):
                    _add_scaled(y[n, p, g], x[n, pixels[p] + np.uintp(g * shift) + taps[k]], w[g, k])


@jit
def conv_to_weight_loop(x: Array, pixels: Array, taps: Array, shift: int, y: Array, w: Array) -> None:
    """w = the products of x and the upstream y, added up for every tap."""
    groups, depth, columns = w.shape
    whole_taps, whole_pixels = depth - depth % 4, pixels.size - pixels.size % 4
    w[...] = 0
    for n in range(x.shape[0]):
        for g in range(groups):
            for k in range(0, whole_taps, 4):
                s = np.uintp(g * shift)
                t0, t1, t2, t3 = s + taps[k], s + taps[k + 1], s + taps[k + 2], s + taps[k + 3]
                for p in range(0, whole_pixels, 4):
                    p0, p1, p2, p3 = pixels[p], pixels[p + 1], pixels[p + 2], pixels[p + 3]
                    a00, a01, a02, a03 = x[n, p0 + t0], x[n, p0 + t1], x[n, p0 + t2], x[n, p0 + t3]
                    a10, a11, a12, a13 = x[n, p1 + t0], x[n, p1 + t1], x[n, p1 + t2], x[n, p1 + t3]
                    a20, a21, a22, a23 = x[n, p2 + t0], x[n, p2 + t1], x[n, p2 + t2], x[n, p2 + t3]
                    a30, a31, a32, a33 = x[n, p3 + t0], x[n, p3 + t1], x[n, p3 + t2], x[n, p3 + t3]
                    for j in range(columns):
                        y0, y1, y2, y3 = y[n, p, g, j], y[n, p + 1, g, j], y[n, p + 2, g, j], y[n, p + 3, g, j]
                        w[g, k, j] += a00 * y0 + a10 * y1 + a20 * y2 + a30 * y3
                        w[g, k + 1, j] += a01 * y0 + a11 * y1 + a21 * y2 + a31 * y3
                        w[g, k + 2, j] += a02 * y0 + a12 * y1 + a22 * y2 + a32 * y3
                        w[g, k + 3, j] += a03 * y0 + a13 * y1 + a23 * y2 + a33 * y3
                for p in range(whole_pixels, pixels.size):
                    for r in range(k, k + 4):
                        _add_scaled(w[g, r], x[n, pixels[p] + np.uintp(g * shift) + taps[r]], y[n, p, g])
            for k in range(whole_taps, depth):
                for p in range(pixels.size):
                    _add_scaled(w[g, k], x[n, pixels[p] + np.uintp(g * shift) + taps[k]], y[n, p, g])


@jit
def conv_to_input_loop(
    y: Array, pixels: Array, taps: Array, run: int, shift: int, w: Array, x: Array, scratch: Array
) -> None:
    """Add to x what every upstream y brings back through w (groups, O / groups, taps).

    The taps come in runs of neighbours, `run` long. scratch (4, taps) holds what four pixels bring.
    """
    groups, columns, depth = w.shape
    whole, last = columns - columns % 4, pixels.size - 1
    for n in range(x.shape[0]):
        for g in range(groups):
            for p in range(0, pixels.size, 4):
                # A pixel more often than once at the end: computed, but not added.
                q1, q2, q3 = min(p + 1, last), min(p + 2, last), min(p + 3, last)
                scratch[...] = 0
                for j in range(0, whole, 4):
                    a00, a01, a02, a03 = y[n, p, g, j], y[n, p, g, j + 1], y[n, p, g, j + 2], y[n, p, g, j + 3]
                    a10, a11, a12, a13 = y[n, q1, g, j], y[n, q1, g, j + 1], y[n, q1, g, j + 2], y[n, q1, g, j + 3]
                    a20, a21, a22, a23 = y[n, q2, g, j], y[n, q2, g, j + 1], y[n, q2, g, j + 2], y[n, q2, g, j + 3]
                    a30, a31, a32, a33 = y[n, q3, g, j], y[n, q3, g, j + 1], y[n, q3, g, j + 2], y[n, q3, g, j + 3]
                    for k in range(depth):
                        w0, w1, w2, w3 = w[g, j, k], w[g, j + 1, k], w[g, j + 2, k], w[g, j + 3, k]
                        scratch[0, k] += a00 * w0 + a01 * w1 + a02 * w2 + a03 * w3
                        scratch[1, k] += a10 * w0 + a11 * w1 + a12 * w2 + a13 * w3
                        scratch[2, k] += a20 * w0 + a21 * w1 + a22 * w2 + a23 * w3
                        scratch[3, k] += a30 * w0 + a31 * w1 + a32 * w2 + a33 * w3
                for r in range(min(4, pixels.size - p)):
                    for j in range(whole, columns):
                        _add_scaled(scratch[r], y[n, p + r, g, j], w[g, j])
                    for k in range(0, depth, run):
                        start = pixels[p + r] + np.uintp(g * shift) + taps[k]
                        for u in range(run):
                            x[n, start + np.uintp(u)] += scratch[r, k + u]


@jit
def depthwise_loop(x: Array, pixels: Array, taps: Array, w: Array, y: Array) -> None:
    """y = each channel of x convolved with its own column of w (taps, C); y is (N, pixels, C)."""
    y[...] = 0
    for n in range(x.shape[0]):
        for p in range(pixels.size):
            for k in range(taps.size):
                start = pixels[p] + taps[k]
                for c in range(w.shape[1]):
                    y[n, p, c] += x[n, start + np.uintp(c)] * w[k, c]


@jit
def depthwise_to_weight_loop(x: Array, pixels: Array, taps: Array, y: Array, w: Array) -> None:
    """w = the products of x and y, added up for every tap of every channel."""
    w[...] = 0
    for n in range(x.shape[0]):
        for p in range(pixels.size):
            for k in range(taps.size):
                start = pixels[p] + taps[k]
                for c in range(w.shape[1]):
                    w[k, c] += x[n, start + np.uintp(c)] * y[n, p, c]


@jit
def depthwise_to_input_loop(y: Array, pixels: Array, taps: Array, w: Array, x: Array) -> None:
    """Add to x what every upstream y brings back through w."""
    for n in range(x.shape[0]):
        for p in range(pixels.size):
            for k in range(taps.size):
                start = pixels[p] + taps[k]
                for c in range(w.shape[1]):
                    x[n, start + np.uintp(c)] += y[n, p, c] * w[k, c]
