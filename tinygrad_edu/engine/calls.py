"""`@primitive`: registering an operation, and which form of its call it gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from tinygrad_edu.engine.primitive import Primitive, registry
from tinygrad_edu.engine.value import Value, set_result_class
from tinygrad_edu.engine.written import results_of_calls_are, written_call

Result = TypeVar("Result", bound=type[Value])


def results_are(cls: Result) -> Result:
    """Class decorator: operations on values return instances of `cls`."""
    results_of_calls_are(cls)
    set_result_class(cls)
    return cls


class Written(Primitive):
    """A primitive with a fixed number of inputs and one output, whose call is written out for it."""

    # Python finds the written call where it looks for the method, so that no other call lies between.
    __slots__ = ("__call__",)
    __call__: Callable[..., Any]

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        numbers = len(self.inputs) == 2 and not self.statics
        self.__call__ = written_call(self, self.otherwise, numbers=numbers)

    def otherwise(self, *inputs: Any, **static: Any) -> Any:
        """The call on bare arrays, and on all else that the written one leaves."""
        if inputs[0].__class__ is np.ndarray is inputs[-1].__class__ and len(inputs) < 3:
            return self.compute(inputs, {**self.defaults, **static})[0]
        return super().__call__(*inputs, **static)


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
    kind = Written if outputs == 1 and probe.variadic is None and probe.inputs else Primitive
    op = kind(forward, **settings)
    known = registry.get(op.name)
    if known is not None and known.__module__ != op.__module__:
        owner = "a built-in primitive" if known.__module__.startswith("tinygrad_edu.") else known.__module__
        raise ValueError(f"there is a primitive named {op.name!r} already ({owner}): choose another name")
    registry[op.name] = op
    return op
