"""From a wrong gradient to the likely mistake: a list of rules, each a question with numbers.

A rule is a function of the case and what differs; it gives a sentence, or None when it does not apply.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinygrad_edu.testing.cases import Case, flat
from tinygrad_edu.testing.oracles import agree, slopes
from tinygrad_edu.testing.wrong import Wrong

CLOSE = 1e-6


def near(a: np.ndarray, b: np.ndarray) -> bool:
    """The same shape and numbers, as far as finite differences can tell."""
    scale = float(np.max(np.abs(b), initial=0.0)) or 1.0
    return a.shape == b.shape and bool(agree(a, b, CLOSE * scale).all())


def causes(case: Case, name: str, wrong: Wrong) -> list[str]:
    """The likely causes of a property that does not hold, the most likely first."""
    if name in COMPARED and wrong.found is not None and wrong.expected is not None:
        found = []
        rules = RULES.get(name, COMPARISONS)
        if near(*expected_of(wrong)):  # so would be its transpose, its negative, ...
            rules = (low_precision, at_the_rim)
        for rule in rules:
            said = rule(case, wrong)
            found += [said] if said and said not in found else []
        if found:
            return found[:3]
    said = OTHERS.get(name)
    return [said(case, wrong)] if said else []


Rule = Callable[[Case, Wrong], str | None]
COMPARED = ("gradient", "second order", "subgradient")


def expected_of(wrong: Wrong) -> tuple[np.ndarray, np.ndarray]:
    """What was found and what was expected, as arrays."""
    return np.asarray(wrong.found), np.asarray(wrong.expected)


def not_finite(case: Case, wrong: Wrong) -> str | None:
    found, expected = expected_of(wrong)
    if not np.isnan(found).any() or np.isnan(expected).any():
        return None
    where = np.isnan(found)
    note = ""
    if wrong.input is not None and found.shape == case.xs[wrong.input].shape:
        values = np.unique(case.xs[wrong.input][where])
        note = f" (where {case.name(wrong.input)} is {', '.join(f'{v:g}' for v in values[:3])})"
    return f"the gradient is NaN{note}: is there 0 / 0 or 0 * inf? Write the slope there as its limit"


def is_zero(case: Case, wrong: Wrong) -> str | None:
    found, expected = expected_of(wrong)
    if found.size and not found.any() and expected.any():
        return "the gradient is 0 everywhere: was the graph left by detach(), numpy() or no_grad()?"
    return None


def is_negative(case: Case, wrong: Wrong) -> str | None:
    found, expected = expected_of(wrong)
    return "it is the negative of the right gradient: was a sign flipped?" if near(-found, expected) else None


def ignores_g(case: Case, wrong: Wrong) -> str | None:
    """Right when g is all ones."""
    if wrong.input is None or not case.xs:
        return None
    ones = [np.ones_like(u) for u in case.us()]
    value, tolerance, usable = case.slopes.pull(flat(ones))
    k = wrong.input
    b, t, known = (case.split(v)[k] for v in (value, tolerance, usable))
    here = case.vjp(ones)[k]
    compared = wrong.bad if wrong.bad is not None and wrong.bad.shape == known.shape else np.ones(known.shape, bool)
    if not np.any(compared & known) or not (agree(here, b, t) | ~known).all():
        return None
    if near(here, case.gradient[k]):
        return "it matches when g is all ones, and does not change with g: does the rule multiply by g?"
    return "it matches when g is all ones: does the rule use all entries of g, each in its place?"


def ratio(case: Case, wrong: Wrong) -> str | None:
    """All entries off by one factor."""
    found, expected = expected_of(wrong)
    scale = float(np.max(np.abs(expected), initial=0.0))
    used = np.abs(expected) > 1e-9 * scale
    if not used.any() or not agree(np.where(used, 0.0, found), np.zeros(found.shape), CLOSE * scale).all():
        return None
    factors = found[used] / expected[used]
    factor = float(factors.flat[0])
    if not np.isfinite(factors).all() or abs(factor) < 1e-9 or not near(factors, np.full(factors.shape, factor)):
        return None
    sizes = _sizes(case, wrong)
    for r, says, what in ((factor, "is", "forgotten"), (1 / factor, "is 1 /", "used twice, or once too often")):
        n = round(r)
        if n > 1 and abs(r - n) < 1e-6 * n and n in sizes:
            return f"the ratio {says} exactly {n}, {sizes[n]}: was the divisor of a mean {what}?"
    if abs(abs(factor) - 1) < 1e-3:
        return None
    for n, m in itertools.permutations(sizes, 2):
        if n > 1 and m > 1 and math.gcd(n, m) == 1 and abs(factor - n / m) < 1e-6:
            return f"the ratio is exactly {n} / {m}: is the divisor {m}, {sizes[m]}, instead of {n}, {sizes[n]}?"
    told = f"{factor:.6g}" if abs(factor) > 1 else f"1 / {1 / factor:.6g}"
    return f"all entries are too {'large' if abs(factor) > 1 else 'small'} by the same factor, {told}"


def _sizes(case: Case, wrong: Wrong) -> dict[int, str]:
    """Numbers that mean something: sizes of axes, of inputs and outputs."""
    found: dict[int, str] = {}
    if wrong.input is not None:
        shape, name = case.xs[wrong.input].shape, case.name(wrong.input)
        found |= {n: f"the size of axis {axis} of {name}" for axis, n in reversed(list(enumerate(shape)))}
        found.setdefault(int(np.prod(shape, dtype=int)), f"the number of entries of {name}")
    for o in case.outputs:
        for n in o.shape:
            found.setdefault(n, "the size of an axis of the output")
    return found


def rearranged(case: Case, wrong: Wrong) -> str | None:
    """The right numbers in the wrong places."""
    found, expected = expected_of(wrong)
    if found.ndim >= 2:
        for order in itertools.permutations(range(found.ndim)):
            if order != tuple(range(found.ndim)) and near(found.transpose(order), expected):
                how = "transposing" if found.ndim == 2 else f"permuting the axes by {order}"
                return f"it matches after {how}: is a transpose missing, or one too many?"
    for axis in range(found.ndim):
        if near(np.flip(found, axis), expected):
            return f"it matches after reversing axis {axis}: are entries taken in the opposite order?"
        for shift in (1, -1):
            if found.shape[axis] > 2 and near(np.roll(found, shift, axis), expected):
                return f"it matches after shifting axis {axis} by {shift}: is an index off by one?"
    flat_order = found.ndim >= 2 and near(np.asarray(found).reshape(-1, order="F").reshape(found.shape), expected)
    return "it matches when read in column order: is the order of entries in memory used?" if flat_order else None


def swapped(case: Case, wrong: Wrong) -> str | None:
    """The gradient of another input."""
    if wrong.input is None:
        return None
    others = case.split(case.slopes.pull(flat(case.us()))[0])
    for k, other in enumerate(others):
        if k != wrong.input and near(np.asarray(wrong.found), other):
            return f"it is the gradient of {case.name(k)}: were the two swapped?"
    return None


def output_left_out(case: Case, wrong: Wrong) -> str | None:
    """Right but for the part of one of several outputs."""
    if wrong.input is None or len(case.outputs) < 2:
        return None
    for j in range(len(case.outputs)):
        us = [u * (i != j) for i, u in enumerate(case.us())]
        if near(np.asarray(wrong.found), case.split(case.slopes.pull(flat(us))[0])[wrong.input]):
            return f"what comes from output {j} is missing: are the gradients of all outputs added up?"
    return None


def off_by_a_constant(case: Case, wrong: Wrong) -> str | None:
    """The difference is the same everywhere along an axis, and not everywhere the same fraction of the gradient."""
    found, expected = expected_of(wrong)
    gap = found - expected
    for axis, n in enumerate(found.shape):
        along = gap.take([0], axis)
        if n > 2 and np.ptp(expected, axis).all() and along.all() and near(gap, np.broadcast_to(along, gap.shape)):
            return f"the difference is constant along axis {axis}: did a sum or a mean over it leave the graph?"
    return None


def same_total(case: Case, wrong: Wrong) -> str | None:
    """As much as there should be, in other places."""
    found, expected = expected_of(wrong)
    if found.ndim == 0 or found.size < 3 or not np.isfinite(found).all() or found.sum() == 0:
        return None
    if near(np.asarray(found.sum()), np.asarray(expected.sum())):
        return (
            "the sum of all entries is right, they are in other places: is an index, a stride, a dilation or a "
            "transpose wrong?"
        )
    return None


def broadcast_sum(case: Case, wrong: Wrong) -> str | None:
    """A part of what should be summed over the axes that broadcasting repeated."""
    if wrong.input is None:
        return None
    found, x = np.asarray(wrong.found), case.xs[wrong.input]
    for out in case.outputs:
        axes = _repeated(x.shape, out.shape)
        if not axes:
            continue
        wide = [*case.xs]
        wide[wrong.input] = np.broadcast_to(x, out.shape)
        try:
            table = slopes(lambda xs: flat(case.values(xs)), wide)
        except Exception:  # it was not broadcasting after all
            continue
        if len(table.value) != flat(case.us()).size:  # another output got wider too
            continue
        cuts = np.cumsum([v.size for v in wide])[:-1]
        full = np.split(table.pull(flat(case.us()))[0], cuts)[wrong.input].reshape(out.shape)
        for take, how in _parts_of(full, axes):
            if near(take.reshape(x.shape), found):
                where = ", ".join(map(str, axes))
                return (
                    f"it is {how} over axis {where}, along which {case.name(wrong.input)} was broadcast: "
                    "the broadcast sum is missing"
                )
    return None


def _repeated(shape: tuple[int, ...], out: tuple[int, ...]) -> tuple[int, ...]:
    """The axes of the output along which an input of this shape is repeated; () if it does not broadcast."""
    lead = len(out) - len(shape)
    if lead < 0 or any(n not in (1, m) for n, m in zip(shape, out[lead:], strict=True)):
        return ()
    return tuple(i for i, n in enumerate(out) if n != 1 and (i < lead or shape[i - lead] == 1))


def _parts_of(full: np.ndarray, axes: tuple[int, ...]) -> Iterator[tuple[np.ndarray, str]]:
    """What people take instead of the sum."""
    first = tuple(slice(0, 1) if i in axes else slice(None) for i in range(full.ndim))
    last = tuple(slice(-1, None) if i in axes else slice(None) for i in range(full.ndim))
    yield full[first], "the first slice instead of the sum"
    yield full[last], "the last slice instead of the sum"
    yield full.mean(axes, keepdims=True), "the mean instead of the sum"
    if len(axes) > 1:
        for axis in axes:
            rest = tuple(a for a in axes if a != axis)
            yield full.sum(axis, keepdims=True).take([0], rest[0]), f"the sum over axis {axis} only, instead of that"


def at_ties(case: Case, wrong: Wrong) -> str | None:
    """Only entries that occur more than once differ."""
    if wrong.input is None or wrong.bad is None or wrong.bad.shape != case.xs[wrong.input].shape:
        return None
    others = np.concatenate([x.ravel() for x in case.xs])
    repeated = np.array([np.sum(others == v) > 1 for v in case.xs[wrong.input].ravel()], bool)
    if not np.all(repeated.reshape(wrong.bad.shape)[wrong.bad]) or case.slopes.smooth.all():
        return None
    return (
        "the wrong entries are equal to other entries: at a tie the gradient must be shared (or given to one), so "
        "that the shares add up to g"
    )


def at_special_values(case: Case, wrong: Wrong) -> str | None:
    """Only zeros, or only negative numbers, or only one side differ."""
    if wrong.input is None or wrong.bad is None or wrong.bad.shape != case.xs[wrong.input].shape or wrong.bad.all():
        return None
    x, bad = case.xs[wrong.input], wrong.bad
    for holds, what in ((x == 0, "is 0"), (x < 0, "is negative"), (x > 0, "is positive"), (np.abs(x) > 1, "is > 1")):
        if np.array_equal(holds, bad):
            kinks = ": is it a case of its own, or do kinks cancel in the forward?" if what == "is 0" else ""
            return f"it is wrong exactly where {case.name(wrong.input)} {what}{kinks}"
    return None


def repeated_index(case: Case, wrong: Wrong) -> str | None:
    """Only entries that an index names more than once differ."""
    if wrong.input is None or wrong.bad is None:
        return None
    for value in case.inputs:
        if isinstance(value, np.ndarray) and value.dtype.kind in "iu" and value.size > len(np.unique(value)):
            return "an index occurs more than once: are its contributions added, or does the last one overwrite?"
    return None


def at_the_rim(case: Case, wrong: Wrong) -> str | None:
    """Only the first or the last slice of an axis differs."""
    if wrong.bad is None or not wrong.bad.ndim or wrong.bad.all():
        return None
    for axis, n in enumerate(wrong.bad.shape):
        lines = np.asarray(np.moveaxis(wrong.bad, axis, 0).reshape(n, -1).any(1))
        for at, which in ((0, "first"), (n - 1, "last")):
            if n > 1 and lines[at] and lines.sum() == 1:
                return f"only the {which} slice of axis {axis} is wrong: is padding, stride or a bound off by one?"
    return None


def low_precision(case: Case, wrong: Wrong) -> str | None:
    found, expected = expected_of(wrong)
    scale = max(float(np.max(np.abs(expected), initial=0.0)), 1e-30)
    error = float(np.max(np.abs(found - expected), initial=0.0)) / scale
    if error < 1e-4:
        return f"right to about {max(-np.log10(error), 0):.0f} digits: is a constant rounded, or something float32?"
    return None


def detached(case: Case, wrong: Wrong) -> str | None:
    found = np.asarray(wrong.found)
    if found.size and not np.any(found * (True if wrong.bad is None else wrong.bad)):
        return (
            "the first order is right, and the recorded gradient does not depend on this: does backward compute with "
            "numpy(), item() or saved numbers outside the graph?"
        )
    return "the first order is right: is something in backward computed outside the graph, or detached?"


COMPARISONS: tuple[Rule, ...] = (
    not_finite,
    is_zero,
    is_negative,
    broadcast_sum,
    ignores_g,
    swapped,
    output_left_out,
    ratio,
    rearranged,
    at_ties,
    repeated_index,
    at_special_values,
    low_precision,
    at_the_rim,
    off_by_a_constant,
    same_total,
)
SECOND: tuple[Rule, ...] = (not_finite, detached, is_negative, rearranged)
KINKS: tuple[Rule, ...] = (not_finite, at_ties, at_special_values)
RULES = {"second order": SECOND, "subgradient": KINKS}


def _of_layout(case: Case, wrong: Wrong) -> str:
    return (
        "right when everything is row-major in memory: does the code read memory in its own order (ravel('K'), "
        "strides, .base, a view reshaped in place)?"
    )


def _of_float32(case: Case, wrong: Wrong) -> str:
    return "right in float64, wrong in float32: is a constant too small or too large for float32, or a branch on dtype?"


def _of_kinks(case: Case, wrong: Wrong) -> str:
    return (
        "at a tie the entries must share the gradient (or one of them takes it), so that the shares add up to g; at a "
        "corner the slope must be one between those of both sides"
    )


def _of_memory(case: Case, wrong: Wrong) -> str:
    return "return new arrays: what shares memory is corrupted by the next gradient that is added"


def _of_linear(case: Case, wrong: Wrong) -> str:
    if "g = 0" in wrong.message:
        return "the gradient does not vanish with g: does the rule multiply by g?"
    if "used twice" in wrong.message:
        return "gradients must be added up: is one overwritten, or written into an array that is kept?"
    if wrong.found is not None and near(*expected_of(wrong)):
        return low_precision(case, wrong) or "the rule is not linear in g"
    return "the rule is not linear in g: does it use g twice, a power of it, or its sign?"


def _of_shapes(case: Case, wrong: Wrong) -> str:
    """What two shapes in a message say about each other."""
    shapes = [tuple(map(int, re.findall(r"\d+", found))) for found in re.findall(r"shape (\([\d, ]*\))", wrong.message)]
    if len(shapes) < 2 or shapes[0] == shapes[1]:
        raised = "raised" in wrong.message
        return "mend what it raised" if raised else "give the gradient the shape and the dtype of the input"
    found, expected = shapes[:2]
    if _repeated(expected, found) or len(found) > len(expected):
        return "it has the shape of the output: sum over the axes that were broadcast, the broadcast sum is missing"
    if sorted(found) == sorted(expected):
        return "the same sizes in another order: is a transpose missing, or one too many?"
    if _repeated(found, expected) or len(found) < len(expected):
        return "it has fewer entries than the input: repeat it over the axes that were reduced (expand)"
    return "the gradient of an input has the input's shape: were two inputs swapped?"


OTHERS: dict[str, Callable[[Case, Any], str]] = {
    "subgradient": _of_kinks,
    "layout": _of_layout,
    "float32": _of_float32,
    "memory": _of_memory,
    "linear in g": _of_linear,
    "untouched": lambda case, wrong: "compute into a new array instead of writing in place",
    "adjoint": lambda case, wrong: "write backward with tensor operations only, so that it can be differentiated again",
    "graph freed": lambda case, wrong: "does backward or forward store tensors in a list, a global or on the class?",
    "shape and dtype": _of_shapes,
}
