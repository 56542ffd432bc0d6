"""Elementwise primitives: the return expression of the forward, on one entry."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu import kernels
from tinygrad_edu.engine.expression import INFIX, Substitution, parsed, return_expression
from tinygrad_edu.engine.primitive import Primitive
from tinygrad_edu.program.emitter import DTYPES, Emitter
from tinygrad_edu.program.instruction import Instruction
from tinygrad_edu.program.places import Place, number, short, typed

FORWARDS = {"where": "x if c else y", "erf": "math.erf(x)"}
"""Where the forward's own expression is for arrays only."""

Entry = tuple[ast.expr, tuple[str, ...]]
"""An expression, and the names in it that stand for the operands."""


def elementwise(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """A number; what has axes is written as a loop, see `loops`, unless it has no entries."""
    out = writer.result(line)
    if not out.shape:
        writer.put(out, (), unparsed(entry_of(writer, line), [place.at(()) for place in given]), 0)
    return out


def entry_of(writer: Emitter, line: Instruction) -> Entry:
    """How one entry of the result of an elementwise instruction is computed."""
    dtype = working_dtype(writer, line)
    if line.op in MOVES:
        return parsed(MOVES[line.op](line.dtypes[0])), ("x",)
    primitive = line.primitive
    tree = scalar_expression(writer, primitive, dtype)
    if tree is None or not isinstance(primitive.domain, tuple) or len(line.outputs) != 1:
        raise writer.unsupported(line)
    return tree, tuple(primitive.inputs)


def number_in(dtype: np.dtype) -> str:
    """Numbers in another dtype; as a boolean, whether they are not zero."""
    return "x != 0" if dtype.kind == "b" else f"{short(dtype)}(x)"


MOVES: dict[str, Callable[[np.dtype], str]] = {"cast": number_in, "astype": number_in, "copy": lambda _: "x"}


def literal(value: Any, dtype: np.dtype) -> Place:
    """A number among the inputs."""
    return number(typed(value, dtype), value.dtype if isinstance(value, np.generic) else dtype)


def working_dtype(writer: Emitter, line: Instruction) -> np.dtype:
    """The dtype the arithmetic is done in: that of the operands, masks aside.

    Raises NotImplementedError for dtypes that numba has no numbers of.
    """
    given = [writer.dtypes[name] for name in line.names]
    for dtype in (*line.dtypes, *given):
        if short(dtype) not in DTYPES:
            raise writer.unsupported(line, f"dtype {dtype}")
    numbers = [dtype for dtype in given if dtype.kind != "b"]
    return np.result_type(*numbers) if numbers else line.dtypes[0]


def scalar_expression(writer: Emitter, primitive: Primitive, dtype: np.dtype) -> ast.expr | None:
    """The forward for one entry, when it is operators, NumPy functions and kernels alone."""
    if primitive.name in FORWARDS and primitive.__module__.startswith("tinygrad_edu."):
        return parsed(FORWARDS[primitive.name])
    found = return_expression(primitive)
    if found is None:
        return None
    rewriting = ForOneEntry(writer, set(primitive.inputs), dtype)
    tree: Any = rewriting.visit(parsed(ast.unparse(found)))
    return tree if rewriting.possible else None


class ForOneEntry(ast.NodeTransformer):
    """Kernels become their scalar functions, numbers take the dtype; `possible` is False when something is left."""

    def __init__(self, writer: Emitter, parameters: set[str], dtype: np.dtype) -> None:
        self.writer = writer
        self.parameters = parameters
        self.dtype = dtype
        self.possible = True

    def visit(self, node: ast.AST) -> Any:
        """Rewrite what is known."""
        if not isinstance(node, (*INFIX, ast.Call)) or (isinstance(node, ast.Name) and node.id not in self.parameters):
            self.possible = False
            return node
        return super().visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        """A number in the working dtype."""
        return parsed(typed(node.value, self.dtype)) if isinstance(node.value, (int, float)) else self.refuse(node)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """`np.exp(x)` stays, `kernels.sigmoid(x)` becomes the scalar function."""
        function = node.func
        if not (isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)) or node.keywords:
            return self.refuse(node)
        name = function.attr
        if function.value.id == "kernels" and getattr(getattr(kernels, name, None), "scalar", None) is not None:
            node.func = ast.Name(self.writer.use(name))
        elif function.value.id != "np" or not isinstance(getattr(np, name, None), np.ufunc):
            return self.refuse(node)
        node.args = [self.visit(argument) for argument in node.args]
        return node

    def refuse(self, node: ast.expr) -> ast.expr:
        """Something without a form for one entry."""
        self.possible = False
        return node


def unparsed(entry: Entry, operands: Sequence[str]) -> str:
    """The expression with the operands' entries in place."""
    tree, names = entry
    trees = {name: parsed(text) for name, text in zip(names, operands, strict=True)}
    return ast.unparse(Substitution(trees).visit(parsed(ast.unparse(tree))))


def uses_of(entry: Entry) -> list[int]:
    """How often each operand occurs in the expression."""
    tree, names = entry
    return [sum(isinstance(node, ast.Name) and node.id == name for node in ast.walk(tree)) for name in names]


def rounded(text: str, entry: Entry, dtype: np.dtype) -> str:
    """The expression in the dtype of the result, also where numba would compute in a wider one."""
    wider = any(isinstance(node, (ast.Pow, ast.FloorDiv, ast.Mod, ast.Attribute)) for node in ast.walk(entry[0]))
    if dtype in (np.float64, np.int64, np.bool_) or (dtype == np.float32 and not wider):
        return text
    return f"{short(dtype)}({text})"
