"""The compiled loops of convolution: matrix products on the register tile whose left factor is never built.

Images are (N, H, W, C) in C order, weights (O, C / groups, h, w). Two tables say where in a padded image each output
pixel begins, and how far from there each tap of the kernel reads: image[pixels[p] + taps[k]] is what pixel p meets at
tap k, so that entry would be (p, k) of the left factor. The right one is the weights, in panels as wide as a tile.

    convolve            rows of a tile are pixels, the sum goes over taps
    convolve_turned     its gradient in x for stride 1: a convolution of y with the weights turned round
    convolve_scattered  the same for any stride: rows are pixels, the sum goes over outputs, and every sum is added to
                        the part of the image that it came from
    convolve_to_weight  rows are taps, the sum goes over pixels

Padding is made one image at a time, in memory that stays in the cache. `width` is one of the widths of `tile`. The
tables are unsigned: for numbers that might be negative numba would look twice. Shapes are not checked; `conv.loop_for`
says which loop to call with what.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .jit import jit
from .registry import Array
from .tile import aligned, fma, listed, spaced, store, tile_columns, tile_rows, tile_shape, zero

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]
Width = tuple[int, ...]
# So many pixels of an image, and what they meet, stay in the nearest cache while all taps go over them.
BLOCK = 128


@jit
def conv_tables(wide: int, channels: int, per_group: int, out: Pair, kernel: Pair, stride: Pair, dilation: Pair) -> Any:
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


@jit(inner=True)
def copy_rows(x: Array, first: int, stride: int, out: Array, start: int, width: int, rows: int, length: int) -> None:
    """Rows of x from `first` on, `stride` apart, to rows of out from `start` on, `width` apart."""
    for r in range(rows):
        # Slices, because numba would look for negative indices at every step, and no loop would become vectors.
        source, target = x[first + r * stride :][:length], out[start + r * width :][:length]
        for i in range(length):
            target[i] = source[i]


@jit(inner=True)
def _neighbours(per_group: int, wide: int, dilation: Pair, groups: int) -> int:
    """How many taps in a row read neighbours: those of one pixel, or of a row of undilated pixels with all channels."""
    return per_group * wide if groups == 1 and dilation[1] == 1 else per_group


@jit(inner=True)
def _pack_weights(w: Array, groups: int, turned: int, width: int) -> Array:
    """w as (groups, panels, taps, width): columns are the outputs of a group, with zeros after the last.

    Turned round, inputs are outputs and the kernel is read backwards.
    """
    _, inputs, high, wide = w.shape
    outputs, area = w.shape[0] // groups, high * wide
    next_output, next_input, step = inputs * area, area, 1
    if turned:
        outputs, inputs, next_output, next_input, step = inputs, outputs, area, inputs * area, -1
    shape = (groups, -(-outputs // width), area * inputs, width)
    memory, flat, at = aligned(shape[0] * shape[1] * shape[2] * width, w), w.reshape(w.size), 0
    for g in range(groups):
        start = g * outputs * inputs * area + (area - 1 if turned else 0)
        for first in range(0, outputs, width):
            for tap in range(area):
                for c in range(inputs):
                    source = start + first * next_output + c * next_input + tap * step
                    for o in range(width):
                        memory[at] = flat[source + o * next_output] if first + o < outputs else 0
                        at += 1
    return memory.reshape(shape)


@jit(nogil=True)
def convolve(
    x: Array, w: Array, y: Array, stride: Pair, padding: Padding, dilation: Pair, groups: int, width: Width
) -> None:
    """y = the convolution of x with w."""
    panels = _pack_weights(w, groups, 0, tile_columns(tile_shape(x, width)))
    _convolve_images(tile_shape(x, width), x, panels, y, (w.shape[2], w.shape[3]), stride, padding, dilation)


@jit(nogil=True)
def convolve_turned(
    y: Array, w: Array, x: Array, stride: Pair, padding: Padding, dilation: Pair, groups: int, width: Width
) -> None:
    """x = every y times w, added to the window it came from, for stride 1 and no more padding than a kernel reaches."""
    (top, bottom), (left, right) = padding
    down, along = dilation[0] * (w.shape[2] - 1), dilation[1] * (w.shape[3] - 1)
    around = ((down - top, down - bottom), (along - left, along - right))
    panels = _pack_weights(w, groups, 1, tile_columns(tile_shape(x, width)))
    _convolve_images(tile_shape(x, width), y, panels, x, (w.shape[2], w.shape[3]), stride, around, dilation)


@jit(inner=True)
def _convolve_images(
    shape: Any, x: Array, w: Array, y: Array, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair
) -> None:
    """y = the convolution of x with panels of weights."""
    (top, bottom), (left, right) = padding
    images, high, wide, channels = x.shape
    row, entries, results = (
        (left + wide + right) * channels,
        high * wide * channels,
        y.shape[1] * y.shape[2] * y.shape[3],
    )
    groups, per_group = w.shape[0], channels // w.shape[0]
    pixels, taps = conv_tables(row // channels, channels, per_group, y.shape[1:3], kernel, stride, dilation)
    run = _neighbours(per_group, kernel[1], dilation, groups)
    padded = np.zeros((top + high + bottom) * row, x.dtype)
    source, result = x.reshape(x.size), y.reshape(y.size)
    for n in range(images):
        image = source[n * entries : (n + 1) * entries]
        if padded.size > entries:
            copy_rows(image, 0, wide * channels, padded, top * row + left * channels, row, high, wide * channels)
            image = padded
        _convolve_image(shape, image, pixels, taps, run, w, y.shape[3], result[n * results : (n + 1) * results])


@jit(inner=True)
def _convolve_image(
    shape: Any, x: Array, pixels: Array, taps: Array, run: int, w: Array, outputs: int, y: Array
) -> None:
    """y (pixels, outputs) = the convolution of one image."""
    groups, panels, depth, width = w.shape
    columns, flat = outputs // groups, w.reshape(w.size)
    # Without more than one group nothing is shifted.
    shift = run if groups > 1 else 0
    for g in range(groups):
        for q in range(panels):
            for p in range(0, pixels.size, tile_rows(shape)):
                count = pixels.size - p
                rows = listed(shape, pixels, p, count)
                acc, there = zero(shape), (g * panels + q) * depth * width
                for t in range(0, depth, run):
                    at = np.intp(taps[t]) + g * shift
                    for _ in range(run):
                        acc = fma(acc, x, rows, at, flat, there)
                        at += 1
                        there += tile_columns(shape)
                places = spaced(shape, p * outputs, outputs, count)
                store(acc, y, places, g * columns + q * width, count, columns - q * width, False)


@jit(nogil=True)
def convolve_to_weight(
    x: Array, y: Array, w: Array, stride: Pair, padding: Padding, dilation: Pair, groups: int, width: Width
) -> None:
    """w = every window of x times the y it went into, summed over the batch."""
    (top, bottom), (left, right) = padding
    images, high, wide, channels = x.shape
    row, entries = (left + wide + right) * channels, high * wide * channels
    outputs, columns, size = y.shape[3], y.shape[3] // groups, tile_columns(tile_shape(x, width))
    kernel = (w.shape[2], w.shape[3])
    pixels, taps = conv_tables(row // channels, channels, w.shape[1], y.shape[1:3], kernel, stride, dilation)
    sums = aligned(groups * -(-columns // size) * taps.size * size, x)
    sums[:] = 0
    padded, factor = np.zeros((top + high + bottom) * row, x.dtype), aligned(BLOCK * size, x)
    factor[:] = 0
    source, upstream = x.reshape(x.size), y.reshape(y.size)
    for n in range(images):
        image = source[n * entries : (n + 1) * entries]
        if padded.size > entries:
            copy_rows(image, 0, wide * channels, padded, top * row + left * channels, row, high, wide * channels)
            image = padded
        for first in range(0, pixels.size, BLOCK):
            block, begin = pixels[first : first + BLOCK], (n * pixels.size + first) * outputs
            total = 0
            for g in range(groups):
                for j in range(0, columns, size):
                    # Copied, also where no columns are missing, so that no vector of it lies across two cache lines.
                    copy_rows(
                        upstream, begin + g * columns + j, outputs, factor, 0, size, block.size, min(size, columns - j)
                    )
                    _add_products(tile_shape(x, width), image, block, taps, g * w.shape[1], factor, sums[total:])
                    total += taps.size * size
    _unpack_weights(sums, size, groups, w)


@jit(inner=True)
def _add_products(shape: Any, x: Array, pixels: Array, taps: Array, shift: int, y: Array, total: Array) -> None:
    """Add to total (taps, width) the products of some pixels of an image x and rows of y."""
    width = tile_columns(shape)
    for t in range(0, taps.size, tile_rows(shape)):
        count = taps.size - t
        rows = listed(shape, taps, t, count)
        acc, there = zero(shape), 0
        for p in range(pixels.size):
            acc = fma(acc, x, rows, np.intp(pixels[p]) + shift, y, there)
            there += width
        store(acc, total, spaced(shape, t * width, width, count), 0, count, width, True)


@jit(inner=True)
def _unpack_weights(panels: Array, width: int, groups: int, w: Array) -> None:
    """The way back from `_pack_weights`."""
    outputs, (_, per_group, high, wide) = w.shape[0] // groups, w.shape
    taps, per = high * wide * per_group, -(-outputs // width)
    for g in range(groups):
        for o in range(outputs):
            start = (g * per + o // width) * taps * width + o % width
            for c in range(per_group):
                for i in range(high):
                    for j in range(wide):
                        w[g * outputs + o, c, i, j] = panels[start + ((i * wide + j) * per_group + c) * width]


@jit(nogil=True)
def convolve_scattered(
    y: Array, w: Array, x: Array, stride: Pair, padding: Padding, dilation: Pair, groups: int, width: Width
) -> None:
    """x = every y times w, added to the window it came from."""
    (top, bottom), (left, right) = padding
    images, high, wide, channels = x.shape
    row, entries, outputs = (left + wide + right) * channels, high * wide * channels, y.shape[3]
    kernel = (w.shape[2], w.shape[3])
    pixels, taps = conv_tables(row // channels, channels, w.shape[1], y.shape[1:3], kernel, stride, dilation)
    # Down the columns of the image: neighbours in a column share no part of a row of the result, so no sum has to
    # wait until the one before is in memory.
    places, lines, i = np.empty_like(pixels), np.empty_like(pixels), 0
    for b in range(y.shape[2]):
        for a in range(y.shape[1]):
            lines[i] = (a * y.shape[2] + b) * outputs
            places[i] = pixels[a * y.shape[2] + b]
            i += 1
    run = _neighbours(w.shape[1], w.shape[3], dilation, groups)
    panels = _pack_taps(w, groups, run, tile_columns(tile_shape(x, width)))
    padded = np.empty((top + high + bottom) * row, x.dtype)
    upstream, result = y.reshape(y.size), x.reshape(x.size)
    for n in range(images):
        image = upstream[n * pixels.size * outputs : (n + 1) * pixels.size * outputs]
        padded[:] = 0
        _scatter_image(tile_shape(x, width), image, lines, places, taps, run, w.shape[1], panels, padded)
        start = top * row + left * channels
        copy_rows(padded, start, row, result, n * entries, wide * channels, high, wide * channels)


@jit(inner=True)
def _pack_taps(w: Array, groups: int, run: int, width: int) -> Array:
    """w as (groups, panels, O / groups, width): columns are taps; each run of neighbours begins a panel."""
    _, per_group, high, wide = w.shape
    outputs, per_run = w.shape[0] // groups, -(-run // width)
    shape = (groups, high * wide * per_group // run * per_run, outputs, width)
    memory = aligned(shape[0] * shape[1] * outputs * width, w)
    memory[:] = 0
    panels = memory.reshape(shape)
    for g in range(groups):
        for o in range(outputs):
            for c in range(per_group):
                for i in range(high):
                    for j in range(wide):
                        tap = (i * wide + j) * per_group + c
                        panel = tap // run * per_run + tap % run // width
                        panels[g, panel, o, tap % run % width] = w[g * outputs + o, c, i, j]
    return panels


@jit(inner=True)
def _scatter_image(
    shape: Any, y: Array, lines: Array, places: Array, taps: Array, run: int, shift: int, w: Array, x: Array
) -> None:
    """Add to one image x what every y brings back: pixel p begins at lines[p] in y and at places[p] in x."""
    groups, panels, columns, width = w.shape
    per_run, flat = -(-run // width), w.reshape(w.size)
    for p in range(0, places.size, tile_rows(shape)):
        count = places.size - p
        rows, targets = listed(shape, lines, p, count), listed(shape, places, p, count)
        for g in range(groups):
            for q in range(panels):
                acc, at, there = zero(shape), g * columns, (g * panels + q) * columns * width
                for _ in range(columns):
                    acc = fma(acc, y, rows, at, flat, there)
                    at += 1
                    there += tile_columns(shape)
                first = q % per_run * width
                start = np.intp(taps[q // per_run * run]) + first + g * shift
                store(acc, x, targets, start, count, run - first, True)
