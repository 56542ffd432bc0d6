"""The code of a loop that several instructions share.

Every value is a local variable of the loop, or part of the expression it is used in when that is its only use; what is
read elsewhere is stored. A sum over rows is one running sum for each column; so is a sum of everything, whose columns
are added up after the loop. Inputs are written last, when all numbers of the turn are read.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from tinygrad_edu.program.emitter import Emitter
from tinygrad_edu.program.fusion import SUMS, reduced
from tinygrad_edu.program.instruction import Assign, Instruction, Line
from tinygrad_edu.program.places import Place, broadcast, merged, reshaped, resized
from tinygrad_edu.program.scalar import Entry, entry_of, literal, rounded, unparsed, uses_of, working_dtype

LONGEST_EXPRESSION = 80
VECTOR = 64
"""Bytes of the widest vectors: rows that do not fill them are taken several at a time."""
ROW = 2048
"""Bytes of a row, at most, when rows are put together or what is added up is cut into rows."""
EXACT = np.dtype(np.float64)
"""Sums of everything are added up in this dtype."""


@dataclass
class Loop:
    """A loop being written.

    sizes   -- of its axes;  order: from the outermost to the innermost
    places  -- where the entries of values with memory are, to be broadcast to the sizes
    kept    -- values that are read elsewhere;  wide: values repeated, or added up, for several rows at once
    """

    writer: Emitter
    lines: Sequence[Line]
    sizes: tuple[int, ...]
    order: Sequence[int]
    places: dict[str, Place]
    kept: set[str]
    wide: set[str] = field(default_factory=set)

    @property
    def computed(self) -> list[Instruction]:
        """The lines but for assignments."""
        return [line for line in self.lines if isinstance(line, Instruction)]

    @property
    def inner(self) -> int:
        """The axis of the innermost loop."""
        return next((axis for axis in reversed(self.order) if self.sizes[axis] != 1), self.order[-1])


def emit_loop(writer: Emitter, lines: Sequence[Line], kept: set[str]) -> None:
    """One loop nest for lines over the same entries; `kept` are the values that are read elsewhere."""
    space = space_of(writer, lines)
    loop = Loop(writer, lines, space, range(len(space)), {}, kept)
    set_up(loop)
    folds = [*widen(loop), *columns(loop)]
    writer.letters = 0
    indices, depth = writer.loops(loop.sizes, order=loop.order)
    body(loop, indices, depth)
    for fold in folds:
        writer.letters = 0
        fold()


def space_of(writer: Emitter, lines: Sequence[Line]) -> tuple[int, ...]:
    """The shape of the entries."""
    line = lines[0]
    if isinstance(line, Assign):
        return writer.places[line.target].shape
    return writer.places[line.names[0]].shape if line.op in SUMS else line.shapes[0]


def set_up(loop: Loop) -> None:
    """Find places for what is read and written, and as few axes as the memory of all permits."""
    writer, space = loop.writer, loop.sizes
    inside = {line.outputs[0] for line in loop.computed}
    outside = [n for n in dict.fromkeys(n for line in loop.lines for n in line.names) if n not in inside]
    places = {n: writer.places[n] for n in outside}
    places |= {line.target: writer.places[line.target] for line in loop.lines if isinstance(line, Assign)}
    order = next((p.order for p in places.values() if p.shape == space and p.order), tuple(range(len(space))))
    for line in loop.computed:
        (value,) = line.outputs
        if line.op in SUMS:
            out = writer.places[value] = writer.result(line)
            axes = reduced(line, space)
            if len(axes) < len(space):
                rows = tuple(1 if axis in axes else n for axis, n in enumerate(space))
                places[value] = reshaped(out, rows) or out
        elif value in loop.kept:
            places[value] = writer.places[value] = writer.result(line, order)
    found = merged(space, order, list(places.values()))
    loop.order, loop.places = order, places
    if found is not None:
        loop.sizes, in_shape = found
        loop.order = range(len(loop.sizes))
        loop.places = dict(zip(places, in_shape, strict=True))
        cut(loop)


def all_sums(loop: Loop) -> list[Instruction]:
    """The sums of all entries."""
    return [line for line in loop.computed if line.op in SUMS and line.outputs[0] not in loop.places]


def itemsize(loop: Loop) -> int:
    """Bytes of the largest numbers."""
    return max((p.dtype.itemsize for p in loop.places.values()), default=8)


def cut(loop: Loop) -> None:
    """Rows where there are none, for the running sums of a sum of everything."""
    (n, *more) = loop.sizes or (0,)
    rows = [c for c in (512, 256, 128, 64, 32) if n % c == 0 and c * itemsize(loop) <= ROW]
    if not more and rows and n > rows[0] and all_sums(loop) and all(p.memory for p in loop.places.values() if p.shape):
        loop.sizes, loop.order = (n // rows[0], rows[0]), range(2)
        for value, place in loop.places.items():
            loop.places[value] = resized(place, loop.sizes if place.shape == (n,) else (1, 1))


def widen(loop: Loop) -> list[Callable[[], None]]:
    """Several short rows as one, so that they fill vectors; what is the same in every row is repeated in front.

    Gives what adds up the parts of sums over rows.
    """
    writer, places = loop.writer, loop.places
    if [*loop.order] != [0, 1] or any(p.shape not in (loop.sizes, (1, loop.sizes[1]), ()) for p in places.values()):
        return []
    rows, n = loop.sizes
    times = together(rows, n * itemsize(loop))
    if times == 1 or any(p.array is None for p in places.values() if p.shape):
        return []
    loop.sizes = (rows // times, times * n)
    sums = {line.outputs[0] for line in loop.computed if line.op in SUMS}
    folds: list[Callable[[], None]] = []
    for value, place in places.items():
        if place.shape == (rows, n):
            places[value] = resized(place, loop.sizes)
        elif place.shape:
            wide = writer.allocate(writer.temporary(value, "wide"), (times, n), place.dtype)
            places[value] = resized(wide, (1, times * n))
            loop.wide.add(value)
            if value in sums:
                writer.line(f"{wide.memory}[:] = 0")
                folds.append(partial(add_rows, writer, wide, place))
            else:
                writer.letters = 0
                indices, depth = writer.loops(wide.shape)
                writer.put(wide, indices, broadcast(place, wide.shape).at(indices), depth)
    return folds


def together(rows: int, size: int) -> int:
    """How many rows of so many bytes to take together: those that leave the least of a vector empty.

    As many as may be: LLVM writes out short loops before it looks for vectors, and running sums that come by again at
    once have to wait for each other.
    """
    if size >= 8 * VECTOR:
        return 1
    counts = [m for m in range(1, rows + 1) if rows % m == 0 and m * size <= ROW]
    return min(counts, key=lambda m: (m * size % VECTOR / (m * size), -m), default=1)


def add_rows(writer: Emitter, wide: Place, out: Place) -> None:
    """out = the sum of the rows of `wide`."""
    writer.line(f"{out.memory}[:] = 0")
    indices, depth = writer.loops(wide.shape)
    writer.line(f"{broadcast(out, wide.shape).at(indices)} += {wide.at(indices)}", depth)


def columns(loop: Loop) -> list[Callable[[], None]]:
    """Set the running sums to zero; gives what adds up the columns of sums of everything."""
    writer = loop.writer
    for line in loop.computed:
        (value,) = line.outputs
        if line.op in SUMS and value in loop.places and value not in loop.wide:
            writer.line(f"{writer.places[value].memory}[:] = 0")
    folds: list[Callable[[], None]] = []
    for line in all_sums(loop):
        (value,) = line.outputs
        shape = tuple(n if axis == loop.inner else 1 for axis, n in enumerate(loop.sizes))
        running = writer.allocate(writer.temporary(value, "columns"), shape, EXACT)
        loop.places[value] = running
        writer.line(f"{running.memory}[:] = 0")
        folds.append(partial(add_columns, writer, running, writer.places[value]))
    return folds


def add_columns(writer: Emitter, running: Place, out: Place) -> None:
    """out = the sum of all entries of `running`."""
    row = resized(running, (math.prod(running.shape),))
    total = f"{writer.use('sum_of', 'tinygrad_edu.kernels.rows')}({row.memory})"
    writer.put(out, ["0"] * len(out.shape), total, 0)


def body(loop: Loop, indices: Sequence[str], depth: int) -> None:
    """The lines, for one entry."""
    writer = loop.writer
    at = {v: broadcast(p, loop.sizes).at(indices) if p.shape else p.at(()) for v, p in loop.places.items()}
    entries = {line.outputs[0]: entry_of(writer, line) for line in loop.computed if line.op not in SUMS}
    uses = uses_in(loop.lines, entries)
    targets = {line.value: line.target for line in loop.lines if isinstance(line, Assign)}
    made = {line.outputs[0] for line in loop.computed}
    texts = {value: text for value, text in at.items() if value not in made}
    reads = {value: {value} & {*targets.values()} for value in texts}
    for line in loop.computed:
        (value,) = line.outputs
        if line.op in SUMS:
            writer.line(f"{at[value]} += {texts[line.names[0]]}", depth)
            continue
        text = unparsed(entries[value], [operand(writer, line, i, texts) for i in line.inputs])
        texts[value], reads[value] = text, set[str]().union(*(reads[name] for name in line.names))
        # An assignment comes when others may have been made, so it can read no other input that is written
        late = value in targets and not reads[value] <= {targets[value]}
        if uses[value] > 1 or len(text) > LONGEST_EXPRESSION or late or (value in loop.kept and uses[value]):
            texts[value], reads[value] = writer.local(value, indices), set()
            writer.line(f"{texts[value]} = {rounded(text, entries[value], line.dtypes[0])}", depth)
        if value in loop.kept:
            writer.line(f"{at[value]} = {texts[value]}", depth)
    for line in loop.lines:
        if isinstance(line, Assign):
            writer.line(f"{at[line.target]} = {texts[line.value]}", depth)


def uses_in(lines: Sequence[Line], entries: dict[str, Entry]) -> Counter[str]:
    """How often the entry of each value is read in the loop."""
    uses = Counter[str]()
    for line in lines:
        counts = uses_of(entries[line.outputs[0]]) if isinstance(line, Instruction) and line.op not in SUMS else [1]
        inputs = line.inputs if isinstance(line, Instruction) else (line.value,)
        for name, count in zip(inputs, counts, strict=True):
            if isinstance(name, str):
                uses[name] += count
    return uses


def operand(writer: Emitter, line: Instruction, value: Any, texts: dict[str, str]) -> str:
    """The source of an operand."""
    return texts[value] if isinstance(value, str) else literal(value, working_dtype(writer, line)).at(())
