"""Following a rule step by step: values that know which primitive made them, and edits of one step.

A rule is a pure expression over primitives, so it can be fed with anything that takes calls of primitives over.  Here
it is fed with `Traced` values.  They record what the rule does (the laws of rules are proved on that), and a tracer
may do one step differently: this is how wrong versions of a rule are made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.engine.primitive import Primitive
from tinygrad_edu.engine.value import Value, array_of

Change = Callable[[Primitive, tuple[Any, ...], dict[str, Any]], Any]
"""What happens instead of a call: (primitive, inputs, static parameters) -> result."""


@dataclass
class Tracer:
    """Counts the calls a rule makes; the one at `site`, the k-th call of a primitive, is done by `change`.

    sites  -- (name of the primitive, count) of each call so far
    """

    site: tuple[str, int] | None = None
    change: Change | None = None
    sites: list[tuple[str, int]] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)

    def call(self, primitive: Primitive, inputs: tuple[Any, ...], static: dict[str, Any]) -> Any:
        """Compute a call, or what takes its place."""
        site = (primitive.name, self.seen[primitive.name])
        self.seen[primitive.name] += 1
        self.sites.append(site)
        if site == self.site and self.change is not None:
            return self.change(primitive, inputs, static)
        return primitive(*inputs, **static)


_tracer: ContextVar[Tracer | None] = ContextVar("tracer", default=None)


class Traced:
    """A value on its way through a rule: shape and dtype are known, the numbers are out of the rule's reach.

    value  -- the array or tensor it stands for
    made   -- (primitive, inputs) of the call that made it
    is_g   -- whether it is the upstream gradient
    """

    __array_ufunc__ = None
    __hash__ = object.__hash__

    def __init__(self, value: Any, made: tuple[Primitive, tuple[Any, ...]] | None = None, is_g: bool = False) -> None:
        self.value = value if isinstance(value, Value) else np.asarray(value)
        self.made = made
        self.is_g = is_g
        known = array_of(self.value)
        self.shape, self.ndim, self.dtype = known.shape, known.ndim, known.dtype

    def __apply__(self, primitive: Primitive, inputs: tuple[Any, ...], static: dict[str, Any]) -> Any:
        """The engine's hook: a primitive called with a traced value among its inputs."""
        plain = tuple(v.value if isinstance(v, Traced) else v for v in inputs)
        tracer = _tracer.get()
        out = tracer.call(primitive, plain, static) if tracer is not None else primitive(*plain, **static)
        if isinstance(out, tuple):
            return tuple(Traced(o, (primitive, inputs)) for o in out)
        return Traced(out, (primitive, inputs))

    def _no(self, *_: Any) -> Any:
        raise TypeError("a rule looks at the value of a symbol: use primitives and operators only")

    __bool__ = __iter__ = __float__ = __int__ = __index__ = __array__ = __getitem__ = _no


def _operators() -> None:
    for name in ("add", "sub", "mul", "truediv", "pow", "and", "or", "matmul"):
        op = getattr(ops, {"truediv": "div", "and": "logical_and", "or": "logical_or"}.get(name, name))
        setattr(Traced, f"__{name}__", lambda a, b, op=op: op(a, b))
        setattr(Traced, f"__r{name}__", lambda a, b, op=op: op(b, a))
    for name in ("eq", "ne", "lt", "le", "gt", "ge"):
        op = getattr(ops, name)
        setattr(Traced, f"__{name}__", lambda a, b, op=op: op(a, b))
    for name, op in (("neg", ops.neg), ("invert", ops.logical_not), ("abs", ops.abs)):
        setattr(Traced, f"__{name}__", lambda a, op=op: op(a))


_operators()


def traced(value: Any) -> Any:
    """Arrays and tensors as traced values, also inside tuples; anything else unchanged."""
    if isinstance(value, tuple):
        return tuple(traced(v) for v in value)
    return Traced(value) if isinstance(value, (np.ndarray, np.generic, Value)) else value


def untraced(value: Any) -> Any:
    """The value a traced one stands for, also inside tuples."""
    if isinstance(value, tuple):
        return tuple(untraced(v) for v in value)
    return value.value if isinstance(value, Traced) else value


def follow(tracer: Tracer, rule: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """The answer of a rule whose steps the tracer takes."""
    token = _tracer.set(tracer)
    try:
        return untraced(rule(*(a if _is_shape(a) else traced(a) for a in arguments)))
    finally:
        _tracer.reset(token)


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple) and not any(isinstance(v, (np.ndarray, Value)) for v in value)
