"""Elementwise primitives: the return expression of the forward, on one entry, inside loops over the result."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu import kernels
from tinygrad_edu.engine.expression import INFIX, Substitution, parsed, return_expression
from tinygrad_edu.engine.primitive import Primitive
from tinygrad_edu.program.emitter import Emitter, emits
from tinygrad_edu.program.instruction import Instruction
from tinygrad_edu.program.places import Place, broadcast, merged, short, typed

FORWARDS = {"where": "x if c else y", "erf": "math.erf(x)"}
"""Where the forward's own expression is for arrays only."""


def elementwise(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """One loop nest over the result."""
    primitive = line.primitive
    tree = scalar_expression(writer, primitive, working_dtype(line, given))
    if tree is None or not isinstance(primitive.domain, tuple) or len(line.outputs) != 1:
        raise writer.unsupported(line)
    return nest(writer, line, given, lambda entries: unparsed(tree, dict(zip(primitive.inputs, entries, strict=True))))


def nest(writer: Emitter, line: Instruction, given: list[Place], expression: Callable[[list[str]], str]) -> Place:
    """Loops over the result, in the order of the first operand, with the expression of the operands' entries inside."""
    out = writer.result(line, next((p.order for p in given if p.shape == line.shapes[0] and p.order), ()))
    target, *operands = merged([out, *given]) or [out, *given]
    indices, depth = writer.loops(target.shape, order=target.order)
    entries = [broadcast(place, target.shape).at(indices) for place in operands]
    writer.put(target, indices, expression(entries), depth)
    return out


def working_dtype(line: Instruction, given: list[Place]) -> np.dtype:
    """The dtype the arithmetic is done in: that of the operands, masks aside."""
    dtypes = [p.dtype for p, i in zip(given, line.inputs, strict=True) if isinstance(i, str) and p.dtype != bool]
    return np.result_type(*dtypes) if dtypes else line.dtypes[0]


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


def unparsed(tree: ast.expr, entries: dict[str, str]) -> str:
    """The expression with the operands' entries in place."""
    copied = parsed(ast.unparse(tree))
    return ast.unparse(Substitution({name: parsed(text) for name, text in entries.items()}).visit(copied))


@emits("cast", "astype")
def emit_cast(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """Numbers in another dtype; as a boolean, whether they are not zero."""
    dtype = line.dtypes[0]
    if dtype.kind == "b":
        return nest(writer, line, given, lambda entries: f"{entries[0]} != 0")
    return nest(writer, line, given, lambda entries: f"{short(dtype)}({entries[0]})")


@emits("copy")
def emit_copy(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """The same numbers."""
    return nest(writer, line, given, lambda entries: entries[0])
