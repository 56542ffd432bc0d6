"""Max pooling: the largest entry of windows of an image, and where it was.

It also says where in its image it found each value, as row * W + column: its gradient puts back what comes from above
at those places (`pool_scatter`), and the gradient of that picks it up there again (`pool_gather`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .jit import jit
from .layout import channels_last, empty_channels_last
from .registry import Array, kernel, same_float
from .tile import first_seen, larger, lowest, row_shape, row_width, store, tile_columns

Pair = tuple[int, int]
NOWHERE = -1


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


def _sizes(size: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool) -> Pair:
    high, wide = (pool_size(size[a], kernel[a], stride[a], padding[a], dilation[a], ceil_mode) for a in (0, 1))
    return high, wide


@kernel
@np.errstate(all="ignore")
def max_pool2d(x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool) -> Any:
    """x (N, C, H, W) -> the largest entry of every window (N, C, H', W'), and its place in the image (int32).

    Of equal entries the first counts, of several NaN the last. A window of nothing but padding has -inf and place -1.
    Raises ValueError when no window fits.

    >>> max_pool2d(np.array([[[[1.0, 3.0, 3.0, 2.0]]]]), (1, 2), (1, 2), (0, 0), (1, 1), False)
    (array([[[[3., 3.]]]]), array([[[[1, 2]]]], dtype=int32))
    """
    (high, wide), n = x.shape[2:], x.shape[:2]
    out = _sizes((high, wide), kernel, stride, padding, dilation, ceil_mode)
    values, places = np.full((*n, *out), -np.inf, x.dtype), np.full((*n, *out), NOWHERE, np.int32)
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
    """A row of channels of a window stays in registers until the whole window has been seen.

    Windows of 2 x 2, the usual ones, are written out: two loops around so little take longer than what is in them.
    """
    high, wide, channels = x.shape
    step, out, small = tile_columns(shape), 0, dilation[0] == dilation[1] == 1
    for a in range(values.shape[0]):
        top = a * stride[0] - padding[0]
        first_row, last_row = _taps_inside(top, high, kernel[0], dilation[0])
        for b in range(values.shape[1]):
            left = b * stride[1] - padding[1]
            first, last = _taps_inside(left, wide, kernel[1], dilation[1])
            start = (top + first_row * dilation[0]) * wide + left + first * dilation[1]
            if first_row == last_row or first == last:
                start = NOWHERE
            for c in range(0, channels, step):
                if small and last_row - first_row == last - first == 2:
                    below = start + wide
                    best, where = first_seen(shape, x, start * channels + c, channels - c, start)
                    best, where = larger(best, where, x, (start + 1) * channels + c, channels - c, start + 1)
                    best, where = larger(best, where, x, below * channels + c, channels - c, below)
                    best, where = larger(best, where, x, (below + 1) * channels + c, channels - c, below + 1)
                else:
                    best, where = lowest(shape, start)
                    for i in range(first_row, last_row):
                        place = (top + i * dilation[0]) * wide + left + first * dilation[1]
                        for _ in range(first, last):
                            best, where = larger(best, where, x, place * channels + c, channels - c, place)
                            place += dilation[1]
                store(best, values, (0,), out + c, 1, channels - c, False)
                store(where, places, (0,), out + c, 1, channels - c, False)
            out += channels


@max_pool2d.numba
def _(x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool) -> Any:
    if not same_float(x, x):
        return max_pool2d.reference(x, kernel, stride, padding, dilation, ceil_mode)
    shape = (*x.shape[:2], *_sizes(x.shape[2:], kernel, stride, padding, dilation, ceil_mode))
    values, places = empty_channels_last(shape, x.dtype), empty_channels_last(shape, np.int32)
    rows, at = values.transpose(0, 2, 3, 1), places.transpose(0, 2, 3, 1)
    max_pool_loop(channels_last(x), kernel, stride, padding, dilation, rows, at, row_width(x.shape[1], x.itemsize))
    return values, places


def _check_places(what: str, at: Array, size: Pair) -> None:
    if at.dtype.kind != "i":
        raise TypeError(f"{what}: places must be signed integers, got dtype {at.dtype}")
    if at.size and not (at.min() >= NOWHERE and at.max() < size[0] * size[1]):
        raise IndexError(f"{what}: a place is outside of an image of size {size}")


@kernel
def pool_gather(x: Array, at: Array) -> Array:
    """The entries of x (N, C, H, W) at the places `at` (N, C, H', W'), row * W + column; 0 at place -1.

    Raises IndexError for a place outside of the image.

    >>> pool_gather(np.array([[[[1.0, 3.0], [5.0, 2.0]]]]), np.array([[[[1, 2, 2, -1]]]]))
    array([[[[3., 5., 5., 0.]]]])
    """
    _check_gather(x, at)
    flat, places = _flat(x), _flat(at)
    found = np.take_along_axis(flat, np.maximum(places, 0), axis=2) if flat.size else np.zeros(places.shape, x.dtype)
    return np.where(places == NOWHERE, x.dtype.type(0), found).reshape(at.shape)


def _flat(x: Array) -> Array:
    """x (N, C, H, W) as (N, C, H * W)."""
    return x.reshape(*x.shape[:2], x.shape[2] * x.shape[3])


def _check_gather(x: Array, at: Array) -> None:
    if x.shape[:2] != at.shape[:2]:
        raise ValueError(f"pool_gather: images {x.shape} and places {at.shape} do not belong together")
    _check_places("pool_gather", at, x.shape[2:])


@jit
def gather_loop(x: Array, at: Array, out: Array) -> bool:
    """out (N, P, C) = x (N, H * W, C) at the places (N, P, C); whether they all exist."""
    images, pixels, channels = at.shape
    size, known = np.uintp(x.shape[1]), True
    for n in range(images):
        image = x[n].reshape(x.shape[1] * channels)
        for p in range(pixels):
            places, found = at[n, p], out[n, p]
            for c in range(channels):
                # Of negative numbers the unsigned one is larger than any image.
                place = np.uintp(places[c])
                found[c] = 0
                if place < size:
                    found[c] = image[place * np.uintp(channels) + np.uintp(c)]
                elif places[c] != NOWHERE:
                    known = False
    return known


@pool_gather.numba
def _(x: Array, at: Array) -> Array:
    if not same_float(x, x) or at.dtype.kind != "i" or x.shape[:2] != at.shape[:2] or not x.size:
        return pool_gather.reference(x, at)
    out = empty_channels_last(at.shape, x.dtype)
    if not gather_loop(_pixels(x), _pixels(_narrow(at)), _pixels(out)):
        _check_gather(x, at)
    return out


def _narrow(at: Array) -> Array:
    """Places as int32; one that is too large for it stays one that is in no image."""
    return at if at.dtype == np.int32 else np.clip(at, -2, np.iinfo(np.int32).max).astype(np.int32)


def _pixels(x: Array) -> Array:
    """x (N, C, H, W) as (N, H * W, C), without copying when its memory is channels-last."""
    return channels_last(x).reshape(x.shape[0], x.shape[2] * x.shape[3], x.shape[1])


@kernel
def pool_scatter(g: Array, at: Array, size: Pair) -> Array:
    """Images (N, C, *size) of zeros with every g (N, C, H', W') added at its place: the adjoint of `pool_gather`.

    Raises IndexError for a place outside of the image.

    >>> pool_scatter(np.array([[[[1.0, 2.0, 4.0, 8.0]]]]), np.array([[[[1, 2, 2, -1]]]]), (2, 2))
    array([[[[0., 1.],
             [6., 0.]]]])
    """
    _check_scatter(g, at, size)
    out = np.zeros((*g.shape[:2], size[0] * size[1] + 1), g.dtype)
    n, c = (np.arange(k) for k in g.shape[:2])
    # Place -1 is the entry after the last, which is left out again.
    np.add.at(out, (n[:, None, None, None], c[:, None, None], at), g)
    return out[..., :-1].reshape(*g.shape[:2], *size)


def _check_scatter(g: Array, at: Array, size: Pair) -> None:
    if g.shape != at.shape:
        raise ValueError(f"pool_scatter: upstream {g.shape} and places {at.shape} must have the same shape")
    _check_places("pool_scatter", at, size)


@jit
def scatter_loop(g: Array, at: Array, out: Array) -> bool:
    """out (N, H * W, C) = zeros with g (N, P, C) added at the places (N, P, C); whether they all exist."""
    images, pixels, channels = at.shape
    size, known = np.uintp(out.shape[1]), True
    for n in range(images):
        # One image after the other, so that its zeros are still in the cache.
        image = out[n].reshape(out.shape[1] * channels)
        image[:] = 0
        for p in range(pixels):
            places, upstream = at[n, p], g[n, p]
            for c in range(channels):
                place = np.uintp(places[c])
                if place < size:
                    image[place * np.uintp(channels) + np.uintp(c)] += upstream[c]
                elif places[c] != NOWHERE:
                    known = False
    return known


@pool_scatter.numba
def _(g: Array, at: Array, size: Pair) -> Array:
    if not same_float(g, g) or at.dtype.kind != "i" or g.shape != at.shape:
        return pool_scatter.reference(g, at, size)
    out = empty_channels_last((*g.shape[:2], *size), g.dtype)
    if not scatter_loop(_pixels(g), _pixels(_narrow(at)), _pixels(out)):
        _check_scatter(g, at, size)
    return out


def _examples(dtype: Any) -> dict[str, list[tuple[Any, ...]]]:
    x, place = np.ones((1, 1, 2, 2), dtype), np.zeros((1, 1, 1, 1), np.int32)
    return {
        "max": [(x, (2, 2), (2, 2), (0, 0), (1, 1), False)],
        "gather": [(x, place)],
        "scatter": [(x[:, :, :1, :1], place, (2, 2))],
    }


max_pool2d.examples = lambda dtype: _examples(dtype)["max"]
pool_gather.examples = lambda dtype: _examples(dtype)["gather"]
pool_scatter.examples = lambda dtype: _examples(dtype)["scatter"]
