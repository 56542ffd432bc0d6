"""Primitives: the operations everything else is made of.

    @primitive(domain=(real, real))
    def mul(x, y):
        return x * y
    mul.slope(x=lambda y: y, y=lambda x: x)

Positional parameters are inputs, keyword-only parameters are static and hashable.  What a primitive is called with
decides what happens: bare arrays are computed, tensors are computed and recorded, anything that defines
`__apply__` (symbols) takes the call over.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.engine import where as places
from tinygrad_edu.engine.errors import forward_failed
from tinygrad_edu.engine.mode import current
from tinygrad_edu.engine.node import Node, Output, Special, edge_of
from tinygrad_edu.engine.plan import Plan
from tinygrad_edu.engine.quiet import ignore, restore, silence
from tinygrad_edu.engine.rule import Rule, bind, fetch
from tinygrad_edu.engine.storage import clock
from tinygrad_edu.engine.value import Value, array_of, make

registry: dict[str, Primitive] = {}
"""Every registered primitive, by name."""


class Primitive:
    """One operation: its forward, and one gradient rule per input.

    name, inputs, statics  -- from the forward's signature; `variadic` is the name after `*`, if any
    defaults               -- of the static parameters
    outputs                -- how many results; None: it depends on the call
    auxiliary              -- the positions of results that carry no gradient
    broadcasts             -- the walk sums gradients over the axes that broadcasting repeated
    domain, text, latex    -- see `primitive` in calls.py
    rules                  -- by input name; an input in `constant` has no gradient, as a statement
    fused                  -- input names and the kernel that gives all their gradients at once (`fast=`), if any
    plans                  -- what was worked out for each pattern of inputs that need a gradient
    ruled                  -- a bit mask of the inputs that have a rule
    """

    def __init__(
        self,
        forward: Callable[..., Any],
        domain: Any = None,
        text: str | None = None,
        latex: str | None = None,
        outputs: int | None = 1,
        auxiliary: tuple[int, ...] = (),
        broadcasts: bool = False,
    ) -> None:
        self.__signature__ = inspect.signature(forward)
        parameters = self.__signature__.parameters.values()
        positional = [p for p in parameters if p.kind is not p.KEYWORD_ONLY]
        self.name = forward.__name__
        self.forward = forward
        self.__doc__ = forward.__doc__
        self.__module__ = forward.__module__
        self.__name__ = self.__qualname__ = forward.__name__
        self.inputs = tuple(p.name for p in positional)
        self.variadic = next((p.name for p in positional if p.kind is p.VAR_POSITIONAL), None)
        self.statics = tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
        self.defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is not p.empty}
        self.domain = domain
        self.text = text
        self.latex = latex
        self.outputs = outputs
        self.auxiliary = auxiliary
        self.broadcasts = broadcasts or isinstance(domain, tuple)
        self.rules: dict[str, Rule] = {}
        self.fused: tuple[tuple[str, ...], Callable[..., Any]] | None = None
        self.constant: set[str] = set()
        self.plans: dict[Any, Plan] = {}
        self.ruled = 0

    def __repr__(self) -> str:
        return f"<primitive {self.name}({', '.join(self.inputs)})>"

    def slope(self, *, fast: Callable[..., Any] | None = None, **slopes: Any) -> Primitive:
        """State dz/dx of an elementwise primitive, one function (or number) per input.

        fast    -- a kernel giving g times the slope, for one input, used when everything is an array
        """
        for name, fn in slopes.items():
            self._add(name, "slope", fn if callable(fn) else _constant(fn), number=None if callable(fn) else fn)
        return self._fuse(slopes, fast)

    def pullback(
        self, *, fast: Callable[..., Any] | None = None, into: Callable[..., Any] | None = None, **rules: Any
    ) -> Primitive:
        """State the vjp, one function per input.

        fast    -- a kernel giving all the gradients of this statement at once, used when everything is an array
        into    -- a kernel adding the gradient into its parameter `buffer`, used when everything is an array
        """
        for name, fn in rules.items():
            self._add(name, "pullback", fn, into)
        return self._fuse(rules, fast)

    def _fuse(self, rules: dict[str, Any], fast: Callable[..., Any] | None) -> Primitive:
        if fast is not None:
            for name in inspect.signature(fast).parameters:
                if name != "needs":
                    fetch(self, name)
            self.fused = (tuple(rules), fast)
        return self

    def no_gradient(self, *inputs: str) -> Primitive:
        """State that these inputs (all, when none is named) have no gradient."""
        self.constant.update(inputs or self.inputs)
        return self

    def _add(self, name: str, kind: str, fn: Any, into: Any = None, number: float | None = None) -> None:
        if name not in self.inputs:
            raise TypeError(f"{self.name} has no input {name!r}, only {', '.join(self.inputs)}")
        rule = Rule(self, name, kind, fn, into, number)
        for named in (fn, into or fn):
            bind(self, named)
        self.rules[name] = rule
        self.ruled |= 1 << self.inputs.index(name)
        self.plans.clear()

    def input_name(self, position: int) -> str:
        """The name of the input at a position; all of `*inputs` share one."""
        return self.inputs[min(position, len(self.inputs) - 1)]

    def plan(self, needs: Any, count: int) -> Plan:
        """The plan for the inputs (a bit mask) that need a gradient."""
        key = needs if self.variadic is None else (needs, count)
        plan = self.plans.get(key)
        if plan is None:
            positions = tuple(i for i in range(count) if needs >> i & 1)
            plan = self.plans[key] = Plan(self, positions, count)
        return plan

    def __call__(self, *inputs: Any, **static: Any) -> Any:
        for value in inputs:
            if isinstance(value, Value):
                break
        else:
            return self.bare(inputs, static)
        if len(inputs) > 1:
            inputs = one_dtype(inputs)
        static = {**self.defaults, **static}
        return self.record(inputs, static, self.compute([array_of(v) for v in inputs], static))

    def compute(self, arrays: Any, static: dict[str, Any]) -> tuple[np.ndarray, ...]:
        """The forward on arrays; always a tuple of arrays."""
        token = silence(ignore)
        try:
            out = self.forward(*arrays, **static)
        except Exception as error:
            raise forward_failed(self.name, arrays, static, error) from error
        finally:
            restore(token)
        return tuple(map(np.asarray, out)) if self.outputs != 1 else (np.asarray(out),)

    def again(self, arrays: Any, error: Exception, static: dict[str, Any]) -> np.ndarray:
        """After a failed forward: compute in silence if NumPy's warnings were made errors, else say what failed."""
        if isinstance(error, (RuntimeWarning, FloatingPointError)):
            return self.compute(arrays, static)[0]
        raise forward_failed(self.name, arrays, static, error) from error

    def bare(self, inputs: tuple[Any, ...], static: dict[str, Any]) -> Any:
        """The call without a tensor: on arrays and numbers, or handed to what defines `__apply__`."""
        for value in inputs:
            if hasattr(value, "__apply__"):
                return value.__apply__(self, inputs, {**self.defaults, **static})
        out = self.compute(inputs, {**self.defaults, **static})
        return out if self.outputs != 1 else out[0]

    def record(self, inputs: Any, static: dict[str, Any], arrays: tuple[np.ndarray, ...]) -> Any:
        """Tensors around the results, with a node behind them when a gradient may be asked for."""
        mode = current.get()
        needs = 0
        if mode.grad and self.rules:
            for i, value in enumerate(inputs):
                if isinstance(value, Value) and value._edge is not None and self.input_name(i) in self.rules:
                    needs |= 1 << i
        results = tuple(make(a) for a in arrays)
        if needs:
            plan = self.plan(needs, len(inputs))
            saved: Any = [array_of(v) if k else None for v, k in zip(inputs, plan.keep, strict=False)]
            saved.append(plan.kept(arrays) if self.outputs != 1 else arrays[0] if plan.keep[-1] else None)
            node = self.node(static, tuple(map(edge_of, inputs)), tuple(saved), plan, arrays[0])
            if self.outputs == 1:
                results[0]._edge = node
            else:
                node.special = Special(tuple((a.shape, a.dtype) for a in arrays))
                for slot, result in enumerate(results):
                    if slot not in self.auxiliary:
                        result._edge = Output(node, slot)
        if mode.recorder is not None:
            mode.recorder.call(self, tuple(map(array_of, inputs)), static, arrays)
        return results if self.outputs != 1 else results[0]

    def node(self, static: Any, edges: Any, saved: Any, plan: Plan, out: np.ndarray) -> Node:
        """The node of one call."""
        node = object.__new__(Node)
        node.static = static
        node.inputs = edges
        node.saved = saved
        node.plan = plan
        node.shape = out.shape
        node.dtype = out.dtype
        node.seq = next(clock)
        node.code, node.instruction = places.outside(2) or nowhere
        node.scope = current.get().scope
        node.special = None
        return node


def one_dtype(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Tensors of the widest floating dtype among the inputs, so that each gradient comes back in its input's."""
    arrays = [array_of(v) for v in inputs]
    floats = {a.dtype for a in arrays if isinstance(a, np.ndarray) and a.dtype.kind == "f"}
    if len(floats) < 2:
        return inputs
    from tinygrad_edu.engine.basis import cast

    wide = np.result_type(*floats)
    return tuple(
        cast(v, dtype=wide) if isinstance(v, Value) and a.dtype.kind == "f" and a.dtype != wide else v
        for v, a in zip(inputs, arrays, strict=True)
    )


def _constant(number: float) -> Callable[[], float]:
    """A slope that is a number, as a rule without parameters."""
    return lambda: number


nowhere: places.Where = (_constant.__code__, 0)
