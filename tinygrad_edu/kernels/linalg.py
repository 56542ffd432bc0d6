"""Matrix multiplication.

The textbook's three loops load and store as much as they compute, and wait for memory. Here four rows of `a`
and four rows of `b` meet at a time: eight loads and four stores for sixteen multiply-adds, in an inner loop
along contiguous rows, which the compiler turns into vector instructions. The last block of rows overlaps the
one before it instead of having code of its own: computing a row twice gives the same row.
"""

from __future__ import annotations

import math

import numpy as np

from .jit import REASSOCIATE, jit
from .registry import Array, fresh, in_c_order, kernel, same_float


@jit
def gemm(a: Array, b: Array, out: Array) -> None:
    """out = a @ b for 2-d arrays of one float dtype; b and out in C order, a in C or Fortran order.

    Sums run over ascending k in fours. To be called from compiled code; shapes are not checked.
    """
    rows, depth = a.shape
    if rows < 4:
        _few_rows(a, b, out)
        return
    whole = depth - depth % 4
    for block in range(0, rows, 4):
        i = min(block, rows - 4)
        out[i : i + 4] = 0
        for k in range(0, whole, 4):
            a00, a01, a02, a03 = a[i, k], a[i, k + 1], a[i, k + 2], a[i, k + 3]
            a10, a11, a12, a13 = a[i + 1, k], a[i + 1, k + 1], a[i + 1, k + 2], a[i + 1, k + 3]
            a20, a21, a22, a23 = a[i + 2, k], a[i + 2, k + 1], a[i + 2, k + 2], a[i + 2, k + 3]
            a30, a31, a32, a33 = a[i + 3, k], a[i + 3, k + 1], a[i + 3, k + 2], a[i + 3, k + 3]
            for j in range(b.shape[1]):
                b0, b1, b2, b3 = b[k, j], b[k + 1, j], b[k + 2, j], b[k + 3, j]
                out[i, j] += a00 * b0 + a01 * b1 + a02 * b2 + a03 * b3
                out[i + 1, j] += a10 * b0 + a11 * b1 + a12 * b2 + a13 * b3
                out[i + 2, j] += a20 * b0 + a21 * b1 + a22 * b2 + a23 * b3
                out[i + 3, j] += a30 * b0 + a31 * b1 + a32 * b2 + a33 * b3
        for k in range(whole, depth):
            for r in range(i, i + 4):
                _add_scaled(out[r], a[r, k], b[k])


@jit
def _few_rows(a: Array, b: Array, out: Array) -> None:
    depth = a.shape[1]
    whole = depth - depth % 4
    for i in range(a.shape[0]):
        out[i] = 0
        for k in range(0, whole, 4):
            a0, a1, a2, a3 = a[i, k], a[i, k + 1], a[i, k + 2], a[i, k + 3]
            for j in range(b.shape[1]):
                out[i, j] += a0 * b[k, j] + a1 * b[k + 1, j] + a2 * b[k + 2, j] + a3 * b[k + 3, j]
        for k in range(whole, depth):
            _add_scaled(out[i], a[i, k], b[k])


@jit
def _add_scaled(out: Array, factor: float, row: Array) -> None:
    for j in range(row.size):
        out[j] += factor * row[j]


@jit(fastmath=REASSOCIATE)
def gemm_nt(a: Array, bt: Array, out: Array) -> None:
    """out = a @ bt.T for 2-d arrays of one float dtype, all in C order, as `x @ weight.T` of a linear layer.

    Every element is the dot product of two contiguous rows; four by four of them are summed side by side.
    To be called from compiled code; shapes are not checked.
    """
    rows, columns = out.shape
    if rows < 4 or columns < 4:
        _single_dots(a, bt, out)
        return
    zero = out.dtype.type(0)
    for row_block in range(0, rows, 4):
        i = min(row_block, rows - 4)
        for column_block in range(0, columns, 4):
            j = min(column_block, columns - 4)
            s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = zero
            s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = zero
            for k in range(a.shape[1]):
                a0, a1, a2, a3 = a[i, k], a[i + 1, k], a[i + 2, k], a[i + 3, k]
                b0, b1, b2, b3 = bt[j, k], bt[j + 1, k], bt[j + 2, k], bt[j + 3, k]
                s00, s01, s02, s03 = s00 + a0 * b0, s01 + a0 * b1, s02 + a0 * b2, s03 + a0 * b3
                s10, s11, s12, s13 = s10 + a1 * b0, s11 + a1 * b1, s12 + a1 * b2, s13 + a1 * b3
                s20, s21, s22, s23 = s20 + a2 * b0, s21 + a2 * b1, s22 + a2 * b2, s23 + a2 * b3
                s30, s31, s32, s33 = s30 + a3 * b0, s31 + a3 * b1, s32 + a3 * b2, s33 + a3 * b3
            out[i, j], out[i, j + 1], out[i, j + 2], out[i, j + 3] = s00, s01, s02, s03
            out[i + 1, j], out[i + 1, j + 1], out[i + 1, j + 2], out[i + 1, j + 3] = s10, s11, s12, s13
            out[i + 2, j], out[i + 2, j + 1], out[i + 2, j + 2], out[i + 2, j + 3] = s20, s21, s22, s23
            out[i + 3, j], out[i + 3, j + 1], out[i + 3, j + 2], out[i + 3, j + 3] = s30, s31, s32, s33


@jit(fastmath=REASSOCIATE)
def _single_dots(a: Array, bt: Array, out: Array) -> None:
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            total = out.dtype.type(0)
            for k in range(a.shape[1]):
                total += a[i, k] * bt[j, k]
            out[i, j] = total


def blas_is_faster(rows: int, depth: int, columns: int, transposed_b: bool) -> bool:
    """Whether NumPy's BLAS beats the loops above for one product: the only place where this is decided.

    Microseconds per call, loops / OpenBLAS 0.3 on one core with AVX-512, float32:

        rows x depth x columns    a @ b          a @ bt.T
           8 x    8 x   8         1.2 /  1.3     1.2 /  1.4
          32 x   32 x  32         2.0 /  1.7     2.3 /  2.0
         128 x   20 x  10         3.2 /  1.8     3.3 /  2.4
         128 x  784 x  20          55 /   30      21 /   33
         256 x  256 x 256         187 /  143     203 /  156

    Stacks of matrices always go to NumPy, whose loop costs 0.03 us per matrix (compiled slicing: 0.1 us).
    """
    if transposed_b and columns <= 32 and depth >= 64:
        return False
    return rows * depth * columns > 8192


@kernel
@np.errstate(all="ignore")
def matmul(a: Array, b: Array) -> Array:
    """Matrix product with NumPy's rules: the last two axes are matrices, those before are broadcast.

    A 1-d operand is a row on the left, a column on the right, and its axis vanishes from the result.
    Shapes (..., M, K) and (..., K, N) give (..., M, N). Raises ValueError when the sizes do not fit.

    >>> matmul(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([10.0, 1.0]))
    array([12., 34.])
    """
    return fresh(np.matmul(a, b))


# np.dot does for two matrices what np.matmul does, in half the time for small ones.
_blas = np.errstate(all="ignore")(np.dot)


@matmul.numba
def _(a: Array, b: Array) -> Array:
    if a.ndim < 2 or b.ndim != 2 or a.shape[-1] != b.shape[0] or not same_float(a, b):
        return matmul.reference(a, b)
    depth, columns = b.shape
    if a.ndim > 2:
        # One product of tall matrices: the rows of every matrix in the stack meet the same b.
        rows = math.prod(a.shape[:-1])
        return matmul.fast(a.reshape(rows, depth), b).reshape(*a.shape[:-1], columns)
    rows = a.shape[0]
    transposed_b = not b.flags.c_contiguous and b.flags.f_contiguous
    if blas_is_faster(rows, depth, columns, transposed_b):
        return _blas(a, b)
    out = np.empty((rows, columns), a.dtype)
    if transposed_b:
        gemm_nt(in_c_order(a), in_c_order(b.T), out)
    else:
        gemm(a if a.T.flags.carray else in_c_order(a), in_c_order(b), out)
    return out


def _examples(dtype: np.dtype) -> list[tuple[Array, ...]]:
    a, b = np.ones((2, 3), dtype), np.ones((3, 2), dtype)
    return [(a, b), (b.T, b), (a, a.T)]


matmul.examples = _examples
