"""The writer of numba code: loops, memory for values, and what is known of where each value is.

Temporaries lie in one arena per dtype, see `memory`.  Views (transposes, slices, broadcasts) are no code at
all: what reads them does the index arithmetic.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tinygrad_edu.program.instruction import Assign, Input, Instruction
from tinygrad_edu.program.places import RESHAPED, Place, number, short, stored

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
    arrays  -- name -> (dtype, shape) of what lies in the arenas
    constants -- name -> source of arrays that are known now;  views: name -> (array, another shape)
    makers  -- value -> the primitive it comes from;  dtypes: of all values and inputs
    copies  -- what was copied already -> where
    """

    body: list[str] = field(default_factory=list)
    calls: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    arrays: dict[str, tuple[np.dtype, tuple[int, ...]]] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    views: dict[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    makers: dict[str, str] = field(default_factory=dict)
    copies: dict[tuple[Any, ...], Place] = field(default_factory=dict)
    dtypes: dict[str, np.dtype] = field(default_factory=dict)
    letters: int = 0

    def line(self, text: str, depth: int = 0) -> None:
        """One line of the function's body; reshaped arrays get names, at the top of the function."""
        if not text.startswith("#"):
            text = RESHAPED.sub(self.view, text)
        self.body.append("    " * (depth + 1) + text if text else "")

    def view(self, reshaped: re.Match[str]) -> str:
        """The name of an array in another shape: `_x_2x3`."""
        name = f"_{reshaped['name']}_{'x'.join(re.findall(r'[0-9]+', reshaped['shape']))}"
        self.views[name] = (reshaped["name"], ast.literal_eval(reshaped["shape"]))
        return name

    def use(self, name: str, module: str = "tinygrad_edu.kernels") -> str:
        """The name in the code of a function to import."""
        self.calls[name] = module
        return f"{name}_"

    def name(self, value: str) -> str:
        """What a value is called in the code: functions end in an underscore there, values do not."""
        taken = value in RESERVED or value.endswith("_") or value.startswith("arena_")
        return self.names.setdefault(value, f"{value}_value" if taken else value)

    def loops(self, shape: tuple[int, ...], depth: int = 0, order: Sequence[int] = ()) -> tuple[list[str], int]:
        """Open nested loops over a shape, in the order of the memory; the indices, and the depth of their body."""
        indices = ["0"] * len(shape)
        for axis in order or range(len(shape)):
            if shape[axis] == 1:
                continue
            letter = LETTERS[self.letters] if self.letters < len(LETTERS) else f"n{self.letters}_"
            self.letters += 1
            self.line(f"for {letter} in range({shape[axis]}):", depth)
            indices[axis] = letter
            depth += 1
        return indices, depth

    def input(self, source: Input) -> None:
        """An argument: a number unless it is written or has axes."""
        name = self.name(source.name)
        self.dtypes[source.name] = source.dtype
        if source.shape:
            place = stored(name, source.shape, source.dtype)
            in_place = source.assigned and not source.array.flags.c_contiguous
            self.places[source.name] = replace(place, memory=None) if in_place else place
        else:
            self.places[source.name] = number(f"{name}[()]" if source.assigned else name, source.dtype)

    def allocate(self, value: str, shape: tuple[int, ...], dtype: np.dtype, order: Sequence[int] = ()) -> Place:
        """Memory for a value, its axes in this order; a local variable for one without axes."""
        place = stored(self.name(value), shape, dtype, order or None)
        if place.memory is not None:
            self.arrays[place.memory] = (dtype, tuple(shape[axis] for axis in place.order))
        return place

    def result(self, line: Instruction, order: Sequence[int] = (), number: int = 0) -> Place:
        """Memory for a result of an instruction, the only one if nothing else is said."""
        return self.allocate(line.outputs[number], line.shapes[number], line.dtypes[number], order)

    def temporary(self, value: str, what: str) -> str:
        """A name for memory that is needed besides a value; no value's name begins like it."""
        names = [name for name in self.names if name.startswith(f"_{value}_{what}")]
        return f"_{value}_{what}{len(names) or ''}"

    def local(self, value: str, indices: Sequence[str]) -> str:
        """A name for one entry of a value: `t3_ij`."""
        name = f"{self.name(value)}_{''.join(i for i in indices if not i.isdigit())}"
        while name in self.dtypes:
            name += "_"
        return name

    def constant(self, name: str, source: str) -> str:
        """An array known now, made where the code is loaded."""
        self.constants[name] = source
        return name

    def put(self, place: Place, indices: Sequence[str], value: str, depth: int) -> None:
        """Store one entry."""
        if not place.shape and place.dtype not in (np.float64, np.int64, np.bool_):
            value = f"{short(place.dtype)}({value})"
        self.line(f"{place.at(indices)} = {value}", depth)

    def copy(self, place: Place, value: str, order: Sequence[int] = ()) -> Place:
        """The entries in memory of their own, the axes in this order."""
        self.letters = 0
        out = self.allocate(value, place.shape, place.dtype, order)
        indices, depth = self.loops(out.shape, order=out.order)
        self.put(out, indices, place.at(indices), depth)
        return out

    def solid(self, place: Place, line: Instruction, order: Sequence[int] = ()) -> Place:
        """The entries in an array with the axes in this order (row-major), copied there once if need be."""
        if not place.shape or place.laid_out(order or range(len(place.shape))) is not None:
            return place
        key = (place.at([f"n{axis}" for axis in range(len(place.shape))]), place.shape, tuple(order))
        if key not in self.copies:
            self.copies[key] = self.copy(place, self.temporary(line.outputs[0], "from"), order)
        return self.copies[key]

    def assign(self, line: Assign) -> None:
        """The code of the assignment of a number; what has axes is written as a loop, see `loops`."""
        target = self.places[line.target]
        if not target.shape:
            self.line(f"{target.at(())} = {self.places[line.value].at(())}")

    def unsupported(self, line: Instruction, what: str = "") -> NotImplementedError:
        """Cannot be compiled, and the way out."""
        return NotImplementedError(
            f"{line.op}{f' with {what}' if what else ''} cannot be compiled (from the line {line.line!r}): "
            "program.run(...) replays it without compiling"
        )
