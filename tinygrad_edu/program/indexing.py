"""NumPy's rules for `x[...]` with slices, numbers and index arrays, as index arithmetic in emitted code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.ops import HOLE, Cut
from tinygrad_edu.program.emitter import Emitter
from tinygrad_edu.program.instruction import Instruction
from tinygrad_edu.program.places import Place, broadcast, moved


class Index:
    """Where an index leads: `shape` of what is picked, `inside` translates its indices to those of x.

    Numbers (and index arrays without axes) pick first.  The other index arrays are broadcast together; their axes
    stand where the arrays stand, or in front when something is between two of them.
    """

    def __init__(
        self, writer: Emitter, line: Instruction, template: Any, at: Sequence[Place], shape: tuple[int, ...]
    ) -> None:
        if any(place.dtype == bool for place in at):
            raise writer.unsupported(line, "a mask as an index")
        self.writer = writer
        self.line = line
        self.entries = 0
        self.parts = parts_of(template, list(at), shape)
        self.together = np.broadcast_shapes(*(part[1].shape for part in self.parts if part[0] == "pick"))
        kinds = [part[0] for part in self.parts if part[0] != "number"]
        picked = [place for place, kind in enumerate(kinds) if kind == "pick"]
        adjacent = bool(picked) and picked[-1] - picked[0] + 1 == len(picked)
        self.first = picked[0] if adjacent else 0
        sizes = [part[-1] for part in self.parts if part[0] in ("cut", "new")]
        self.shape = (*sizes[: self.first], *self.together, *sizes[self.first :])

    def inside(self, indices: Sequence[str], depth: int) -> list[str]:
        """The indices in x of one entry of what is picked; checks of index arrays are written in front."""
        wide = len(self.together)
        common = list(indices[self.first : self.first + wide])
        rest = iter([*indices[: self.first], *indices[self.first + wide :]])
        found: list[str] = []
        for kind, *details in self.parts:
            if kind == "new":
                next(rest)
            elif kind == "cut":
                start, step, _ = details
                found.append(moved(next(rest), start, step))
            elif kind == "number" and isinstance(details[0], int):
                found.append(str(details[0]))
            else:
                place, size = details
                found.append(self.checked(broadcast(place, self.together).at(common), size, depth))
        return found

    def checked(self, entry: str, size: int, depth: int) -> str:
        """One entry of an index array, counted from the front."""
        writer = self.writer
        name = f"entry{self.entries}_"
        self.entries += 1
        writer.line(f"{name} = i64({entry})", depth)
        writer.line(f"if {name} < -{size} or {name} >= {size}:", depth)
        writer.line(f'raise IndexError("{self.line.op}: an index is out of bounds for size {size}")', depth + 1)
        writer.line(f"if {name} < 0:", depth)
        writer.line(f"{name} += {size}", depth + 1)
        return name


def parts_of(template: Any, at: list[Place], shape: tuple[int, ...]) -> list[tuple[Any, ...]]:
    """The index, one part for each item: what it does to its axis of x."""
    items = list(template)
    missing = len(shape) - sum(t is not None and t is not Ellipsis for t in items)
    place = items.index(Ellipsis) if Ellipsis in items else len(items)
    items[place : place + 1] = [Cut(None, None, None)] * missing
    arrays = iter(at)
    axis = 0
    parts: list[tuple[Any, ...]] = []
    for item in items:
        if item is None:
            parts.append(("new", 1))
            continue
        n = shape[axis]
        axis += 1
        if isinstance(item, Cut):
            start, stop, step = slice(item.start, item.stop, item.step).indices(n)
            parts.append(("cut", start, step, len(range(start, stop, step))))
        elif item is HOLE:
            place = next(arrays)
            parts.append(("pick" if place.shape else "number", place, n))
        else:
            parts.append(("number", item % n))
    return parts
