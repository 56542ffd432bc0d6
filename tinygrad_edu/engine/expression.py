"""A primitive as source text: the return expression of its forward, with other things in the place of its parameters.

>>> from tinygrad_edu import ops
>>> code(ops.mul, ["a + b", "-2"])
'(a + b) * -2'
>>> code(ops.sigmoid, ["a + b"])
'ops.sigmoid(a + b)'
>>> code(ops.sum, ["x"], {"dim": (0,), "keepdim": False})
'ops.sum(x, dim=(0,), keepdim=False)'
"""

from __future__ import annotations

import ast
import inspect
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from tinygrad_edu.engine.primitive import Primitive, registry

INFIX = (ast.BinOp, ast.UnaryOp, ast.Compare, ast.Name, ast.Constant, ast.operator, ast.unaryop, ast.cmpop, ast.Load)


def return_expression(primitive: Primitive) -> ast.expr | None:
    """What the forward returns, when it is a single return statement whose source is at hand; else None.

    >>> from tinygrad_edu import ops
    >>> ast.unparse(return_expression(ops.log))
    'np.log(x)'
    """
    return _return_expression(primitive.forward)


@lru_cache(maxsize=1024)
def _return_expression(forward: Callable[..., Any]) -> ast.expr | None:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(forward))))
    except (OSError, TypeError, SyntaxError):
        return None
    definition = tree.body[0]
    if not isinstance(definition, ast.FunctionDef):
        return None
    rest = [s for s in definition.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
    return rest[0].value if len(rest) == 1 and isinstance(rest[0], ast.Return) else None


def infix(primitive: Primitive) -> ast.expr | None:
    """The return expression, when it consists of operators on the parameters and on numbers alone; else None."""
    found = return_expression(primitive)
    if found is None or isinstance(found, (ast.Name, ast.Constant)) or primitive.variadic is not None:
        return None
    parameters = {*primitive.inputs, *primitive.statics}
    for node in ast.walk(found):
        if not isinstance(node, INFIX) or (isinstance(node, ast.Name) and node.id not in parameters):
            return None
    return found


class Substitution(ast.NodeTransformer):
    """Put expressions in the place of names; `ast.unparse` then sets the parentheses that precedence asks for."""

    def __init__(self, expressions: Mapping[str, ast.expr]) -> None:
        self.expressions = expressions

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """The expression for a name, or the name."""
        return self.expressions.get(node.id, node)


def parsed(text: str) -> ast.expr:
    """The tree of one expression."""
    return ast.parse(text, mode="eval").body


def code(primitive: Primitive, args: Sequence[str], statics: Mapping[str, Any] | None = None) -> str:
    """The call as source text: operators where the forward is written with operators, else `ops.name(...)`.

    args     -- the source of each input: a name, a number or a whole expression
    statics  -- the static parameters, as values
    Raises TypeError for a static parameter that has no source form.
    """
    given = {name: literal(value) for name, value in (statics or {}).items()}
    expression = infix(primitive)
    if expression is not None:
        names = {**dict(zip(primitive.inputs, args, strict=True)), **given}
        tree = Substitution({name: parsed(text) for name, text in names.items()}).visit(parsed(ast.unparse(expression)))
        return ast.unparse(tree)
    known = registry.get(primitive.name) is primitive and primitive.__module__.startswith("tinygrad_edu.")
    function = f"ops.{primitive.name}" if known else f"registry[{primitive.name!r}]"
    return f"{function}({', '.join([*args, *(f'{k}={v}' for k, v in given.items())])})"


def literal(value: Any) -> str:
    """A number or a static parameter as source text that gives it back, in a scope with `np`, `ops` and `float`.

    Raises TypeError for what has none.

    >>> literal((np.dtype("float32"), 2, None, float("inf")))
    "(np.dtype('float32'), 2, None, float('inf'))"
    """
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, np.dtype):
        return f"np.dtype({value.name!r})"
    if isinstance(value, np.generic):
        return f"np.{value.dtype.name}({literal(value.item())})" if value.dtype.kind != "b" else str(bool(value))
    if isinstance(value, float) and not math.isfinite(value):
        return f"float({str(value)!r})"
    if value is Ellipsis:
        return "..."
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value)
    if type(value).__module__.startswith("tinygrad_edu.ops."):
        return f"ops.{value!r}"
    if isinstance(value, type) and issubclass(value, np.generic):
        return f"np.{value.__name__}"
    raise TypeError(f"a static parameter of type {type(value).__name__} ({value!r}) has no source form")
