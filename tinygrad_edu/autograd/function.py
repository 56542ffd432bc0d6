"""`Function`: a user's own operation, with forward and backward in Python, in PyTorch's spelling.

It is a thin door: forward and backward run on tensors, and everything they compute is recorded when it should be,
so a backward written with tensor operations can be differentiated again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.engine.calls import primitive
from tinygrad_edu.engine.mode import current, switched
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
        op = _operation(cls, ctx, args, outputs)
        tensors = [a for a in args if isinstance(a, Value)]
        arrays = tuple(o._array if all(o._array is not t._array for t in tensors) else o._array[...] for o in outputs)
        _remember(ctx, tensors, outputs)
        results = op.record(tuple(tensors), {}, arrays)
        results = results if isinstance(results, tuple) else (results,)
        return tuple(results) if isinstance(given, tuple) else results[0]


def _remember(ctx: Context, inputs: list[Any], outputs: tuple[Any, ...]) -> None:
    """Turn saved inputs and outputs into places, so that backward sees them with their history and versions."""
    places: list[Any] = []
    for saved in ctx._saved:
        same = [("input", i) for i, t in enumerate(inputs) if t is saved]
        same += [("output", i) for i, t in enumerate(outputs) if t is saved]
        places.append(same[0] if same else saved)
    ctx._saved = tuple(places)


def _operation(cls: type[Function], ctx: Context, args: tuple[Any, ...], outputs: tuple[Any, ...]) -> Primitive:
    """An unregistered primitive for one call: its pullback runs `backward` once and hands out the parts."""
    positions = [i for i, a in enumerate(args) if isinstance(a, Value)]
    several = len(outputs) > 1
    without = tuple(k for k, o in enumerate(outputs) if id(o) in ctx._without or o._array.dtype.kind != "f")
    memo: dict[int, Any] = {}

    def forward(*inputs: Any) -> Any:
        raise NotImplementedError(f"{cls.__name__} cannot be replayed: it is a Python function, not a primitive")

    forward.__name__ = cls.__name__
    forward.__module__ = cls.__module__
    op = Primitive(forward, outputs=1 if not several else None, auxiliary=without if several else ())

    def pullback(g: Any, i: int, inputs: Any, z: Any) -> Any:
        if id(g) not in memo:
            memo.clear()
            memo[id(g)] = (g, _run_backward(cls, ctx, g, inputs, z, len(args), without, outputs))
        part = memo[id(g)][1][positions[i]]
        given = args[positions[i]]
        if part is None:
            part = make(np.zeros_like(given._array))
        return part if isinstance(g, Value) or (isinstance(g, tuple) and isinstance(g[0], Value)) else part._array

    op.pullback(inputs=pullback)
    return op


def _run_backward(
    cls: type[Function], ctx: Context, g: Any, inputs: Any, z: Any, count: int, without: Any, outputs: Any
) -> Any:
    """Call the user's backward on tensors and check what it returns."""
    wrap = lambda a: make(a) if isinstance(a, np.ndarray) else a  # noqa: E731
    given = iter(g if isinstance(g, tuple) else (g,))
    upstream = [
        make(np.zeros_like(o._array)) if k in without and len(outputs) > 1 else wrap(next(given))
        for k, o in enumerate(outputs)
    ]
    zs = z if isinstance(z, tuple) else (z,)
    places = ctx._saved
    ctx._saved = tuple(
        wrap((inputs if p[0] == "input" else zs)[p[1]])
        if isinstance(p, tuple) and len(p) == 2 and p[0] in ("input", "output")
        else p
        for p in places
    )
    try:
        answer = cls.backward(ctx, *upstream)
    finally:
        ctx._saved = places
    parts = answer if isinstance(answer, tuple) else (answer,)
    if len(parts) != count:
        raise RuntimeError(
            f"{cls.__name__}.backward returned {len(parts)} gradients, expected {count}: one per input of forward "
            "(None for inputs without a gradient)"
        )
    for part in parts:
        if part is not None and not isinstance(part, Tensor):
            raise TypeError(f"{cls.__name__}.backward must return tensors or None, not {type(part).__name__}")
    return parts


__all__ = ["Context", "Function", "primitive"]
