"""Batch and layer normalisation, forward and backward.

Both compute z = (x - mean) / sqrt(var + eps) * weight + bias, with the mean and the (biased) variance of each channel
over the whole batch, or of each row. The fast twins add up in float64 what is left after a number near the mean is
taken away, so that neither many entries nor a mean far from 0 cost digits. With h = (x - mean) / sqrt(var + eps), the
gradients are

    d bias = sum(g),    d weight = sum(g h),    dx = weight / sqrt(var + eps) (g - mean(g) - h mean(g h))

where for rows weight * g takes the place of g in dx.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .jit import REASSOCIATE, jit
from .layout import channels_last, empty_channels_last
from .registry import Array, in_c_order, kernel, same_float
from .vectors import wide_vectors


def _along(v: Array, x: Array) -> Array:
    """v (C,) in the shape that meets the channels of x (N, C, ...)."""
    return v.reshape(1, v.size, *(1,) * (x.ndim - 2))


def _check_channels(x: Array, *vectors: Array) -> None:
    channels = x.shape[1:2]
    for vector in vectors:
        if vector.shape != channels or not channels:
            shapes = ", ".join(str(v.shape) for v in vectors)
            raise ValueError(f"batch_norm: an input {x.shape} needs one number per channel, got shapes {shapes}")


@kernel
@np.errstate(all="ignore")
def batch_norm(x: Array, weight: Array, bias: Array, eps: float) -> Any:
    """x (N, C, ...), weight and bias (C,) -> (z, mean, var), the latter (C,).

    Raises ValueError when the shapes do not fit. Without entries mean and var are NaN.

    >>> batch_norm(np.array([[1.0], [3.0]]), np.array([10.0]), np.array([0.5]), 0.0)
    (array([[-9.5],
           [10.5]]), array([2.]), array([1.]))
    """
    _check_channels(x, weight, bias)
    axes, count = (0, *range(2, x.ndim)), x.dtype.type(x[:, :1].size)
    mean = x.sum(axes) / count
    centred = x - _along(mean, x)
    var = (centred * centred).sum(axes) / count
    return centred * _along(weight / np.sqrt(var + eps), x) + _along(bias, x), mean, var


@jit
def batch_norm_loop(x: Array, weight: Array, bias: Array, eps: float, z: Array, mean: Array, var: Array) -> None:
    """z, mean, var of x (rows, C).

    One pass adds up differences from the middle one of three numbers, and their squares, in float64. A number of the
    data itself is no more than sqrt(rows) standard deviations away from the mean, so the mean of squares less the
    square of the mean cancels no more digits than the number of rows has; usually none, and with three to choose from
    an outlier takes none either.
    """
    wide_vectors()
    rows, channels = x.shape
    start = np.zeros(channels, np.float64)
    total, square, scale = np.zeros(channels, np.float64), np.zeros(channels, np.float64), np.empty(channels, x.dtype)
    for c in range(channels if rows > 0 else 0):
        first, second, third = x[0, c], x[rows // 2, c], x[rows - 1, c]
        middle = max(min(first, second), min(max(first, second), third))
        # Not from an infinity or NaN: those belong into the sums.
        start[c] = middle if middle - middle == 0 else 0.0
    for r in range(rows):
        for c in range(channels):
            difference = x[r, c] - start[c]
            total[c] += difference
            square[c] += difference * difference
    for c in range(channels):
        beyond = total[c] / rows
        variance = square[c] / rows - beyond * beyond
        mean[c] = start[c] + beyond
        var[c] = variance
        scale[c] = weight[c] / math.sqrt(variance + eps)
    for r in range(rows):
        for c in range(channels):
            z[r, c] = (x[r, c] - mean[c]) * scale[c] + bias[c]


@batch_norm.numba
def _(x: Array, weight: Array, bias: Array, eps: float) -> Any:
    if not (same_float(x, weight) and same_float(x, bias)) or x.ndim not in range(2, 6):
        return batch_norm.reference(x, weight, bias, eps)
    _check_channels(x, weight, bias)
    z, size = empty_channels_last(x.shape, x.dtype), weight.shape
    mean, var = np.empty(size, x.dtype), np.empty(size, x.dtype)
    batch_norm_loop(_rows(x), in_c_order(weight), in_c_order(bias), float(eps), _rows(z), mean, var)
    return z, mean, var


def _rows(x: Array) -> Array:
    """x (N, C, ...) as (rows, C), without copying when its memory is channels-last."""
    last, channels = channels_last(x), x.shape[1]
    return last.reshape(x.size // channels if channels else math.prod(last.shape[:-1]), channels)


@kernel
@np.errstate(all="ignore")
def batch_norm_grad(g: Array, x: Array, weight: Array, mean: Array, var: Array, eps: float) -> Any:
    """From the gradient g of z = batch_norm(x, ...) to (dx, dweight, dbias).

    >>> g, x = np.array([[1.0], [0.0], [0.0]]), np.array([[-1.0], [0.0], [1.0]])
    >>> batch_norm_grad(g, x, np.ones(1), np.zeros(1), np.ones(1), 0.0)[0].round(2).T
    array([[ 0.33, -0.33,  0.  ]])
    """
    _check_channels(x, weight, mean, var)
    if g.shape != x.shape:
        raise ValueError(f"batch_norm_grad: g has shape {g.shape} but x {x.shape}; they must be the same")
    axes, count = (0, *range(2, x.ndim)), x.dtype.type(x[:, :1].size)
    rstd = 1 / np.sqrt(var + eps)
    h = (x - _along(mean, x)) * _along(rstd, x)
    dbias, dweight = g.sum(axes), (g * h).sum(axes)
    dx = _along(weight * rstd, x) * (g - _along(dbias / count, x) - h * _along(dweight / count, x))
    return dx, dweight, dbias


@jit
def batch_norm_grad_loop(
    g: Array, x: Array, weight: Array, mean: Array, var: Array, eps: float, dx: Array, dweight: Array, dbias: Array
) -> None:
    """dx, dweight, dbias for g and x (rows, C)."""
    wide_vectors()
    rows, channels = x.shape
    total, product = np.zeros(channels, np.float64), np.zeros(channels, np.float64)
    for r in range(rows):
        for c in range(channels):
            total[c] += g[r, c]
            product[c] += g[r, c] * (x[r, c] - mean[c])
    scale, shift, slope = np.empty(channels, x.dtype), np.empty(channels, x.dtype), np.empty(channels, x.dtype)
    for c in range(channels):
        rstd = 1 / math.sqrt(var[c] + eps)
        dbias[c] = total[c]
        dweight[c] = product[c] * rstd if rows > 0 else 0
        scale[c] = weight[c] * rstd
        shift[c] = total[c] / rows
        slope[c] = product[c] * rstd * rstd / rows
    for r in range(rows):
        for c in range(channels):
            dx[r, c] = scale[c] * (g[r, c] - shift[c] - (x[r, c] - mean[c]) * slope[c])


@batch_norm_grad.numba
def _(g: Array, x: Array, weight: Array, mean: Array, var: Array, eps: float) -> Any:
    if not all(same_float(x, v) for v in (g, weight, mean, var)) or x.ndim not in range(2, 6) or g.shape != x.shape:
        return batch_norm_grad.reference(g, x, weight, mean, var, eps)
    _check_channels(x, weight, mean, var)
    dx, size = empty_channels_last(x.shape, x.dtype), weight.shape
    dweight, dbias = np.empty(size, x.dtype), np.empty(size, x.dtype)
    vectors = (in_c_order(v) for v in (weight, mean, var))
    batch_norm_grad_loop(_rows(g), _rows(x), *vectors, float(eps), _rows(dx), dweight, dbias)
    return dx, dweight, dbias


def _check_rows(x: Array, *vectors: Array) -> None:
    n = vectors[0].ndim
    row = x.shape[x.ndim - n :] if n else None
    for vector in vectors:
        if vector.shape != row:
            shapes = ", ".join(str(v.shape) for v in vectors)
            raise ValueError(f"layer_norm: an input {x.shape} must end in the shape of weight and bias, got {shapes}")


@kernel
@np.errstate(all="ignore")
def layer_norm(x: Array, weight: Array, bias: Array, eps: float) -> Any:
    """x (..., *K), weight and bias K -> (z, mean, var), the latter (...): each row of K entries for itself.

    Raises ValueError when the shapes do not fit.

    >>> layer_norm(np.array([[1.0, 3.0]]), np.ones(2), np.array([0.0, 10.0]), 0.0)
    (array([[-1., 11.]]), array([2.]), array([1.]))
    """
    _check_rows(x, weight, bias)
    axes = tuple(range(x.ndim - weight.ndim, x.ndim))
    count = x.dtype.type(weight.size)
    mean = x.sum(axes, keepdims=True) / count
    centred = x - mean
    var = (centred * centred).sum(axes, keepdims=True) / count
    z = centred * (1 / np.sqrt(var + eps)) * weight + bias
    lead = x.shape[: x.ndim - weight.ndim]
    return z, mean.reshape(lead), var.reshape(lead)


@jit(fastmath=REASSOCIATE)
def layer_norm_loop(x: Array, weight: Array, bias: Array, eps: float, z: Array, mean: Array, var: Array) -> None:
    """z, mean, var of the rows of x (rows, K)."""
    wide_vectors()
    rows, size = x.shape
    for r in range(rows):
        total = 0.0
        for k in range(size):
            total += x[r, k]
        mean[r] = total / size
        total = 0.0
        for k in range(size):
            difference = x[r, k] - mean[r]
            total += difference * difference
        var[r] = total / size
        rstd = x.dtype.type(1 / math.sqrt(total / size + eps))
        for k in range(size):
            z[r, k] = (x[r, k] - mean[r]) * rstd * weight[k] + bias[k]


@layer_norm.numba
def _(x: Array, weight: Array, bias: Array, eps: float) -> Any:
    if not (same_float(x, weight) and same_float(x, bias)):
        return layer_norm.reference(x, weight, bias, eps)
    _check_rows(x, weight, bias)
    lead = x.shape[: x.ndim - weight.ndim]
    rows = (math.prod(lead), weight.size)
    z, mean, var = np.empty(x.shape, x.dtype), np.empty(lead, x.dtype), np.empty(lead, x.dtype)
    vectors = (in_c_order(v).reshape(-1) for v in (weight, bias))
    layer_norm_loop(
        in_c_order(x).reshape(rows), *vectors, float(eps), z.reshape(rows), mean.reshape(-1), var.reshape(-1)
    )
    return z, mean, var


@kernel
@np.errstate(all="ignore")
def layer_norm_grad(g: Array, x: Array, weight: Array, mean: Array, var: Array, eps: float) -> Any:
    """From the gradient g of z = layer_norm(x, ...) to (dx, dweight, dbias).

    >>> g, x = np.array([[1.0, 0.0, 0.0]]), np.array([[-1.0, 0.0, 1.0]])
    >>> layer_norm_grad(g, x, np.ones(3), np.zeros(1), np.ones(1), 0.0)[0].round(2)
    array([[ 0.33, -0.33,  0.  ]])
    """
    _check_row_gradient(g, x, weight, mean, var)
    axes, lead = tuple(range(x.ndim - weight.ndim, x.ndim)), tuple(range(x.ndim - weight.ndim))
    count, apart = x.dtype.type(weight.size), (*mean.shape, *(1,) * weight.ndim)
    rstd = (1 / np.sqrt(var + eps)).reshape(apart)
    h, gw = (x - mean.reshape(apart)) * rstd, g * weight
    shift, slope = gw.sum(axes, keepdims=True) / count, (gw * h).sum(axes, keepdims=True) / count
    return rstd * (gw - shift - h * slope), (g * h).sum(lead), g.sum(lead)


def _check_row_gradient(g: Array, x: Array, weight: Array, mean: Array, var: Array) -> None:
    _check_rows(x, weight)
    if not g.shape == x.shape == (*mean.shape, *weight.shape) or mean.shape != var.shape:
        raise ValueError(f"layer_norm_grad: g {g.shape}, x {x.shape}, mean {mean.shape}, var {var.shape} do not fit")


@jit(fastmath=REASSOCIATE)
def layer_norm_grad_loop(
    g: Array, x: Array, weight: Array, mean: Array, var: Array, eps: float, dx: Array, dweight: Array, dbias: Array
) -> None:
    """dx, and the sums over all rows in dweight and dbias (float64), for g and x (rows, K)."""
    wide_vectors()
    rows, size = x.shape
    dweight[:] = 0
    dbias[:] = 0
    for r in range(rows):
        rstd = x.dtype.type(1 / math.sqrt(var[r] + eps))
        total, product = 0.0, 0.0
        for k in range(size):
            gw = g[r, k] * weight[k]
            total += gw
            product += gw * ((x[r, k] - mean[r]) * rstd)
        shift, slope = x.dtype.type(total / size), x.dtype.type(product / size)
        for k in range(size):
            h = (x[r, k] - mean[r]) * rstd
            dx[r, k] = rstd * (g[r, k] * weight[k] - shift - h * slope)
        # In loops of their own: for more arrays at once LLVM has no vector instructions.
        for k in range(size):
            dweight[k] += g[r, k] * ((x[r, k] - mean[r]) * rstd)
        for k in range(size):
            dbias[k] += g[r, k]


@layer_norm_grad.numba
def _(g: Array, x: Array, weight: Array, mean: Array, var: Array, eps: float) -> Any:
    if not all(same_float(x, v) for v in (g, weight, mean, var)):
        return layer_norm_grad.reference(g, x, weight, mean, var, eps)
    _check_row_gradient(g, x, weight, mean, var)
    rows, shape = (mean.size, weight.size), weight.shape
    dx, dweight, dbias = np.empty(x.shape, x.dtype), np.empty(weight.size), np.empty(weight.size)
    given = (in_c_order(g).reshape(rows), in_c_order(x).reshape(rows))
    vectors = (in_c_order(v).reshape(-1) for v in (weight, mean, var))
    layer_norm_grad_loop(*given, *vectors, float(eps), dx.reshape(rows), dweight, dbias)
    return dx, dweight.astype(x.dtype).reshape(shape), dbias.astype(x.dtype).reshape(shape)


def _examples(dtype: Any) -> list[tuple[Any, ...]]:
    return [(np.ones((2, 3), dtype), np.ones(3, dtype), np.ones(3, dtype), 1e-5)]


def _grad_examples(dtype: Any, size: int) -> list[tuple[Any, ...]]:
    x, ones, moments = np.ones((2, 3), dtype), np.ones(3, dtype), np.ones(size, dtype)
    return [(x, x, ones, moments, moments, 1e-5)]


batch_norm.examples = layer_norm.examples = _examples
batch_norm_grad.examples = lambda dtype: _grad_examples(dtype, 3)
layer_norm_grad.examples = lambda dtype: _grad_examples(dtype, 2)
