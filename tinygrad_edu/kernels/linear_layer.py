"""Linear layers: a matrix product with the bias added to it, and its three gradients.

A small layer is one call of compiled code in each direction, which matters more there than the arithmetic. A large one
takes its products from `matmul`, which knows about BLAS and threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .jit import jit
from .linalg import gemm, gemm_nt, matmul
from .registry import Array, fresh, in_c_order, kernel, same_float

Needs = tuple[bool, bool, bool]
# Up to so many multiply-adds in a product: less than it takes to be worth a thread.
SMALL = 1 << 22
NOTHING = {np.dtype(d): np.empty((0, 0), d) for d in (np.float32, np.float64)}


@kernel
@np.errstate(all="ignore")
def linear(x: Array, weight: Array, bias: Array) -> Array:
    """x @ weight.T + bias: (M, K), (N, K), (N,) -> (M, N); ValueError for other shapes.

    >>> linear(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]), np.array([0.5]))
    array([[11.5]])
    """
    _check(x, weight, bias.shape, weight.shape[:1])
    return fresh(np.matmul(x, weight.T) + bias)


def _check(x: Array, weight: Array, found: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    """Raise ValueError where the compiled loops would read what is not there."""
    if x.ndim != 2 or weight.ndim != 2 or x.shape[1] != weight.shape[1] or found != wanted:
        raise ValueError(
            f"linear: expected x (M, K), weight (N, K), bias (N,) and gradients (M, N), but got {x.shape}, "
            f"{weight.shape} and {found} instead of {wanted}"
        )


@linear.numba
def _(x: Array, weight: Array, bias: Array) -> Array:
    if not same_float(x, weight) or not same_float(weight, bias):
        return linear.reference(x, weight, bias)
    _check(x, weight, bias.shape, weight.shape[:1])
    if len(x) * weight.size > SMALL:
        out = matmul(x, weight.T)
        add_rows(out, in_c_order(bias))
        return out
    out = np.empty((len(x), len(weight)), x.dtype)
    linear_loop(in_c_order(x), in_c_order(weight), in_c_order(bias), out)
    return out


@jit
def linear_loop(x: Array, weight: Array, bias: Array, out: Array) -> None:
    """out = x @ weight.T + bias, all in C order."""
    gemm_nt(x, weight, out)
    add_rows(out, bias)


@jit
def add_rows(out: Array, bias: Array) -> None:
    """out (M, N) += bias (N,)."""
    for i in range(out.shape[0]):
        row = out[i]
        for j in range(bias.shape[0]):
            row[j] += bias[j]


@kernel
@np.errstate(all="ignore")
def linear_grad(g: Array, x: Array, weight: Array, needs: Needs = (True, True, True)) -> Any:
    """g @ weight, g.T @ x and the sum of the rows of g: the gradients of `linear`; None for those not needed.

    Shapes (M, N), (M, K), (N, K) give (M, K), (N, K), (N,).

    >>> linear_grad(np.ones((2, 1)), np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0, 6.0]]), (False, True, True))
    (None, array([[4., 6.]]), array([2.]))
    """
    _check(x, weight, g.shape, (len(x), len(weight)))
    return (
        fresh(np.matmul(g, weight)) if needs[0] else None,
        fresh(np.matmul(g.T, x)) if needs[1] else None,
        np.add.reduce(g, axis=0) if needs[2] else None,
    )


@linear_grad.numba
def _(g: Array, x: Array, weight: Array, needs: Needs = (True, True, True)) -> Any:
    if not same_float(x, weight) or not same_float(x, g):
        return linear_grad.reference(g, x, weight, needs)
    _check(x, weight, g.shape, (len(x), len(weight)))
    small, nothing = len(g) * weight.size <= SMALL, NOTHING[g.dtype]
    g, x, weight = in_c_order(g), in_c_order(x), in_c_order(weight)
    dx = np.empty(x.shape, g.dtype) if small and needs[0] else nothing
    dw = np.empty(weight.shape, g.dtype) if small and needs[1] else nothing
    db = np.empty(len(weight), g.dtype)
    linear_grad_loop(g, x, weight, small and needs[0], small and needs[1], dx, dw, db)
    if not small:
        dx = matmul(g, weight) if needs[0] else dx
        dw = matmul(g.T, x) if needs[1] else dw
    return dx if needs[0] else None, dw if needs[1] else None, db if needs[2] else None


@jit
def linear_grad_loop(
    g: Array, x: Array, weight: Array, to_x: bool, to_weight: bool, dx: Array, dw: Array, db: Array
) -> None:
    """dx = g @ weight and dw = g.T @ x, those that are asked for, and db = the sum of the rows of g."""
    if to_x:
        gemm(g, weight, dx)
    if to_weight:
        gemm(g.T, x, dw)
    db[:] = 0
    for i in range(g.shape[0]):
        row = g[i]
        for j in range(db.shape[0]):
            db[j] += row[j]


def _examples(dtype: np.dtype) -> list[tuple[Array, ...]]:
    return [(np.ones((2, 3), dtype), np.ones((4, 3), dtype), np.ones(4, dtype))]


def _grad_examples(dtype: np.dtype) -> list[tuple[Array, ...]]:
    return [(np.ones((2, 4), dtype), np.ones((2, 3), dtype), np.ones((4, 3), dtype))]


linear.examples = _examples
linear_grad.examples = _grad_examples
