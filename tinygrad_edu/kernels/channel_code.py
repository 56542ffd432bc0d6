"""The operations of `channels` in LLVM's instructions. Imported when something that uses them is compiled.

A row is a `Tile` of `tile_code` with one row. Arrays are given as pointers, see `memory`. Where an operation takes
`count`, that is the empty tuple, for all of a row's numbers, or how many there are: the others are read as what changes
nothing, and are not written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .channels import NOWHERE
from .tile_code import INT32, Tile, lanes_below, load_vector, number, place_of, spread


def row_of(shape: Any, dtype: Any = None) -> Any:
    """The type of a row of a shape's width; of another dtype it has as many numbers."""
    return Tile(dtype or shape.dtype, 1, shape.vectors, shape.lanes)


def constant(row: Any, value: float) -> Any:
    """A vector of copies of one number."""
    return ir.Constant(row.vector(), [value] * row.lanes)


def vectors_of(builder: Any, row: Any, value: Any) -> list[Any]:
    return [builder.extract_value(value, c) for c in range(row.vectors)]


def joined(context: Any, builder: Any, row: Any, vectors: list[Any]) -> Any:
    """The row that these vectors are."""
    value = ir.Constant(context.get_value_type(row), ir.Undefined)
    for c, vector in enumerate(vectors):
        value = builder.insert_value(value, vector, c)
    return value


@intrinsic
def memory(typing: Any, array: Any) -> Any:
    """Where an array's numbers are, without its owner: counting owners at every call would take longer than a row."""

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return context.make_array(array)(context, builder, args[0]).data

    return types.CPointer(array.dtype)(array), write


@intrinsic
def clear(typing: Any, memory: Any, first: Any, end: Any) -> Any:
    """Zeros from place `first` of a memory to `end`."""

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        start, first, end = args
        size = builder.mul(builder.sub(end, first), number(memory.dtype.bitwidth // 8))
        cgutils.memset(builder, builder.gep(start, [first]), size, 0)
        return context.get_dummy_value()

    return types.void(memory, types.intp, types.intp), write


def masks(builder: Any, row: Any, kind: Any, count: Any) -> list[Any]:
    """For each vector the mask of the numbers there are; None where that is all of them."""
    if isinstance(kind, types.BaseTuple):
        return [None] * row.vectors
    return [lanes_below(builder, row, c * row.lanes, count) for c in range(row.vectors)]


def loaded(builder: Any, row: Any, x: Any, at: Any, mask: list[Any]) -> list[Any]:
    """The vectors of a row in memory."""
    start, found = builder.gep(x, [at]), []
    for c in range(row.vectors):
        place = builder.bitcast(builder.gep(start, [number(c * row.lanes)]), place_of(row))
        found.append(load_vector(builder, row, place, mask[c]))
    return found


def changed(row: Any, change: Callable[[Any, Any, Any], Any], *others: Any) -> tuple[Any, Any]:
    """The signature and the code of an operation that changes a row vector by vector: (builder, vector, others)."""

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return joined(context, builder, row, [change(builder, v, args[1:]) for v in vectors_of(builder, row, args[0])])

    return row(row, *others), write


@intrinsic
def nothing(typing: Any, shape: Any) -> Any:
    """A row of zeros."""
    row = row_of(shape)
    return row(shape), lambda context, builder, sig, args: ir.Constant(context.get_value_type(row), None)


@intrinsic
def channels_of(typing: Any, shape: Any, x: Any, at: Any, count: Any) -> Any:
    """The row of the numbers of x from `at` on."""
    row = row_of(shape)

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        _, start, at, count = args
        found = loaded(builder, row, start, at, masks(builder, row, sig.args[-1], count))
        return joined(context, builder, row, found)

    return row(shape, x, types.intp, count), write


@intrinsic
def plus(typing: Any, row: Any, x: Any, at: Any, count: Any) -> Any:
    """The row plus the numbers of x from `at` on."""

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        value, start, at, count = args
        new = loaded(builder, row, start, at, masks(builder, row, sig.args[-1], count))
        sums = [builder.fadd(a, b) for a, b in zip(vectors_of(builder, row, value), new, strict=True)]
        return joined(context, builder, row, sums)

    return row(row, x, types.intp, count), write


@intrinsic
def divided(typing: Any, row: Any, divisor: Any) -> Any:
    """The row divided by a number."""
    return changed(row, lambda builder, v, args: builder.fdiv(v, spread(builder, args[0], v.type)), row.dtype)


@intrinsic
def minus(typing: Any, row: Any, number: Any) -> Any:
    """The row with a number taken from each of its own."""
    return changed(row, lambda builder, v, args: builder.fsub(v, spread(builder, args[0], v.type)), row.dtype)


@intrinsic
def times(typing: Any, row: Any, number: Any) -> Any:
    """The row times a number."""
    return changed(row, lambda builder, v, args: builder.fmul(v, spread(builder, args[0], v.type)), row.dtype)


@intrinsic
def maxima(typing: Any, row: Any, x: Any, at: Any, count: Any) -> Any:
    """The row with those numbers of x from `at` on that are larger in their place; NaN is not."""

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        value, start, at, count = args
        mask, found = masks(builder, row, sig.args[-1], count), []
        new = loaded(builder, row, start, at, mask)
        for old, other, inside in zip(vectors_of(builder, row, value), new, mask, strict=True):
            wins = builder.fcmp_ordered(">", other, old)
            wins = wins if inside is None else builder.and_(wins, inside)
            found.append(builder.select(wins, other, old))
        return joined(context, builder, row, found)

    return row(row, x, types.intp, count), write


def folded(row: Any, combine: Callable[[Any, Any, Any], Any]) -> tuple[Any, Any]:
    """The signature and the code of an operation that makes one number of a row: halves on halves."""

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        first, *others = vectors_of(builder, row, args[0])
        for other in others:
            first = combine(builder, first, other)
        size = row.lanes
        while size > 1:
            size //= 2
            upper = ir.Constant(ir.VectorType(INT32, size), list(range(size, 2 * size)))
            lower = ir.Constant(ir.VectorType(INT32, size), list(range(size)))
            first = combine(builder, *(builder.shuffle_vector(first, first, half) for half in (lower, upper)))
        return builder.extract_element(first, ir.Constant(INT32, 0))

    return row.dtype(row), write


@intrinsic
def largest(typing: Any, row: Any) -> Any:
    """The largest number of a row without NaN."""
    return folded(row, lambda builder, a, b: builder.select(builder.fcmp_ordered(">", a, b), a, b))


@intrinsic
def total(typing: Any, row: Any) -> Any:
    """The sum of a row."""
    return folded(row, lambda builder, a, b: builder.fadd(a, b))


@intrinsic
def put(typing: Any, row: Any, out: Any, at: Any, count: Any) -> Any:
    """Write the row to out[at], out[at + 1], ...; places are cut down to the integers that `out` has."""
    bits = out.dtype.bitwidth

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        value, memory, at, count = args
        start, mask = builder.gep(memory, [at]), masks(builder, row, sig.args[-1], count)
        for c, vector in enumerate(vectors_of(builder, row, value)):
            if out.dtype != row.dtype:
                vector = builder.trunc(vector, ir.VectorType(ir.IntType(bits), row.lanes))
            place = builder.bitcast(builder.gep(start, [number(c * row.lanes)]), vector.type.as_pointer())
            if mask[c] is None:
                builder.store(vector, place, align=bits // 8)
            else:
                masked_store(builder, out.dtype, vector, place, mask[c])
        return context.get_dummy_value()

    return types.void(row, out, types.intp, count), write


def masked_store(builder: Any, dtype: Any, vector: Any, place: Any, mask: Any) -> None:
    kinds = [vector.type, place.type, INT32, mask.type]
    store = masked(builder, "store", dtype, vector.type.count, ir.VoidType(), kinds)
    builder.call(store, [vector, place, ir.Constant(INT32, dtype.bitwidth // 8), mask])


def masked(builder: Any, what: str, dtype: Any, lanes: int, result: Any, kinds: list[Any]) -> Any:
    """LLVM's masked load or store of vectors of a dtype."""
    letter = "f" if dtype in (types.float32, types.float64) else "i"
    name = f"llvm.masked.{what}.v{lanes}{letter}{dtype.bitwidth}.p0"
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, kinds), name)


@intrinsic
def lowest(typing: Any, shape: Any) -> Any:
    """(a row of -inf, the place 0 for each of them)."""
    best, places = row_of(shape), row_of(shape, types.int32)
    both = types.Tuple((best, places))

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        start = joined(context, builder, best, [constant(best, float("-inf"))] * best.vectors)
        return context.make_tuple(builder, both, [start, ir.Constant(context.get_value_type(places), None)])

    return both(shape), write


@intrinsic
def larger(typing: Any, best: Any, places: Any, x: Any, at: Any, count: Any, place: Any) -> Any:
    """(best, places) where numbers of x from `at` on that are larger, or NaN, take over, and with them their place."""
    both = types.Tuple((best, places))

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        best_value, places_value, start, at, count, place = args
        here = spread(builder, builder.trunc(place, INT32), places.vector())
        values, where = [], []
        new = loaded(builder, best, start, at, masks(builder, best, sig.args[4], count))
        olds = vectors_of(builder, best, best_value), vectors_of(builder, places, places_value)
        for value, old, known in zip(new, *olds, strict=True):
            wins = builder.or_(builder.fcmp_ordered(">", value, old), builder.fcmp_unordered("uno", value, value))
            values.append(builder.select(wins, value, old))
            where.append(builder.select(wins, here, known))
        rows = [joined(context, builder, best, values), joined(context, builder, places, where)]
        return context.make_tuple(builder, both, rows)

    return both(best, places, x, types.intp, count, types.intp), write


@intrinsic
def moved(typing: Any, places: Any, distance: Any) -> Any:
    """Places so much further on."""

    def change(builder: Any, vector: Any, args: Any) -> Any:
        return builder.add(vector, spread(builder, builder.trunc(args[0], INT32), vector.type))

    return changed(places, change, types.intp)


@intrinsic
def places_of(typing: Any, shape: Any, at: Any, first: Any, count: Any) -> Any:
    """The row of the places in `at` from `first` on; NOWHERE for those that there are not.

    Of 64 bits 32 count: such places have to be checked before.
    """
    row, bits = row_of(shape, types.int32), at.dtype.bitwidth
    kind = ir.VectorType(ir.IntType(bits), row.lanes)

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        _, memory, first, count = args
        start, found = builder.gep(memory, [first]), []
        for c, mask in enumerate(masks(builder, row, sig.args[-1], count)):
            place = builder.bitcast(builder.gep(start, [number(c * row.lanes)]), kind.as_pointer())
            if mask is None:
                vector = builder.load(place, align=bits // 8)
            else:
                load = masked(builder, "load", at.dtype, row.lanes, kind, [place.type, INT32, mask.type, kind])
                rest = ir.Constant(kind, [NOWHERE] * row.lanes)
                vector = builder.call(load, [place, ir.Constant(INT32, bits // 8), mask, rest])
            convert = builder.sext if bits < 32 else builder.trunc
            found.append(vector if bits == 32 else convert(vector, row.vector()))
        return joined(context, builder, row, found)

    return row(shape, at, types.intp, count), write


def equals(builder: Any, places: Any, place: Any) -> Any:
    return builder.icmp_signed("==", places, spread(builder, builder.trunc(place, INT32), places.type))


@intrinsic
def picked(typing: Any, row: Any, places: Any, place: Any) -> Any:
    """The numbers of the row whose place is this one, and 0 for the others."""

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        value, where, place = args
        pairs = zip(vectors_of(builder, row, value), vectors_of(builder, places, where), strict=True)
        kept = [builder.select(equals(builder, p, place), v, constant(row, 0)) for v, p in pairs]
        return joined(context, builder, row, kept)

    return row(row, places, types.intp), write


@intrinsic
def without(typing: Any, places: Any, place: Any) -> Any:
    """The places, with NOWHERE for those that are this one."""

    def change(builder: Any, vector: Any, args: Any) -> Any:
        return builder.select(equals(builder, vector, args[0]), constant(places, NOWHERE), vector)

    return changed(places, change, types.intp)


@intrinsic
def nowhere(typing: Any, shape: Any) -> Any:
    """A row of NOWHERE."""
    row = row_of(shape, types.int32)
    return row(shape), lambda context, builder, sig, args: joined(
        context, builder, row, [constant(row, NOWHERE)] * row.vectors
    )


@intrinsic
def both_nowhere(typing: Any, a: Any, b: Any) -> Any:
    """NOWHERE where both rows have it, and something else in all other cases: their bits, of which NOWHERE has all."""

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pairs = zip(*(vectors_of(builder, a, value) for value in args), strict=True)
        return joined(context, builder, a, [builder.and_(v, w) for v, w in pairs])

    return a(a, b), write


@intrinsic
def all_nowhere(typing: Any, places: Any) -> Any:
    """Whether all places are NOWHERE."""

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind, same = ir.IntType(places.lanes), ir.Constant(ir.IntType(1), 1)
        for vector in vectors_of(builder, places, args[0]):
            elsewhere = builder.icmp_signed("!=", vector, constant(places, NOWHERE))
            none = builder.icmp_unsigned("==", builder.bitcast(elsewhere, kind), ir.Constant(kind, 0))
            same = builder.and_(same, none)
        return same

    return types.boolean(places), write
