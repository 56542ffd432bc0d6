"""The operations of `tile` in LLVM's instructions. Imported when something that uses them is compiled.

A Shape says how large a tile is; it exists for its type only. A Tile is the numbers: an array of vectors that LLVM
takes apart into registers, since it is never stored in memory. Each intrinsic returns the signature of a call and the
function that writes its instructions.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, register_model

from .tile import shapes

INDEX, INT32, BIT = ir.IntType(64), ir.IntType(32), ir.IntType(1)


class Shape(types.Type):
    """How many rows a tile has, of how many vectors, of how many numbers of which dtype."""

    def __init__(self, dtype: Any, rows: int, vectors: int, lanes: int):
        self.dtype, self.rows, self.vectors, self.lanes = dtype, rows, vectors, lanes
        self.columns = vectors * lanes
        super().__init__(name=f"{type(self).__name__}({dtype}, {rows}, {vectors}, {lanes})")

    def vector(self) -> Any:
        """LLVM's type of one vector."""
        kinds = {types.float32: ir.FloatType(), types.float64: ir.DoubleType(), types.int32: INT32}
        return ir.VectorType(kinds[self.dtype], self.lanes)

    def intrinsic(self, builder: Any, name: str, result: Any, args: list[Any]) -> Any:
        """LLVM's own function of that name for vectors of this type."""
        suffix = f"v{self.lanes}{'i' if self.dtype == types.int32 else 'f'}{self.dtype.bitwidth}"
        return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, args), name.format(suffix))


class Tile(Shape):
    """The numbers of a tile."""


register_model(Shape)(models.OpaqueModel)


@register_model(Tile)
class TileModel(models.PrimitiveModel):
    def __init__(self, manager: Any, tile: Any):
        super().__init__(manager, tile, ir.ArrayType(tile.vector(), tile.rows * tile.vectors))


def number(value: int) -> Any:
    return ir.Constant(INDEX, value)


def pointer(context: Any, builder: Any, kind: Any, array: Any, offset: Any) -> Any:
    """Where element `offset` of an array's memory is."""
    return builder.gep(context.make_array(kind)(context, builder, array).data, [offset])


def spread(builder: Any, scalar: Any, vector: Any) -> Any:
    """A vector of copies of one number."""
    nothing = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(nothing, scalar, ir.Constant(INT32, 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(INT32, vector.count), [0] * vector.count))


@intrinsic
def tile_shape(typing: Any, like: Any, width: Any) -> Any:
    """A tile for numbers of an array's dtype, as many vectors wide as `width` is long."""
    rows, vectors = shapes()[1][width.count], width.count
    return shape_of(like, rows, vectors)(like, width), lambda context, builder, sig, args: context.get_dummy_value()


@intrinsic
def dots_shape(typing: Any, like: Any) -> Any:
    """A square tile of vectors."""
    size = shapes()[2]
    return shape_of(like, size, size)(like), lambda context, builder, sig, args: context.get_dummy_value()


def shape_of(like: Any, rows: int, vectors: int) -> Any:
    return Shape(like.dtype, rows, vectors, shapes()[0] * 8 // like.dtype.bitwidth)


@intrinsic
def tile_rows(typing: Any, shape: Any) -> Any:
    return types.intp(shape), lambda context, builder, sig, args: number(shape.rows)


@intrinsic
def tile_columns(typing: Any, shape: Any) -> Any:
    """The lanes of all vectors of a row."""
    return types.intp(shape), lambda context, builder, sig, args: number(shape.columns)


@intrinsic
def lanes(typing: Any, like: Any) -> Any:
    """How many numbers of an array's dtype a vector has."""
    return types.intp(like), lambda context, builder, sig, args: number(shape_of(like, 1, 1).lanes)


@intrinsic
def zero(typing: Any, shape: Any) -> Any:
    tile = Tile(shape.dtype, shape.rows, shape.vectors, shape.lanes)
    return tile(shape), lambda context, builder, sig, args: ir.Constant(context.get_value_type(tile), None)


@intrinsic
def spaced(typing: Any, shape: Any, start: Any, step: Any, count: Any) -> Any:
    """Offsets start, start + step, ... of a tile's rows; those from `count` on repeat the last one."""
    offsets = types.UniTuple(types.intp, shape.rows)

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        _, start, step, count = args
        steps = [within(builder, row, count) for row in range(shape.rows)]
        return context.make_tuple(builder, offsets, [builder.add(start, builder.mul(s, step)) for s in steps])

    return offsets(shape, types.intp, types.intp, types.intp), write


@intrinsic
def listed(typing: Any, shape: Any, table: Any, first: Any, count: Any) -> Any:
    """Offsets table[first], table[first + 1], ...; those from `count` on repeat the last one."""
    offsets = types.UniTuple(types.intp, shape.rows)

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        _, table, first, count = args
        start = pointer(context, builder, sig.args[1], table, first)
        steps = [within(builder, row, count) for row in range(shape.rows)]
        return context.make_tuple(builder, offsets, [builder.load(builder.gep(start, [s])) for s in steps])

    return offsets(shape, table, types.intp, types.intp), write


def within(builder: Any, row: int, count: Any) -> Any:
    last = builder.sub(count, number(1))
    return builder.select(builder.icmp_signed("<", number(row), last), number(row), last)


@intrinsic
def fma(typing: Any, tile: Any, a: Any, rows: Any, at_a: Any, b: Any, at_b: Any) -> Any:
    """The tile with a[rows[r] + at_a] * b[at_b + c] added to every entry (r, c)."""

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        acc, a_value, offsets, at_a, b_value, at_b = args
        vector = tile.vector()
        # fmuladd, unlike fma, may be a product and a sum where the processor cannot do both at once.
        multiply_add = tile.intrinsic(builder, "llvm.fmuladd.{}", vector, [vector] * 3)
        right = pointer(context, builder, b, b_value, at_b)
        left = pointer(context, builder, a, a_value, at_a)
        steps = [builder.gep(right, [number(c * tile.lanes)]) for c in range(tile.vectors)]
        loaded = [load_vector(builder, tile, builder.bitcast(step, place_of(tile)), None) for step in steps]
        for row in range(tile.rows):
            scalar = builder.load(builder.gep(left, [builder.extract_value(offsets, row)]))
            factor = spread(builder, scalar, vector)
            for c in range(tile.vectors):
                i = row * tile.vectors + c
                total = builder.call(multiply_add, [factor, loaded[c], builder.extract_value(acc, i)])
                acc = builder.insert_value(acc, total, i)
        return acc

    return tile(tile, a, rows, types.intp, b, types.intp), write


@intrinsic(prefer_literal=True)
def dot(typing: Any, tile: Any, a: Any, rows: Any, b: Any, columns: Any, at: Any, count: Any) -> Any:
    """The tile with a[rows[r] + at + i] * b[columns[c] + at + i] added to lane i of its vector (r, c).

    `count` is how many lanes are read; the others stay. Given as the number 0 it means all.
    """

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        acc, a_value, row_offsets, b_value, column_offsets, at, count = args
        multiply_add = tile.intrinsic(builder, "llvm.fmuladd.{}", tile.vector(), [tile.vector()] * 3)
        mask = None if isinstance(sig.args[-1], types.IntegerLiteral) else lanes_below(builder, tile, 0, count)

        def load(kind: Any, array: Any, offset: Any) -> Any:
            place = builder.bitcast(pointer(context, builder, kind, array, builder.add(offset, at)), place_of(tile))
            return load_vector(builder, tile, place, mask)

        left = [load(a, a_value, builder.extract_value(row_offsets, r)) for r in range(tile.rows)]
        right = [load(b, b_value, builder.extract_value(column_offsets, c)) for c in range(tile.vectors)]
        for i in range(tile.rows * tile.vectors):
            factors = [left[i // tile.vectors], right[i % tile.vectors]]
            acc = builder.insert_value(acc, builder.call(multiply_add, [*factors, builder.extract_value(acc, i)]), i)
        return acc

    return tile(tile, a, rows, b, columns, types.intp, count), write


@intrinsic
def store_sums(typing: Any, tile: Any, out: Any, at: Any, stride: Any, count: Any, columns: Any) -> Any:
    """Write the sum of each vector (r, c) to out[at + r * stride + c], for `count` rows and `columns` columns."""

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        acc, out_value, at, stride, count, columns = args
        scalar = tile.vector().element
        add = tile.intrinsic(builder, "llvm.vector.reduce.fadd.{}", scalar, [scalar, tile.vector()])
        start = pointer(context, builder, out, out_value, at)
        for i in range(tile.rows * tile.vectors):
            row, column = number(i // tile.vectors), number(i % tile.vectors)
            inside = builder.and_(builder.icmp_signed("<", row, count), builder.icmp_signed("<", column, columns))
            with builder.if_then(inside):
                there = builder.gep(start, [builder.add(builder.mul(row, stride), column)])
                args = [ir.Constant(scalar, 0.0), builder.extract_value(acc, i)]
                builder.store(builder.call(add, args, fastmath=("reassoc",)), there)
        return context.get_dummy_value()

    return types.void(tile, out, types.intp, types.intp, types.intp, types.intp), write


@intrinsic
def transpose(typing: Any, a: Any, at: Any, stride: Any, out: Any, there: Any, apart: Any) -> Any:
    """out[there + c * apart + r] = a[at + r * stride + c] for as many rows and columns as a vector has lanes.

    First halves of rows change places with halves of the rows half a block below, then quarters, and so on.
    """

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        a_value, at, stride, out_value, there, apart = args
        shape = shape_of(a, 1, 1)
        place, size = place_of(shape), shape.lanes
        source, target = pointer(context, builder, a, a_value, at), pointer(context, builder, out, out_value, there)

        def row(start: Any, i: int, step: Any) -> Any:
            return builder.bitcast(builder.gep(start, [builder.mul(number(i), step)]), place)

        rows = [builder.load(row(source, i, stride), align=alignment(shape)) for i in range(size)]
        part = size // 2
        while part:
            for i in (i for i in range(size) if not i & part):
                upper, lower = rows[i], rows[i + part]
                for k, first in ((i, 0), (i + part, part)):
                    order = [n + first if not n & part else n + first - part + size for n in range(size)]
                    rows[k] = builder.shuffle_vector(upper, lower, ir.Constant(ir.VectorType(INT32, size), order))
            part //= 2
        for i, value in enumerate(rows):
            builder.store(value, row(target, i, apart), align=alignment(shape))
        return context.get_dummy_value()

    return types.void(a, types.intp, types.intp, out, types.intp, types.intp), write


@intrinsic
def row_shape(typing: Any, like: Any, width: Any) -> Any:
    """A tile of one row, as many vectors as `width` is long."""
    return shape_of(like, 1, width.count)(like, width), lambda context, builder, sig, args: context.get_dummy_value()


def row_of(context: Any, builder: Any, tile: Any, kind: Any, array: Any, at: Any, count: Any) -> list[Any]:
    """The vectors of a row with up to `count` numbers of an array."""
    start, found = pointer(context, builder, kind, array, at), []
    for c in range(tile.vectors):
        place = builder.bitcast(builder.gep(start, [number(c * tile.lanes)]), place_of(tile))
        found.append(load_vector(builder, tile, place, lanes_below(builder, tile, c * tile.lanes, count)))
    return found


@intrinsic(prefer_literal=True)
def store(typing: Any, tile: Any, out: Any, rows: Any, at: Any, count: Any, columns: Any, add: Any) -> Any:
    """Write the tile's first `count` rows and `columns` columns to out[rows[r] + at + c]; with `add`, add them.

    Rows are written in order, so they may overlap when they are added.
    """

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        acc, out_value, offsets, at, count, columns, add = args
        if isinstance(sig.args[-1], types.BooleanLiteral):
            add = ir.Constant(BIT, sig.args[-1].literal_value)
        start = pointer(context, builder, out, out_value, at)
        everything = builder.icmp_signed(">=", columns, number(tile.columns))
        with builder.if_else(everything) as (whole, edge):
            for branch, limit in ((whole, None), (edge, columns)):
                with branch:
                    for row in range(tile.rows):
                        with builder.if_then(builder.icmp_signed("<", number(row), count)):
                            there = builder.gep(start, [builder.extract_value(offsets, row)])
                            store_row(builder, tile, acc, row, there, limit, add)
        return context.get_dummy_value()

    return types.void(tile, out, rows, types.intp, types.intp, types.intp, add), write


def store_row(builder: Any, tile: Any, acc: Any, row: int, there: Any, columns: Any, add: Any) -> None:
    """One row of a tile to memory; with `columns`, no more than so many of its numbers."""
    for c in range(tile.vectors):
        value = builder.extract_value(acc, row * tile.vectors + c)
        place = builder.bitcast(builder.gep(there, [number(c * tile.lanes)]), place_of(tile))
        mask = None if columns is None else lanes_below(builder, tile, c * tile.lanes, columns)
        old = load_vector(builder, tile, place, mask)
        if tile.dtype != types.int32:
            value = builder.select(add, builder.fadd(old, value), value)
        if mask is None:
            builder.store(value, place, align=alignment(tile))
        else:
            types_ = [tile.vector(), place_of(tile), INT32, mask.type]
            put = tile.intrinsic(builder, "llvm.masked.store.{}.p0", ir.VoidType(), types_)
            builder.call(put, [value, place, ir.Constant(INT32, alignment(tile)), mask])


def alignment(tile: Any) -> int:
    return tile.dtype.bitwidth // 8


def place_of(tile: Any) -> Any:
    return tile.vector().as_pointer()


def lanes_below(builder: Any, tile: Any, first: int, limit: Any) -> Any:
    """The mask of those lanes whose number, counted from `first`, is below a limit."""
    numbers = ir.Constant(ir.VectorType(INDEX, tile.lanes), [first + i for i in range(tile.lanes)])
    return builder.icmp_signed("<", numbers, spread(builder, limit, numbers.type))


def load_vector(builder: Any, tile: Any, place: Any, mask: Any) -> Any:
    """A vector from memory; with a mask, zeros where it is off, and memory there is not touched."""
    if mask is None:
        return builder.load(place, align=alignment(tile))
    kinds = [place_of(tile), INT32, mask.type, tile.vector()]
    load = tile.intrinsic(builder, "llvm.masked.load.{}.p0", tile.vector(), kinds)
    return builder.call(load, [place, ir.Constant(INT32, alignment(tile)), mask, ir.Constant(tile.vector(), None)])
