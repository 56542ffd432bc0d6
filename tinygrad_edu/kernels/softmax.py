"""Log-softmax and cross-entropy, forward and backward.

All subtract a row's maximum before they exponentiate, so nothing overflows:
log sum exp(x) = max(x) + log sum exp(x - max(x)). A row of only -inf, or with +inf or NaN in it, gives NaN.

The fast twins go row by row, in vector instructions along a row; rows that are too short for that, as the ten classes
of a digit, are taken sixteen at a time, in vector instructions across them.
The `*_loop` functions can be called from compiled code; they take C-contiguous arrays of one float dtype.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .elementwise import exp_loop
from .exponential import exp_of_negative, from_order, log_of_sum, order_of
from .jit import REASSOCIATE, jit
from .registry import Array, fresh, in_c_order, kernel, same_float
from .vectors import wide_vectors

# Rows shorter than this are taken LANES at a time, side by side: their own length is too short for vectors.
SHORT = 64
LANES = 16


@jit(fastmath=REASSOCIATE)
def _sum_of(row: Array) -> Any:
    total = row.dtype.type(0)
    for k in range(row.size):
        total += row[k]
    return total


@jit
def _beside_each_other(x: Array, start: int, e: Array, top: Array, total: Array) -> None:
    """e (C, LANES) = exp(x - top) for the rows of x from `start`, their maxima and sums in top and total (LANES,).

    The last row stands in for those there are not. A NaN need not become the maximum, since it gets into the sum.
    """
    # No views of rows, which cost more to make than they hold; and the number of lanes from an array, since LLVM would
    # write out loops of a known length before it looks for vectors.
    columns, lanes = e.shape
    last = x.shape[0] - 1
    for r in range(lanes):
        i = min(start + r, last)
        for k in range(columns):
            e[k, r] = x[i, k]
    for r in range(lanes):
        top[r] = e[0, r]
        total[r] = 0
    for k in range(columns):
        for r in range(lanes):
            top[r] = e[k, r] if e[k, r] > top[r] else top[r]
    for k in range(columns):
        for r in range(lanes):
            e[k, r] = exp_of_negative(e[k, r] - top[r])
    for k in range(columns):
        for r in range(lanes):
            total[r] += e[k, r]


@jit(fastmath=REASSOCIATE)
def _exp_and_sum(row: Array, top: Any, e: Array) -> Any:
    """e = exp(row - top), and its sum."""
    wide_vectors()
    total = row.dtype.type(0)
    for k in range(row.size):
        e[k] = exp_of_negative(row[k] - top)
        total += e[k]
    return total


@jit
def _max_of(row: Array) -> Any:
    """The largest entry. As integers of the same order, for which LLVM has vector instructions in every loop."""
    largest = order_of(row[0])
    for k in range(row.size):
        largest = max(largest, order_of(row[k]))
    return from_order(largest, row[0])


@jit
def _logs(total: Array) -> None:
    wide_vectors()
    for r in range(total.size):
        total[r] = log_of_sum(total[r])


@jit
def log_softmax_loop(x: Array, out: Array) -> None:
    """out = log_softmax of each row of x (N, C)."""
    rows, columns = x.shape
    top, total = np.empty(LANES, x.dtype), np.empty(LANES, x.dtype)
    if columns >= SHORT:
        for i in range(rows):
            largest = _max_of(x[i])
            log_total = log_of_sum(_exp_and_sum(x[i], largest, out[i]))
            for k in range(columns):
                out[i, k] = (x[i, k] - largest) - log_total
        return
    e = np.empty((columns, LANES), x.dtype)
    for start in range(0, rows, LANES):
        _beside_each_other(x, start, e, top, total)
        _logs(total)
        for i in range(start, min(start + LANES, rows)):
            for k in range(columns):
                out[i, k] = (x[i, k] - top[i - start]) - total[i - start]


@jit
def log_softmax_grad_loop(g: Array, z: Array, out: Array) -> None:
    """out = g - exp(z) * sum(g), the sum along each row, for g and z (N, C)."""
    exp_loop(z.reshape(z.size), out.reshape(out.size))
    for i in range(z.shape[0]):
        total = _sum_of(g[i])
        for k in range(z.shape[1]):
            out[i, k] = g[i, k] - out[i, k] * total


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
    top, total = np.empty(LANES, x.dtype), np.empty(LANES, x.dtype)
    if columns >= SHORT:
        e = np.empty(columns, x.dtype)
        for i in range(rows):
            largest = _max_of(x[i])
            loss[i] = log_of_sum(_exp_and_sum(x[i], largest, e)) - (x[i, target[i]] - largest)
        return bad
    block = np.empty((columns, LANES), x.dtype)
    for start in range(0, rows, LANES):
        _beside_each_other(x, start, block, top, total)
        _logs(total)
        for i in range(start, min(start + LANES, rows)):
            loss[i] = total[i - start] - (x[i, target[i]] - top[i - start])
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
    top, total = np.empty(LANES, x.dtype), np.empty(LANES, x.dtype)
    if columns >= SHORT:
        for i in range(rows):
            whole = _exp_and_sum(x[i], _max_of(x[i]), out[i])
            right, scale = out[i, target[i]] / whole - 1, g[i] / whole
            for k in range(columns):
                out[i, k] *= scale
            out[i, target[i]] = g[i] * right
        return bad
    e = np.empty((columns, LANES), x.dtype)
    for start in range(0, rows, LANES):
        _beside_each_other(x, start, e, top, total)
        for i in range(start, min(start + LANES, rows)):
            right, scale = e[target[i], i - start] / total[i - start] - 1, g[i] / total[i - start]
            for k in range(columns):
                out[i, k] = e[k, i - start] * scale
            out[i, target[i]] = g[i] * right
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
