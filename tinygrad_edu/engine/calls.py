"""`@primitive`, and the call written out for one and two inputs, where the cost per operation matters most.

`Primitive.__call__` is the definition; the functions made here do the same in a single frame.  The public functions
are made here too, with dtype promotion as what happens `otherwise`.
"""

from __future__ import annotations

from collections.abc import Callable
from sys import _getframe
from typing import Any, TypeVar

import numpy as np

from tinygrad_edu.engine.mode import current
from tinygrad_edu.engine.node import Node
from tinygrad_edu.engine.primitive import Primitive, nowhere, registry
from tinygrad_edu.engine.storage import clock
from tinygrad_edu.engine.value import Value, constant, set_result_class
from tinygrad_edu.engine.where import PACKAGE, outside

Result = TypeVar("Result", bound=type[Value])
Tensor: type[Value] = Value
_mode = current.get
_new = object.__new__
_ndarray = np.ndarray
_EMPTY: dict[str, Any] = {}
_NUMBERS = (float, int)
_NONES = (None, None, None)
_known: list[Any] = [None]


def results_are(cls: Result) -> Result:
    """Class decorator: operations on values return instances of `cls`."""
    global Tensor
    Tensor = cls
    set_result_class(cls)
    return cls


class Unary(Primitive):
    """A primitive of one input."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.call = unary_call(self, super().__call__)

    def __call__(self, x: Any, **static: Any) -> Any:  # type: ignore[override]
        if x.__class__ is _ndarray:
            return self.compute((x,), {**self.defaults, **static})[0]
        return self.call(x, **static)


class Binary(Primitive):
    """A primitive of two inputs, without static parameters."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.call = binary_call(self, super().__call__, mixed=True)

    def __call__(self, x: Any, y: Any) -> Any:  # type: ignore[override]
        if x.__class__ is _ndarray is y.__class__:
            return self.compute((x, y), _EMPTY)[0]
        return self.call(x, y)


def unary_call(op: Primitive, otherwise: Callable[..., Any], kinds: str | None = None) -> Callable[..., Any]:
    """`op` on one tensor whose dtype kind is in `kinds` (None: any); `otherwise` for everything else."""
    forward, plans, defaults = op.forward, op.plans, op.defaults

    def call(x: Any, **static: Any) -> Any:
        if x.__class__ is not Tensor and not isinstance(x, Value):
            return otherwise(x, **static)
        a, edge = x._array, x._edge
        if kinds is not None and a.dtype.kind not in kinds:
            return otherwise(x, **static)
        if defaults:
            static = {**defaults, **static}
        try:
            out = forward(a, **static)
        except Exception as error:
            out = op.again((a,), error, static)
        if out.__class__ is not _ndarray:
            out = np.asarray(out)
        mode = _mode()
        result = _new(Tensor)
        result._array = out
        result._notes = None
        if edge is not None and mode.grad and op.differentiable:
            result._edge = node = Node()
            try:
                node.plan = plan = plans[1]
            except KeyError:
                node.plan = plan = op.plan(1, 1)
            keep_x, keep_z = plan.keep
            node.saved = (a if keep_x else None, out if keep_z else None)
            node.inputs = (edge,)
            node.static = static
            node.shape = out.shape
            node.dtype = out.dtype
            node.seq = next(clock)
            frame = _getframe(1)
            node.code = code = frame.f_code
            node.instruction = frame.f_lasti
            if code is not _known[0]:
                if code.co_filename.startswith(PACKAGE):
                    node.code, node.instruction = outside(2) or nowhere
                else:
                    _known[0] = code
            node.scope = mode.scope
            node.special = None
        else:
            result._edge = None
        if mode.recorder is not None:
            mode.recorder.call(op, (a,), static, (out,))
        return result

    return call


def binary_call(
    op: Primitive, otherwise: Callable[[Any, Any], Any], kinds: str | None = None, mixed: bool = False
) -> Callable[[Any, Any], Any]:
    """`op` on two tensors of one dtype, its kind in `kinds` (or one and a number); `otherwise` for everything else.

    mixed -- the second may be of another dtype, if not a floating one: classes, say
    """
    forward, plans = op.forward, op.plans

    def call(x: Any, y: Any) -> Any:
        if x.__class__ is Tensor or isinstance(x, Value):
            a, x_edge = x._array, x._edge
            dtype = a.dtype
            if y.__class__ is Tensor or isinstance(y, Value):
                b, y_edge = y._array, y._edge
                if b.dtype is not dtype and (not mixed or b.dtype.kind == "f"):
                    return otherwise(x, y)
                if kinds is not None and dtype.kind not in kinds:
                    return otherwise(x, y)
            elif dtype.kind == "f" and y.__class__ in _NUMBERS:
                b, y_edge = y, None
            else:
                return otherwise(x, y)
        else:
            return otherwise(x, y)
        try:
            out = forward(a, b)
        except Exception as error:
            out = op.again((a, b), error, _EMPTY)
        if out.__class__ is not _ndarray:
            out = np.asarray(out)
        mode = _mode()
        result = _new(Tensor)
        result._array = out
        result._notes = None
        if mode.grad and (needs := (op.first if x_edge is not None else 0) | (op.second if y_edge is not None else 0)):
            result._edge = node = Node()
            try:
                node.plan = plan = plans[needs]
            except KeyError:
                node.plan = plan = op.plan(needs, 2)
            if plan.keeps:
                keep_x, keep_y, keep_z = plan.keep
                node.saved = (a if keep_x else None, b if keep_y else None, out if keep_z else None)
            else:
                node.saved = _NONES
            node.inputs = (
                x_edge if x_edge is not None else constant(x),
                y_edge if y_edge is not None else constant(y),
            )
            node.static = _EMPTY
            node.shape = out.shape
            node.dtype = out.dtype
            node.seq = next(clock)
            frame = _getframe(1)
            node.code = code = frame.f_code
            node.instruction = frame.f_lasti
            if code is not _known[0]:
                if code.co_filename.startswith(PACKAGE):
                    node.code, node.instruction = outside(2) or nowhere
                else:
                    _known[0] = code
            node.scope = mode.scope
            node.special = None
        else:
            result._edge = None
        if mode.recorder is not None:
            mode.recorder.call(op, (a, b), _EMPTY, (out,))
        return result

    return call


def primitive(
    forward: Callable[..., Any] | None = None,
    *,
    domain: Any = None,
    text: str | None = None,
    latex: str | None = None,
    outputs: int | None = 1,
    auxiliary: tuple[int, ...] = (),
    broadcasts: bool = False,
) -> Any:
    """Register a forward as a primitive; give it rules with `.slope`, `.pullback` or `.no_gradient`.

    domain    -- one `Domain` per input (elementwise), or a `Family`; needed by the property tests
    text, latex -- how people read it, where that differs from the forward's return expression: `"σ({x})"`
    outputs   -- how many results; None when the number depends on the call
    auxiliary -- the positions of results that carry no gradient
    broadcasts -- pullbacks may come in the broadcast shape, the walk sums them (always so for elementwise ones)

    Registering again from the same place replaces (a notebook cell run twice); a built-in can not be replaced.
    """
    settings = {"domain": domain, "text": text, "latex": latex, "outputs": outputs, "auxiliary": auxiliary}
    settings["broadcasts"] = broadcasts
    if forward is None:
        return lambda f: primitive(f, **settings)
    probe = Primitive(forward, **settings)
    plain = outputs == 1 and probe.variadic is None and not (probe.statics and len(probe.inputs) > 1)
    kind = {1: Unary, 2: Binary}.get(len(probe.inputs), Primitive) if plain else Primitive
    op = kind(forward, **settings)
    known = registry.get(op.name)
    if known is not None and known.__module__ != op.__module__:
        owner = "a built-in primitive" if known.__module__.startswith("tinygrad_edu.") else known.__module__
        raise ValueError(f"there is a primitive named {op.name!r} already ({owner}): choose another name")
    registry[op.name] = op
    return op
