"""Text: symbols written out for people.

People read `g * z * (1 - z)`: products and sums are flattened, `-1 * x` is `-x`, prefixes like `np.` are dropped.
Code for machines (`code_of`) keeps every bracket that decides the order of the arithmetic.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from string import Formatter
from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.engine.expression import code, literal
from tinygrad_edu.engine.primitive import Primitive
from tinygrad_edu.explain.forward import formula, parsed
from tinygrad_edu.explain.named import plain, static_text
from tinygrad_edu.explain.symbol import Symbol, fold, is_leaf

LOOSE, COMPARE, OR, XOR, AND, SHIFT, SUM, PRODUCT, SIGN, POWER, ATOM = range(11)
"""How tightly a piece of text holds together, loosest first: Python's own order of precedence."""

OPERATORS: dict[type[ast.AST], tuple[str, int]] = {
    ast.Add: ("+", SUM), ast.Sub: ("-", SUM), ast.Mult: ("*", PRODUCT), ast.Div: ("/", PRODUCT),
    ast.MatMult: ("@", PRODUCT), ast.Mod: ("%", PRODUCT), ast.FloorDiv: ("//", PRODUCT), ast.Pow: ("**", POWER),
    ast.BitAnd: ("&", AND), ast.BitOr: ("|", OR), ast.BitXor: ("^", XOR), ast.LShift: ("<<", SHIFT),
    ast.RShift: (">>", SHIFT), ast.USub: ("-", SIGN), ast.Invert: ("~", SIGN), ast.UAdd: ("+", SIGN),
    ast.Not: ("not ", LOOSE), ast.Eq: ("==", COMPARE), ast.NotEq: ("!=", COMPARE), ast.Lt: ("<", COMPARE),
    ast.LtE: ("<=", COMPARE), ast.Gt: (">", COMPARE), ast.GtE: (">=", COMPARE),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Piece:
    """A part of the text: how tightly it holds, its outermost operator, and what follows a leading minus."""

    text: str
    level: int = ATOM
    operator: str = ""
    inner: Piece | None = None


Pieces = Mapping[str, Any]
Leaf = Callable[[Symbol], Piece | None]


class Writer:
    """Writes symbols from the leaves up.  The subclasses say how numbers, operators and calls look."""

    def __init__(self, hidden: Iterable[str] = ()) -> None:
        self.hidden = frozenset(hidden)

    def read(self, symbol: Symbol, leaf: Leaf | None = None, opened: bool = False) -> Piece:
        """The symbol written out.

        leaf    -- may give another text for names and numbers (a value, say)
        opened  -- write out what the symbol was computed as even if it has a name
        """

        def visit(s: Symbol, inputs: list[Piece]) -> Piece:
            if stops(s):
                piece = leaf(s) if leaf is not None else None
                return piece or (self.name(s.name) if s.name is not None else self.number(s.value))
            assert s.call is not None
            if only_moves_ones(s) and not (s is symbol and is_leaf(s.call.inputs[0])):
                return inputs[0]
            if s.call.op is ops.matmul:
                inputs = [self.factor(i, p) for i, p in zip(s.call.inputs, inputs, strict=True)]
            piece = self.apply(s.call.op, inputs, s.call.static)
            return piece if s.call.op.outputs == 1 or s.slot is None else self.slot(piece, s.slot)

        def stops(s: Symbol) -> bool:
            return is_leaf(s) and not (opened and s is symbol and s.call is not None)

        return fold(symbol, visit, stops)

    def apply(self, op: Primitive, inputs: list[Piece], static: dict[str, Any]) -> Piece:
        """A primitive applied to pieces."""
        if op.name in self.hidden:
            return inputs[0]
        first = len(op.inputs) - (op.variadic is not None)
        pieces: dict[str, Any] = dict(zip(op.inputs[:first], inputs, strict=False))
        if op.variadic is not None:
            pieces[op.variadic] = inputs[first:]
        at = iter(pieces.get("at", ()))
        pieces |= {name: self.static(name, value, at) for name, value in static.items()}
        template = self.template(op)
        if template is not None:
            return self.filled(template, pieces)
        expression = formula(op)
        if expression is not None:
            return self.visit(expression, pieces)
        return self.call(op, inputs, static)

    def visit(self, node: ast.expr, pieces: Pieces) -> Piece:
        """A Python expression whose names stand for pieces."""
        match node:
            case ast.Name(id=name):
                piece = pieces.get(name, Piece(name))
                return self.listed(piece) if isinstance(piece, list) else piece
            case ast.Constant(value=value):
                return self.number(value)
            case ast.BinOp(left=left, op=op, right=right):
                return self.binary(*OPERATORS[type(op)], self.visit(left, pieces), self.visit(right, pieces))
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return self.binary(*OPERATORS[type(op)], self.visit(left, pieces), self.visit(right, pieces))
            case ast.UnaryOp(op=op, operand=operand):
                return self.unary(*OPERATORS[type(op)], self.visit(operand, pieces))
            case ast.Call(func=func, args=args):
                given = [self.visit(a, pieces).text for a in args]
                return self.function(self.visit(func, pieces).text, given)
            case ast.Attribute(value=value, attr=attr):
                owner = self.visit(value, pieces)
                return self.attribute(owner, attr)
            case ast.Subscript(value=value, slice=index):
                return Piece(f"{self.wrap(self.visit(value, pieces), ATOM).text}[{self.visit(index, pieces).text}]")
        raise NotImplementedError(f"no way to write {ast.dump(node)}")

    def factor(self, symbol: Symbol, piece: Piece) -> Piece:
        """A factor of a matrix product: one that was repeated is not just a number, also where repeating is hidden."""
        if is_leaf(symbol) or symbol.call is None or symbol.call.op is not ops.expand or "expand" not in self.hidden:
            return piece
        return self.function("expand", [piece.text, static_text(symbol.call.static["shape"])])

    def wrap(self, piece: Piece, level: int) -> Piece:
        """The piece, in brackets if it holds together less tightly than `level`."""
        return piece if piece.level >= level else Piece(f"({piece.text})")

    def listed(self, pieces: list[Piece]) -> Piece:
        """Several inputs where one is written."""
        return Piece(", ".join(p.text for p in pieces))

    def slot(self, piece: Piece, slot: int) -> Piece:
        """One of several outputs."""
        return Piece(f"{self.wrap(piece, ATOM).text}[{slot}]")

    def attribute(self, owner: Piece, name: str) -> Piece:
        """`owner.name`."""
        text = self.wrap(owner, ATOM).text
        return Piece(f"({text}).{name}" if text[-1].isdigit() and text[0].isdigit() else f"{text}.{name}")

    def function(self, name: str, given: list[str]) -> Piece:
        """`name(given, ...)`."""
        return Piece(f"{name}({', '.join(given)})")

    def unary(self, operator: str, level: int, x: Piece) -> Piece:
        """`-x` or `~x`."""
        return Piece(f"{operator}{self.wrap(x, level).text}", level, operator)

    def binary(self, operator: str, level: int, x: Piece, y: Piece) -> Piece:
        """`x + y` with the brackets Python needs to compute exactly this."""
        if operator == "**":
            return Piece(f"{self.wrap(x, ATOM).text} ** {self.wrap(y, SIGN).text}", POWER, operator)
        low = level + 1 if level == COMPARE else level
        return Piece(f"{self.wrap(x, low).text} {operator} {self.wrap(y, level + 1).text}", level, operator)

    def filled(self, template: str, pieces: Pieces) -> Piece:
        """A template with its holes filled."""
        expression = parsed(template)
        return self.visit(expression, pieces) if expression is not None else self.pasted(template, pieces)

    def pasted(self, template: str, pieces: Pieces) -> Piece:
        """A template that is no Python: a hole at either end gets brackets unless it is a single thing."""
        parts = list(Formatter().parse(template))
        text = ""
        for k, (before, name, _, _) in enumerate(parts):
            text += before
            if name is None:
                continue
            piece = pieces[name]
            piece = self.listed(piece) if isinstance(piece, list) else piece
            is_edge = (k == 0 and not before) or k == len(parts) - 1
            text += self.wrap(piece, ATOM).text if is_edge else piece.text
        starts, ends = parts[0][0] == "" and parts[0][1] is not None, parts[-1][1] is not None
        return Piece(text, LOOSE if starts and ends else SIGN if ends else ATOM)

    def name(self, name: str) -> Piece:
        """A name."""
        return Piece(name)

    def template(self, op: Primitive) -> str | None:
        """The notation the primitive asks for."""
        raise NotImplementedError

    def static(self, name: str, value: Any, at: Any) -> Piece:
        """A static parameter; `at` are the pieces for the holes of an index."""
        raise NotImplementedError

    def number(self, value: Any) -> Piece:
        """A constant."""
        raise NotImplementedError

    def call(self, op: Primitive, inputs: list[Piece], static: dict[str, Any]) -> Piece:
        """The call of a primitive by its name."""
        raise NotImplementedError


class People(Writer):
    """For reading: flattened, signs in front, nothing but the mathematics."""

    def template(self, op: Primitive) -> str | None:
        return op.text

    def static(self, name: str, value: Any, at: Any) -> Piece:
        if name != "template":
            return Piece(self.static_text(value))
        return Piece(", ".join(next(at).text if v is ops.HOLE else self.static_text(v) for v in value))

    def static_text(self, value: Any) -> str:
        """A static parameter."""
        return static_text(value)

    def number(self, value: Any) -> Piece:
        return number_piece(value, None)

    def attribute(self, owner: Piece, name: str) -> Piece:
        return Piece(name) if owner.text == "np" else super().attribute(owner, name)

    def call(self, op: Primitive, inputs: list[Piece], static: dict[str, Any]) -> Piece:
        return self.function(op.name, [*(p.text for p in inputs), *settings(op, static)])

    def unary(self, operator: str, level: int, x: Piece) -> Piece:
        return self.minus(x) if operator == "-" else super().unary(operator, level, x)

    def minus(self, x: Piece) -> Piece:
        """-x, with the sign pulled out of products."""
        if x.inner is not None:
            return x.inner
        if x.level == PRODUCT and x.operator in "*/@":
            return Piece(f"-{x.text}", PRODUCT, x.operator, x)
        return Piece(f"-{self.wrap(x, SIGN).text}", SIGN, "-", x)

    def binary(self, operator: str, level: int, x: Piece, y: Piece) -> Piece:
        if level == SUM and y.inner is not None:
            return self.binary("-" if operator == "+" else "+", level, x, y.inner)
        if operator in ("*", "/", "@"):
            return self.product(operator, x, y)
        if operator == "+":
            y = self.wrap(y, PRODUCT if y.text.startswith("-") else SUM)
            return Piece(f"{self.wrap(x, SUM).text} + {y.text}", SUM, "+")
        return super().binary(operator, level, x, y)

    def product(self, operator: str, x: Piece, y: Piece) -> Piece:
        """x * y, x / y or x @ y; a sign goes in front of it all."""
        if operator == "*" and x.inner is not None and x.inner.text == "1":
            return self.minus(y)
        if x.inner is not None or y.inner is not None:
            product = self.product(operator, x.inner or x, y.inner or y)
            return product if x.inner is not None and y.inner is not None else self.minus(product)
        return self.times(operator, x, y)

    def times(self, operator: str, x: Piece, y: Piece) -> Piece:
        """The product without a sign."""
        alike = {"*": "*/", "/": "*/", "@": "@"}[operator]
        x = self.wrap(x, PRODUCT if x.operator in alike else SIGN)
        y = self.wrap(y, PRODUCT if operator != "/" and y.operator in alike else SIGN)
        return Piece(f"{x.text} {operator} {y.text}", PRODUCT, operator)


def settings(op: Primitive, static: dict[str, Any]) -> list[str]:
    """The static parameters that are not what they usually are, as `name=value`."""
    return [f"{k}={static_text(static[k])}" for k in op.statics if static[k] != op.defaults.get(k, op)]


def only_moves_ones(symbol: Symbol) -> bool:
    """Whether it is a reshape that adds or drops axes of size 1, as `W @ x` does with a vector x."""
    call = symbol.call
    if call is None or call.op is not ops.reshape:
        return False
    before, after = np.shape(call.inputs[0].value), np.shape(symbol.value)
    return [n for n in before if n != 1] == [n for n in after if n != 1]


def number_piece(value: Any, digits: int | None) -> Piece:
    """A number or an array as people write it, to `digits` significant digits (all, when None); zeros are 0."""
    if np.ndim(value) and np.size(value) and not np.any(value):
        return Piece("0")
    if np.ndim(value):
        return Piece(array_text(np.asarray(value), digits))
    text = number_text(value, digits)
    if text.startswith("-"):
        return Piece(text, SIGN, "-", Piece(text[1:]))
    return Piece(text)


def number_text(value: Any, digits: int | None) -> str:
    """A number: whole ones without a point."""
    value = value.item() if isinstance(value, (np.generic, np.ndarray)) else value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if digits is None:
        return str(int(value)) if np.isfinite(value) and value == int(value) and abs(value) < 1e15 else repr(value)
    text = f"{value:.{digits}g}"
    return "0" if text == "-0" else text


def array_text(array: np.ndarray, digits: int | None) -> str:
    """Nested brackets."""
    if array.ndim == 0:
        return number_text(array, digits)
    return f"[{', '.join(array_text(row, digits) for row in array)}]"


people = People()


def code_of(root: Symbol) -> str:
    """The symbol as exact Python over arrays, the arithmetic in its very order, in terms of operators and `ops`."""

    def visit(symbol: Symbol, inputs: list[str]) -> str:
        if symbol.name is not None:
            return symbol.name
        if symbol.call is None:
            value = symbol.value
            return f"np.{value!r}" if isinstance(value, np.ndarray) else literal(value)
        text = code(symbol.call.op, inputs, plain(symbol.call.static))
        return text if symbol.call.op.outputs == 1 else f"{text}[{symbol.slot}]"

    return fold(root, visit)
