"""`Function`: a user's own operation, with forward and backward in Python, in PyTorch's spelling.

It is a thin door: forward and backward run on tensors, and everything they compute is recorded when it should be,
so a backward written with tensor operations can be differentiated again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.engine.calls import primitive
from tinygrad_edu.engine.mode import current, switched
from tinygrad_edu.engine.plan import Plan, add, checked
from tinygrad_edu.engine.primitive import Primitive
from tinygrad_edu.engine.value import Value, make
from tinygrad_edu.tensor import Tensor


class Context:
    """What forward leaves for backward: `save_for_backward(...)`, `saved_tensors`, and attributes of your own."""

    def __init__(self) -> None:
        self.needs_input_grad: tuple[bool, ...] = ()
        self._saved: tuple[Any, ...] = ()
        self._without: set[int] = set()

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors for backward; a write to one of them in between is noticed."""
        self._saved = tensors

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What `save_for_backward` kept."""
        return self._saved

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """These outputs get no gradient."""
        self._without.update(id(t) for t in tensors)


class Function:
    """Subclass with static methods `forward(ctx, *inputs)` and `backward(ctx, *gradients)`, call with `apply`.

    >>> import tinygrad_edu as tg
    >>> class Cube(tg.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x * x
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         (x,) = ctx.saved_tensors
    ...         return g * 3 * x * x
    >>> x = tg.tensor(2.0, requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad
    tensor(12.)
    """

    @staticmethod
    def forward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        """Compute the outputs; save what backward needs with `ctx.save_for_backward`."""
        raise NotImplementedError("a Function needs a static method forward(ctx, ...)")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """One gradient per input of forward, None for inputs without one."""
        raise NotImplementedError("a Function needs a static method backward(ctx, ...) to be differentiated")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run forward and record one node whose gradient is backward."""
        ctx = Context()
        ctx.needs_input_grad = tuple(isinstance(a, Value) and a._edge is not None for a in args)
        with switched(grad=False):
            given = cls.forward(ctx, *args)
        outputs = given if isinstance(given, tuple) else (given,)
        for i, out in enumerate(outputs):
            if not isinstance(out, Value):
                raise TypeError(f"{cls.__name__}.forward must return tensors, output {i} is {type(out).__name__}")
        if not (current.get().grad and any(ctx.needs_input_grad)):
            return given
        op = _Call(cls, ctx, args, outputs)
        tensors = [a for a in args if isinstance(a, Value)]
        arrays = tuple(o._array if all(o._array is not t._array for t in tensors) else o._array[...] for o in outputs)
        _remember(ctx, tensors, outputs)
        results = op.record(tuple(tensors), {}, arrays)
        results = results if isinstance(results, tuple) else (results,)
        return tuple(results) if isinstance(given, tuple) else results[0]


@dataclass(frozen=True)
class _Place:
    """Where a saved tensor is found at the time of backward: which "input" or "output" it is."""

    kind: str
    at: int


def _remember(ctx: Context, inputs: list[Any], outputs: tuple[Any, ...]) -> None:
    """Turn saved inputs and outputs into places, so that backward sees them with their history and versions."""
    places: list[Any] = []
    for saved in ctx._saved:
        same = [_Place("input", i) for i, t in enumerate(inputs) if t is saved]
        same += [_Place("output", i) for i, t in enumerate(outputs) if t is saved]
        places.append(same[0] if same else saved)
    ctx._saved = tuple(places)


class _Call(Primitive):
    """An unregistered primitive for one call: its gradients are the parts of what `backward` returns."""

    def __init__(self, cls: type[Function], ctx: Context, args: tuple[Any, ...], outputs: tuple[Any, ...]) -> None:
        def forward(*inputs: Any) -> Any:
            raise NotImplementedError(f"{cls.__name__} cannot be replayed: it is a Python function, not a primitive")

        forward.__name__ = cls.__name__
        forward.__module__ = cls.__module__
        several = len(outputs) > 1
        self.without = [k for k, o in enumerate(outputs) if id(o) in ctx._without or o._array.dtype.kind != "f"]
        auxiliary = tuple(self.without) if several else ()
        super().__init__(forward, outputs=None if several else 1, auxiliary=auxiliary, broadcasts=True)
        self.cls, self.ctx, self.count = cls, ctx, len(args)
        self.positions = [i for i, a in enumerate(args) if isinstance(a, Value)]
        self.given = [args[i]._array.shape for i in self.positions]
        self.shapes = [(o._array.shape, o._array.dtype) for o in outputs]
        self.pullback(inputs=lambda g, i, inputs, z: self.gradients(g, (*inputs, z))[i])

    def plan(self, needs: Any, count: int) -> Plan:
        """What this call keeps is what `save_for_backward` was given."""
        return _Plan(self, tuple(i for i in range(count) if needs >> i & 1), count)

    def gradients(self, g: Any, saved: tuple[Any, ...]) -> list[Any]:
        """One walk's call of `backward`: a gradient (or None) for each tensor among the arguments."""
        parts = _run_backward(self, g, saved[:-1], saved[-1])
        return [parts[position] for position in self.positions]


class _Plan(Plan):
    """The plan of one call: `backward` runs once in each walk, however many inputs need a gradient."""

    def __init__(self, op: _Call, needs: tuple[int, ...], count: int) -> None:
        places = [p for p in op.ctx._saved if isinstance(p, _Place)]
        inputs = {p.at for p in places if p.kind == "input"}
        self.op, self.needs, self.source = op, needs, f"{op.name}.backward"
        self.slots = {p.at for p in places if p.kind == "output"}
        self.keep = (*(i in inputs for i in range(count)), bool(self.slots))
        self.keeps = any(self.keep)

    @property
    def pulls(self) -> Any:  # type: ignore[override]
        """(input position, rule, part): the first part that is asked for runs `backward`, the others share it."""
        found: list[Any] = []

        def part(i: int) -> Any:
            def bound(g: Any, saved: tuple[Any, ...], node: Any) -> Any:
                if not found:
                    found.extend(self.op.gradients(g, saved))
                r = found[i]
                return make(np.zeros(node.inputs[i].shape, node.inputs[i].dtype)) if r is None else r

            return bound

        return [(i, self.op.rules["inputs"], part(i)) for i in self.needs]

    def pull(self, node: Any, g: Any, table: Any, owned: Any) -> None:  # type: ignore[override]
        """The gradients as arrays; views, since the user may hold what `backward` returned."""
        for i, r in enumerate(self.op.gradients(g, node.saved)):
            if i in self.needs and r is not None:
                add(table, node.inputs[i], checked(r._array[...], node.inputs[i], node, True))


def _run_backward(op: _Call, g: Any, inputs: Any, z: Any) -> tuple[Any, ...]:
    """Call the user's backward on tensors and check what it returns."""
    given = iter(g if isinstance(g, tuple) else (g,))
    several = len(op.shapes) > 1
    upstream = [
        make(np.zeros(*made)) if several and k in op.without else _wrapped(next(given))
        for k, made in enumerate(op.shapes)
    ]
    held = {"input": inputs, "output": z if several else (z,)}
    places = op.ctx._saved
    op.ctx._saved = tuple(_wrapped(held[p.kind][p.at]) if isinstance(p, _Place) else p for p in places)
    try:
        answer = op.cls.backward(op.ctx, *upstream)
    finally:
        op.ctx._saved = places
    parts = answer if isinstance(answer, tuple) else (answer,)
    if len(parts) != op.count:
        raise RuntimeError(
            f"{op.name}.backward returned {len(parts)} gradients, expected {op.count}: one per input of forward "
            "(None for inputs without a gradient)"
        )
    for part in parts:
        if part is not None and not isinstance(part, Tensor):
            raise RuntimeError(f"{op.name}.backward must return tensors or None, not {type(part).__name__}")
    for i, position in enumerate(op.positions):
        part, shape = parts[position], op.given[i]
        if part is not None and not _sums_to(part._array.shape, shape):
            raise RuntimeError(
                f"{op.name}.backward returned a gradient of shape {part._array.shape} for input {position}, which has "
                f"shape {shape}"
            )
    return parts


def _sums_to(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether summing over axes that were broadcast gives the wanted shape."""
    lead = len(shape) - len(wanted)
    return lead >= 0 and all(w in (n, 1) for n, w in zip(shape[lead:], wanted, strict=True))


def _wrapped(value: Any) -> Any:
    return make(np.asarray(value)) if isinstance(value, (np.ndarray, np.generic)) else value


__all__ = ["Context", "Function", "primitive"]
