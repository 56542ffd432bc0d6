"""Means of windows of an image, and the adjoint.

A window is given by its first row and the one after its last, likewise for columns, so that `average_windows` and
its adjoint `spread_windows` serve average pooling and adaptive pooling alike.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .channels import ALL, channels_of, clear, divided, memory, nothing, plus, put, row_shape, row_width, tile_columns
from .jit import jit
from .layout import channels_last, empty_channels_last
from .registry import Array, kernel, same_float

Pair = tuple[int, int]


@kernel
@np.errstate(all="ignore")
def average_windows(x: Array, rows: Array, columns: Array, divisor: Array) -> Array:
    """The sum of every window of x (N, C, H, W), divided by its `divisor` (H', W') -> (N, C, H', W').

    rows (H', 2) and columns (W', 2), int64, have the first row or column of a window and the one after its last.

    >>> average_windows(np.ones((1, 1, 1, 4)), np.array([[0, 1]]), np.array([[0, 2], [1, 4]]), np.array([[2.0, 1.0]]))
    array([[[[1., 3.]]]])
    """
    out = np.empty((*x.shape[:2], len(rows), len(columns)), np.result_type(x, divisor))
    for a, (top, bottom) in enumerate(rows):
        for b, (left, right) in enumerate(columns):
            out[:, :, a, b] = x[:, :, top:bottom, left:right].sum((2, 3)) / divisor[a, b]
    return out


@jit
def average_loop(x: Array, rows: Array, columns: Array, divisor: Array, out: Array, width: Any) -> None:
    """out (N, H', W', C) = the means of the windows of x (N, H, W, C)."""
    narrow = _of_two(columns)
    for n in range(x.shape[0]):
        image, means, wide, channels = memory(x[n]), memory(out[n]), x.shape[2], x.shape[3]
        for a in range(out.shape[1]):
            line, there = rows[a, 0] * wide, a * out.shape[2] * channels
            if narrow and rows[a, 1] - rows[a, 0] == 2:
                _small_means(row_shape(x, width), image, (wide, channels), line, columns, divisor[a], means, there)
            else:
                lines = line, rows[a, 1] * wide
                _any_means(row_shape(x, width), image, (wide, channels), lines, columns, divisor[a], means, there)


@jit(inner=True)
def _of_two(spans: Array) -> Any:
    return (spans[:, 1] - spans[:, 0] == 2).all()


@jit(inner=True)
def _small_means(
    shape: Any, x: Any, image: Pair, line: int, columns: Array, divisor: Array, out: Any, there: int
) -> None:
    """A row of windows of 2 x 2, the usual ones, written out."""
    step, (wide, channels) = tile_columns(shape), image
    whole = channels // step * step
    for b in range(len(columns)):
        at = (line + columns[b, 0]) * channels
        for c in range(0, whole, step):
            put(divided(_sum_of_four(shape, x, wide, channels, at + c, ALL), divisor[b]), out, there + c, ALL)
        if whole < channels:
            rest = channels - whole
            put(divided(_sum_of_four(shape, x, wide, channels, at + whole, rest), divisor[b]), out, there + whole, rest)
        there += channels


@jit(inner=True, inline=True)
def _sum_of_four(shape: Any, x: Any, wide: int, channels: int, at: int, count: Any) -> Any:
    below = at + wide * channels
    upper = plus(channels_of(shape, x, at, count), x, at + channels, count)
    return plus(plus(upper, x, below, count), x, below + channels, count)


@jit(inner=True)
def _any_means(
    shape: Any, x: Any, image: Pair, lines: Pair, columns: Array, divisor: Array, out: Any, there: int
) -> None:
    """A row of windows. Some channels of one at a time stay in registers until it is added up."""
    wide, channels = image
    for b in range(len(columns)):
        for c in range(0, channels, tile_columns(shape)):
            acc = nothing(shape)
            for line in range(lines[0], lines[1], wide):
                for pixel in range(line + columns[b, 0], line + columns[b, 1]):
                    acc = plus(acc, x, pixel * channels + c, channels - c)
            put(divided(acc, divisor[b]), out, there + c, channels - c)
        there += channels


@average_windows.numba
def _(x: Array, rows: Array, columns: Array, divisor: Array) -> Array:
    if not same_float(x, divisor) or divisor.shape != (len(rows), len(columns)):
        return average_windows.reference(x, rows, columns, divisor)
    out = empty_channels_last((*x.shape[:2], len(rows), len(columns)), x.dtype)
    width = row_width(x.shape[1], x.itemsize)
    average_loop(channels_last(x), rows, columns, divisor, channels_last(out), width)
    return out


@kernel
@np.errstate(all="ignore")
def spread_windows(g: Array, size: Pair, rows: Array, columns: Array, divisor: Array) -> Array:
    """g (N, C, H', W'), divided, added to every entry of its window -> (N, C, *size): `average_windows`' adjoint.

    >>> rows, columns = np.array([[0, 1]]), np.array([[0, 2], [1, 4]])
    >>> spread_windows(np.array([[[[6.0, 1.0]]]]), (1, 4), rows, columns, np.ones((1, 2)))
    array([[[[6., 7., 1., 1.]]]])
    """
    _check_windows(g.shape[2:], rows, columns, divisor)
    out = np.zeros((*g.shape[:2], *size), np.result_type(g, divisor))
    for a, (top, bottom) in enumerate(rows):
        for b, (left, right) in enumerate(columns):
            out[:, :, top:bottom, left:right] += (g[:, :, a, b] / divisor[a, b])[:, :, None, None]
    return out


def _check_windows(size: Any, rows: Array, columns: Array, divisor: Array) -> None:
    if not size == (len(rows), len(columns)) == divisor.shape:
        raise ValueError(
            f"spread_windows: g has images of {size}, there are {divisor.shape} windows; they must be equal"
        )


@jit
def spread_loop(g: Array, rows: Array, columns: Array, divisor: Array, out: Array, width: Any) -> None:
    """out (N, H, W, C) = zeros with g (N, H', W', C), divided, added to the windows."""
    # Windows that do not overlap are written without reading what is there; if they leave no gaps, without zeros first.
    apart = _apart(rows) and _apart(columns)
    covered = apart and _covered(rows, out.shape[1]) and _covered(columns, out.shape[2])
    narrow = apart and _of_two(columns)
    for n in range(g.shape[0]):
        shares, image, wide, channels = memory(g[n]), memory(out[n]), out.shape[2], out.shape[3]
        if not covered:
            # One image after the other, so that its zeros are still in the cache.
            clear(image, 0, out.shape[1] * wide * channels)
        for a in range(g.shape[1]):
            line, here = rows[a, 0] * wide, a * g.shape[2] * channels
            if narrow and rows[a, 1] - rows[a, 0] == 2:
                _small_spread(row_shape(g, width), shares, here, columns, divisor[a], image, (wide, channels), line)
            else:
                lines, size = (line, rows[a, 1] * wide), (wide, channels)
                _any_spread(row_shape(g, width), shares, here, columns, divisor[a], image, size, lines, apart)


@jit(inner=True)
def _apart(spans: Array) -> Any:
    """Whether no window begins before the one in front of it ends."""
    return (spans[1:, 0] >= spans[:-1, 1]).all()


@jit(inner=True)
def _covered(spans: Array, size: int) -> Any:
    """Whether windows that are apart leave nothing out."""
    return (spans[:, 1] - spans[:, 0]).sum() == size


@jit(inner=True)
def _small_spread(
    shape: Any, g: Any, here: int, columns: Array, divisor: Array, out: Any, image: Pair, line: int
) -> None:
    """A row of windows of 2 x 2, which are apart: the usual ones, written out."""
    step, (wide, channels) = tile_columns(shape), image
    whole = channels // step * step
    for b in range(len(columns)):
        at = (line + columns[b, 0]) * channels
        for c in range(0, whole, step):
            _put_four(divided(channels_of(shape, g, here + c, ALL), divisor[b]), out, wide, channels, at + c, ALL)
        if whole < channels:
            rest = channels - whole
            share = divided(channels_of(shape, g, here + whole, rest), divisor[b])
            _put_four(share, out, wide, channels, at + whole, rest)
        here += channels


@jit(inner=True, inline=True)
def _put_four(share: Any, out: Any, wide: int, channels: int, at: int, count: Any) -> None:
    below = at + wide * channels
    put(share, out, at, count)
    put(share, out, at + channels, count)
    put(share, out, below, count)
    put(share, out, below + channels, count)


@jit(inner=True)
def _any_spread(
    shape: Any, g: Any, here: int, columns: Array, divisor: Array, out: Any, image: Pair, lines: Pair, apart: bool
) -> None:
    """A row of windows; if they are not apart, what is there is added to."""
    wide, channels = image
    for b in range(len(columns)):
        for c in range(0, channels, tile_columns(shape)):
            count = channels - c
            share = divided(channels_of(shape, g, here + c, count), divisor[b])
            for line in range(lines[0], lines[1], wide):
                for pixel in range(line + columns[b, 0], line + columns[b, 1]):
                    at = pixel * channels + c
                    put(share if apart else plus(share, out, at, count), out, at, count)
        here += channels


@spread_windows.numba
def _(g: Array, size: Pair, rows: Array, columns: Array, divisor: Array) -> Array:
    if not same_float(g, divisor):
        return spread_windows.reference(g, size, rows, columns, divisor)
    _check_windows(g.shape[2:], rows, columns, divisor)
    out = empty_channels_last((*g.shape[:2], *size), g.dtype)
    width = row_width(g.shape[1], g.itemsize)
    spread_loop(channels_last(g), rows, columns, divisor, channels_last(out), width)
    return out


def _examples(dtype: Any) -> dict[str, list[tuple[Any, ...]]]:
    x, whole, divisor = np.ones((1, 1, 2, 2), dtype), np.array([[0, 2]]), np.ones((1, 1), dtype)
    return {
        "average": [(x, whole, whole, divisor)],
        "spread": [(x[:, :, :1, :1], (2, 2), whole, whole, divisor)],
    }


average_windows.examples = lambda dtype: _examples(dtype)["average"]
spread_windows.examples = lambda dtype: _examples(dtype)["spread"]
