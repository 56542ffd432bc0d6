"""Max pooling: the largest entry of windows of an image, and where it was.

It also says where in its image it found each value, as row * W + column: its gradient puts back what comes from above
at those places (`places.pool_scatter`), and the gradient of that picks it up there again (`places.pool_gather`).
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .channels import (
    ALL,
    NOWHERE,
    channels_of,
    larger,
    lowest,
    memory,
    moved,
    put,
    row_shape,
    row_width,
    tile_columns,
)
from .jit import jit
from .layout import channels_last, empty_channels_last
from .registry import Array, kernel, same_float

Pair = tuple[int, int]
# Places are that short in images with up to so many pixels: what is written and read again is half as much.
SHORT, SHORT_PIXELS = np.dtype(np.int16), 2**15


def pool_size(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """How many windows an axis has; with `ceil_mode` the last one may hang over, but not begin in the padding.

    Raises ValueError when there is none, or when a window could see nothing but padding.
    """
    reach = dilation * (kernel - 1) + 1
    if not 0 <= 2 * padding <= reach:
        raise ValueError(f"padding must be between 0 and half of the {reach} that a window spans, not {padding}")
    rest = size + 2 * padding - reach + (stride - 1 if ceil_mode else 0)
    count = rest // stride + 1
    if ceil_mode and (count - 1) * stride >= size + padding:
        count -= 1
    if count < 1:
        raise ValueError(f"a window that spans {reach} does not fit into size {size} with padding {padding}")
    return count


@functools.lru_cache(maxsize=256)
def _sizes(size: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool) -> Pair:
    high, wide = (pool_size(size[a], kernel[a], stride[a], padding[a], dilation[a], ceil_mode) for a in (0, 1))
    return high, wide


def _place_dtype(size: Pair) -> Any:
    return SHORT if size[0] * size[1] <= SHORT_PIXELS else np.dtype(np.int32)


@kernel
@np.errstate(all="ignore")
def max_pool2d(x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool) -> Any:
    """x (N, C, H, W) -> the largest entry of every window (N, C, H', W'), and its place in the image.

    Places are int16, or int32 where an image has more than 2^15 pixels.
    Of equal entries the first counts, of several NaN the last. A window of nothing but padding has -inf and place -1.
    Raises ValueError when no window fits.

    >>> max_pool2d(np.array([[[[1.0, 3.0, 3.0, 2.0]]]]), (1, 2), (1, 2), (0, 0), (1, 1), False)
    (array([[[[3., 3.]]]]), array([[[[1, 2]]]], dtype=int16))
    """
    (high, wide), n = x.shape[2:], x.shape[:2]
    out = _sizes((high, wide), kernel, stride, padding, dilation, ceil_mode)
    values = np.full((*n, *out), -np.inf, x.dtype)
    places = np.full((*n, *out), NOWHERE, _place_dtype((high, wide)))
    for i in range(kernel[0]):
        rows = np.arange(out[0]) * stride[0] - padding[0] + i * dilation[0]
        a = np.flatnonzero((rows >= 0) & (rows < high))[:, None]
        for j in range(kernel[1]):
            columns = np.arange(out[1]) * stride[1] - padding[1] + j * dilation[1]
            b = np.flatnonzero((columns >= 0) & (columns < wide))
            entries, best = x[:, :, rows[a], columns[b]], values[:, :, a, b]
            better = (entries > best) | np.isnan(entries) | (places[:, :, a, b] == NOWHERE)
            values[:, :, a, b] = np.where(better, entries, best)
            places[:, :, a, b] = np.where(better, rows[a] * wide + columns[b], places[:, :, a, b])
    return values, places


@jit(inner=True)
def _taps_inside(start: int, size: int, kernel: int, dilation: int) -> Any:
    """(first, end) of the taps of a window that begins at `start`, maybe in the padding, that are in the image."""
    first = 0 if start >= 0 else (dilation - 1 - start) // dilation
    return first, min(kernel, max(first, (size - start + dilation - 1) // dilation))


@jit
def max_pool_loop(
    x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, values: Array, places: Array, width: Any
) -> None:
    """values, places (N, H', W', C) of x (N, H, W, C); width is that of `row_width`, here and below."""
    for n in range(x.shape[0]):
        _max_pool_image(row_shape(x, width), x[n], kernel, stride, padding, dilation, values[n], places[n])


@jit(inner=True)
def _max_pool_image(
    shape: Any, x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, values: Array, places: Array
) -> None:
    (high, wide, channels), memories = x.shape, (memory(x), memory(values), memory(places))
    (_, columns, _), steps = values.shape, (dilation[0] * wide, dilation[1])
    # Windows from `before` to `after` have all their columns inside of the image.
    before = min(-(-padding[1] // stride[1]), columns)
    after = max(before, min(columns, (wide - 1 - dilation[1] * (kernel[1] - 1) + padding[1]) // stride[1] + 1))
    for a in range(values.shape[0]):
        top, first, last, out = a * stride[0] - padding[0], 0, kernel[0], a * columns * channels
        if top < 0 or top + dilation[0] * (kernel[0] - 1) >= high:
            first, last = _taps_inside(top, high, kernel[0], dilation[0])
        line, done = (top + first * dilation[0]) * wide - padding[1], 0
        if last - first == kernel[1] == 2:
            start, done = line + before * stride[1], after - before
            _small_windows(shape, memories, channels, done, start, stride[1], steps, out + before * channels)
        for k in range(columns - done):
            b = k if k < before else k + done
            begin, end = _taps_inside(b * stride[1] - padding[1], wide, kernel[1], dilation[1])
            window = line + b * stride[1] + begin * dilation[1], last - first, end - begin
            _any_window(shape, memories, channels, window, steps, out + b * channels)


@jit(inner=True)
def _small_windows(
    shape: Any, memories: Any, channels: int, count: int, start: int, stride: int, steps: Pair, out: int
) -> None:
    """So many windows of 2 x 2, beginning with that at pixel `start`: the usual ones, written out."""
    step, (down, right) = tile_columns(shape), steps
    whole = channels // step * step
    for _ in range(count):
        for c in range(0, whole, step):
            _max_of_four(shape, memories, channels, start, c, ALL, down, right, out + c)
        if whole < channels:
            _max_of_four(shape, memories, channels, start, whole, channels - whole, down, right, out + whole)
        start += stride
        out += channels


@jit(inner=True, inline=True)
def _max_of_four(
    shape: Any, memories: Any, channels: int, start: int, c: int, count: Any, down: int, right: int, out: int
) -> None:
    """While they are compared, places are counted from the window's first: the same few numbers for all windows."""
    (x, values, places), at, below = memories, start * channels + c, (start + down) * channels + c
    _, where = lowest(shape)
    best = channels_of(shape, x, at, count)
    best, where = larger(best, where, x, at + right * channels, count, right)
    best, where = larger(best, where, x, below, count, down)
    best, where = larger(best, where, x, below + right * channels, count, down + right)
    put(best, values, out, count)
    put(moved(where, start), places, out, count)


@jit(inner=True)
def _any_window(shape: Any, memories: Any, channels: int, window: Any, steps: Pair, out: int) -> None:
    """The window (first pixel, rows, columns): some of its channels at a time stay in registers until all is seen."""
    (x, values, places), (start, rows, columns), (down, right) = memories, window, steps
    for c in range(0, channels, tile_columns(shape)):
        best, where = lowest(shape)
        for i in range(rows):
            for tap in range(i * down, i * down + columns * right, right):
                best, where = larger(best, where, x, (start + tap) * channels + c, channels - c, tap)
        put(best, values, out + c, channels - c)
        put(moved(where, start if rows > 0 and columns > 0 else NOWHERE), places, out + c, channels - c)


@max_pool2d.numba
def _(x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool) -> Any:
    if not same_float(x, x):
        return max_pool2d.reference(x, kernel, stride, padding, dilation, ceil_mode)
    shape = (*x.shape[:2], *_sizes(x.shape[2:], kernel, stride, padding, dilation, ceil_mode))
    values, places = empty_channels_last(shape, x.dtype), empty_channels_last(shape, _place_dtype(x.shape[2:]))
    rows, at = values.transpose(0, 2, 3, 1), places.transpose(0, 2, 3, 1)
    max_pool_loop(channels_last(x), kernel, stride, padding, dilation, rows, at, row_width(x.shape[1], x.itemsize))
    return values, places


def _examples(dtype: Any) -> list[tuple[Any, ...]]:
    return [(np.ones((1, 1, 2, 2), dtype), (2, 2), (2, 2), (0, 0), (1, 1), False)]


max_pool2d.examples = _examples
