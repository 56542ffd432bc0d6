"""Log-softmax and cross-entropy, forward and backward.

All subtract a row's maximum before they exponentiate, so nothing overflows:
log sum exp(x) = max(x) + log sum exp(x - max(x)). A row of only -inf, or with +inf or NaN in it, gives NaN.

The fast twins go along each row in vector instructions, also if it is shorter than a vector as the ten classes of a
digit are: the rest of the vector is masked. Only the exponentials in between take many rows as one, some thousand
numbers at a time, which then are still in the nearest cache.
The `*_loop` functions can be called from compiled code; they take C-contiguous arrays of one float dtype.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .channels import (
    ALL,
    channels_of,
    largest,
    lowest,
    maxima,
    memory,
    minus,
    nothing,
    plus,
    put,
    row_shape,
    tile_columns,
    times,
    total,
)
from .elementwise import exp_loop
from .exponential import exp_of_negative, log_of_sum
from .jit import jit
from .registry import Array, fresh, in_c_order, kernel, same_float
from .tile import ONE
from .vectors import wide_vectors

# About so many numbers, in whole rows, go through the steps together.
BLOCK = 4096


@jit
def _rows_at_once(columns: int) -> int:
    return max(1, BLOCK // max(columns, 1))


@jit
def _exp_of_rows(x: Array, first: int, e: Array, top: Array, sums: Array) -> None:
    """e (rows, C) = exp(x - top) for as many rows of x from `first`, their maxima and sums in top and sums.

    A NaN need not become the maximum, since it gets into the sum.
    """
    rows, columns = e.shape
    shape, given, made = row_shape(x, ONE), memory(x), memory(e)
    for i in range(rows):
        top[i] = _top(shape, given, (first + i) * columns, columns)
        _shift(shape, given, (first + i) * columns, columns, top[i], 0, made, i * columns)
    _exp_in_place(e.reshape(e.size))
    for i in range(rows):
        sums[i] = _sum(shape, made, i * columns, columns)


@jit(inner=True)
def _exp_in_place(e: Array) -> None:
    wide_vectors()
    for k in range(e.size):
        e[k] = exp_of_negative(e[k])


@jit(inner=True)
def _top(shape: Any, x: Any, at: int, columns: int) -> Any:
    """The largest of so many numbers of x from `at` on, NaN left aside."""
    step, (best, _) = tile_columns(shape), lowest(shape)
    whole = columns // step * step
    for c in range(0, whole, step):
        best = maxima(best, x, at + c, ALL)
    if whole < columns:
        best = maxima(best, x, at + whole, columns - whole)
    return largest(best)


@jit(inner=True)
def _sum(shape: Any, x: Any, at: int, columns: int) -> Any:
    """The sum of so many numbers of x from `at` on."""
    step, acc = tile_columns(shape), nothing(shape)
    whole = columns // step * step
    for c in range(0, whole, step):
        acc = plus(acc, x, at + c, ALL)
    if whole < columns:
        acc = plus(acc, x, at + whole, columns - whole)
    return total(acc)


@jit(inner=True)
def _shift(shape: Any, x: Any, at: int, columns: int, number: Any, another: Any, out: Any, there: int) -> None:
    """out from `there` on = so many numbers of x from `at` on, less one number, less another."""
    step = tile_columns(shape)
    whole = columns // step * step
    for c in range(0, whole, step):
        put(minus(minus(channels_of(shape, x, at + c, ALL), number), another), out, there + c, ALL)
    if whole < columns:
        rest = columns - whole
        put(minus(minus(channels_of(shape, x, at + whole, rest), number), another), out, there + whole, rest)


@jit(inner=True)
def _scale(shape: Any, x: Any, at: int, columns: int, number: Any, out: Any, there: int) -> None:
    """out from `there` on = so many numbers of x from `at` on, times a number."""
    step = tile_columns(shape)
    whole = columns // step * step
    for c in range(0, whole, step):
        put(times(channels_of(shape, x, at + c, ALL), number), out, there + c, ALL)
    if whole < columns:
        rest = columns - whole
        put(times(channels_of(shape, x, at + whole, rest), number), out, there + whole, rest)


@jit
def _logs(sums: Array) -> None:
    wide_vectors()
    for r in range(sums.size):
        sums[r] = log_of_sum(sums[r])


@jit
def log_softmax_loop(x: Array, out: Array) -> None:
    """out = log_softmax of each row of x (N, C)."""
    (rows, columns), shape, given, made = x.shape, row_shape(x, ONE), memory(x), memory(out)
    count = min(rows, _rows_at_once(columns))
    e, top, sums = np.empty((count, columns), x.dtype), np.empty(count, x.dtype), np.empty(count, x.dtype)
    for first in range(0, rows, max(count, 1)):
        last = min(first + count, rows)
        _exp_of_rows(x, first, e[: last - first], top, sums)
        _logs(sums)
        for i in range(first, last):
            _shift(shape, given, i * columns, columns, top[i - first], sums[i - first], made, i * columns)


@jit
def log_softmax_grad_loop(g: Array, z: Array, out: Array) -> None:
    """out = g - exp(z) * sum(g), the sum along each row, for g and z (N, C)."""
    (rows, columns), shape, above, made = g.shape, row_shape(g, ONE), memory(g), memory(out)
    step, count, logs = tile_columns(shape), min(rows, _rows_at_once(columns)), z.reshape(z.size)
    e = np.empty(count * columns, g.dtype)
    for first in range(0, rows * columns, max(count * columns, 1)):
        last = min(first + count * columns, rows * columns)
        exp_loop(logs[first:last], e)
        for at in range(first, last, columns):
            whole = _sum(shape, above, at, columns)
            for c in range(at, at + columns, step):
                left = at + columns - c
                put(plus(times(channels_of(shape, memory(e), c - first, left), -whole), above, c, left), made, c, left)


@jit
def _bad_row(target: Array, classes: int) -> int:
    """The number of the first row whose target is not a class, or -1 when all are."""
    for i in range(target.size):
        if not 0 <= target[i] < classes:
            return i
    return -1


@jit
def cross_entropy_loop(x: Array, target: Array, loss: Array) -> int:
    """loss = cross_entropy of x (N, C).

    Returns the number of the first row whose target is not a class, or -1 when all are.
    """
    rows, columns = x.shape
    bad = _bad_row(target, columns)
    if bad >= 0:
        return bad
    count = min(rows, _rows_at_once(columns))
    e, top, sums = np.empty((count, columns), x.dtype), np.empty(count, x.dtype), np.empty(count, x.dtype)
    for first in range(0, rows, max(count, 1)):
        last = min(first + count, rows)
        _exp_of_rows(x, first, e[: last - first], top, sums)
        _logs(sums)
        for i in range(first, last):
            loss[i] = sums[i - first] - (x[i, target[i]] - top[i - first])
    return bad


@jit
def cross_entropy_grad_loop(g: Array, x: Array, target: Array, out: Array) -> int:
    """out = g * (softmax(x) - onehot(target)). Returns what `cross_entropy_loop` returns.

    At the target the difference comes before the product with g: near 1 it is exact.
    """
    rows, columns = x.shape
    bad = _bad_row(target, columns)
    if bad >= 0:
        return bad
    count, shape, made = min(rows, _rows_at_once(columns)), row_shape(x, ONE), memory(out)
    e, top, sums = np.empty((count, columns), x.dtype), np.empty(count, x.dtype), np.empty(count, x.dtype)
    for first in range(0, rows, max(count, 1)):
        last = min(first + count, rows)
        _exp_of_rows(x, first, e[: last - first], top, sums)
        for i in range(first, last):
            whole = sums[i - first]
            _scale(shape, memory(e), (i - first) * columns, columns, g[i] / whole, made, i * columns)
        for i in range(first, last):
            out[i, target[i]] = g[i] * (e[i - first, target[i]] / sums[i - first] - 1)
    return bad


@kernel
@np.errstate(all="ignore")
def log_softmax(x: Array, dim: int) -> Array:
    """x - log(sum(exp(x))) with the sum along axis `dim`; same shape as x.

    Raises numpy.exceptions.AxisError, an IndexError, when there is no such axis.
    A 0-d array counts as a row of one element.

    >>> np.exp(log_softmax(np.array([[0.0, np.log(3.0)]]), 1))
    array([[0.25, 0.75]])
    """
    rows = np.atleast_1d(x)
    shifted = rows - np.max(rows, axis=dim, keepdims=True, initial=-np.inf)
    return fresh(shifted - np.log(np.sum(np.exp(shifted), axis=dim, keepdims=True))).reshape(x.shape)


@log_softmax.numba
def _(x: Array, dim: int) -> Array:
    if not _has_rows(x, dim) or not same_float(x, x):
        return log_softmax.reference(x, dim)
    rows = in_c_order(x).reshape(-1, x.shape[-1])
    out = np.empty(x.shape, x.dtype)
    log_softmax_loop(rows, out.reshape(rows.shape))
    return out


def _has_rows(x: Array, dim: int) -> bool:
    """Whether dim is the last axis. Along others NumPy's passes are as fast as a loop."""
    return x.size > 0 and x.ndim > 0 and dim in (-1, x.ndim - 1)


def _log_softmax_examples(dtype: np.dtype) -> list[tuple]:
    return [(np.ones((2, 3), dtype), 1)]


log_softmax.examples = _log_softmax_examples


@kernel
@np.errstate(all="ignore")
def log_softmax_grad(g: Array, z: Array, dim: int) -> Array:
    """g - exp(z) * sum(g along dim): from the gradient g of z = log_softmax(x, dim) to the gradient of x.

    g and z have the same shape, and so has the result.

    >>> log_softmax_grad(np.array([1.0, 0.0]), np.log([0.25, 0.75]), 0)
    array([ 0.75, -0.75])
    """
    _check_same_shape(g, z)
    rows = np.atleast_1d(g)
    return fresh(rows - np.exp(z) * np.sum(rows, axis=dim, keepdims=True)).reshape(g.shape)


@log_softmax_grad.numba
def _(g: Array, z: Array, dim: int) -> Array:
    if not _has_rows(g, dim) or not same_float(g, z):
        return log_softmax_grad.reference(g, z, dim)
    _check_same_shape(g, z)
    out = np.empty(z.shape, z.dtype)
    rows_g, rows_out = in_c_order(g).reshape(-1, g.shape[-1]), out.reshape(-1, g.shape[-1])
    log_softmax_grad_loop(rows_g, in_c_order(z).reshape(rows_g.shape), rows_out)
    return out


def _check_same_shape(g: Array, z: Array) -> None:
    if g.shape != z.shape:
        raise ValueError(f"log_softmax_grad: g has shape {g.shape} but z {z.shape}; they must be the same")


log_softmax_grad.examples = lambda dtype: [(x, x, dim) for x, dim in _log_softmax_examples(dtype)]


@kernel
@np.errstate(all="ignore")
def cross_entropy(x: Array, target: Array) -> Array:
    """-log(softmax(x)[target]) of each row: logits x (N, C), integer class numbers target (N,), result (N,).

    Raises IndexError when a target is not one of 0 .. C-1, ValueError for other shapes, TypeError for targets
    that are not integers.

    >>> cross_entropy(np.array([[0.0, 0.0], [800.0, 0.0]]), np.array([1, 0]))
    array([0.69314718, 0.        ])
    """
    target = _check_targets(x, target)
    shifted, right = _shifted_rows(x, target)
    return fresh(np.log(np.sum(np.exp(shifted), axis=1)) - shifted[right])


def _shifted_rows(x: Array, target: Array) -> tuple[Array, tuple[Array, Array]]:
    """The rows with their maximum subtracted, and the index of the targets' elements."""
    bad = np.flatnonzero((target < 0) | (target >= x.shape[1]))
    if bad.size:
        raise _bad_target(target[bad[0]], x.shape[1])
    return x - np.max(x, axis=1, keepdims=True, initial=-np.inf), (np.arange(len(target)), target)


@cross_entropy.numba
def _(x: Array, target: Array) -> Array:
    if not same_float(x, x):
        return cross_entropy.reference(x, target)
    target = _check_targets(x, target)
    x = in_c_order(x)
    loss = np.empty(len(x), x.dtype)
    bad = cross_entropy_loop(x, target, loss)
    if bad >= 0:
        raise _bad_target(target[bad], x.shape[1])
    return loss


def _check_targets(x: Array, target: Array) -> Array:
    """The targets as contiguous int64, after a check of shapes and dtype."""
    if x.ndim != 2 or target.shape != x.shape[:1]:
        raise ValueError(
            f"cross_entropy: expected logits (N, C) and targets (N,), got shapes {x.shape} and {target.shape}"
        )
    if target.dtype.kind not in "iu":
        raise TypeError(f"cross_entropy: targets must be integer class numbers, got dtype {target.dtype}")
    return in_c_order(target.astype(np.int64, copy=False))


def _bad_target(value: Any, classes: int) -> IndexError:
    return IndexError(f"target {value} is out of bounds for {classes} classes")


def _cross_entropy_examples(dtype: np.dtype) -> list[tuple]:
    return [(np.ones((2, 3), dtype), np.zeros(2, np.int64))]


cross_entropy.examples = _cross_entropy_examples


@kernel
@np.errstate(all="ignore")
def cross_entropy_grad(g: Array, x: Array, target: Array) -> Array:
    """g * (softmax(x) - onehot(target)): from the gradient g (N,) of the losses to that of the logits (N, C).

    Raises what `cross_entropy` raises.

    >>> cross_entropy_grad(np.ones(1), np.array([[0.0, np.log(3.0)]]), np.array([1]))
    array([[ 0.25, -0.25]])
    """
    target = _check_targets(x, target)
    _check_upstream(g, target)
    shifted, right = _shifted_rows(x, target)
    e = np.exp(shifted)
    difference = e / np.sum(e, axis=1, keepdims=True)
    difference[right] -= 1
    return fresh(g[:, None] * difference)


@cross_entropy_grad.numba
def _(g: Array, x: Array, target: Array) -> Array:
    if not same_float(g, x):
        return cross_entropy_grad.reference(g, x, target)
    target = _check_targets(x, target)
    _check_upstream(g, target)
    g, x = in_c_order(g), in_c_order(x)
    out = np.empty(x.shape, x.dtype)
    bad = cross_entropy_grad_loop(g, x, target, out)
    if bad >= 0:
        raise _bad_target(target[bad], x.shape[1])
    return out


def _check_upstream(g: Array, target: Array) -> None:
    if g.shape != target.shape:
        raise ValueError(f"cross_entropy_grad: g has shape {g.shape}, but there are {len(target)} losses")


cross_entropy_grad.examples = lambda dtype: [
    (np.ones(2, dtype), x, target) for x, target in _cross_entropy_examples(dtype)
]
