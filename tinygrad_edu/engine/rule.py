"""Gradient rules, bound by the names of their parameters.

A rule is a plain function whose parameter names say what it needs:

    g                    the gradient of the output (a tuple when there are several outputs)
    x, y, ...            an input of the primitive, by name; z is the output
    z0, z1, ...          one output of several: the others are not kept
    x_shape, x_dtype     always known, nothing is saved for them (also z_shape, z_dtype)
    x_leaf               whether the input is a leaf, whose gradient is kept
    dim, ...             a static parameter of the call
    i                    for `*inputs`: which of them the gradient is asked for
    buffer               in an `into` kernel: the array to add the gradient to
    needs                in a `fast` kernel: for each gradient it gives whether it is asked for; it may give None else

What no rule names is not kept.  A `slope` is dz/dx of an elementwise operation: the engine multiplies it by g,
or selects where it is boolean, and sums over broadcast axes.  A `pullback` is the whole
vector-Jacobian product (vjp): g in, the gradient of the input out.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tinygrad_edu.engine.value import Leaf
from tinygrad_edu.engine.where import PACKAGE

if TYPE_CHECKING:
    from tinygrad_edu.engine.primitive import Primitive

Bound = Callable[[Any, Any, Any], Any]
"""A rule that finds its own arguments: (g, saved, node) -> gradient or slope."""


@dataclass
class Rule:
    """The gradient of one input: `fn` and how to use it.

    kind    -- "slope" or "pullback"
    constant -- the slope, where it is a number
    into    -- a kernel that adds the gradient into a buffer (first parameter), for arrays only
    """

    op: Primitive
    input: str
    kind: str
    fn: Callable[..., Any]
    into: Callable[..., Any] | None = None
    constant: float | None = None
    _bound: dict[Any, Bound] = field(default_factory=dict)

    def reads(self, fn: Callable[..., Any] | None = None) -> tuple[str, ...]:
        """The parameter names of the rule."""
        return tuple(inspect.signature(fn or self.fn).parameters)

    def returns_its_argument(self) -> bool:
        """Whether the rule is `lambda y: y`: then the value itself is written where it would be called."""
        code = getattr(self.fn, "__code__", None)
        return code is not None and code.co_argcount == 1 and code.co_code == _identity.__code__.co_code

    def bound(self, position: int = 0, fn: Callable[..., Any] | None = None) -> Bound:
        """The rule as a function of (g, saved, node); `position` counts within `*inputs`."""
        fn = fn or self.fn
        key = (position, fn)
        if key not in self._bound:
            self._bound[key] = bind(self.op, fn, position)
        return self._bound[key]


def _identity(y: Any) -> Any:
    return y


def bind(op: Primitive, fn: Callable[..., Any], position: int = 0) -> Bound:
    """Write the call that fetches each named argument, as one line of code; unknown names are refused here."""
    if not callable(fn):
        raise TypeError(f"a rule of {op.name} must be a function, not {fn!r}")
    parts = [fetch(op, name, position) for name in inspect.signature(fn).parameters]
    source = f"lambda g, s, node: rule({', '.join(parts)})"
    # A file name inside the package: the lambda is no line of the user's
    return eval(compile(source, f"{PACKAGE}<rule of {op.name}>", "eval"), {"rule": fn, "Leaf": Leaf})


def slot_of(op: Primitive, name: str) -> int | None:
    """The output that z0, z1, ... means in a rule of a primitive with several outputs; None for other names."""
    several = op.outputs != 1 and name not in op.inputs
    return int(name[1:]) if several and name[:1] == "z" and name[1:].isdigit() else None


def fetch(op: Primitive, name: str, position: int = 0) -> str:
    """The expression that finds one named argument of a rule, in terms of g, s (saved) and node."""
    first = len(op.inputs) - (op.variadic is not None)
    if name == "g":
        return "g"
    if name == "z":
        return "s[-1]"
    if slot_of(op, name) is not None:
        return f"s[-1][{slot_of(op, name)}]"
    if name == "buffer":
        return "buffer"
    if name == "i" and op.variadic is not None:
        return str(position)
    if name in op.statics:
        return f"node.static[{name!r}]"
    if name == op.variadic:
        return f"s[{first}:-1]"
    if name in op.inputs:
        return f"s[{op.inputs.index(name)}]"
    owner, _, what = name.rpartition("_")
    if what in ("shape", "dtype"):
        if owner == "z":
            return f"node.{what}"
        if owner == op.variadic:
            return f"tuple(e.{what} for e in node.inputs[{first}:])"
        if owner in op.inputs:
            return f"node.inputs[{op.inputs.index(owner)}].{what}"
    if what == "leaf" and owner in op.inputs:
        return f"(node.inputs[{op.inputs.index(owner)}].__class__ is Leaf)"
    known = ["g", "z", *op.inputs, *op.statics]
    raise TypeError(
        f"a rule of {op.name} asks for {name!r}, but {op.name} has only {', '.join(known)} "
        f"(and <name>_shape, <name>_dtype): rename the parameter"
    )
