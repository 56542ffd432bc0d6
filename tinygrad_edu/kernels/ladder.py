"""Four ways to multiply matrices, each the one before with one idea more; the last is what `linalg` runs on.

The textbook's three loops reach one or two hundredths of what a processor core can do. Every step says what the one
before was waiting for. All compute out = a @ b for 2-d arrays of one float dtype in C order, and are compiled at their
first call, like all kernels; `steps` has them in order.

    naive      each entry is a sum over k: b is read down a column, from a new cache line each time
    by_rows    the loops over j and k change places: rows of b and out are read and written along their memory, which
               the compiler turns into vector instructions
    unrolled   eight rows of b at a time: the row of out is loaded and stored once for eight multiply-adds, not for each
    tiled      a block of out stays in registers for the whole sum, see `tile`; what is left to do is in `linalg.gemm`:
               copying b, so that it is read along memory, and the edges
"""

from __future__ import annotations

from collections.abc import Callable

from .jit import jit
from .linalg import gemm
from .registry import Array


@jit
def naive(a: Array, b: Array, out: Array) -> None:
    """out[i, j] = sum over k of a[i, k] * b[k, j], as it is written."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            total = out.dtype.type(0)
            for k in range(a.shape[1]):
                total += a[i, k] * b[k, j]
            out[i, j] = total


@jit
def by_rows(a: Array, b: Array, out: Array) -> None:
    """Row i of out is the sum of the rows of b, each times a[i, k]."""
    for i in range(out.shape[0]):
        out[i] = 0
        for k in range(a.shape[1]):
            for j in range(out.shape[1]):
                out[i, j] += a[i, k] * b[k, j]


@jit
def unrolled(a: Array, b: Array, out: Array) -> None:
    """The same with eight rows of b in one pass over row i of out."""
    depth = a.shape[1]
    whole = depth - depth % 8
    for i in range(out.shape[0]):
        out[i] = 0
        for k in range(0, whole, 8):
            a0, a1, a2, a3 = a[i, k], a[i, k + 1], a[i, k + 2], a[i, k + 3]
            a4, a5, a6, a7 = a[i, k + 4], a[i, k + 5], a[i, k + 6], a[i, k + 7]
            for j in range(out.shape[1]):
                first = a0 * b[k, j] + a1 * b[k + 1, j] + a2 * b[k + 2, j] + a3 * b[k + 3, j]
                second = a4 * b[k + 4, j] + a5 * b[k + 5, j] + a6 * b[k + 6, j] + a7 * b[k + 7, j]
                out[i, j] += first + second
        for k in range(whole, depth):
            for j in range(out.shape[1]):
                out[i, j] += a[i, k] * b[k, j]


tiled = gemm


def steps() -> dict[str, Callable[[Array, Array, Array], None]]:
    """The four functions by name, slowest first.

    >>> list(steps())
    ['naive', 'by_rows', 'unrolled', 'tiled']
    """
    return {"naive": naive, "by_rows": by_rows, "unrolled": unrolled, "tiled": tiled}
