"""What of a primitive people read: the forward's own return expression, or its template taken apart."""

from __future__ import annotations

import ast
from functools import cache
from string import Formatter

from tinygrad_edu.engine.expression import return_expression
from tinygrad_edu.engine.primitive import Primitive

READABLE = (
    ast.Attribute, ast.BinOp, ast.Call, ast.Compare, ast.Constant, ast.Name, ast.UnaryOp,
    ast.cmpop, ast.expr_context, ast.operator, ast.unaryop,
)  # fmt: skip


def formula(op: Primitive) -> ast.expr | None:
    """The return expression of the forward, if it reads like mathematics: operators and functions of NumPy.

    None when there is more to it: a kernel, a method, settings, several statements.
    """
    expression = return_expression(op)
    if expression is None:
        return None
    known = {*op.inputs, *op.statics, "np"}
    return expression if all(_is_mathematics(node, known) for node in ast.walk(expression)) else None


def _is_mathematics(node: ast.AST, known: set[str]) -> bool:
    match node:
        case ast.Name(id=name):
            return name in known
        case ast.Call(func=func, keywords=keywords):
            return isinstance(func, ast.Attribute) and not keywords
        case ast.Attribute(value=value):
            return isinstance(value, ast.Name) and value.id == "np"
        case ast.Compare(ops=operators):
            return len(operators) == 1
    return isinstance(node, READABLE)


@cache
def parsed(template: str) -> ast.expr | None:
    """A text template as Python, with its holes as the names they have: `{a} @ {b}`; None if it is not Python."""
    source = "".join(before + (f"({name})" if name else "") for before, name, _, _ in Formatter().parse(template))
    try:
        tree = ast.parse(source, mode="eval").body
    except SyntaxError:
        return None
    return tree if all(isinstance(node, (*READABLE, ast.Subscript)) for node in ast.walk(tree)) else None
