"""How a worked derivation is written down: numbers, small arrays, lines that fit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.explain.latex import Latex, escaped, latex_name, latex_number
from tinygrad_edu.explain.symbol import Symbol, fold, is_leaf
from tinygrad_edu.explain.text import LOOSE, People, Piece, array_text, number_text

LARGEST_SIDE = 6
WIDTH = 100


@dataclass(frozen=True, eq=False)
class Step:
    """One line of a derivation: `name = formula = numbers = value`.

    kind        -- "given", "forward" or "backward"
    name        -- what the line gives: `z1`, `dC/dw5`
    formula     -- in names; empty for what is given
    numbers     -- the same in numbers; empty where one of them is too large an array to be written
    value       -- the number or array
    note        -- what is to be said in words
    latex       -- the line as LaTeX, aligned at the first `=`
    expression  -- the formula as a symbol, None for what is given
    """

    kind: str
    name: str
    formula: str
    numbers: str
    value: Any
    note: str
    latex: str
    expression: Symbol | None


class _WithSums(People):
    """Text in which the sum over broadcast axes is just a sum; which axes is said beside it."""

    def template(self, op: Any) -> str | None:
        return "sum({x})" if op.name == "sum_to" else super().template(op)


class Paper:
    """Writes steps, with `digits` significant digits; the operations in `hidden` only move numbers."""

    def __init__(self, digits: int, hidden: Iterable[str]) -> None:
        self.digits = digits
        self.people = _WithSums(hidden)
        self.typeset = Latex(hidden)

    def step(self, kind: str, name: str, expression: Symbol | None, value: Any, note: str = "") -> Step:
        """One step, its formula written in names and in numbers."""
        opened = kind == "forward"
        formula = numbers = ""
        typeset: list[str] = []
        if expression is not None:
            formula = self.people.read(expression, self.constant, opened).text
            typeset.append(self.typeset.read(expression, self.latex_constant, opened).text)
            if all(is_small(leaf.value) for leaf in leaves_of(expression, opened)):
                numbers = self.people.read(expression, self.number, opened).text
                typeset.append(self.typeset.read(expression, self.latex_value, opened).text)
        typeset.append(self.latex_value(Symbol(value=value)).text)
        said = rf" \quad \text{{({escaped(note)})}}" if note else ""
        latex = f"{latex_name(name)} &= {' = '.join(without_repeats(typeset))}{said}"
        return Step(kind, name, formula, numbers, value, note, latex, expression)

    def text(self, steps: Sequence[Step]) -> str:
        """All steps, under their headings, the lines broken where they get too long."""
        lines: list[str] = []
        for place, step in enumerate(steps):
            if place == 0 or step.kind != steps[place - 1].kind:
                lines.append(step.kind)
            lines += [f"  {line}" for line in self.line(step).split("\n")]
        return "\n".join(lines)

    def line(self, step: Step) -> str:
        """One step; broken at every `=` if it does not fit."""
        value = self.value(step.value)
        numbers = step.numbers if len(step.numbers) <= 2 * WIDTH else ""
        parts = without_repeats([part for part in (step.formula, numbers, value) if part])
        note = f"   ({step.note})" if step.note else ""
        one = f"{step.name} = {' = '.join(parts)}"
        if len(one) <= WIDTH and "\n" not in value:
            return one + note
        indent = " " * len(step.name)
        rows = [part.replace("\n", f"\n{indent}   ") for part in parts]
        return f"{step.name} = " + f"\n{indent} = ".join(rows) + note

    def constant(self, symbol: Symbol) -> Piece | None:
        """In formulas: names stay, numbers of many digits are rounded."""
        if symbol.name is not None:
            return None
        full = number_text(symbol.value, None) if symbol.is_number else ""
        return None if full and len(full) <= self.digits + 2 else self.number(symbol)

    def number(self, symbol: Symbol) -> Piece:
        """The value of a name, a negative one in brackets."""
        if np.ndim(symbol.value):
            return Piece(self.row(symbol.value))
        text = number_text(symbol.value, self.digits)
        return Piece(text, LOOSE) if text.startswith("-") else Piece(text)

    def row(self, value: Any) -> str:
        """An array in one line; a large one by its shape and norm."""
        if is_small(value):
            return array_text(np.asarray(value), self.digits)
        array = np.asarray(value)
        norm = np.linalg.norm(array.astype(np.float64, copy=False).ravel())
        return f"<{' x '.join(map(str, array.shape))}, norm {number_text(norm, self.digits)}>"

    def value(self, value: Any) -> str:
        """A number or an array, a matrix that is not short in rows."""
        text = self.row(value)
        if np.ndim(value) < 2 or not is_small(value) or len(text) <= WIDTH // 3:
            return text
        return "[" + ",\n ".join(array_text(row, self.digits) for row in np.asarray(value)) + "]"

    def latex_constant(self, symbol: Symbol) -> Piece | None:
        """In formulas: names stay, numbers are rounded."""
        return None if symbol.name is not None else self.latex_value(symbol)

    def latex_value(self, symbol: Symbol) -> Piece:
        """The value of a name, a negative one in brackets."""
        if not is_small(symbol.value):
            return Piece(rf"\text{{{self.row(symbol.value).strip('<>')}}}")
        piece = latex_number(symbol.value, self.digits)
        return Piece(piece.text, LOOSE) if piece.inner is not None else piece


def without_repeats(parts: list[str]) -> list[str]:
    """What there is to say, each thing once."""
    flat = [" ".join(part.split()) for part in parts]
    return [part for k, part in enumerate(parts) if flat[k] not in flat[:k]]


def is_small(value: Any) -> bool:
    """Whether an array is written out: at most two axes of at most six."""
    shape = np.shape(value)
    return len(shape) <= 2 and all(n <= LARGEST_SIDE for n in shape)


def leaves_of(root: Symbol, opened: bool) -> list[Symbol]:
    """The names and numbers an expression is written in."""
    found: list[Symbol] = []

    def stops(symbol: Symbol) -> bool:
        return is_leaf(symbol) and not (opened and symbol is root and symbol.call is not None)

    def visit(symbol: Symbol, _: list[None]) -> None:
        if stops(symbol):
            found.append(symbol)

    fold(root, visit, stops)
    return found
