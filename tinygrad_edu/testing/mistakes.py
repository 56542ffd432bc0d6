"""What people get wrong about a gradient as a whole, whatever the operation: edits of what a rule takes and gives.

A mistake is (in words, edit).  An edit is called with `answer`, which computes the right gradient from g and the saved
values, and with what it is given: g (a tuple for several outputs) and the saved values by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.engine.value import Value, array_of, make

Answer = Callable[[Any, dict[str, Any]], Any]
Edit = Callable[[Answer, Any, dict[str, Any]], Any]


def each(f: Callable[[Any], Any], value: Any) -> Any:
    """f of a value, or of each in a tuple; what is neither array nor tensor stays."""
    if isinstance(value, tuple):
        return tuple(each(f, v) for v in value)
    return f(value) if isinstance(value, (np.ndarray, np.generic, Value)) else value


def ones_like(g: Any) -> Any:
    ones = np.ones_like(array_of(g))
    return make(ones) if isinstance(g, Value) else ones


def detach(value: Any) -> Any:
    return make(value._array) if isinstance(value, Value) else value


def after(f: Callable[[Any], Any]) -> Edit:
    """Do something to the right gradient."""
    return lambda answer, g, saved: f(answer(g, saved))


def with_g(f: Callable[[Any], Any]) -> Edit:
    """Do something to g first."""
    return lambda answer, g, saved: answer(each(f, g), saved)


def through_float32(r: Any) -> Any:
    return ops.cast(ops.cast(r, dtype=np.dtype(np.float32)), dtype=r.dtype)


def transposed(r: Any) -> Any:
    return ops.mT(r) if r.ndim >= 2 and r.shape[-1] == r.shape[-2] else r


def turned_round(r: Any) -> Any:
    return ops.index(r, template=(Ellipsis, ops.Cut(None, None, -1))) if r.ndim else r


def without_the_last(r: Any) -> Any:
    n = r.shape[-1] if r.ndim else 0
    if n < 2:
        return r
    return ops.embed(ops.narrow(r, dim=r.ndim - 1, start=0, length=n - 1), dim=r.ndim - 1, start=0, size=n)


def memory_order(r: Any) -> Any:
    """Entries in the order they have in memory, taken for row-major."""
    a = array_of(r)
    if a.ndim < 2 or not a.flags.f_contiguous or a.flags.c_contiguous:
        return r
    return ops.reshape(ops.permute(r, dims=tuple(reversed(range(a.ndim)))), shape=a.shape)


def scale_in_place(answer: Answer, g: Any, saved: dict[str, Any]) -> Any:
    """`g *= 2` on the way."""
    r = answer(each(lambda v: v * 1, g), saved)
    each(_double, g)
    return r


def _double(g: Any) -> None:
    a = array_of(g)
    if isinstance(a, np.ndarray) and a.flags.writeable:
        a *= 2


def write_into_inputs(answer: Answer, g: Any, saved: dict[str, Any]) -> Any:
    """A saved input used as scratch memory."""
    r = answer(g, saved)
    for value in saved.values():
        a = array_of(value)
        if isinstance(a, np.ndarray) and a.dtype.kind == "f" and a.flags.writeable:
            a += 1
    return r


def saved_detached(answer: Answer, g: Any, saved: dict[str, Any]) -> Any:
    return answer(g, {name: each(detach, v) for name, v in saved.items()})


def remembering() -> Edit:
    """The first gradient kept, and given again whenever the shape is the same."""
    kept: dict[Any, Any] = {}

    def edit(answer: Answer, g: Any, saved: dict[str, Any]) -> Any:
        r = answer(g, saved)
        return kept.setdefault((r.shape, r.dtype, isinstance(r, Value)), r)

    return edit


def hoarding() -> Edit:
    """Every g kept in a list."""
    kept: list[Any] = []

    def edit(answer: Answer, g: Any, saved: dict[str, Any]) -> Any:
        kept.append(g)
        return answer(g, saved)

    return edit


def wider_dtype(r: Any) -> Any:
    """One float32 constant of too few digits, used in float32 only."""
    return r * 1.0001 if r.dtype == np.float32 else r


MISTAKES: dict[str, Edit] = {
    "g forgotten": with_g(ones_like),
    "g used twice": with_g(lambda g: g * g),
    "the sign of g lost": with_g(lambda g: ops.abs(g)),
    "sign flipped": after(lambda r: -r),
    "doubled": after(lambda r: r * 2),
    "0 everywhere": after(lambda r: r * 0),
    "transposed": after(transposed),
    "last axis in opposite order": after(turned_round),
    "last entry left out": after(without_the_last),
    "memory order taken for row-major": with_g(memory_order),
    "rounded to float32": after(through_float32),
    "another constant in float32": after(wider_dtype),
    "g scaled in place": scale_in_place,
    "g computed with outside the graph": with_g(detach),
}
"""Mistakes that every rule allows."""

WITH_SAVED: dict[str, Edit] = {
    "saved values used outside the graph": saved_detached,
    "saved values overwritten": write_into_inputs,
}
"""Mistakes of rules that use saved values."""

WITH_STATE: dict[str, Callable[[], Edit]] = {"first gradient remembered": remembering, "g kept in a list": hoarding}
"""Mistakes that remember something: a new one for each mutant."""
