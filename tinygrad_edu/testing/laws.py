"""What mathematics says about a gradient: it is the slope of the forward, linear in g, and has gradients itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.engine.value import make
from tinygrad_edu.testing.cases import Case, flat
from tinygrad_edu.testing.oracles import Vector, agree, one_sided, slopes
from tinygrad_edu.testing.wrong import EXACT, Property, Wrong, listed, same

LAWS: dict[str, Property] = {}


@listed(LAWS, "shape and dtype")
def shape_and_dtype(case: Case) -> None:
    """Each gradient has the shape and the dtype of its input, in an array of its own kind."""
    made = case.walk(case.us())
    for k, (g, x) in enumerate(zip(made.grads, case.xs, strict=True)):
        if g.shape != x.shape or g.dtype != x.dtype or type(g._array) is not np.ndarray:
            raise Wrong(f"the gradient has shape {g.shape} and dtype {g.dtype}, the input {x.shape} and {x.dtype}", k)


@listed(LAWS, "gradient")
def gradient(case: Case) -> None:
    """The gradient is the slope of the forward, wherever there is one."""
    if case.finite:
        u = flat(case.us())
        value, tolerance, usable = case.slopes.pull(u)
        for k, (a, b, t, known) in enumerate(
            zip(case.gradient, *map(case.split, (value, tolerance, usable)), strict=True)
        ):
            bad = ~agree(a, b, t) & known
            if bad.any():
                raise Wrong("the gradient is not the slope of the forward", k, a, b, t, bad, case.slopes.method)


@listed(LAWS, "subgradient")
def subgradient(case: Case) -> None:
    """At a kink the slope taken lies between those of both sides, in every direction that is tried."""
    if not (case.finite and case.slopes.kinked.any()):
        return
    sizes = [o.size for o in case.outputs]
    rows = []
    for unit in np.eye(sum(sizes)):
        parts = np.split(unit, np.cumsum(sizes)[:-1])
        rows.append(flat(case.vjp([p.reshape(o.shape) for p, o in zip(parts, case.outputs, strict=True)])))
    ours = np.array(rows)
    found = case.slopes
    slack: Any = 4 * found.error + EXACT
    bad = found.known & ~((ours >= found.low - slack) & (ours <= found.high + slack))
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise _outside(case, ours[row], found.low[row], found.high[row], bad[row], slack[row, column])
    rng = np.random.default_rng(case.seed)
    count = ours.shape[1]
    for direction in (np.ones(count), *rng.choice([-1.0, 0.5, 1.0], (3, count))):
        sides = case.along(case.split(direction))
        low, high, slack = sides.low[:, 0], sides.high[:, 0], 4 * sides.error[:, 0] + EXACT * count
        along = ours @ direction
        bad = sides.known[:, 0] & ~((along >= low - slack) & (along <= high + slack))
        if bad.any():
            row = int(np.argmax(bad))
            raise Wrong(
                f"at a kink: when the inputs move by {np.array2string(direction)}, the slope of the output is between "
                f"{low[row]:.6g} and {high[row]:.6g}, the gradient says {along[row]:.6g}",
                *_entries(case, ours[row]),
            )


def _outside(case: Case, ours: Any, low: Any, high: Any, bad: Any, slack: float) -> Wrong:
    """The entries of a gradient that are not between the slopes of both sides."""
    k = next(k for k, part in enumerate(case.split(bad)) if part.any())
    a, lo, hi, which = (case.split(v)[k] for v in (ours, low, high, bad))
    nearest = np.where(np.isnan(a), lo, np.clip(a, lo, hi))
    at = tuple(np.argwhere(which)[0])
    message = f"at a kink: the slopes of both sides are {lo[at]:.6g} and {hi[at]:.6g}, the gradient is not between them"
    return Wrong(message, k, a, nearest, slack, which, "one-sided differences")


def _entries(case: Case, ours: np.ndarray) -> tuple[int, np.ndarray]:
    return 0, case.split(ours)[0]


@listed(LAWS, "linear in g")
def linear(case: Case) -> None:
    """0 gives 0, g/3 gives a third, g1 + g2 gives the sum; and so does using the inputs twice."""
    if not case.finite or not all(np.isfinite(g).all() for g in case.gradient):
        return
    one, two = case.us(0), case.us(1)
    ones, twos = case.gradient, case.vjp(two)
    same("the gradient of g = 0 is not 0", case.vjp([u * 0 for u in one]), [g * 0 for g in ones])
    same("twice the g gives not twice the gradient", case.vjp([2 * u for u in one]), [2 * g for g in ones])
    same("a third of g gives not a third of the gradient", case.vjp([u / 3 for u in one]), [g / 3 for g in ones])
    total = [a + b for a, b in zip(ones, twos, strict=True)]
    summed = case.vjp([a + b for a, b in zip(one, two, strict=True)])
    same("the gradient of g1 + g2 is not the sum of the gradients", summed, total)
    same("inputs that are used twice do not get the sum of both gradients", _used_twice(case, one, two), total)


def _used_twice(case: Case, one: list[np.ndarray], two: list[np.ndarray]) -> list[np.ndarray]:
    """The gradients of two calls with the same leaves, in one walk."""
    given = [make(v) if isinstance(v, np.ndarray) else v for v in case.inputs]
    leaves = [given[i].requires_grad_() for i in case.wanted]
    outs = [*case.subject(given, case.static), *case.subject(given, case.static)]
    live = [(o, make(u)) for o, u in zip(outs, (*one, *two), strict=True) if o.requires_grad]
    if not live or not leaves:
        return [np.zeros_like(x) for x in case.xs]
    found = tg.autograd.grad([o for o, _ in live], leaves, [u for _, u in live], materialize_grads=True)
    return [g._array for g in found]


@listed(LAWS, "adjoint")
def adjoint(case: Case) -> None:
    """<v, J w> = <J'v, w>: the gradient, itself differentiated with respect to g, gives the product the other way."""
    if not case.finite or case.orders < 2:
        return
    us = [u / 3 for u in case.us()]
    made = case.walk(us, record=True)
    plain = case.vjp(us)
    same("the recorded gradient is not the gradient", made.arrays, plain)
    if not all(np.isfinite(g).all() for g in plain):
        return
    live = [(g, make(w)) for g, w in zip(made.grads, _directions(case), strict=True) if g.requires_grad]
    pushed = [np.zeros_like(u) for u in us]
    if live:
        grads, ws = zip(*live, strict=True)
        found = tg.autograd.grad(list(grads), made.gs, list(ws), materialize_grads=True)
        pushed = [p._array for p in found]
    left = float(flat(us) @ flat(pushed))
    right = float(flat(plain) @ flat(_directions(case)))
    scale = max(1.0, float(np.abs(flat(plain)) @ np.abs(flat(_directions(case)))))
    if not agree(np.array(left), np.array(right), EXACT * scale):
        raise Wrong(
            f"<v, Jw> is {left:.6g} and <J'v, w> is {right:.6g}: as a function of g, the recorded gradient is not the "
            "linear map it should be (does the rule compute with g outside the graph?)"
        )


def _directions(case: Case) -> list[np.ndarray]:
    """A direction for each input."""
    rng = np.random.default_rng((case.seed, 7))
    return [np.round(rng.uniform(0.5, 2.0, x.shape) * 16) / 16 for x in case.xs]


@listed(LAWS, "second order")
def second_order(case: Case) -> None:
    """The recorded gradient, differentiated with respect to inputs and g, is the slope of the gradient."""
    if not case.finite or case.orders < 2 or not case.xs:
        return
    us, ws = case.us(), _directions(case)
    made = case.walk(us, record=True)
    live = [(g, make(w)) for g, w in zip(made.grads, ws, strict=True) if g.requires_grad]
    xs = [*case.xs, *us]
    found = [np.zeros_like(x) for x in xs]
    if live:
        grads, vs = zip(*live, strict=True)
        second = tg.autograd.grad(list(grads), [*made.leaves, *made.gs], list(vs), materialize_grads=True)
        found = [g._array for g in second]
    count = len(case.xs)

    def first(moved: Sequence[np.ndarray]) -> np.ndarray:
        return flat(case.vjp(moved[count:], moved[:count]))

    if _agree_in_two_directions(case, first, xs, flat(ws), flat(found)):
        return
    table = slopes(first, xs)
    value, tolerance, usable = table.pull(flat(ws))
    cuts = np.cumsum([x.size for x in xs])[:-1]
    parts = [np.split(v, cuts) for v in (value, tolerance, usable)]
    for k, (a, x, b, t, known) in enumerate(zip(found, xs, *parts, strict=True)):
        bad = ~agree(a.ravel(), b, t) & known
        if bad.any():
            what = f"with respect to {case.name(k)}" if k < count else "with respect to g"
            shape = x.shape
            raise Wrong(
                f"the derivative of the gradient {what} is wrong",
                k if k < count else None,
                a,
                b.reshape(shape),
                t.reshape(shape),
                bad.reshape(shape),
                table.method,
            )


def _agree_in_two_directions(case: Case, f: Vector, xs: list[np.ndarray], w: np.ndarray, found: np.ndarray) -> bool:
    """Whether w'f moves as `found` says, in two random directions: a wrong entry shows in both, but not which it is."""
    rng = np.random.default_rng((case.seed, 8))
    for _ in range(2):
        direction = [rng.uniform(0.5, 1.0, x.shape) * rng.choice([-1.0, 1.0], x.shape) for x in xs]
        value, tolerance, usable = one_sided(f, xs, direction).pull(w)
        if not usable.all() or not agree(np.array([found @ flat(direction)]), value, tolerance).all():
            return False
    return True


@listed(LAWS, "symbolic")
def symbolic(case: Case) -> None:
    """The rule read as a formula, evaluated at the case, gives the same numbers."""
    op = case.subject.op
    if op is None or not case.finite or not op.rules:
        return
    from tinygrad_edu.explain.chain import pull
    from tinygrad_edu.explain.symbol import Symbol, apply

    given = [Symbol(f"i{k}", v) if isinstance(v, np.ndarray) else v for k, v in enumerate(case.inputs)]
    values = {f"i{k}": v for k, v in enumerate(case.inputs) if isinstance(v, np.ndarray)}
    out = apply(op, tuple(given), {**op.defaults, **case.static})
    results = out if isinstance(out, tuple) else (out,)
    us = case.us()
    symbols = [Symbol(f"g{k}", u) for k, u in enumerate(us)]
    g = tuple(symbols) if op.outputs != 1 else symbols[0]
    names = {f"i{i}": k for k, i in enumerate(case.wanted)}
    for source, r in pull(results[0].call, g, out):
        if source.name in names:
            k = names[source.name]
            found = np.asarray(r.evaluate(**values, **{f"g{i}": u for i, u in enumerate(us)}))
            if found.shape != case.xs[k].shape:
                raise Wrong(f"the formula gives shape {found.shape}, the input has {case.xs[k].shape}", k)
            b = case.gradient[k]
            good = agree(found, b, 1e-9 * max(1.0, float(np.max(np.abs(b), initial=0.0)))) | ~np.isfinite(b)
            if not good.all():
                raise Wrong("the rule read as a formula gives other numbers", k, found, b, 1e-9, ~good)
