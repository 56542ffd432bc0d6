"""Passes that leave out what need not be computed: values nobody reads, values computed twice, trivial arithmetic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_edu.engine.primitive import registry
from tinygrad_edu.program.body import Body, rewritten
from tinygrad_edu.program.instruction import Assign, Instruction, Line

COMMUTATIVE = ("add", "mul", "maximum", "minimum")
SAME_SHAPE = ("reshape", "expand", "sum_to", "cast")


def dead(body: Body) -> Body:
    """Keep what an output or an assignment needs; of several assignments to one target only the last."""
    live = set(body.outputs.values())
    written: set[str] = set()
    kept: list[Line] = []
    for line in reversed(body.lines):
        if isinstance(line, Assign):
            needed = line.target not in written
            written.add(line.target)
        else:
            needed = not live.isdisjoint(line.outputs)
        if needed:
            kept.append(line)
            live.update(line.names)
    return replace(body, lines=tuple(reversed(kept)))


def common(body: Body) -> Body:
    """Compute every value once."""
    known: dict[Any, Instruction] = {}
    same: dict[str, str] = {}
    lines: list[Line] = []
    for line in body.lines:
        names = tuple(same.get(i, i) if isinstance(i, str) else i for i in line.names)
        if isinstance(line, Assign):
            lines.append(replace(line, value=names[0]))
            continue
        line = replace(line, inputs=tuple(same.get(i, i) if isinstance(i, str) else i for i in line.inputs))
        given = [i if isinstance(i, str) else (type(i), repr(i)) for i in line.inputs]
        given = sorted(given, key=repr) if line.op in COMMUTATIVE else given
        key = (line.op, *given, repr(line.static), *line.static.values(), line.dtypes)
        if key in known:
            same.update(zip(line.outputs, known[key].outputs, strict=True))
        else:
            known[key] = line
            lines.append(line)
    return replace(body, lines=tuple(lines), outputs={name: same.get(v, v) for name, v in body.outputs.items()})


def algebra(body: Body) -> Body:
    """Numbers that are known now, products with 1, squares, negated masks, copies and views that change nothing."""
    roots = body.roots()
    types = {i.name: (i.shape, i.dtype) for i in body.inputs}
    known: dict[str, Any] = {}
    negated: dict[str, str] = {}

    def rule(line: Instruction) -> Sequence[Line] | str:
        types.update(zip(line.outputs, zip(line.shapes, line.dtypes, strict=True), strict=True))
        if len(line.outputs) > 1:
            return [line]
        line = with_numbers(line, known)
        number = number_of(line, known)
        if number is not None:
            known[line.outputs[0]] = number
            return [replace(line, op="expand", inputs=(number,), static={"shape": line.shapes[0]})]
        first = line.names[0] if line.names else ""
        if types.get(first) == types[line.outputs[0]]:
            if line.op in SAME_SHAPE or is_product_with_one(line) or (line.op == "copy" and first not in roots):
                return first
            if line.op == "pow" and line.inputs[0] == first and is_number(line.inputs[1], 2):
                return [replace(line, op="mul", inputs=(first, first))]
        if line.op == "logical_not" and line.dtypes[0].kind == "b":
            negated[line.outputs[0]] = first
        if line.op == "where" and line.inputs[0] in negated:
            return [replace(line, inputs=(negated[line.inputs[0]], line.inputs[2], line.inputs[1]))]
        return [line]

    return rewritten(body, rule)


def number_of(line: Instruction, known: dict[str, Any]) -> Any:
    """The number that all entries of the result are, if it is known."""
    if line.op in ("expand", "reshape"):
        (x,) = line.inputs
        return known.get(x) if isinstance(x, str) else np.asarray(x, line.dtypes[0])[()]
    if line.names or not is_elementwise(line):
        return None
    with np.errstate(all="ignore"):
        (result,) = line.primitive.compute(list(line.inputs), line.static)
    return np.asarray(result, line.dtypes[0])[()]


def with_numbers(line: Instruction, known: dict[str, Any]) -> Instruction:
    """An elementwise instruction with numbers in the place of values that are the same everywhere."""
    if not is_elementwise(line) or not any(name in known for name in line.names):
        return line
    return replace(line, inputs=tuple(known.get(i, i) if isinstance(i, str) else i for i in line.inputs))


def is_elementwise(line: Instruction) -> bool:
    """Whether every entry of the result is made of one entry of each input."""
    primitive = registry.get(line.op)
    return primitive is not None and isinstance(primitive.domain, tuple) and len(line.outputs) == 1


def is_product_with_one(line: Instruction) -> bool:
    """x * 1, 1 * x, x / 1."""
    if line.op == "mul":
        return any(is_number(i, 1) for i in line.inputs)
    return line.op == "div" and is_number(line.inputs[1], 1)


def is_number(value: Any, number: float) -> bool:
    """Whether an input is this number."""
    return not isinstance(value, (str, bool, np.bool_)) and not math.isnan(value) and value == number
