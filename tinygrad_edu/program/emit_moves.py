"""Code for the primitives that move numbers: most of them are no code at all, but another way to the same entries."""

from __future__ import annotations

import math
from itertools import accumulate

from tinygrad_edu.program.emitter import Emitter, emits
from tinygrad_edu.program.indexing import Index
from tinygrad_edu.program.instruction import Instruction
from tinygrad_edu.program.places import Place, broadcast, cut, fixed, moved, permuted, reshaped, seen, typed


@emits("reshape")
def emit_reshape(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """Free for row-major arrays."""
    (x,) = given
    found = reshaped(x, line.shapes[0])
    return found or reshaped(writer.solid(x, line), line.shapes[0]) or x


@emits("permute")
def emit_permute(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """The indices in another order."""
    return permuted(given[0], line.static["dims"])


@emits("mT")
def emit_transpose(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """The last two indices swapped."""
    n = len(line.shapes[0])
    return permuted(given[0], [*range(n - 2), n - 1, n - 2])


@emits("expand")
def emit_expand(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """The index of a repeated axis is 0."""
    return broadcast(given[0], line.shapes[0])


@emits("narrow")
def emit_narrow(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """One index moved."""
    return part(given[0], line.static["dim"], line.static["start"], line.shapes[0])


def part(place: Place, dim: int, start: int, shape: tuple[int, ...]) -> Place:
    """A piece of one axis."""
    n = len(shape)
    return cut(place, [start if i == dim % n else 0 for i in range(n)], [1] * n, shape)


@emits("split")
def emit_split(writer: Emitter, line: Instruction, given: list[Place]) -> list[Place]:
    """Each piece is a part of the axis."""
    starts = accumulate(line.static["sizes"], initial=0)
    return [part(given[0], line.static["dim"], a, shape) for a, shape in zip(starts, line.shapes, strict=False)]


@emits("unbind")
def emit_unbind(writer: Emitter, line: Instruction, given: list[Place]) -> list[Place]:
    """Each slice has one index fixed."""
    (x,) = given
    return [fixed(x, line.static["dim"] % len(x.shape), i) for i in range(len(line.outputs))]


@emits("cat")
def emit_cat(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """One loop nest for each piece."""
    out = writer.result(line, given[0].order)
    dim = line.static["dim"] % len(out.shape)
    start = 0
    for piece in given:
        writer.letters = 0
        indices, depth = writer.loops(piece.shape, order=out.order)
        there = [moved(i, start) if axis == dim else i for axis, i in enumerate(indices)]
        writer.put(out, there, piece.at(indices), depth)
        start += piece.shape[dim]
    return out


@emits("embed")
def emit_embed(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """Zeros, then the part."""
    out = zeros(writer, line, given[0].order)
    indices, depth = writer.loops(given[0].shape, order=out.order)
    dim, start = line.static["dim"], line.static["start"]
    there = [moved(i, start) if axis == dim else i for axis, i in enumerate(indices)]
    writer.put(out, there, given[0].at(indices), depth)
    return out


def zeros(writer: Emitter, line: Instruction, order: tuple[int, ...] = ()) -> Place:
    """Memory for the result, all zeros."""
    out = writer.result(line, order)
    if out.shape:
        writer.line(f"{out.memory}[:] = 0")
    else:
        writer.put(out, (), typed(0, out.dtype), 0)
    return out


@emits("index")
def emit_index(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """A view for integers and slices, a loop over the result where there are index arrays."""
    x, *at = given
    index = Index(writer, line, line.static["template"], at, x.shape)
    if not at:
        return Place(line.shapes[0], x.dtype, lambda indices: x.at(index.inside(indices, 0)))
    out = writer.result(line)
    indices, depth = writer.loops(out.shape)
    writer.put(out, indices, x.at(index.inside(indices, depth)), depth)
    return out


@emits("index_add")
def emit_index_add(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """Zeros, then every entry is added at its index."""
    g, *at = given
    out = zeros(writer, line)
    index = Index(writer, line, line.static["template"], at, out.shape)
    indices, depth = writer.loops(g.shape)
    there = out.at(index.inside(indices, depth))
    writer.line(f"{there} = {there} + {g.at(indices)}" if not out.shape else f"{there} += {g.at(indices)}", depth)
    return out


@emits("index_put")
def emit_index_put(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """A copy, then every entry at the index takes its new number."""
    x, v, *at = given
    out = writer.copy(x, line.outputs[0])
    writer.letters = 0
    index = Index(writer, line, line.static["template"], at, out.shape)
    lead = len(v.shape) - len(index.shape)
    v = v if lead <= 0 else Place(v.shape[lead:], v.dtype, lambda at: v.at([*["0"] * lead, *at]))
    v = broadcast(v, index.shape)
    indices, depth = writer.loops(index.shape)
    writer.put(out, index.inside(indices, depth), v.at(indices), depth)
    return out


@emits("one_hot")
def emit_one_hot(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """1 where the class is the last index."""
    out = writer.result(line)
    indices, depth = writer.loops(out.shape)
    one, zero = typed(1, out.dtype), typed(0, out.dtype)
    writer.put(out, indices, f"{one} if {given[0].at(indices[:-1])} == {indices[-1]} else {zero}", depth)
    return out


@emits("random_bits")
def emit_random_bits(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """The kernel fills the memory."""
    (key,) = given
    shape = line.shapes[0]
    out = (
        writer.result(line)
        if shape
        else writer.allocate(writer.temporary(line.outputs[0], "from"), (1,), line.dtypes[0])
    )
    flat = out.array if len(out.shape) == 1 else seen(str(out.array), (math.prod(shape),))
    writer.line(f"{writer.use('fill_random_bits')}({flat}, u64({key.at(())}))")
    return out if shape else fixed(out, 0, 0)
