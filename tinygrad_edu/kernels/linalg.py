"""Matrix multiplication.

A tile of the result (see `tile`) needs some rows of `a`, which may lie in memory in any way, and a *panel* of `b`: as
many columns as the tile has. A panel is read again for all rows, so it is copied ("packed") into neighbouring memory
first, with zeros for columns that are missing; when few rows follow, it is read where it lies.

Where `b` is given transposed, as in `x @ weight.T`, and the result has few rows or columns, packing would cost more
than it saves. Then both factors of a dot product lie in contiguous rows, and every entry of the tile is a vector of
partial sums, added up at the end.

`ladder` has the steps that lead here from the textbook's three loops.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .jit import jit
from .part import part
from .registry import Array, fresh, in_c_order, kernel, same_float
from .tile import (
    FOUR,
    ONE,
    TWO,
    aligned,
    dot,
    dots_shape,
    fma,
    lanes,
    shapes,
    spaced,
    store,
    store_sums,
    tile_rows,
    tile_shape,
    zero,
)

# So many rows of a panel stay in the cache of one core.
DEPTH = 1024


@jit
def gemm(a: Array, b: Array, out: Array) -> None:
    """out = a @ b for 2-d arrays of one float dtype: b and out in C order, a in any order.

    To be called from compiled code; shapes are not checked.
    """
    (rows, depth), columns = a.shape, out.shape[1]
    width = _width(a, columns)
    # Measured: with few rows packing costs more than long jumps from row to row of b do.
    in_place = rows <= 24 or (rows <= 128 and columns * a.itemsize <= 1536 and (depth >= 64 or columns % width == 0))
    panel = aligned((min(depth, DEPTH) if not in_place else min(depth, width // columns + 1)) * width, a)
    flat, (memory, down, along) = b.reshape(b.size), _strided(a)
    for first in range(0, max(depth, 1), DEPTH):
        last = min(first + DEPTH, depth)
        for j in range(0, columns, width):
            # A tile reads on into the next row of b where its columns end, but not past the end of b.
            packed = min(last, max(first, (b.size - j - width) // columns + 1)) if in_place else first
            at = first
            while True:
                if at < packed:
                    steps, source, stride = packed - at, flat[at * columns + j :], columns
                else:
                    steps, source, stride = last - at, panel, width
                    _pack(flat, columns, at, steps, j, width, panel)
                _multiply(width, memory, down, along, at, steps, source, stride, out, j)
                at += steps
                if at >= last:
                    break


@jit
def gemm_nt(a: Array, bt: Array, out: Array) -> None:
    """out = a @ bt.T for 2-d arrays of one float dtype, all in C order, as `x @ weight.T` of a linear layer.

    To be called from compiled code; shapes are not checked.
    """
    (rows, depth), columns = a.shape, out.shape[1]
    width = _width(a, columns)
    # Measured: a dot product takes 8/5 of the time of a column, and 64 more steps to be added up; packing one column
    # takes that of 64 rows.
    if 8 * rows * columns * (depth + 64) <= 5 * (rows + 64) * -(-columns // width) * width * depth:
        _dots(dots_shape(a), a, bt, out)
        return
    panel, (memory, down, along) = aligned(min(depth, DEPTH) * width, a), _strided(a)
    for first in range(0, max(depth, 1), DEPTH):
        steps = min(DEPTH, depth - first)
        for j in range(0, columns, width):
            _pack_transposed(bt, first, steps, j, width, panel)
            _multiply(width, memory, down, along, first, steps, panel, width, out, j)


@jit(inner=True)
def _strided(a: Array) -> Any:
    """(the memory of a, the steps from row to row and from column to column in it): one type for all orders."""
    return part(a, 0, (a.size,)), a.strides[0] // a.itemsize, a.strides[1] // a.itemsize


@jit(inner=True)
def _width(a: Array, columns: int) -> int:
    """How many columns the tiles for a result have."""
    if columns <= lanes(a):
        return lanes(a)
    return 2 * lanes(a) if columns <= 2 * lanes(a) else 4 * lanes(a)


@jit(inner=True)
def _multiply(
    width: int, a: Array, down: int, along: int, first: int, steps: int, b: Array, stride: int, out: Array, j: int
) -> None:
    """Columns j, ... of out: a[:, first : first + steps] times rows of b, `stride` apart; added but for the first.

    The numbers of a lie `down` and `along` apart in its memory.
    """
    if width == lanes(a):
        _panel(tile_shape(a, ONE), a, down, along, first, steps, b, stride, out, j)
    elif width == 2 * lanes(a):
        _panel(tile_shape(a, TWO), a, down, along, first, steps, b, stride, out, j)
    else:
        _panel(tile_shape(a, FOUR), a, down, along, first, steps, b, stride, out, j)


@jit(inner=True)
def _panel(
    shape: Any, a: Array, down: int, along: int, first: int, steps: int, b: Array, stride: int, out: Array, j: int
) -> None:
    """The same for one width."""
    rows, columns = out.shape
    for i in range(0, rows, tile_rows(shape)):
        lines, at, there = spaced(shape, i * down, down, rows - i), first * along, 0
        acc = zero(shape)
        for _ in range(steps):
            acc = fma(acc, a, lines, at, b, there)
            at += along
            there += stride
        store(acc, out, spaced(shape, i * columns, columns, rows - i), j, rows - i, columns - j, first > 0)


@jit(inner=True)
def _pack(b: Array, columns: int, first: int, steps: int, j: int, width: int, panel: Array) -> None:
    """panel = rows first, ... of b (depth * columns), from column j on, then zeros up to the width."""
    for k in range(steps):
        source, row = b[(first + k) * columns + j :], panel[k * width :]
        for c in range(min(width, columns - j)):
            row[c] = source[c]
        for c in range(columns - j, width):
            row[c] = 0


@jit(inner=True)
def _pack_transposed(bt: Array, first: int, steps: int, j: int, width: int, panel: Array) -> None:
    """The same of bt.T, sixteen rows of it at a time, so that what is written stays close together."""
    columns = bt.shape[0]
    for block in range(0, steps, 16):
        for c in range(width):
            for k in range(block, min(block + 16, steps)):
                panel[k * width + c] = bt[j + c, first + k] if j + c < columns else 0


@jit(inner=True)
def _dots(shape: Any, a: Array, bt: Array, out: Array) -> None:
    """out = a @ bt.T, every entry a sum of vectors."""
    (rows, columns), depth, size, step = out.shape, a.shape[1], tile_rows(shape), lanes(a)
    whole = depth - depth % step
    for i in range(0, rows, size):
        left = spaced(shape, i * depth, depth, rows - i)
        for j in range(0, columns, size):
            right = spaced(shape, j * depth, depth, columns - j)
            acc = zero(shape)
            for k in range(0, whole, step):
                acc = dot(acc, a, left, bt, right, k, 0)
            if whole < depth:
                acc = dot(acc, a, left, bt, right, whole, depth - whole)
            store_sums(acc, out, i * columns + j, columns, rows - i, columns - j)


def blas_is_faster(rows: int, depth: int, columns: int, transposed_b: bool) -> bool:
    """Whether NumPy's BLAS beats the loops above for one product: the only place where this is decided.

    NumPy's time / the tile's, float32, OpenBLAS 0.3.31 on one core with AVX-512:

        rows x depth x columns    a @ b    a @ b.T
          16 x   32 x  32         1.09      0.96
          64 x   64 x  64         1.03      0.87
          64 x  128 x 128         1.21      0.77
         128 x  784 x  20         1.31      1.28
         784 x  128 x 256         1.28      1.19
         256 x  256 x 256         1.12      0.97
        1024 x 1024 x 1024        1.03      1.00

    Large products go to BLAS, which can share them among cores. So do most without AVX-512, where the tile reaches
    nine tenths of it.
    """
    work = rows * depth * columns
    if shapes()[0] < 64:
        return work > 8192 and not (transposed_b and columns <= 32 and depth >= 64)
    return work > 1 << 24 or (transposed_b and 16 <= rows <= 256 and columns >= 64 and depth <= 512)


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
    if a.ndim < 2 or b.ndim != 2 or not same_float(a, b):
        return matmul.reference(a, b)
    (rows, depth), (inner, columns) = a.shape[-2:], b.shape
    if depth != inner:
        return matmul.reference(a, b)
    if a.ndim > 2:
        # One product of tall matrices: the rows of every matrix in the stack meet the same b.
        rows = math.prod(a.shape[:-1])
        return matmul.fast(a.reshape(rows, depth), b).reshape(*a.shape[:-1], columns)
    transposed_b = not b.flags.carray and b.T.flags.carray
    if blas_is_faster(rows, depth, columns, transposed_b):
        return _blas(a, b)
    out = np.empty((rows, columns), a.dtype)
    if transposed_b:
        gemm_nt(in_c_order(a), b.T, out)
    else:
        gemm(a if a.flags.carray or a.T.flags.carray else a.copy(), in_c_order(b), out)
    return out


def _examples(dtype: np.dtype) -> list[tuple[Array, ...]]:
    a, b = np.ones((2, 3), dtype), np.ones((3, 2), dtype)
    return [(a, b), (b.T, b), (a, a.T)]


matmul.examples = _examples
