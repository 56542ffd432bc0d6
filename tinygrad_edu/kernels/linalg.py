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
from .quiet import ignore, restore, silence
from .registry import Array, fresh, in_c_order, kernel, same_float
from .threads import blas_threads, on_tile, over_batch, parts
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
    transpose,
    zero,
)

# So many rows of a panel stay in the cache of one core.
DEPTH = 1024
# NumPy's BLAS has loops without any preparation for small products, which nothing beats: of two arrays the product of
# whose sizes is `TINY`, or `SMALL` where b is in C order, or `DEEP` where the result has few `ENTRIES`.
TINY, SMALL, DEEP, ENTRIES = 1 << 20, 1 << 24, 1 << 30, 1200


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


@jit(nogil=True)
def gemm_rows(a: Array, b: Array, out: Array, start: int, stop: int) -> None:
    """Some rows of `gemm`, for one of several threads."""
    gemm(a[start:stop], b, out[start:stop])


@jit(nogil=True)
def gemm_nt_rows(a: Array, bt: Array, out: Array, start: int, stop: int) -> None:
    """Some rows of `gemm_nt`."""
    gemm_nt(a[start:stop], bt, out[start:stop])


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
    """The same of bt.T: blocks of it in registers, and the rest number by number."""
    (columns, depth), side = bt.shape, lanes(bt)
    wide, long = min(width, columns - j) // side * side, steps // side * side
    for k in range(0, long, side):
        for c in range(0, wide, side):
            transpose(bt, (j + c) * depth + first + k, depth, panel, k * width + c, width)
    for c in range(width):
        for k in range(long if c < wide else 0, steps):
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

    NumPy's time in one thread, and in two, / the tile's in one; float32, OpenBLAS 0.3.31 on cores with AVX-512:

        rows x depth x columns    a @ b, 1   a @ b, 2    a @ b.T, 1   a @ b.T, 2
          64 x   64 x   64         0.81       0.81         1.59         1.59
         128 x  128 x  128         1.03       1.45         1.52         1.94
        2000 x   30 x   30         2.14       1.85         2.06         1.84
         128 x  784 x   20         1.14       0.70         1.38         1.00
           4 x 1000 x 1000         1.50       0.87         3.31         1.78
         784 x  128 x  256         1.28       0.80         1.30         0.82
         512 x  512 x  512         1.10       0.63         1.13         0.68
        1024 x 1024 x 1024         1.07       0.54         1.14         0.58

    Up to a million multiply-adds it has loops without any preparation, though not for all of a @ b.T. Large products go
    there too, unless it has fewer threads than we: where its vectors are longer than ours, it gains most with them.
    """
    work = rows * depth * columns
    if min(rows, columns) == 1:
        return True
    theirs = blas_threads() if work > 1 << 22 else 1
    if work > 1 << 22 and theirs < _threads_for(rows, work, 4):
        return False
    if shapes()[0] < 64:
        # Without AVX-512 the tile reaches nine tenths of it.
        return work > 8192 and not (transposed_b and columns <= 32 and depth >= 64)
    if work <= 1_000_000:
        if not transposed_b:
            return rows < 500
        return rows * columns <= ENTRIES or (rows <= 32 and depth < 64)
    if transposed_b and theirs == 1:
        return False
    tall = rows >= 500 and rows * depth <= 1 << 18
    return work > 1 << 22 if theirs > 1 else work > 1 << 24 and not tall


def _threads_for(rows: int, work: int, itemsize: int) -> int:
    """Into how many parts the tile divides a product. Every part packs b again: that takes rows to be worth it."""
    return parts(rows // 128, on_tile(work, itemsize)) if rows >= 256 else 1


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


@matmul.numba
def _(a: Array, b: Array) -> Array:
    if a.ndim == 2 == b.ndim:
        size = a.size * b.size
        # In this order because some products take no longer than to ask all these questions.
        if (
            size <= TINY
            or (size <= SMALL and b.flags.c_contiguous)
            or (size <= DEEP and len(a) * b.shape[1] <= ENTRIES)
            or not _suits_tiles(a, b)
        ):
            token = silence(ignore)
            try:
                # Does for two matrices what np.matmul does, in half the time for small ones.
                return a.dot(b)
            finally:
                restore(token)
        return on_tiles(a, b)
    if a.ndim > 2 == b.ndim and same_float(a, b) and a.shape[-1] == b.shape[0]:
        # One product of tall matrices: the rows of every matrix in the stack meet the same b.
        rows = a.reshape(math.prod(a.shape[:-1]), a.shape[-1])
        return matmul.fast(rows, b).reshape(*a.shape[:-1], b.shape[1])
    return matmul.reference(a, b)


def _suits_tiles(a: Array, b: Array) -> bool:
    """Whether the loops above can multiply two matrices, and are faster than BLAS."""
    (rows, depth), (inner, columns) = a.shape, b.shape
    transposed = b.strides[0] == b.itemsize < b.strides[1]
    return same_float(a, b) and depth == inner and not blas_is_faster(rows, depth, columns, transposed)


def on_tiles(a: Array, b: Array) -> Array:
    """a @ b of two matrices by the loops above, in several threads if that pays; shapes are not checked."""
    (rows, depth), columns = a.shape, b.shape[1]
    out = np.empty((rows, columns), a.dtype)
    if b.T.flags.carray and columns > 1:
        loop, left, right = gemm_nt_rows, in_c_order(a), b.T
    else:
        loop, left, right = gemm_rows, a if a.flags.carray or a.T.flags.carray else a.copy(), in_c_order(b)
    count = _threads_for(rows, rows * depth * columns, a.itemsize)
    if count == 1:
        loop(left, right, out, 0, rows)
    else:
        over_batch(lambda start, stop: loop(left, right, out, start, stop), rows, count)
    return out


def _examples(dtype: np.dtype) -> list[tuple[Array, ...]]:
    """Sizes for the loops above, where they are used at all."""
    a, b = np.ones((1024, 24), dtype), np.ones((24, 64), dtype)
    return [(a, b), (np.asfortranarray(a), b), (a, np.asfortranarray(b))]


matmul.examples = _examples
