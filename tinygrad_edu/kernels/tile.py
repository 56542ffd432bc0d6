"""The register tile: the one thing that matrix products and convolutions are fast by.

A processor core can start two vector multiply-adds per cycle, but load only two vectors from memory meanwhile. A loop
that loads both factors and the sum, and stores the sum, for every multiply-add therefore mostly waits. The way out is
as old as vector registers: keep a small block of the result, the *tile*, in registers for the whole of a long sum.
With 6 rows of 4 vectors each, one step of the sum loads 4 vectors of `b`, takes 6 numbers of `a`, each spread over a
vector, and does 24 multiply-adds with them; nothing is stored until the sum is complete.

A compiler does not find this by itself: it keeps a local array in memory. So the tile is a type of its own here, whose
value is rows * vectors vector registers, with a handful of operations written in LLVM's instructions (`tile_code`):

    shape = tile_shape(x, TWO)                      # a type more than a value: it carries the dtype, rows, vectors
    acc = zero(shape)
    rows = spaced(shape, start, step, count)        # where in `a` each row of the tile begins
    for k in range(depth):
        acc = fma(acc, a, rows, k, b, k * width)    # acc[r, c] += a[rows[r] + k] * b[k * width + c]
    store(acc, out, places, 0, count, columns, False)

All offsets count elements from the start of an array's memory. Rows need not be evenly spaced (`listed`), which is what
lets a convolution walk over an image without unrolling it. At the edges of a matrix a tile has rows and columns too
many: they are computed from whatever is there, and not stored.

A tile has to fit the machine it is compiled for. That choice is made in `shapes`, and nowhere else.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .jit import jit
from .registry import Array

# Widths of tiles, in vectors. A tuple, because numba compiles for every length of a tuple anew, when first asked to.
ONE, TWO, FOUR = (0,), (0, 0), (0, 0, 0, 0)


@functools.cache
def shapes() -> tuple[int, dict[int, int], int]:
    """(bytes in a vector, rows of a tile by its vectors, rows and columns of a tile of dots).

    They are those for the processor numba compiles for: NUMBA_CPU_NAME and NUMBA_CPU_FEATURES are honoured. Where
    neither AVX-512 nor AVX2 is found, vectors have 16 bytes, which every processor has or LLVM takes apart. A tile
    leaves registers for what a step loads; of the shapes that do, these were measured fastest.
    """
    from numba.core.registry import cpu_target

    target: Any = cpu_target.target_context
    triple, _, features = target.codegen().magic_tuple()
    known = set(features.split(","))
    size = 64 if "+avx512f" in known else 32 if {"+avx2", "+fma"} <= known else 16
    if size == 64 or triple.startswith(("aarch64", "arm64")):
        return size, {1: 9, 2: 9, 4: 6}, 4
    return size, {1: 8, 2: 6, 4: 3}, 3


@functools.cache
def tile_width(columns: int, itemsize: int) -> tuple[int, ...]:
    """The width of the tiles for a result with so many columns: few columns too many, and as wide as may be."""
    lanes = shapes()[0] // itemsize
    # Wide tiles load less for each multiply-add; measured.
    speeds = ((FOUR, 1.0), (TWO, 0.95), (ONE, 0.75))
    return min(speeds, key=lambda s: -(-columns // (len(s[0]) * lanes)) * len(s[0]) / s[1])[0]


@functools.cache
def row_width(columns: int, itemsize: int) -> tuple[int, ...]:
    """The width of a row of that many columns, or of a part of them, for loops that keep one row in registers."""
    return ONE if columns * itemsize <= shapes()[0] else TWO


class Operation:
    """A function of `tile_code`, which imports numba, for compiled code to call: looked up when first compiled."""

    def __init__(self, name: str):
        self.__name__ = name

    @property
    def _numba_type_(self) -> Any:
        from numba.core.registry import cpu_target

        from . import tile_code

        typing: Any = cpu_target.typing_context
        typing.refresh()
        return typing.resolve_value_type(getattr(tile_code, self.__name__))

    def __repr__(self) -> str:
        return f"<operation {self.__name__}>"


tile_shape: Any = Operation("tile_shape")
dots_shape: Any = Operation("dots_shape")
tile_rows: Any = Operation("tile_rows")
tile_columns: Any = Operation("tile_columns")
lanes: Any = Operation("lanes")
zero: Any = Operation("zero")
spaced: Any = Operation("spaced")
listed: Any = Operation("listed")
fma: Any = Operation("fma")
store: Any = Operation("store")
dot: Any = Operation("dot")
store_sums: Any = Operation("store_sums")
transpose: Any = Operation("transpose")
row_shape: Any = Operation("row_shape")


@jit(inner=True)
def aligned(size: int, like: Array) -> Array:
    """New memory for numbers of an array's dtype that begins where a cache line does: vectors across two are slow."""
    memory = np.empty(size + 64 // like.itemsize, like.dtype)
    start = -memory.ctypes.data % 64 // like.itemsize
    return memory[start : start + size]
