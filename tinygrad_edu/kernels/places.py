"""Numbers of images at given places: picked up, and its adjoint, put back. Max pooling says which places.

A place is row * W + column of a pixel, a signed integer; -1 is none.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .channels import (
    ALL,
    NOWHERE,
    all_nowhere,
    both_nowhere,
    channels_of,
    clear,
    memory,
    nowhere,
    picked,
    places_of,
    put,
    row_shape,
    tile_columns,
    without,
)
from .jit import jit
from .layout import channels_last, empty_channels_last
from .registry import Array, kernel, same_float
from .tile import ONE, TWO, lanes

Pair = tuple[int, int]


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
    """Places as int16 or int32; one that is too large for them stays one that is in no image."""
    return at if at.dtype in (np.int16, np.int32) else np.clip(at, -2, np.iinfo(np.int32).max).astype(np.int32)


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
    """out (N, H, W, C) = zeros with g (N, H', W', C) added at the places (N, H', W', C); whether they all exist.

    Mostly these are windows of 2 x 2, side by side. Then the image falls into cells of that size with one place in
    each, and every pixel is written once: what comes from above where the place is, 0 elsewhere. That goes without
    reading, for many channels at once. Whether it holds is found out on the way; if not, the slow way takes over.
    """
    _, rows, columns, channels = g.shape
    cells, known = 2 * rows <= out.shape[1] <= 2 * rows + 1 and 2 * columns <= out.shape[2] <= 2 * columns + 1, True
    for n in range(g.shape[0]):
        upstream, places, image = g[n], at[n], out[n]
        if cells and channels <= lanes(out):
            cells = _scatter_into_cells(row_shape(out, ONE), upstream, places, image)
        elif cells:
            cells = _scatter_into_cells(row_shape(out, TWO), upstream, places, image)
        if not cells:
            known &= _scatter_anywhere(upstream, places, image)
    return known


@jit(inner=True)
def _scatter_into_cells(shape: Any, g: Array, at: Array, out: Array) -> bool:
    """out (H, W, C) from g, at (H', W', C), if each place is in its cell; whether that is so."""
    (rows, columns, channels), wide, memories = g.shape, out.shape[1], (memory(g), memory(at), memory(out))
    inside = True
    for a in range(rows):
        first = 2 * a * wide
        inside &= _fill_row(shape, memories, wide, channels, columns, a * columns * channels, first)
        if wide > 2 * columns:
            clear(memories[2], (first + 2 * columns) * channels, (first + wide) * channels)
            clear(memories[2], (first + 2 * columns + wide) * channels, (first + 2 * wide) * channels)
    clear(memories[2], 2 * rows * wide * channels, out.size)
    return inside


@jit(inner=True)
def _fill_row(shape: Any, memories: Any, wide: int, channels: int, count: int, here: int, first: int) -> bool:
    """A row of so many cells, the first beginning at pixel `first`; whether all places are in their cell."""
    step, strange = tile_columns(shape), nowhere(shape)
    whole = channels // step * step
    for _ in range(count):
        for c in range(0, whole, step):
            strange = both_nowhere(strange, _fill_cell(shape, memories, wide, channels, c, ALL, here + c, first))
        if whole < channels:
            rest = _fill_cell(shape, memories, wide, channels, whole, channels - whole, here + whole, first)
            strange = both_nowhere(strange, rest)
        here += channels
        first += 2
    return all_nowhere(strange)


@jit(inner=True, inline=True)
def _fill_cell(shape: Any, memories: Any, wide: int, channels: int, c: int, count: Any, here: int, first: int) -> Any:
    """Some channels, from c on, of the cell that begins at pixel `first`; the places that are not in it."""
    (g, at, out), there, below = memories, first * channels + c, first + wide
    values, places = channels_of(shape, g, here, count), places_of(shape, at, here, count)
    put(picked(values, places, first), out, there, count)
    put(picked(values, places, first + 1), out, there + channels, count)
    put(picked(values, places, below), out, there + wide * channels, count)
    put(picked(values, places, below + 1), out, there + (wide + 1) * channels, count)
    return without(without(without(without(places, first), first + 1), below), below + 1)


@jit(inner=True)
def _scatter_anywhere(g: Array, at: Array, out: Array) -> bool:
    """out (H, W, C) = zeros with g (H', W', C) added at the places, number by number; whether they all exist."""
    high, wide, channels = out.shape
    size, known, image, pixels = np.uintp(high * wide), True, out.reshape(out.size), g.shape[0] * g.shape[1]
    upstream, places = g.reshape(pixels, channels), at.reshape(pixels, channels)
    clear(memory(out), 0, out.size)
    for p in range(pixels):
        for c in range(channels):
            # Of negative numbers the unsigned one is larger than any image.
            place = np.uintp(places[p, c])
            if place < size:
                image[place * np.uintp(channels) + np.uintp(c)] += upstream[p, c]
            elif places[p, c] != NOWHERE:
                known = False
    return known


@pool_scatter.numba
def _(g: Array, at: Array, size: Pair) -> Array:
    if not same_float(g, g) or at.dtype.kind != "i" or g.shape != at.shape:
        return pool_scatter.reference(g, at, size)
    out = empty_channels_last((*g.shape[:2], *size), g.dtype)
    if not scatter_loop(channels_last(g), channels_last(_narrow(at)), channels_last(out)):
        _check_scatter(g, at, size)
    return out


def _examples(dtype: Any) -> list[tuple[Any, ...]]:
    return [(np.ones((1, 1, 2, 2), dtype), np.zeros((1, 1, 1, 1), np.int16))]


pool_gather.examples = _examples
pool_scatter.examples = lambda dtype: [(x[:, :, :1, :1], at, (2, 2)) for x, at in _examples(dtype)]
