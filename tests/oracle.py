"""Oracles that do not use any rule: finite differences, and symbols that show what a rule is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import ops
from tinygrad_edu.engine.primitive import Primitive

STEP = 2.0**-9


def inner(us: Sequence[np.ndarray], vs: Sequence[np.ndarray]) -> float:
    """The sum of all products: turns several outputs into one number."""
    return float(sum(np.sum(u * v) for u, v in zip(us, vs, strict=True)))


def differences(f: Callable[..., float], arrays: Sequence[np.ndarray], i: int) -> tuple[np.ndarray, float]:
    """df/d(arrays[i]) by central differences with two Richardson steps, and the error measured on the way."""
    base = [np.array(a) for a in arrays]
    x = base[i]
    result, worst = np.zeros(x.shape), 0.0
    for at in np.ndindex(x.shape):
        here, found = x[at], []
        for step in (STEP, STEP / 2, STEP / 4):
            x[at] = here + step
            up = f(*base)
            x[at] = here - step
            found.append((up - f(*base)) / (2 * step))
            x[at] = here
        first = [(4 * b - a) / 3 for a, b in pairwise(found)]
        result[at] = (16 * first[1] - first[0]) / 15
        worst = max(worst, abs(result[at] - first[1]))
    return result, worst


def assert_slope(actual: np.ndarray, f: Callable[..., float], arrays: Sequence[np.ndarray], i: int) -> None:
    """`actual` is the gradient of f with respect to arrays[i], as far as finite differences can tell."""
    expected, error = differences(f, arrays, i)
    scale = max(1.0, float(np.max(np.abs(expected), initial=0.0)))
    assert error < 1e-5 * scale, f"there is a kink within {STEP} of this point (the steps differ by {error})"
    np.testing.assert_allclose(actual, expected, rtol=0, atol=4 * error + 1e-9 * scale)


def differentiable(op: Primitive, inputs: Sequence[Any]) -> list[int]:
    """The positions of the float arrays among the inputs that have a rule."""
    return [
        i
        for i, v in enumerate(inputs)
        if isinstance(v, np.ndarray) and v.dtype.kind == "f" and op.input_name(i) in op.rules
    ]


def outputs_of(op: Primitive, inputs: Sequence[Any], static: dict[str, Any]) -> tuple[Any, ...]:
    """The results that carry a gradient, always as a tuple."""
    out = op(*inputs, **static)
    out = out if isinstance(out, tuple) else (out,)
    return tuple(o for k, o in enumerate(out) if k not in op.auxiliary)


def leaves_of(op: Primitive, inputs: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """The inputs as tensors around the same memory, and those among them that are leaves."""
    wanted = differentiable(op, inputs)
    given = [tg.from_numpy(v) if isinstance(v, np.ndarray) else v for v in inputs]
    return given, [given[i].requires_grad_() for i in wanted]


class Symbol:
    """What a pure rule can be fed with: it knows a shape and a dtype, and which primitive made it from what.

    `peek` is the value it stands for, computed alongside; there is no way to get at it from a rule.
    """

    __array_ufunc__ = None
    __hash__ = object.__hash__

    def __init__(self, peek: Any, made: tuple[Primitive, tuple[Any, ...]] | None = None, is_g: bool = False) -> None:
        self.peek = np.asarray(peek)
        self.made = made
        self.is_g = is_g
        self.shape, self.ndim, self.dtype = self.peek.shape, self.peek.ndim, self.peek.dtype

    def __apply__(self, primitive: Primitive, inputs: tuple[Any, ...], static: dict[str, Any]) -> Any:
        out = primitive(*(v.peek if isinstance(v, Symbol) else v for v in inputs), **static)
        if isinstance(out, tuple):
            return tuple(Symbol(o, (primitive, inputs)) for o in out)
        return Symbol(out, (primitive, inputs))

    def _no(self, *_: Any) -> Any:
        raise TypeError("a rule looks at the value of a symbol: use primitives and operators only")

    __bool__ = __iter__ = __float__ = __int__ = __index__ = __array__ = __getitem__ = _no


def _operators() -> None:
    for name in ("add", "sub", "mul", "truediv", "pow", "and", "or", "matmul"):
        op = getattr(ops, {"truediv": "div", "and": "logical_and", "or": "logical_or"}.get(name, name))
        setattr(Symbol, f"__{name}__", lambda a, b, op=op: op(a, b))
        setattr(Symbol, f"__r{name}__", lambda a, b, op=op: op(b, a))
    for name in ("eq", "ne", "lt", "le", "gt", "ge"):
        op = getattr(ops, name)
        setattr(Symbol, f"__{name}__", lambda a, b, op=op: op(a, b))
    for name, op in (("neg", ops.neg), ("invert", ops.logical_not), ("abs", ops.abs)):
        setattr(Symbol, f"__{name}__", lambda a, op=op: op(a))


_operators()
