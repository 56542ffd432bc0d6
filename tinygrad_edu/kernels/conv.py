"""Convolution (cross-correlation, as neural networks mean it) and its two adjoints.

    conv2d            y[n, o, a, b] = sum over c, i, j of  w[o, c, i, j] * x[n, c, a s + i d, b s + j d]
    conv2d_to_input   from the same sum: every y[n, o, a, b] goes back to the x it was made of, times w
    conv2d_to_weight  every product of an x and the y it went into, added up for its w

with stride s and dilation d, x being padded with zeros. Each of the three is linear in both its inputs, and the
gradients of each are the other two.

The references walk over the taps (i, j) of the kernel and multiply matrices. The fast twins see a convolution as
one matrix product whose left factor is never built: two tables say where in an image each output pixel begins and
how far from there each tap reads, so that entry (p, k) of that factor is `image[pixels[p] + taps[k]]`. The loops over
it stand in `conv_loops`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

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
from .layout import channels_last, empty_channels_last, zeros_channels_last
from .registry import Array, in_c_order, kernel, same_float

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]


def conv_size(size: int, kernel: int, stride: int, padding: Pair, dilation: int) -> int:
    """How many times a kernel fits along an axis. Raises ValueError when it does not fit even once."""
    padded, reach = size + sum(padding), dilation * (kernel - 1) + 1
    if reach > padded or kernel < 1:
        raise ValueError(f"a kernel that reaches over {reach} does not fit into {padded} (size {size} with padding)")
    return (padded - reach) // stride + 1


def _output_size(size: Pair, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair) -> Pair:
    high, wide = (conv_size(size[a], kernel[a], stride[a], padding[a], dilation[a]) for a in (0, 1))
    return high, wide


def _check(x: Any, w: Any, y: Any, sizes: Pair, groups: int) -> None:
    """Shapes of all three must fit before memory is read; `sizes` is that of the output's image."""
    n, channels = x[:2]
    if groups < 1 or channels != w[1] * groups or w[0] % groups or y != (n, w[0], *sizes):
        raise ValueError(f"an input {x}, a weight {w}, an output {y} and groups={groups} do not belong together")


# the references


def _parts(x: Array, kernel: Pair, stride: Pair, dilation: Pair, out: Pair) -> Iterator[tuple[int, int, Array]]:
    """(i, j, the part of a padded x that tap (i, j) meets), the part as a view (..., *out)."""
    (sh, sw), (dh, dw) = stride, dilation
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            rows = slice(i * dh, i * dh + sh * (out[0] - 1) + 1, sh)
            columns = slice(j * dw, j * dw + sw * (out[1] - 1) + 1, sw)
            yield i, j, x[..., rows, columns]


def _grouped(x: Array, groups: int) -> Array:
    """(N, C, H, W) as (N, groups, C / groups, H, W)."""
    return x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])


def _flat(x: Array) -> Array:
    """The last two axes as one."""
    return x.reshape(*x.shape[:-2], x.shape[-2] * x.shape[-1])


@kernel
@np.errstate(all="ignore")
def conv2d(x: Array, w: Array, stride: Pair, padding: Padding, dilation: Pair, groups: int) -> Array:
    """x (N, C, H, W) and w (O, C / groups, h, w) -> (N, O, H', W'), H' being `conv_size` of H.

    padding is ((top, bottom), (left, right)). Raises ValueError when the shapes do not fit.

    >>> conv2d(np.arange(4.0).reshape(1, 1, 1, 4), np.array([[[[-1.0, 1.0]]]]), (1, 1), ((0, 0), (0, 0)), (1, 1), 1)
    array([[[[1., 1., 1.]]]])
    """
    size = _output_size(x.shape[2:], w.shape[2:], stride, padding, dilation)
    shape = (x.shape[0], w.shape[0], *size)
    _check(x.shape, w.shape, shape, size, groups)
    padded = _grouped(np.pad(x, ((0, 0), (0, 0), *padding)), groups)
    factors = w.reshape(groups, w.shape[0] // groups, *w.shape[1:])
    y = np.zeros((x.shape[0], *factors.shape[:2], size[0] * size[1]), np.result_type(x, w))
    for i, j, part in _parts(padded, w.shape[2:], stride, dilation, size):
        y += np.matmul(factors[..., i, j], _flat(part))
    return y.reshape(shape)


@kernel
@np.errstate(all="ignore")
def conv2d_to_input(
    g: Array, w: Array, size: Pair, stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> Array:
    """g (N, O, H', W') and w (O, C / groups, h, w) -> (N, C, *size): the adjoint of `conv2d` in x.

    >>> conv2d_to_input(np.ones((1, 1, 1, 3)), np.array([[[[-1.0, 1.0]]]]), (1, 4), (1, 1), ((0, 0), (0, 0)), (1, 1), 1)
    array([[[[-1.,  0.,  0.,  1.]]]])
    """
    out = _output_size(size, w.shape[2:], stride, padding, dilation)
    shape = (g.shape[0], w.shape[1] * groups, *size)
    _check(shape, w.shape, g.shape, out, groups)
    (top, bottom), (left, right) = padding
    padded = np.zeros((*shape[:2], top + size[0] + bottom, left + size[1] + right), np.result_type(g, w))
    factors = w.reshape(groups, w.shape[0] // groups, *w.shape[1:])
    upstream = _flat(_grouped(g, groups))
    for i, j, part in _parts(_grouped(padded, groups), w.shape[2:], stride, dilation, out):
        part += np.matmul(factors[..., i, j].swapaxes(1, 2), upstream).reshape(part.shape)
    return padded[:, :, top : top + size[0], left : left + size[1]].copy()


@kernel
@np.errstate(all="ignore")
def conv2d_to_weight(
    x: Array, g: Array, size: Pair, stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> Array:
    """x (N, C, H, W) and g (N, O, H', W') -> (O, C / groups, *size): the adjoint of `conv2d` in w.

    >>> x, g = np.arange(4.0).reshape(1, 1, 1, 4), np.ones((1, 1, 1, 3))
    >>> conv2d_to_weight(x, g, (1, 2), (1, 1), ((0, 0), (0, 0)), (1, 1), 1)
    array([[[[3., 6.]]]])
    """
    out = _output_size(x.shape[2:], size, stride, padding, dilation)
    shape = (g.shape[1], x.shape[1] // max(groups, 1), *size)
    _check(x.shape, shape, g.shape, out, groups)
    padded = _grouped(np.pad(x, ((0, 0), (0, 0), *padding)), groups)
    upstream = _flat(_grouped(g, groups))
    w = np.empty((groups, shape[0] // groups, *shape[1:]), np.result_type(x, g))
    for i, j, part in _parts(padded, size, stride, dilation, out):
        w[..., i, j] = np.matmul(upstream, _flat(part).swapaxes(2, 3)).sum(0)
    return w.reshape(shape)


# the fast twins


@functools.lru_cache(maxsize=256)
def _tables(size: Pair, channels: int, per_group: int, kernel: Pair, stride: Pair, dilation: Pair) -> Any:
    """The two tables of images (*size, channels)."""
    out = _output_size(size, kernel, stride, ((0, 0), (0, 0)), dilation)
    return conv_tables(size[1], channels, per_group, out, kernel, stride, dilation)


def _padded(x: Array, padding: Padding) -> Array:
    """x (N, C, H, W) as (N, H, W, C) with zeros around, in C order."""
    x = x.transpose(0, 2, 3, 1)
    if padding == ((0, 0), (0, 0)):
        return in_c_order(x)
    (top, bottom), (left, right) = padding
    n, high, wide, channels = x.shape
    out = np.zeros((n, top + high + bottom, left + wide + right, channels), x.dtype)
    out[:, top : top + high, left : left + wide] = x
    return out


def _images(x: Array) -> Array:
    """(N, ...) as (N, entries)."""
    return x.reshape(len(x), x[0].size if len(x) else 0)


def _taps_last(w: Array, groups: int) -> Array:
    """w (O, C / groups, h, w) as (groups, O / groups, taps), the channels of a tap next to each other."""
    columns = w.shape[0] // groups
    ordered = w.reshape(groups, columns, *w.shape[1:]).transpose(0, 1, 3, 4, 2)
    return in_c_order(ordered).reshape(groups, columns, w[0].size)


def _is_depthwise(groups: int, per_group: int, columns: int) -> bool:
    return groups > 1 and per_group == columns == 1


def _pixel_rows(y: Array, groups: int) -> Array:
    """y (N, O, H, W) as (N, pixels, groups, O / groups); without copying when its memory is channels-last."""
    n, outputs, high, wide = y.shape
    return channels_last(y).reshape(n, high * wide, groups, outputs // groups)


@conv2d.numba
def _(x: Array, w: Array, stride: Pair, padding: Padding, dilation: Pair, groups: int) -> Array:
    size = _output_size(x.shape[2:], w.shape[2:], stride, padding, dilation)
    shape = (x.shape[0], w.shape[0], *size)
    if not same_float(x, w) or 0 in (*x.shape, *shape):
        return conv2d.reference(x, w, stride, padding, dilation, groups)
    _check(x.shape, w.shape, shape, size, groups)
    padded, per_group = _padded(x, padding), w.shape[1]
    pixels, taps = _tables(padded.shape[1:3], x.shape[1], per_group, w.shape[2:], stride, dilation)
    y = empty_channels_last(shape, x.dtype)
    rows, factors = _pixel_rows(y, groups), _taps_last(w, groups).swapaxes(1, 2)
    if _is_depthwise(groups, per_group, rows.shape[3]):
        depthwise_loop(_images(padded), pixels, taps, in_c_order(factors[..., 0].T), rows[..., 0])
    else:
        conv_loop(_images(padded), pixels, taps, per_group, in_c_order(factors), rows)
    return y


@conv2d_to_input.numba
def _(g: Array, w: Array, size: Pair, stride: Pair, padding: Padding, dilation: Pair, groups: int) -> Array:
    out = _output_size(size, w.shape[2:], stride, padding, dilation)
    per_group = w.shape[1]
    shape = (g.shape[0], per_group * groups, *size)
    if not same_float(g, w) or 0 in (*g.shape, *shape):
        return conv2d_to_input.reference(g, w, size, stride, padding, dilation, groups)
    _check(shape, w.shape, g.shape, out, groups)
    (top, bottom), (left, right) = padding
    high, wide = top + size[0] + bottom, left + size[1] + right
    pixels, taps = _tables((high, wide), shape[1], per_group, w.shape[2:], stride, dilation)
    padded = zeros_channels_last((*shape[:2], high, wide), g.dtype)
    rows, factors, images = _pixel_rows(g, groups), _taps_last(w, groups), _images(channels_last(padded))
    if _is_depthwise(groups, per_group, rows.shape[3]):
        depthwise_to_input_loop(rows[..., 0], pixels, taps, in_c_order(factors[:, 0].T), images)
    else:
        # A row of the kernel reads neighbours when it takes all channels of undilated pixels.
        run = per_group * (w.shape[3] if groups == dilation[1] == 1 else 1)
        scratch = np.empty((4, taps.size), g.dtype)
        conv_to_input_loop(rows, pixels, taps, run, per_group, factors, images, scratch)
    if padding == ((0, 0), (0, 0)):
        return padded
    inner = padded[:, :, top : top + size[0], left : left + size[1]]
    x = empty_channels_last(shape, g.dtype)
    x[...] = inner
    return x


@conv2d_to_weight.numba
def _(x: Array, g: Array, size: Pair, stride: Pair, padding: Padding, dilation: Pair, groups: int) -> Array:
    out = _output_size(x.shape[2:], size, stride, padding, dilation)
    per_group = x.shape[1] // max(groups, 1)
    shape = (g.shape[1], per_group, *size)
    if not same_float(x, g) or 0 in (*x.shape, *g.shape):
        return conv2d_to_weight.reference(x, g, size, stride, padding, dilation, groups)
    _check(x.shape, shape, g.shape, out, groups)
    padded, rows = _padded(x, padding), _pixel_rows(g, groups)
    columns = rows.shape[3]
    pixels, taps = _tables(padded.shape[1:3], x.shape[1], per_group, size, stride, dilation)
    w = np.empty((groups, taps.size, columns), x.dtype)
    if _is_depthwise(groups, per_group, columns):
        flat = np.empty((taps.size, groups), x.dtype)
        depthwise_to_weight_loop(_images(padded), pixels, taps, rows[..., 0], flat)
        w[...] = flat.T[..., None]
    else:
        conv_to_weight_loop(_images(padded), pixels, taps, per_group, rows, w)
    ordered = w.reshape(groups, *size, per_group, columns).transpose(0, 4, 3, 1, 2)
    return np.ascontiguousarray(ordered).reshape(shape)


def _examples(dtype: np.dtype, kind: str) -> list[tuple[Any, ...]]:
    """Two groups of two channels, and depthwise."""
    found = []
    for outputs, per_group in ((4, 2), (4, 1)):
        groups = 4 // per_group
        x, w, g = np.ones((1, 4, 3, 3), dtype), np.ones((outputs, per_group, 2, 2), dtype), np.ones((1, 4, 2, 2), dtype)
        rest = ((1, 1), ((0, 0), (0, 0)), (1, 1), groups)
        given = {"forward": (x, w), "input": (g, w, (3, 3)), "weight": (x, g, (2, 2))}
        found.append((*given[kind], *rest))
    return found


conv2d.examples = lambda dtype: _examples(dtype, "forward")
conv2d_to_input.examples = lambda dtype: _examples(dtype, "input")
conv2d_to_weight.examples = lambda dtype: _examples(dtype, "weight")
