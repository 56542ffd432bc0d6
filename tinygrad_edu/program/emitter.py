"""The writer of numba code: loops, memory for values, and what is known of where each value is.

Temporaries lie in one arena per dtype, at constant offsets.  Views (transposes, slices, broadcasts) are no code at
all: what reads them does the index arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_edu.program.instruction import Assign, Input, Instruction
from tinygrad_edu.program.places import Place, number, short, stored

ALIGNMENT = 64
LETTERS = ("i", "j", "k", "l", "m", "n")
DTYPES = ("b8", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f32", "f64")
LOCALS = ("total", "top", "best", "entry", "size")
RESERVED = {"math", "step", *LETTERS, *DTYPES, *LOCALS}

Rule = Callable[["Emitter", Instruction, list[Place]], Any]
RULES: dict[str, Rule] = {}
"""What writes the code of a primitive, by name; elementwise primitives need none."""


def emits(*names: str) -> Callable[[Rule], Rule]:
    """Register what writes the code of these primitives."""

    def register(rule: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, rule))
        return rule

    return register


@dataclass
class Emitter:
    """Code being written.

    body    -- the lines of the function;  calls: the functions to import, with their modules
    names   -- value -> its name in the code;  places: value -> where its entries are
    arenas  -- entries needed, by dtype;  arrays: name -> (dtype, offset, shape) of what lies in them
    """

    body: list[str] = field(default_factory=list)
    calls: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    arenas: dict[np.dtype, int] = field(default_factory=dict)
    arrays: dict[str, tuple[np.dtype, int, tuple[int, ...]]] = field(default_factory=dict)
    letters: int = 0

    def line(self, text: str, depth: int = 0) -> None:
        """One line of the function's body."""
        self.body.append("    " * (depth + 1) + text if text else "")

    def use(self, name: str, module: str = "tinygrad_edu.kernels") -> str:
        """The name in the code of a function to import."""
        self.calls[name] = module
        return f"{name}_"

    def name(self, value: str) -> str:
        """What a value is called in the code: functions end in an underscore there, values do not."""
        taken = value in RESERVED or value.endswith("_") or value.startswith("arena_")
        return self.names.setdefault(value, f"{value}_value" if taken else value)

    def loops(self, shape: tuple[int, ...], depth: int = 0) -> tuple[list[str], int]:
        """Open nested loops over a shape; the indices, and the depth of their body."""
        indices: list[str] = []
        for n in shape:
            if n == 1:
                indices.append("0")
                continue
            letter = LETTERS[self.letters] if self.letters < len(LETTERS) else f"n{self.letters}_"
            self.letters += 1
            self.line(f"for {letter} in range({n}):", depth)
            indices.append(letter)
            depth += 1
        return indices, depth

    def input(self, source: Input) -> None:
        """An argument: a number unless it is written or has axes."""
        name = self.name(source.name)
        if source.shape:
            row_major = not source.assigned or source.array.flags.c_contiguous
            self.places[source.name] = stored(name, source.shape, source.dtype, row_major)
        else:
            self.places[source.name] = number(f"{name}[()]" if source.assigned else name, source.dtype)

    def allocate(self, value: str, shape: tuple[int, ...], dtype: np.dtype) -> Place:
        """Memory for a value; a local variable for one without axes."""
        name = self.name(value)
        if shape:
            step = ALIGNMENT // dtype.itemsize
            offset = self.arenas.get(dtype, 0)
            self.arrays[name] = (dtype, offset, shape)
            self.arenas[dtype] = offset + -(-max(math.prod(shape), 1) // step) * step
        return stored(name, shape, dtype)

    def result(self, line: Instruction) -> Place:
        """Memory for the only result of an instruction."""
        return self.allocate(line.outputs[0], line.shapes[0], line.dtypes[0])

    def put(self, place: Place, indices: Sequence[str], value: str, depth: int) -> None:
        """Store one entry."""
        if not place.shape and place.dtype not in (np.float64, np.int64, np.bool_):
            value = f"{short(place.dtype)}({value})"
        self.line(f"{place.at(indices)} = {value}", depth)

    def copy(self, place: Place, value: str) -> Place:
        """The entries in memory of their own."""
        self.letters = 0
        out = self.allocate(value, place.shape, place.dtype)
        indices, depth = self.loops(out.shape)
        self.put(out, indices, place.at(indices), depth)
        return out

    def solid(self, place: Place, line: Instruction) -> Place:
        """The entries in a row-major array, copied there if need be."""
        if place.array is not None or not place.shape:
            return place
        number = sum(name.startswith(f"{line.outputs[0]}_from") for name in self.names)
        return self.copy(place, f"{line.outputs[0]}_from{number or ''}")

    def assign(self, line: Assign) -> None:
        """The code of an assignment."""
        self.letters = 0
        target, value = self.places[line.target], self.places[line.value]
        indices, depth = self.loops(target.shape)
        self.line(f"{target.at(indices)} = {value.at(indices)}", depth)

    def unsupported(self, line: Instruction, what: str = "") -> NotImplementedError:
        """Cannot be compiled, and the way out."""
        return NotImplementedError(
            f"{line.op}{f' with {what}' if what else ''} cannot be compiled (from the line {line.line!r}): "
            "program.run(...) replays it without compiling"
        )
