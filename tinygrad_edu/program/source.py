"""A program as text: a listing to read, and a Python function that runs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.engine.expression import code, infix, literal
from tinygrad_edu.program.instruction import Assign, Input, Instruction, Line

WIDTH = 100


def listing(inputs: Sequence[Input], lines: Sequence[Line], outputs: dict[str, str]) -> str:
    """Inputs, then instructions with their shapes, under the user's lines they come from."""
    text = ["inputs"]
    wide = max((len(i.name) for i in inputs), default=0)
    for i in inputs:
        role = i.role + (", written" if i.assigned and i.role == "param" else "")
        text.append(f"    {i.name:{wide}}  {role:14} {shaped(i.dtype, i.shape)}")
    rows = [row(line) for line in lines]
    wide = min(max((len(left) for left, _ in rows), default=0), 70)
    for (left, right), comments in zip(rows, headings(lines), strict=True):
        text += comments
        text.append(f"    {left:{wide}}  {right}".rstrip())
    shown = (name if name == value else f"{name} ({value})" for name, value in outputs.items())
    return "\n".join([*text, "", *textwrap.wrap("outputs: " + ", ".join(shown), WIDTH, subsequent_indent="    ")])


def row(line: Line) -> tuple[str, str]:
    """One line of the listing: what is computed, and the shapes of the results."""
    if isinstance(line, Assign):
        return f"{line.target}[...] = {line.value}", ""
    types = ", ".join(shaped(d, s) for d, s in zip(line.dtypes, line.shapes, strict=True))
    return f"{', '.join(line.outputs)} = {called(line)}", types


def called(line: Instruction) -> str:
    """The right hand side in the listing: like the source, without module names."""
    given = [i if isinstance(i, str) else repr(i.item()) if isinstance(i, np.generic) else repr(i) for i in line.inputs]
    if infix(line.primitive) is not None:
        return code(line.primitive, given, line.static)
    static = [f"{k}={v.name if isinstance(v, np.dtype) else repr(v)}" for k, v in line.static.items()]
    return f"{line.op}({', '.join(given + static)})"


def shaped(dtype: np.dtype, shape: tuple[int, ...]) -> str:
    """`float32 (2, 3)`."""
    return f"{dtype} {shape}"


def headings(lines: Iterable[Line], indent: str = "  ") -> Iterator[list[str]]:
    """For each line what to write above it: the phase and the user's line, where they change."""
    phase = text = ""
    layer: tuple[str, ...] = ()
    for line in lines:
        above: list[str] = []
        if line.phase != phase:
            above += ["", line.phase]
        if (line.phase, line.line, line.layer) != (phase, text, layer):
            where = f"  [{'.'.join(line.layer)}]" if line.layer else ""
            above.append(f"{indent}# {line.line or 'an unknown line'}{where}")
        phase, text, layer = line.phase, line.line, line.layer
        yield above


def function(inputs: Sequence[Input], lines: Sequence[Line], outputs: dict[str, str]) -> str:
    """A module with the function `step`."""
    body: list[str] = []
    for line, above in zip(lines, headings(lines, ""), strict=True):
        for comment in above:
            body.append(comment if comment.startswith("#") or not comment else f"# -- {comment}")
        body.append(statement(line))
    names = ", ".join(f"{name}={value}" for name, value in outputs.items())
    returned = textwrap.wrap(f"return dict({names})", WIDTH - 4, subsequent_indent=" " * 12, break_long_words=False)
    head = ['"""A recorded computation, as a function of NumPy arrays."""', "", "import numpy as np", ""]
    head.append("from tinygrad_edu import ops")
    if any("registry[" in text for text in body):
        head.append("from tinygrad_edu.engine.primitive import registry")
    definition = textwrap.wrap(
        f"def step({', '.join(i.name for i in inputs)}):", WIDTH, subsequent_indent=" " * 9, break_long_words=False
    )
    about = [f"    {i.name}: {shaped(i.dtype, i.shape)}" for i in inputs]
    parts = [*head, "", "", '@np.errstate(all="ignore")', *definition, '    """', *about, '    """']
    parts += [f"    {text}".rstrip() for text in (*body[body[:1] == [""] :], "", *returned)]
    return "\n".join(parts) + "\n"


def statement(line: Line) -> str:
    """One line of the source."""
    if isinstance(line, Assign):
        return f"{line.target}[...] = {line.value}"
    given: list[Any] = [i if isinstance(i, str) else literal(i) for i in line.inputs]
    call = code(line.primitive, given, line.static)
    if infix(line.primitive) is not None and line.shapes[0] == ():
        call = f"np.asarray({call})"
    trailing = "," if line.primitive.outputs != 1 and len(line.outputs) == 1 else ""
    return f"{', '.join(line.outputs)}{trailing} = {call}"
