"""Convolution (cross-correlation, as neural networks mean it) and its two adjoints.

    conv2d            y[n, o, a, b] = sum over c, i, j of  w[o, c, i, j] * x[n, c, a s + i d, b s + j d]
    conv2d_to_input   from the same sum: every y[n, o, a, b] goes back to the x it was made of, times w
    conv2d_to_weight  every product of an x and the y it went into, added up for its w

with stride s and dilation d, x being padded with zeros. Each of the three is linear in both its inputs, and the
gradients of each are the other two.

The references walk over the taps (i, j) of the kernel and multiply matrices. The loops of the fast twins stand in
`conv_loops`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from .conv_loops import (
    convolve,
    convolve_scattered,
    convolve_to_weight,
    convolve_turned,
)
from .depthwise_loops import depthwise, depthwise_to_input, depthwise_to_weight
from .layout import channels_last, empty_channels_last
from .quiet import ignore, restore, silence
from .registry import Array, in_c_order, kernel, same_float
from .threads import on_tile, over_batch, parts
from .tile import ONE, shapes, tile_width

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]

# So many times as long as on the register tile a multiply-add takes where no two channels meet.
DEPTHWISE = 12


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


def loop_for(
    kind: str, w: Any, stride: Pair, padding: Padding, dilation: Pair, groups: int, itemsize: int
) -> tuple[Any, tuple[int, ...]]:
    """(the loop for "forward", "input" or "weight" with a weight of shape w, its tile's width): decided here only.

    Turning the weights round is the fastest way to the input, but it wants stride 1, and fills a vector with the
    channels of a group, be they ever so few.
    """
    if w[0] == groups > w[1] == 1:
        return {"forward": depthwise, "input": depthwise_to_input, "weight": depthwise_to_weight}[kind], ONE
    if kind != "input":
        return {"forward": convolve, "weight": convolve_to_weight}[kind], tile_width(w[0] // groups, itemsize)
    reach = [d * (k - 1) for d, k in zip(dilation, w[2:], strict=True)]
    fits = tuple(stride) == (1, 1) and all(max(pad) <= r for pad, r in zip(padding, reach, strict=True))
    if fits and w[1] * itemsize >= 64:
        return convolve_turned, tile_width(w[1], itemsize)
    neighbours = w[1] * (w[3] if groups == dilation[1] == 1 else 1)
    return convolve_scattered, tile_width(neighbours, itemsize)


@functools.cache
def _plan(
    kind: str, w: Any, stride: Pair, padding: Padding, dilation: Pair, groups: int, itemsize: int
) -> tuple[Any, tuple[int, ...], float]:
    """What `loop_for` says, and about how many microseconds the loop takes for each number of y."""
    loop, width = loop_for(kind, w, stride, padding, dilation, groups, itemsize)
    taps = w[1] * w[2] * w[3]
    if loop in (depthwise, depthwise_to_input, depthwise_to_weight):
        return loop, width, DEPTHWISE * on_tile(taps, itemsize)
    # Of few columns a tile computes more than are there.
    columns = {"forward": w[0] // groups, "weight": w[0] // groups, "input": w[1]}[kind]
    if loop is convolve_scattered and groups == dilation[1] == 1:
        columns *= w[3]
    lanes = len(width) * shapes()[0] // itemsize
    return loop, width, on_tile(taps, itemsize) * -(-columns // lanes) * lanes / columns


def _over_images(loop: Any, source: Array, w: Array, target: Array, microseconds: float, *settings: Any) -> None:
    """target, each image of which `loop` makes of one of the source: some images in every thread."""
    count = parts(len(source), microseconds)
    if count == 1:
        loop(source, w, target, *settings)
    else:
        over_batch(lambda i, j: loop(source[i:j], w, target[i:j], *settings), len(source), count)


def _summed(loop: Any, x: Array, y: Array, w: Array, microseconds: float, *settings: Any) -> Array:
    """w = what `loop` makes of all images: every thread has a sum of its own for some, then they are added in order."""
    count = parts(len(x), microseconds)
    if count == 1:
        loop(x, y, w, *settings)
        return w
    sums: dict[int, Array] = {}

    def part(start: int, stop: int) -> None:
        sums[start] = np.empty_like(w)
        loop(x[start:stop], y[start:stop], sums[start], *settings)

    over_batch(part, len(x), count)
    token = silence(ignore)
    try:
        return functools.reduce(np.add, (sums[start] for start in sorted(sums)))
    finally:
        restore(token)


@conv2d.numba
def _(x: Array, w: Array, stride: Pair, padding: Padding, dilation: Pair, groups: int) -> Array:
    size = _output_size(x.shape[2:], w.shape[2:], stride, padding, dilation)
    shape = (x.shape[0], w.shape[0], *size)
    if not same_float(x, w) or 0 in (*x.shape, *shape):
        return conv2d.reference(x, w, stride, padding, dilation, groups)
    _check(x.shape, w.shape, shape, size, groups)
    y = empty_channels_last(shape, x.dtype)
    loop, width, time = _plan("forward", w.shape, stride, padding, dilation, groups, x.itemsize)
    images = channels_last(x), in_c_order(w), channels_last(y)
    _over_images(loop, *images, time * y.size, stride, padding, dilation, groups, width)
    return y


@conv2d_to_input.numba
def _(g: Array, w: Array, size: Pair, stride: Pair, padding: Padding, dilation: Pair, groups: int) -> Array:
    out = _output_size(size, w.shape[2:], stride, padding, dilation)
    shape = (g.shape[0], w.shape[1] * groups, *size)
    if not same_float(g, w) or 0 in (*g.shape, *shape):
        return conv2d_to_input.reference(g, w, size, stride, padding, dilation, groups)
    _check(shape, w.shape, g.shape, out, groups)
    x = empty_channels_last(shape, g.dtype)
    loop, width, time = _plan("input", w.shape, stride, padding, dilation, groups, g.itemsize)
    images = channels_last(g), in_c_order(w), channels_last(x)
    _over_images(loop, *images, time * g.size, stride, padding, dilation, groups, width)
    return x


@conv2d_to_weight.numba
def _(x: Array, g: Array, size: Pair, stride: Pair, padding: Padding, dilation: Pair, groups: int) -> Array:
    out = _output_size(x.shape[2:], size, stride, padding, dilation)
    shape = (g.shape[1], x.shape[1] // max(groups, 1), *size)
    if not same_float(x, g) or 0 in (*x.shape, *g.shape):
        return conv2d_to_weight.reference(x, g, size, stride, padding, dilation, groups)
    _check(x.shape, shape, g.shape, out, groups)
    loop, width, time = _plan("weight", shape, stride, padding, dilation, groups, x.itemsize)
    images = channels_last(x), channels_last(g), np.empty(shape, x.dtype)
    return _summed(loop, *images, time * g.size, stride, padding, dilation, groups, width)


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
