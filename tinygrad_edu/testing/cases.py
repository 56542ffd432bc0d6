"""A case: one operation, one call of it, and everything a property needs to know about both."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.autograd import Function
from tinygrad_edu.engine.primitive import Primitive
from tinygrad_edu.engine.value import make
from tinygrad_edu.testing.calls import Call
from tinygrad_edu.testing.oracles import Slopes, one_sided, slopes
from tinygrad_edu.testing.strategies import lay_out, upstream

FLOAT64 = np.dtype(np.float64)
FLOAT32 = np.dtype(np.float32)


class Subject:
    """What is checked: a primitive, an `autograd.Function`, or a Python function of tensors."""

    def __init__(self, fn: Any) -> None:
        if not callable(fn) and not (isinstance(fn, type) and issubclass(fn, Function)):
            raise TypeError(
                f"check() takes a primitive (tinygrad_edu.ops.mul), an autograd.Function or a function of tensors, "
                f"not {type(fn).__name__}"
            )
        self.fn = fn
        self.op: Primitive | None = fn if isinstance(fn, Primitive) else None
        self.is_function = isinstance(fn, type) and issubclass(fn, Function)
        self.name = getattr(fn, "__name__", type(fn).__name__)

    def __call__(self, inputs: Sequence[Any], static: dict[str, Any]) -> list[Any]:
        """The outputs that are floating and may carry a gradient, as a list of tensors (arrays for bare arrays)."""
        out = (self.fn.apply if self.is_function else self.fn)(*inputs, **static)
        outs = list(out) if isinstance(out, (tuple, list)) else [out]
        if self.op is not None:
            outs = [o for k, o in enumerate(outs) if k not in self.op.auxiliary]
        for o in outs:
            if not isinstance(o, tg.Tensor) and not (self.op is not None and isinstance(o, np.ndarray)):
                raise TypeError(f"{self.name} must return tensors, not {type(o).__name__}")
        return [o for o in outs if array(o).dtype.kind in "fc"]

    def input_name(self, position: int) -> str:
        """What an argument is called, `args[1]` for one of `*args`."""
        if self.op is not None:
            names, variadic = list(self.op.inputs), self.op.variadic
        else:
            names, variadic = _parameters(self.fn.forward if self.is_function else self.fn)
            names = names[1:] if self.is_function else names
        plain = len(names) - (variadic is not None)
        if position < plain:
            return names[position]
        return f"{variadic}[{position - plain}]" if variadic is not None else f"input {position}"


def _parameters(fn: Callable[..., Any]) -> tuple[list[str], str | None]:
    """(names of the positional parameters, the one after `*` if any)."""
    try:
        found = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):
        return [], None
    variadic = next((p.name for p in found if p.kind is p.VAR_POSITIONAL), None)
    return [p.name for p in found if p.kind not in (p.KEYWORD_ONLY, p.VAR_KEYWORD)], variadic


def array(value: Any) -> np.ndarray:
    """The array of a tensor; an array as it is."""
    return value._array if isinstance(value, tg.Tensor) else value


def flat(parts: Iterable[np.ndarray]) -> np.ndarray:
    """All entries of several arrays, one after the other."""
    found = [np.asarray(p).ravel() for p in parts]
    return np.concatenate(found) if found else np.zeros(0)


@dataclass
class Walk:
    """One forward and one walk back: leaves, upstream gradients and results as tensors."""

    leaves: list[Any]
    gs: list[Any]
    outs: list[Any]
    grads: list[Any]

    @property
    def arrays(self) -> list[np.ndarray]:
        """The gradients as arrays."""
        return [g._array for g in self.grads]


class Case:
    """One call of an operation; `verify()` (in checking.py) proves its gradients.

    wanted  -- the positions of the inputs that get a gradient: float arrays, and of a primitive those with a rule
    before  -- copies of these, made before anything ran
    seed    -- the upstream gradients belong to it, unless `upstream` has them
    """

    def __init__(self, subject: Subject, call: Call, seed: int = 0, orders: int = 2) -> None:
        self.subject, self.call, self.seed, self.orders = subject, call, seed, orders
        asked = [isinstance(v, tg.Tensor) and v.requires_grad for v in call.inputs]
        self.upstream: list[np.ndarray] | None = None
        self.inputs = [_plain(v) for v in call.inputs]
        self.static = call.static
        self.wanted = [
            i
            for i, v in enumerate(self.inputs)
            if isinstance(v, np.ndarray) and v.dtype.kind == "f" and (asked[i] or not any(asked)) and self._has_rule(i)
        ]
        self.before = [np.array(self.inputs[i]) for i in self.wanted]

    def _has_rule(self, position: int) -> bool:
        op = self.subject.op
        return op is None or op.input_name(position) in op.rules

    def __repr__(self) -> str:
        given = [f"{self.subject.input_name(i)} = {shown(v)}" for i, v in enumerate(self.inputs)]
        given += [f"{name} = {value!r}" for name, value in self.static.items()]
        return f"{self.subject.name} with {', '.join(given)}" if given else f"{self.subject.name}()"

    def verify(self) -> None:
        """Check every property of `tinygrad_edu.testing.properties`; GradientError says what is wrong."""
        from tinygrad_edu.testing.checking import verify

        verify(self)

    def again(self) -> Case:
        """The same case, to be checked anew; what does not depend on any rule is computed once for both."""
        other = Case(self.subject, self.call, self.seed, self.orders)
        if self.finite and self.xs:
            other.__dict__["slopes"] = self.slopes
        return other

    @functools.cached_property
    def xs(self) -> list[np.ndarray]:
        """The inputs that get a gradient."""
        return [self.inputs[i] for i in self.wanted]

    def name(self, k: int) -> str:
        """What the k-th of `xs` is called."""
        return self.subject.input_name(self.wanted[k])

    def filled(self, xs: Sequence[Any]) -> list[Any]:
        """All inputs, with these in the places of `xs`."""
        given = list(self.inputs)
        for i, x in zip(self.wanted, xs, strict=True):
            given[i] = x
        return given

    @functools.cached_property
    def outputs(self) -> list[np.ndarray]:
        """The values of the outputs."""
        return self.values(self.xs)

    @functools.cached_property
    def finite(self) -> bool:
        """Whether inputs and outputs are finite: else there is no slope to compare with."""
        return all(np.isfinite(v).all() for v in (*self.xs, *self.outputs))

    def values(self, xs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The outputs at xs, without a graph."""
        given = self.filled(xs)
        if self.subject.op is not None:
            return [np.asarray(o) for o in self.subject(given, self.static)]
        with tg.no_grad():
            tensors = [make(np.array(v)) if isinstance(v, (np.ndarray, np.generic)) else v for v in given]
            return [np.array(array(o)) for o in self.subject(tensors, self.static)]

    def us(self, k: int = 0) -> list[np.ndarray]:
        """The k-th choice of upstream gradients: all entries different, in row-major order."""
        if self.upstream is not None:
            return [np.array(u * (1 + k / 4)) for u in self.upstream]
        seed = (self.seed, k)
        found = [upstream(o.shape).sample((*seed, i)) for i, o in enumerate(self.outputs)]
        return [np.array(u * (1 + k / 4), order="C") for u in found]

    def walk(
        self,
        us: Sequence[np.ndarray],
        xs: Sequence[np.ndarray] | None = None,
        record: bool = False,
        static: dict[str, Any] | None = None,
    ) -> Walk:
        """Run forward and backward on tensors around the memory of xs and us."""
        given = [make(v) if isinstance(v, np.ndarray) else v for v in self.filled(self.xs if xs is None else xs)]
        with tg.enable_grad():
            leaves = [given[i].requires_grad_() for i in self.wanted]
            outs = self.subject(given, self.static if static is None else static)
            gs = [make(np.asarray(u, o.dtype)) for u, o in zip(us, outs, strict=True)]
            gs = [g.requires_grad_() for g in gs] if record else gs
            live = [(o, g) for o, g in zip(outs, gs, strict=True) if o.requires_grad]
            grads: Any = [make(np.zeros_like(x._array)) for x in leaves]
            if live and leaves:
                ys, vs = zip(*live, strict=True)
                grads = tg.autograd.grad(list(ys), leaves, list(vs), create_graph=record, materialize_grads=True)
        return Walk(leaves, gs, outs, list(grads))

    def vjp(self, us: Sequence[np.ndarray], xs: Sequence[np.ndarray] | None = None) -> list[np.ndarray]:
        """The gradients as arrays."""
        return self.walk(us, xs).arrays

    @functools.cached_property
    def gradient(self) -> list[np.ndarray]:
        """The gradients for the first choice of upstream."""
        return self.vjp(self.us())

    @functools.cached_property
    def slopes(self) -> Slopes:
        """The Jacobian of the forward, by an oracle."""
        return slopes(lambda xs: flat(self.values(xs)), self.xs, self._complex_values)

    def _complex_values(self, xs: Sequence[np.ndarray]) -> np.ndarray:
        return flat(self.values(xs))

    def along(self, direction: Sequence[np.ndarray]) -> Slopes:
        """The slopes of the forward from both sides in one direction."""
        return one_sided(lambda xs: flat(self.values(xs)), self.xs, direction)

    def split(self, entries: np.ndarray) -> list[np.ndarray]:
        """A flat vector with one entry for each entry of xs, cut into their shapes."""
        if not self.xs:
            return []
        sizes = np.cumsum([x.size for x in self.xs])[:-1]
        return [p.reshape(x.shape) for p, x in zip(np.split(entries, sizes), self.xs, strict=True)]

    def laid_out(self, xs: Sequence[np.ndarray], layout: str) -> list[np.ndarray]:
        """The same numbers in another memory layout."""
        return [lay_out(x, layout, -1) for x in xs]


def _plain(value: Any) -> Any:
    """The array of a tensor; floating arrays in float64, where gradients can be told from rounding."""
    value = value._array if isinstance(value, tg.Tensor) else value
    value = np.asarray(value) if isinstance(value, np.generic) else value
    if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.dtype != FLOAT64:
        return value.astype(FLOAT64)
    return value


def shown(value: Any) -> str:
    """An array in one line, short enough to read."""
    if not isinstance(value, np.ndarray):
        return repr(value)
    if value.size > 64:
        return f"array of shape {value.shape}"
    text = np.array2string(value, separator=", ", precision=4, max_line_width=10**6).replace("\n", "")
    return " ".join(text.split())
