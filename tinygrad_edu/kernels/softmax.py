"""Log-softmax and cross-entropy, forward and backward.

All subtract a row's maximum before they exponentiate, so nothing overflows:
log sum exp(x) = max(x) + log sum exp(x - max(x)). A row of only -inf, or with +inf or NaN in it, gives NaN.

The fast twins work in three sweeps: one before the exponentials, the exponentials, and one after.
Small arrays take all three in one compiled call; larger ones leave the middle one to NumPy, whose exp is
vectorised.
The `*_loop` functions can be called from compiled code; they take C-contiguous arrays of one float dtype.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .elementwise import EXP_PASS_FROM, exp_loop, exp_pass
from .jit import REASSOCIATE, jit
from .registry import Array, fresh, in_c_order, kernel, same_float


@jit
def _max_of(row: Array) -> Any:
    top = row[0]
    for k in range(1, row.size):
        top = max(top, row[k])
    return top


@jit(fastmath=REASSOCIATE)
def _sum_of(row: Array) -> Any:
    total = row.dtype.type(0)
    for k in range(row.size):
        total += row[k]
    return total


@jit
def _subtract_max_loop(x: Array, out: Array) -> None:
    for i in range(x.shape[0]):
        top = _max_of(x[i])
        for k in range(x.shape[1]):
            out[i, k] = x[i, k] - top


@jit
def _subtract_log_sum_loop(e: Array, out: Array) -> None:
    for i in range(e.shape[0]):
        log_total = math.log(_sum_of(e[i]))
        for k in range(e.shape[1]):
            out[i, k] -= log_total


@jit
def log_softmax_loop(x: Array, out: Array, e: Array) -> None:
    """out = log_softmax of each row of x (N, C); e is scratch (N, C)."""
    _subtract_max_loop(x, out)
    exp_loop(out.reshape(out.size), e.reshape(e.size))
    _subtract_log_sum_loop(e, out)


@jit
def _minus_scaled_loop(g: Array, out: Array) -> None:
    for i in range(g.shape[0]):
        total = _sum_of(g[i])
        for k in range(g.shape[1]):
            out[i, k] = g[i, k] - out[i, k] * total


@jit
def log_softmax_grad_loop(g: Array, z: Array, out: Array) -> None:
    """out = g - exp(z) * sum(g), the sum along each row, for g and z (N, C)."""
    exp_loop(z.reshape(z.size), out.reshape(out.size))
    _minus_scaled_loop(g, out)


@jit
def _shift_rows_loop(x: Array, target: Array, shifted: Array, loss: Array) -> int:
    """shifted = x - max of its row, loss = shifted[target]. Returns a row with a bad target, else -1."""
    rows, classes = x.shape
    for i in range(rows):
        if not 0 <= target[i] < classes:
            return i
        top = _max_of(x[i])
        for k in range(classes):
            shifted[i, k] = x[i, k] - top
        loss[i] = shifted[i, target[i]]
    return -1


@jit
def _log_sum_minus_loop(e: Array, loss: Array) -> None:
    for i in range(e.shape[0]):
        loss[i] = math.log(_sum_of(e[i])) - loss[i]


@jit
def cross_entropy_loop(x: Array, target: Array, loss: Array, e: Array) -> int:
    """loss = cross_entropy of x (N, C); e is scratch (N, C).

    Returns the number of the first row whose target is not a class, or -1 when all are.
    """
    bad = _shift_rows_loop(x, target, e, loss)
    if bad < 0:
        exp_loop(e.reshape(e.size), e.reshape(e.size))
        _log_sum_minus_loop(e, loss)
    return bad


@jit
def _scale_rows_loop(g: Array, target: Array, out: Array) -> None:
    for i in range(out.shape[0]):
        total = _sum_of(out[i])
        for k in range(out.shape[1]):
            out[i, k] /= total
        # Before the product with g: near 1 this difference is exact.
        out[i, target[i]] -= 1
        for k in range(out.shape[1]):
            out[i, k] *= g[i]


@jit
def cross_entropy_grad_loop(g: Array, x: Array, target: Array, out: Array, scratch: Array) -> int:
    """out = g * (softmax(x) - onehot(target)); scratch is (N,). Returns what `cross_entropy_loop` returns."""
    bad = _shift_rows_loop(x, target, out, scratch)
    if bad < 0:
        exp_loop(out.reshape(out.size), out.reshape(out.size))
        _scale_rows_loop(g, target, out)
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
    out, e = np.empty(x.shape, x.dtype), np.empty(rows.shape, x.dtype)
    rows_out = out.reshape(rows.shape)
    if x.size < EXP_PASS_FROM:
        log_softmax_loop(rows, rows_out, e)
    else:
        _subtract_max_loop(rows, rows_out)
        exp_pass(rows_out, out=e)
        _subtract_log_sum_loop(e, rows_out)
    return out


def _has_rows(x: Array, dim: int) -> bool:
    """Whether dim is the last axis. Along others NumPy's passes are as fast as a loop."""
    return x.size > 0 and x.ndim > 0 and dim in (-1, x.ndim - 1)


def _log_softmax_examples(dtype: np.dtype) -> list[tuple]:
    return [(np.ones((2, 3), dtype), 1), (np.ones((2, EXP_PASS_FROM), dtype), 1)]


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
    if g.size < EXP_PASS_FROM:
        log_softmax_grad_loop(rows_g, in_c_order(z).reshape(rows_g.shape), rows_out)
    else:
        exp_pass(z, out=out)
        _minus_scaled_loop(rows_g, rows_out)
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
    loss, e = np.empty(len(x), x.dtype), np.empty(x.shape, x.dtype)
    if x.size < EXP_PASS_FROM:
        bad = cross_entropy_loop(x, target, loss, e)
    else:
        bad = _shift_rows_loop(x, target, e, loss)
        if bad < 0:
            exp_pass(e, out=e)
            _log_sum_minus_loop(e, loss)
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
    return [(np.ones((2, columns), dtype), np.zeros(2, np.int64)) for columns in (3, EXP_PASS_FROM)]


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
    out, scratch = np.empty(x.shape, x.dtype), np.empty(len(x), x.dtype)
    if x.size < EXP_PASS_FROM:
        bad = cross_entropy_grad_loop(g, x, target, out, scratch)
    else:
        bad = _shift_rows_loop(x, target, out, scratch)
        if bad < 0:
            exp_pass(out, out=out)
            _scale_rows_loop(g, target, out)
    if bad >= 0:
        raise _bad_target(target[bad], x.shape[1])
    return out


def _check_upstream(g: Array, target: Array) -> None:
    if g.shape != target.shape:
        raise ValueError(f"cross_entropy_grad: g has shape {g.shape}, but there are {len(target)} losses")


cross_entropy_grad.examples = lambda dtype: [
    (np.ones(2, dtype), x, target) for x, target in _cross_entropy_examples(dtype)
]
