"""What the passes of the compiler take and give: the lines of a program, and the questions passes ask about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinygrad_edu.program.instruction import Assign, Input, Instruction, Line

VIEWS = ("reshape", "permute", "mT", "expand", "narrow", "split", "unbind", "index")
"""Primitives whose results may be other ways to see the memory of their input."""


@dataclass(frozen=True)
class Body:
    """A program on its way to code; every pass makes a new one that computes the same.

    inputs   -- those of the program
    lines    -- in an order that can be executed
    outputs  -- name -> value
    """

    inputs: tuple[Input, ...]
    lines: tuple[Line, ...]
    outputs: dict[str, str]

    def readers(self) -> Counter[str]:
        """How often each value is read, outputs included."""
        return Counter([name for line in self.lines for name in line.names] + list(self.outputs.values()))

    def makers(self) -> dict[str, Instruction]:
        """value -> the instruction it comes from."""
        return {v: line for line in self.lines if isinstance(line, Instruction) for v in line.outputs}

    def types(self) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
        """value or input -> its shape and dtype."""
        found = {i.name: (i.shape, i.dtype) for i in self.inputs}
        for line in self.lines:
            if isinstance(line, Instruction):
                found.update(zip(line.outputs, zip(line.shapes, line.dtypes, strict=True), strict=True))
        return found

    def roots(self) -> dict[str, frozenset[str]]:
        """value -> the written inputs whose memory it may lie in: what must be read before they are written."""
        written = [i for i in self.inputs if i.assigned]
        found = {
            i.name: frozenset(w.name for w in written if w is i or np.may_share_memory(i.array, w.array))
            for i in self.inputs
        }
        for line in self.lines:
            if isinstance(line, Instruction) and line.op in VIEWS:
                behind = frozenset[str]().union(*(found.get(name, ()) for name in line.names))
                found.update(dict.fromkeys(line.outputs, behind))
        return {value: names for value, names in found.items() if names}

    def fresh(self) -> Callable[[str], str]:
        """Gives names that no value has, like the one asked for."""
        taken = {i.name for i in self.inputs} | {v for line in self.lines for v in getattr(line, "outputs", ())}

        def name(base: str) -> str:
            while base in taken:
                base += "_"
            taken.add(base)
            return base

        return name


Pass = Callable[[Body], Body]


def rewritten(body: Body, rule: Callable[[Instruction], Sequence[Line] | str]) -> Body:
    """Walk over the instructions; a rule gives lines in the place of one, or the value that its result is.

    An output never becomes an input, whose memory is the caller's or may be written later.
    """
    same: dict[str, Any] = {}
    lines: list[Line] = []
    inputs, outputs = {i.name for i in body.inputs}, set(body.outputs.values())
    for line in body.lines:
        line = substituted(line, same)
        new = [line] if isinstance(line, Assign) else rule(line)
        if not isinstance(new, str):
            lines += new
        elif isinstance(line, Instruction) and new in inputs and line.outputs[0] in outputs:
            lines.append(line)
        elif isinstance(line, Instruction):
            same[line.outputs[0]] = new
    return replace(body, lines=tuple(lines), outputs={name: same.get(v, v) for name, v in body.outputs.items()})


def substituted(line: Line, same: dict[str, Any]) -> Line:
    """The line with other inputs."""
    if not any(name in same for name in line.names):
        return line
    if isinstance(line, Assign):
        return replace(line, value=same.get(line.value, line.value))
    return replace(line, inputs=tuple(same.get(i, i) if isinstance(i, str) else i for i in line.inputs))
