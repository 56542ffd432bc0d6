"""How a gradient must behave: it writes to nothing, shares no memory, depends on no layout and on no earlier call."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.engine.value import make
from tinygrad_edu.testing.calls import Call
from tinygrad_edu.testing.cases import FLOAT32, FLOAT64, Case, flat
from tinygrad_edu.testing.laws import LAWS
from tinygrad_edu.testing.oracles import agree
from tinygrad_edu.testing.strategies import LAYOUTS, lay_out
from tinygrad_edu.testing.wrong import Property, Wrong, listed, same

CONDUCT: dict[str, Property] = {}


@listed(CONDUCT, "untouched")
def untouched(case: Case) -> None:
    """Neither the inputs nor the upstream gradients are written to."""
    for record in (False, True)[: case.orders]:
        xs, us = [np.array(x) for x in case.before], case.us()
        before = [np.array(u) for u in us]
        made = case.walk(us, xs, record)
        for out, old in zip(made.outs, case.outputs, strict=True):
            if not np.array_equal(out._array, old, equal_nan=True):
                raise Wrong("an output was changed by the walk: others may still need it", None, out._array, old, 0.0)
        for k, (x, given, old) in enumerate(zip(xs, case.xs, case.before, strict=True)):
            # another property may have been the first to run it, on the case's own arrays
            now = x if np.array_equal(given, old, equal_nan=True) else given
            if not np.array_equal(now, old, equal_nan=True):
                raise Wrong(f"{case.name(k)} was changed", k, np.array(now), old, 0.0, now != old)
        for u, old in zip(us, before, strict=True):
            if not np.array_equal(u, old, equal_nan=True):
                raise Wrong("the upstream gradient was changed: other operations still need it", None, u, old, 0.0)


@listed(CONDUCT, "memory")
def memory(case: Case) -> None:
    """No gradient shares memory with another one, with an input or with g; a second backward adds to `.grad`."""
    made = case.walk(case.us())
    _apart(case, made.grads, [*made.leaves, *made.gs])
    given = [make(v) if isinstance(v, np.ndarray) else v for v in case.inputs]
    leaves = [given[i].requires_grad_() for i in case.wanted]
    gs = [make(u) for u in case.us()]
    for count in (1, 2):
        outs = case.subject(given, case.static)
        live = [(o, g) for o, g in zip(outs, gs, strict=True) if o.requires_grad]
        if not live:
            return
        tg.autograd.backward([o for o, _ in live], [g for _, g in live])
        reached = [leaf for leaf in leaves if leaf.grad is not None]
        if case.finite:
            expected = [g for g, leaf in zip(case.gradient, leaves, strict=True) if leaf.grad is not None]
            message = f".grad after {count} backward is not {count} times the gradient"
            same(message, [leaf.grad._array for leaf in reached], [count * g for g in expected])
        _apart(case, [leaf.grad for leaf in reached], [*leaves, *gs])


def _apart(case: Case, grads: Sequence[Any], others: Sequence[Any]) -> None:
    for k, g in enumerate(grads):
        for other in (*grads[:k], *others):
            if np.shares_memory(g._array, other._array):
                raise Wrong("a gradient shares its memory with another gradient, an input or g", k)


@listed(CONDUCT, "layout")
def layout(case: Case) -> None:
    """The numbers do not depend on how inputs and g lie in memory."""
    us = case.us()
    for name in LAYOUTS[1:]:
        laid = [lay_out(u, name, -1) for u in us]
        if case.orders > 1 and name != "broadcast":
            recorded = case.walk(laid, record=True).arrays
            same(f"with a {name} g in memory the recorded gradient is another one", recorded, case.gradient, name=name)
        plain = case.gradient if name != "broadcast" else case.vjp([np.array(u, order="C") for u in laid])
        same(f"with a {name} g in memory the gradient is another one", case.vjp(laid), plain, name=name)
        if name != "broadcast":
            found = case.vjp(us, case.laid_out(case.xs, name))
            same(f"with {name} inputs in memory the gradient is another one", found, case.gradient, name=name)


@listed(CONDUCT, "float32")
def float32(case: Case) -> None:
    """In float32 the gradient is a float32 one, equal to the rounded one of float64 up to rounding."""
    if not case.finite:
        return
    static = {k: FLOAT32 if isinstance(v, np.dtype) and v == FLOAT64 else v for k, v in case.static.items()}
    with np.errstate(over="ignore", under="ignore"):
        us, xs = ([v.astype(FLOAT32) for v in vs] for vs in (case.us(), case.xs))
    wide = case.vjp([u.astype(FLOAT64) for u in us], [x.astype(FLOAT64) for x in xs])
    size = max([v.size for v in (*xs, *us)], default=1)
    mixed = [x if k else wide for k, (x, wide) in enumerate(zip(xs, case.xs, strict=True))]
    if _accepts(case, mixed):
        for k, (g, x) in enumerate(zip(case.walk(case.us(), mixed).grads, mixed, strict=True)):
            if g.dtype != x.dtype:
                raise Wrong(f"with inputs of different dtypes, the gradient of a {x.dtype} input is {g.dtype}", k)
    found = [g for record in (False, True)[: case.orders] for g in case.walk(us, xs, record, static).grads]
    for k, (g, b) in enumerate(zip(found, wide * case.orders, strict=True)):
        k %= len(xs)
        if g.dtype != FLOAT32:
            raise Wrong(f"the gradient of a float32 input is {g.dtype}", k)
        scale = max(1.0, float(np.max(np.abs(flat(us)), initial=0)), float(np.max(np.abs(b), initial=0)))
        tolerance = float(np.finfo(np.float32).eps) * (32 + 2 * size) * scale
        good = agree(g._array.astype(FLOAT64), b, tolerance) | ~np.isfinite(b)
        if not good.all():
            raise Wrong("right in float64, wrong in float32", k, g._array.astype(FLOAT64), b, tolerance, ~good)


def _accepts(case: Case, xs: Sequence[np.ndarray]) -> bool:
    """Whether the forward takes these inputs."""
    try:
        case.values(xs)
    except Exception:  # the forward decides what it accepts
        return False
    return True


@listed(CONDUCT, "size 0")
def size_zero(case: Case) -> None:
    """With an axis of size 0, where the forward accepts it, the gradient is as empty as the input."""
    if case.subject.op is not None and case.static:
        return  # the domain draws such calls, with static parameters that fit
    for n in sorted({n for x in case.xs for n in x.shape if n > 1}):
        cut = [_emptied(v, n) if isinstance(v, np.ndarray) else v for v in case.inputs]
        try:
            small = Case(case.subject, Call(cut, case.static), case.seed)
            outputs = small.outputs
        except Exception:  # the forward decides what it accepts
            continue
        if outputs and all(np.isfinite(o).all() for o in outputs):
            LAWS["shape and dtype"](small)


def _emptied(x: np.ndarray, n: int) -> np.ndarray:
    """Every axis of size n cut to nothing."""
    return x[tuple(slice(0, 0) if size == n else slice(None) for size in x.shape)]


@listed(CONDUCT, "deterministic")
def deterministic(case: Case) -> None:
    """A second run gives the same bits."""
    for first, second in ((case.outputs, case.values(case.xs)), (case.gradient, case.vjp(case.us()))):
        for a, b in zip(first, second, strict=True):
            if not np.array_equal(a, b, equal_nan=True):
                raise Wrong("two runs differ: is something random, or remembered from one call to the next?")


@listed(CONDUCT, "graph freed")
def graph_freed(case: Case) -> None:
    """After the walk nothing holds on to values or gradients, without help of the garbage collector."""
    for record in (False, True)[: case.orders]:
        _freed(case, record)


def _freed(case: Case, record: bool) -> None:
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        made = case.walk([np.array(u) for u in case.us()], [np.array(x) for x in case.xs], record)
        tensors = (*made.leaves, *made.gs, *made.outs)
        held = [weakref.ref(t) for t in (*tensors, *(g._array for g in made.gs))]
        del tensors
        del made
        if any(ref() is not None for ref in held):
            raise Wrong("after backward something still holds on to the graph: a cycle, or a list that is kept")
    finally:
        if was_enabled:
            gc.enable()
