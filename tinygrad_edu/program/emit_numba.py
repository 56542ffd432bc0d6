"""A program as one function for numba: plain loops over known shapes, one instruction after the other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.program import emit_moves, emit_reductions, emit_spatial  # noqa: F401 - they register their rules
from tinygrad_edu.program.emitter import DTYPES, RULES, Emitter
from tinygrad_edu.program.instruction import Assign, Input, Instruction, Line
from tinygrad_edu.program.places import Place, number, short, typed
from tinygrad_edu.program.scalar import elementwise, working_dtype
from tinygrad_edu.program.source import headings, shaped


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
    arrays: dict[str, tuple[np.dtype, int, tuple[int, ...], tuple[int, ...]]]
    scalars: list[str]


def emit(inputs: Sequence[Input], lines: Sequence[Line], outputs: Sequence[str]) -> Emission:
    """The function of a program: its arguments are the inputs, then the arenas; `outputs` are the values to keep.

    Raises NotImplementedError, naming the user's line, for a primitive that cannot be compiled.
    """
    writer = Emitter()
    writer.use("part", "tinygrad_edu.kernels.part")
    for source in inputs:
        writer.input(source)
    for line, above in zip(lines, headings(lines, ""), strict=True):
        for comment in above:
            writer.line(comment if comment.startswith("#") or not comment else f"# -- {comment}")
        if isinstance(line, Assign):
            writer.assign(line)
        else:
            instruction(writer, line)
            for value in line.outputs:
                place = writer.places[value]
                if value in outputs and place.shape and writer.names.get(value) not in writer.arrays:
                    # Memory of its own, now: what it is a view of may be written later
                    writer.places[value] = writer.copy(place, value, place.order)
    arrays = {v: (*writer.arrays[writer.names[v]], writer.places[v].order) for v in outputs if writer.places[v].shape}
    scalars = [v for v in outputs if v not in arrays]
    return Emission(function(writer, inputs, scalars), imports(writer), writer.arenas, arrays, scalars)


def instruction(writer: Emitter, line: Instruction) -> None:
    """The code of one instruction; none when the same was computed before."""
    key = (line.op, repr(line.inputs), repr(line.static), *line.static.values())
    if key in writer.computed:
        writer.places.update(zip(line.outputs, writer.computed[key], strict=True))
        return
    places = [writer.places[i] if isinstance(i, str) else number("", np.dtype(type(i))) for i in line.inputs]
    dtype = working_dtype(line, places)
    given = [p if isinstance(i, str) else literal(i, dtype) for p, i in zip(places, line.inputs, strict=True)]
    for found in (*line.dtypes, *(p.dtype for p in given)):
        if short(found) not in DTYPES:
            raise writer.unsupported(line, f"dtype {found}")
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
    writer.computed[key] = [writer.places[value] for value in line.outputs]


def literal(value: Any, dtype: np.dtype) -> Place:
    """A number among the inputs."""
    return number(typed(value, dtype), value.dtype if isinstance(value, np.generic) else dtype)


def function(writer: Emitter, inputs: Sequence[Input], scalars: Sequence[str]) -> str:
    """The text of the function, with the workspace cut out of the arenas at its top."""
    arguments = [writer.names[i.name] for i in inputs] + [f"arena_{short(d)}" for d in writer.arenas]
    text = [f"def step({', '.join(arguments)}):", '    """A recorded computation.', ""]
    text += [f"    {i.name}: {shaped(i.dtype, i.shape)}" for i in inputs] + ['    """']
    text += [*workspace(writer), *writer.body]
    text.append(f"    return ({' '.join(writer.places[s].at(()) + ',' for s in scalars)})")
    return "\n".join(text) + "\n"


def workspace(writer: Emitter) -> list[str]:
    """The lines that cut out of the arenas what the body reads or writes, in the shapes it needs."""
    found = {name: (f"arena_{short(dtype)}", offset, shape) for name, (dtype, offset, shape) in writer.arrays.items()}
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
