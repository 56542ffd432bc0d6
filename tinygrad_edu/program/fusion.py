"""Fusion: elementwise instructions, sums over them and assignments that walk over the same entries share one loop.

A value that only its own loop reads then never meets memory. Lines are taken from the last to the first. Each joins
the loop that reads it (so what only the backward pass needs is computed there, and not kept by the forward loop), and
then neighbouring loops over the same entries are joined, wherever the order of everything else permits.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tinygrad_edu.program.body import Body
from tinygrad_edu.program.emitter import RULES
from tinygrad_edu.program.instruction import Assign, Instruction, Line

SUMS = ("sum", "sum_to")
LONGEST = 50
"""Lines in one loop: what takes LLVM long is a long body."""


@dataclass(eq=False)
class Unit:
    """Lines that become one loop nest, or one line.

    space    -- the entries it walks over; () for what is no loop
    made     -- values it computes;  totals: those that are complete only after the loop
    read     -- values it reads and does not make
    before   -- written inputs whose memory it reads;  around: of those, what it does not read entry by entry
    writes   -- inputs it assigns
    """

    lines: list[Line]
    space: tuple[int, ...] = ()
    made: set[str] = field(default_factory=set)
    totals: set[str] = field(default_factory=set)
    read: set[str] = field(default_factory=set)
    before: set[str] = field(default_factory=set)
    around: set[str] = field(default_factory=set)
    writes: set[str] = field(default_factory=set)

    def follows(self, other: Unit) -> bool:
        """Whether it must come after another unit."""
        return bool(self.read & other.made or self.writes & other.before or self.writes & other.writes)

    def accepts(self, other: Unit) -> bool:
        """Whether an earlier unit could share its loop, the order of all others aside."""
        return (
            self.space == other.space != ()
            and len(self.lines) + len(other.lines) <= LONGEST
            and not self.read & other.totals
            and not (self.writes | other.writes) & (self.around | other.around)
            and not self.writes & other.writes
            and not other.writes & self.before
        )

    def joined(self, other: Unit) -> Unit:
        """With the lines of an earlier unit in front."""
        made = self.made | other.made
        return Unit(
            other.lines + self.lines,
            self.space,
            made,
            self.totals | other.totals,
            (self.read | other.read) - made,
            self.before | other.before,
            self.around | other.around,
            self.writes | other.writes,
        )


def units(body: Body) -> list[Unit]:
    """One unit for each line."""
    shapes = {i.name: i.shape for i in body.inputs}
    roots = body.roots()
    found: list[Unit] = []
    for line in body.lines:
        space = space_of(line, shapes)
        read = set(line.names)
        before = set[str]().union(*(roots.get(name, ()) for name in read))
        direct = {name for name in read if shapes[name] == space and roots.get(name) == {name}}
        around = set[str]().union(*(roots.get(name, ()) for name in read - direct))
        if isinstance(line, Assign):
            if roots.get(line.target) != {line.target}:
                around |= roots[line.target]
            found.append(Unit([line], space, read=read, before=before, around=around, writes=set(roots[line.target])))
        else:
            shapes.update(zip(line.outputs, line.shapes, strict=True))
            made = set(line.outputs)
            totals = made if line.op in SUMS else set[str]()
            found.append(Unit([line], space, made, totals, read, before, around))
    return found


def space_of(line: Line, shapes: dict[str, tuple[int, ...]]) -> tuple[int, ...]:
    """The shape a line could be a loop over; () when it stays alone."""
    if isinstance(line, Assign):
        space = shapes[line.target]
    elif line.op in SUMS:
        (x,) = line.inputs
        space = shapes[x] if isinstance(x, str) and line.dtypes[0].kind == "f" and sums_columns(line, shapes[x]) else ()
    elif len(line.outputs) == 1 and line.names and line.op not in RULES:
        space = line.shapes[0]
    else:
        space = ()
    return () if 0 in space else space


def sums_columns(line: Instruction, shape: tuple[int, ...]) -> bool:
    """Whether a sum keeps what is innermost in memory (features, or channels of images), or nothing at all."""
    axes, n = reduced(line, shape), len(shape)
    return len(axes) == n > 1 or axes == set(range(n - 1)) != set() or (n > 2 and axes == {0, *range(2, n)})


def reduced(line: Instruction, shape: tuple[int, ...]) -> set[int]:
    """The axes a sum runs over."""
    n = len(shape)
    if line.op == "sum":
        return {d % n for d in line.static["dim"]} if n else set()
    lead = n - len(line.shapes[0])
    return {i for i, size in enumerate(shape) if i < lead or (line.shapes[0][i - lead] == 1 and size != 1)}


def fused(body: Body) -> list[Unit]:
    """The units of a program, loops joined."""
    order: list[Unit] = []
    for unit in reversed(units(body)):
        order.insert(0, unit)
        readers = [u for u in order[1:] if u.read & unit.made]
        if unit.space and len(readers) == 1:
            join(order, unit, readers[0])
    return neighbours(order)


def neighbours(order: list[Unit]) -> list[Unit]:
    """Join loops over the same entries where one reads what the other makes, or both read the same."""
    place = 0
    while place < len(order):
        unit = order[place]
        later = [u for u in order[place + 1 :] if unit.space and related(unit, u)]
        if not any(join(order, unit, u) for u in later):
            place += 1
    return order


def related(a: Unit, b: Unit) -> bool:
    """Whether joining saves memory traffic."""
    return a.space == b.space and not b.read.isdisjoint(a.made | a.read)


def join(order: list[Unit], earlier: Unit, later: Unit) -> bool:
    """Join two units, if what lies between them can go before or after; whether it was done.

    What lies between and depends on the earlier one goes after both, which it may not if the later one needs it.
    """
    if not later.accepts(earlier):
        return False
    start, end = order.index(earlier), order.index(later)
    dependent = [earlier]
    others: list[Unit] = []
    for unit in order[start + 1 : end]:
        (dependent if any(unit.follows(d) for d in dependent) else others).append(unit)
    if any(later.follows(d) for d in dependent[1:]):
        return False
    order[start : end + 1] = [*others, later.joined(earlier), *dependent[1:]]
    return True
