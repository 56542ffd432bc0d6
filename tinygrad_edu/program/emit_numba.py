"""A program as one function for numba: plain loops over known shapes, one instruction after the other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.program import emit_moves, emit_reductions, emit_spatial  # noqa: F401 - they register their rules
from tinygrad_edu.program.body import Body
from tinygrad_edu.program.emitter import DTYPES, RULES, Emitter
from tinygrad_edu.program.fusion import Unit
from tinygrad_edu.program.instruction import Assign, Input, Instruction, Line
from tinygrad_edu.program.loops import emit_loop
from tinygrad_edu.program.places import Place, short
from tinygrad_edu.program.scalar import elementwise, literal, working_dtype
from tinygrad_edu.program.source import shaped

Home = tuple[np.dtype, int, tuple[int, ...], tuple[int, ...]]
Plan = Callable[[Emitter, Sequence[str]], tuple[dict[str, int], dict[np.dtype, int]]]
"""Gives each array its place in the arena of its dtype, and each arena its size; some names are of outputs."""


@dataclass(frozen=True)
class Emission:
    """The emitted code.

    text, imports  -- the function `step`, and the lines before it
    arenas         -- entries needed, by dtype
    arrays         -- value -> (dtype, offset, shape there, order of the axes) of the outputs that lie in them
    scalars        -- the outputs without axes, which the function returns
    """

    text: str
    imports: list[str]
    arenas: dict[np.dtype, int]
    outputs: dict[str, str]
    arrays: dict[str, Home]
    scalars: dict[str, np.dtype]


def emit(body: Body, units: Sequence[Unit], plan: Plan) -> Emission:
    """The function of a program: its arguments are the inputs, then the arenas; the values of the outputs are kept.

    units  -- the lines, those that share a loop together;  plan: which memory arrays get in the arenas
    Raises NotImplementedError, naming the user's line, for a primitive that cannot be compiled.
    """
    writer = Emitter()
    writer.use("part", "tinygrad_edu.kernels.part")
    for source in body.inputs:
        writer.input(source)
    outputs = list(dict.fromkeys(body.outputs.values()))
    for line in body.lines:
        if isinstance(line, Instruction):
            writer.dtypes.update(zip(line.outputs, line.dtypes, strict=True))
    read = {name for unit in units for name in unit.read} | set(outputs)
    for unit, above in zip(units, comments(units), strict=True):
        for comment in above:
            writer.line(comment)
        if unit.space and (unit.writes or unit.made & read):
            emit_loop(writer, unit.lines, read)
        elif unit.space:
            continue
        else:
            single(writer, unit.lines[0])
        for value in unit.made:
            place = writer.places.get(value)
            if value in outputs and place and place.shape and writer.names.get(value) not in writer.arrays:
                # Memory of its own, now: what it is a view of may be written later
                writer.places[value] = writer.copy(place, value, place.order)
    offsets, arenas = plan(writer, [writer.names[v] for v in outputs if writer.places[v].shape])
    scalars = {v: writer.dtypes[v] for v in outputs if not writer.places[v].shape}
    arrays = {v: home(writer, v, offsets) for v in outputs if v not in scalars}
    text = function(writer, body.inputs, list(scalars), offsets, arenas)
    return Emission(text, imports(writer), arenas, body.outputs, arrays, scalars)


def home(
    writer: Emitter, value: str, offsets: dict[str, int]
) -> tuple[np.dtype, int, tuple[int, ...], tuple[int, ...]]:
    """Where in the arenas a value is."""
    name = writer.names[value]
    dtype, shape = writer.arrays[name]
    return dtype, offsets[name], shape, writer.places[value].order


def single(writer: Emitter, line: Line) -> None:
    """The code of one line that is no loop over its entries."""
    if isinstance(line, Assign):
        writer.assign(line)
        return
    dtype = working_dtype(writer, line)
    given = [writer.places[i] if isinstance(i, str) else literal(i, dtype) for i in line.inputs]
    writer.letters = 0
    results: Any = RULES.get(line.op, elementwise)(writer, line, given)
    for value, place in zip(line.outputs, [results] if isinstance(results, Place) else results, strict=True):
        writer.makers[value] = line.op
        if not place.shape and value not in writer.names:
            # A number is read now: what it is read from may be written later
            local = writer.allocate(value, (), place.dtype)
            writer.put(local, (), place.at(()), 0)
            place = local
        writer.places[value] = place


def comments(units: Sequence[Unit]) -> Iterator[list[str]]:
    """For each unit what to write above it: the phases, and the user's lines it comes from, where they change."""
    before: list[str] = []
    for unit in units:
        phases = dict.fromkeys(line.phase for line in unit.lines)
        places = dict.fromkeys((line.line or "an unknown line", line.layer) for line in unit.lines)
        where = [f"# {text}{f'  [{chr(46).join(layer)}]' if layer else ''}" for text, layer in places]
        above = [f"# -- {', '.join(phases)}", *where]
        if above != before:
            yield above[1:] if before[:1] == above[:1] else ["", *above]
        else:
            yield []
        before = above


def function(
    writer: Emitter,
    inputs: Sequence[Input],
    scalars: Sequence[str],
    offsets: dict[str, int],
    arenas: dict[np.dtype, int],
) -> str:
    """The text of the function, with the workspace cut out of the arenas at its top."""
    arguments = [writer.names[i.name] for i in inputs] + [f"arena_{short(d)}" for d in arenas]
    text = [f"def step({', '.join(arguments)}):", '    """A recorded computation.', ""]
    text += [f"    {i.name}: {shaped(i.dtype, i.shape)}" for i in inputs] + ['    """']
    text += [*workspace(writer, offsets), *writer.body]
    text.append(f"    return ({' '.join(writer.places[s].at(()) + ',' for s in scalars)})")
    return "\n".join(text) + "\n"


def workspace(writer: Emitter, offsets: dict[str, int]) -> list[str]:
    """The lines that cut out of the arenas what the body reads or writes, in the shapes it needs."""
    found = {n: (f"arena_{short(dtype)}", offsets[n], shape) for n, (dtype, shape) in writer.arrays.items()}
    for name, (base, shape) in writer.views.items():
        memory, offset, _ = found.get(base, (base, 0, ()))
        found[name] = (memory, offset, shape)
    used = set(re.findall(r"\w+", "\n".join(line for line in writer.body if not line.lstrip().startswith("#"))))
    return [f"    {name} = part_({m}, {offset}, {shape})" for name, (m, offset, shape) in found.items() if name in used]


def imports(writer: Emitter) -> list[str]:
    """The lines before the function; imported functions end in an underscore, so no value hides one."""
    modules: dict[str, list[str]] = {}
    for name, module in sorted(writer.calls.items()):
        modules.setdefault(module, []).append(f"{name} as {name}_")
    lines = ["import math", "", "import numpy as np", ""]
    lines += [f"from {module} import {', '.join(names)}" for module, names in sorted(modules.items())]
    used = [f"{name} = {scalar_type(name)}" for name in DTYPES if any(f"{name}(" in text for text in writer.body)]
    constants = [f"{name} = {text}" for name, text in writer.constants.items()]
    return [*lines, "", *used, *constants] if used or constants else lines


def scalar_type(name: str) -> str:
    """`np.float32` for `f32`."""
    kinds = {"b": "bool_", "i": "int", "u": "uint", "f": "float"}
    return f"np.{kinds[name[0]]}{'' if name[0] == 'b' else name[1:]}"
