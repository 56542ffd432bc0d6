"""Means of windows of an image, and the adjoint.

A window is given by its first row and the one after its last, likewise for columns, so that `average_windows` and
its adjoint `spread_windows` serve average pooling and adaptive pooling alike.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .jit import jit
from .layout import channels_last, empty_channels_last
from .registry import Array, kernel, same_float
from .tile import divided, plus, row_shape, row_width, store, tile_columns, zero

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
    for n in range(x.shape[0]):
        _average_image(row_shape(x, width), x[n], rows, columns, divisor, out[n])


@jit(inner=True)
def _average_image(shape: Any, x: Array, rows: Array, columns: Array, divisor: Array, out: Array) -> None:
    """A row of channels stays in registers until a whole window is added up."""
    _, wide, channels = x.shape
    there = 0
    for a in range(out.shape[0]):
        top, bottom = rows[a, 0], rows[a, 1]
        for b in range(out.shape[1]):
            left, right = columns[b, 0], columns[b, 1]
            for c in range(0, channels, tile_columns(shape)):
                acc = zero(shape)
                for row in range(top, bottom):
                    at = (row * wide + left) * channels + c
                    for _ in range(left, right):
                        acc = plus(acc, x, at, channels - c)
                        at += channels
                store(divided(acc, divisor[a, b]), out, (0,), there + c, 1, channels - c, False)
            there += channels


@average_windows.numba
def _(x: Array, rows: Array, columns: Array, divisor: Array) -> Array:
    if not same_float(x, divisor):
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
    # Then nothing has to be read to be added to, which is slow just after its neighbours were written.
    apart = _apart(rows) and _apart(columns)
    for n in range(g.shape[0]):
        # One image after the other, so that its zeros are still in the cache.
        out[n].reshape(out.shape[1] * out.shape[2] * out.shape[3])[:] = 0
        _spread_image(row_shape(g, width), g[n], rows, columns, divisor, out[n], apart)


@jit(inner=True)
def _apart(spans: Array) -> Any:
    """Whether no window begins before the one in front of it ends."""
    return (spans[1:, 0] >= spans[:-1, 1]).all()


@jit(inner=True)
def _spread_image(shape: Any, g: Array, rows: Array, columns: Array, divisor: Array, out: Array, apart: bool) -> None:
    """A row of channels stays in registers until it is added to a whole window."""
    _, wide, channels = out.shape
    here = 0
    for a in range(g.shape[0]):
        top, bottom = rows[a, 0], rows[a, 1]
        for b in range(g.shape[1]):
            left, right = columns[b, 0], columns[b, 1]
            for c in range(0, channels, tile_columns(shape)):
                share = divided(plus(zero(shape), g, here + c, channels - c), divisor[a, b])
                for row in range(top, bottom):
                    at = (row * wide + left) * channels + c
                    for _ in range(left, right):
                        if apart:
                            store(share, out, (0,), at, 1, channels - c, False)
                        else:
                            store(share, out, (0,), at, 1, channels - c, True)
                        at += channels
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
