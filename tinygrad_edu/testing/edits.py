"""What people get wrong in one step of a gradient rule, by the primitive that the step calls.

Each edit is (in words, what happens instead); it computes with primitives, so that it works on arrays and on tensors.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.engine.primitive import Primitive
from tinygrad_edu.engine.value import array_of
from tinygrad_edu.ops.shape import inverse
from tinygrad_edu.testing.trace import Change


def shape_of(value: Any) -> tuple[int, ...]:
    """Of an array, a tensor or a number."""
    return np.shape(array_of(value))


def spread(value: Any, *like: Any) -> Any:
    """A value in the shape that broadcasting it against others gives; a number as an array."""
    shape = np.broadcast_shapes(shape_of(value), *map(shape_of, like))
    if isinstance(value, (int, float, np.generic)):
        floats = [array_of(v).dtype for v in like if hasattr(array_of(v), "dtype")]
        value = np.asarray(value, floats[0] if floats else np.float64)
    return value if shape_of(value) == shape else ops.expand(value, shape=shape)


def drop(position: int) -> Change:
    """Leave one of two operands out."""

    def change(op: Primitive, inputs: tuple[Any, ...], static: dict[str, Any]) -> Any:
        return spread(inputs[1 - position], inputs[position])

    return change


def instead(other: Any, *order: int) -> Change:
    """Another primitive, on the same inputs (in another order, when given)."""
    return lambda op, inputs, static: other(*(inputs[i] for i in order) if order else inputs, **static)


def omitted(op: Primitive, inputs: tuple[Any, ...], static: dict[str, Any]) -> Any:
    """The first input as it came."""
    return inputs[0]


def with_static(**changes: Any) -> Change:
    """The same call with other static parameters: each a function of the call's own (and of the first input)."""

    def change(op: Primitive, inputs: tuple[Any, ...], static: dict[str, Any]) -> Any:
        found = {name: f(static[name]) for name, f in changes.items() if name in static}
        return op(*inputs, **{**static, **found})

    return change


def mean_instead(op: Primitive, inputs: tuple[Any, ...], static: dict[str, Any]) -> Any:
    """A sum divided by how many entries it has."""
    out = op(*inputs, **static)
    count = math.prod(shape_of(inputs[0])) / max(math.prod(shape_of(out)), 1)
    return out / float(count or 1)


def shared_out(op: Primitive, inputs: tuple[Any, ...], static: dict[str, Any]) -> Any:
    """Repeated entries divided by how often they are repeated."""
    out = op(*inputs, **static)
    count = math.prod(shape_of(out)) / max(math.prod(shape_of(inputs[0])), 1)
    return out / float(count or 1)


def column_order(op: Primitive, inputs: tuple[Any, ...], static: dict[str, Any]) -> Any:
    """Entries read in the order of columns."""
    back = tuple(reversed(range(len(shape_of(inputs[0])))))
    return op(ops.permute(inputs[0], dims=back), **static)


def same_permutation(op: Primitive, inputs: tuple[Any, ...], static: dict[str, Any]) -> Any:
    """The permutation of the forward applied again, not undone."""
    return op(inputs[0], dims=inverse(static["dims"]))


def one_more(op: Primitive, inputs: tuple[Any, ...], static: dict[str, Any]) -> Any:
    """The exponent of a power one too large."""
    return op(inputs[0], inputs[1] + 1)


def overwritten(op: Primitive, inputs: tuple[Any, ...], static: dict[str, Any]) -> Any:
    """Contributions to one place overwrite each other: what counts is the last."""
    given = [array_of(v) for v in inputs]
    marks = np.arange(1.0, given[0].size + 1).reshape(given[0].shape)
    if op is ops.index_add:
        last = np.zeros(static["shape"])
        view, where = ops.placed(last, static["template"], tuple(given[1:]))
        view[where] = marks
        kept = ops.index(last, *given[1:], template=static["template"]) == marks
    else:
        last = np.zeros((*given[0].shape[:2], math.prod(static["size"])))
        flat, at = marks.reshape(*marks.shape[:2], -1), given[1].reshape(*marks.shape[:2], -1)
        for place in range(at.shape[-1]):
            index = at[..., place, None]
            np.put_along_axis(last, np.maximum(index, 0), flat[..., place, None], -1)
        found = np.take_along_axis(last, np.maximum(at, 0), -1).reshape(marks.shape)
        kept = (found == marks) & (given[1] >= 0)
    return op(ops.where(kept, inputs[0], 0.0), *inputs[1:], **static)


def reversed_parts(op: Primitive, inputs: tuple[Any, ...], static: dict[str, Any]) -> Any:
    """Parts joined in the opposite order."""
    return op(*inputs[::-1], **static)


def shifted(name: str, by: int) -> Change:
    """A start that is off by one, where that stays inside."""

    def change(op: Primitive, inputs: tuple[Any, ...], static: dict[str, Any]) -> Any:
        start = static[name] + by
        n = shape_of(inputs[0])[static["dim"]] if op is ops.narrow else static["size"]
        length = static["length"] if op is ops.narrow else shape_of(inputs[0])[static["dim"]]
        if start < 0 or start + length > n:
            start = static[name]
        return op(*inputs, **{**static, name: start})

    return change


def next_place(op: Primitive, inputs: tuple[Any, ...], static: dict[str, Any]) -> Any:
    """Places one too far, going around."""
    count = math.prod(static["size"] if "size" in static else shape_of(inputs[0])[2:])
    return op(inputs[0], np.where(inputs[1] < 0, -1, (inputs[1] + 1) % max(count, 1)), **static)


def _both(f: Any) -> Any:
    return lambda pair: tuple(f(v) for v in pair)


def _symmetric(padding: Any) -> Any:
    """(top, bottom) exchanged: padding on the wrong side."""
    return tuple((after, before) for before, after in padding)


CONVOLUTION: list[tuple[str, Change]] = [
    ("stride forgotten", with_static(stride=lambda v: (1, 1))),
    ("stride off by one", with_static(stride=_both(lambda v: v + 1))),
    ("rows and columns of the stride swapped", with_static(stride=lambda v: v[::-1])),
    ("padding forgotten", with_static(padding=lambda v: ((0, 0), (0, 0)))),
    ("padding on the wrong sides", with_static(padding=_symmetric)),
    ("dilation forgotten", with_static(dilation=lambda v: (1, 1))),
    ("groups forgotten", with_static(groups=lambda v: 1)),
]
POOLING: list[tuple[str, Change]] = [
    ("stride forgotten", with_static(stride=lambda v: (1, 1))),
    ("padding forgotten", with_static(padding=lambda v: (0, 0))),
    ("divisor forgotten", with_static(divisor_override=lambda v: 1)),
    ("padding not counted", with_static(count_include_pad=lambda v: not v)),
    ("ceil_mode forgotten", with_static(ceil_mode=lambda v: not v)),
    ("kernel rows and columns swapped", with_static(kernel_size=lambda v: v[::-1])),
]

EDITS: dict[str, list[tuple[str, Change]]] = {
    "mul": [("first factor dropped", drop(0)), ("second factor dropped", drop(1))],
    "div": [("division forgotten", drop(1)), ("divided the other way round", instead(ops.div, 1, 0))],
    "add": [("+ became -", instead(ops.sub)), ("first term dropped", drop(0)), ("second term dropped", drop(1))],
    "sub": [
        ("- became +", instead(ops.add)),
        ("subtracted the other way round", instead(ops.sub, 1, 0)),
        ("first term dropped", drop(0)),
        ("second term dropped", drop(1)),
    ],
    "neg": [("minus sign dropped", omitted)],
    "pow": [("exponent off by one", one_more)],
    "matmul": [("factors swapped", instead(ops.matmul, 1, 0))],
    "mT": [("transpose omitted", omitted)],
    "permute": [("permutation applied again, not undone", same_permutation)],
    "reshape": [("entries in column order", column_order)],
    "sum": [("mean instead of sum", mean_instead)],
    "sum_to": [("mean instead of sum", mean_instead)],
    "expand": [("shared out instead of repeated", shared_out)],
    "where": [
        ("branches swapped", instead(ops.where, 0, 2, 1)),
        ("condition forgotten", lambda op, v, s: spread(v[1], v[0], v[2])),
        ("condition taken for false", lambda op, v, s: spread(v[2], v[0], v[1])),
    ],
    "eq": [("== became <=", instead(ops.le)), ("== became !=", instead(ops.ne))],
    "ne": [("!= became ==", instead(ops.eq))],
    "lt": [("< became <=", instead(ops.le)), ("< became >", instead(ops.gt))],
    "gt": [("> became >=", instead(ops.ge)), ("> became <", instead(ops.lt))],
    "le": [("<= became <", instead(ops.lt)), ("<= became >=", instead(ops.ge))],
    "ge": [(">= became >", instead(ops.gt)), (">= became <=", instead(ops.le))],
    "logical_not": [("not dropped", omitted)],
    "logical_and": [("and became or", instead(ops.logical_or))],
    "logical_or": [("or became and", instead(ops.logical_and))],
    "exp": [("exp omitted", omitted)],
    "log": [("log omitted", omitted)],
    "log1p": [("log1p became log", instead(ops.log))],
    "sqrt": [("square root omitted", omitted)],
    "sin": [("sin became cos", instead(ops.cos))],
    "cos": [("cos became sin", instead(ops.sin))],
    "sign": [("sign became the value", omitted)],
    "sigmoid": [("sigmoid omitted", omitted)],
    "maximum": [("maximum dropped", drop(1))],
    "floor_divide": [("not rounded down", instead(ops.div))],
    "cumsum": [("direction not reversed", with_static(reverse=lambda v: not v))],
    "cat": [("parts in the opposite order", reversed_parts)],
    "narrow": [("start off by one", shifted("start", 1)), ("start off by minus one", shifted("start", -1))],
    "embed": [("start off by one", shifted("start", 1)), ("start off by minus one", shifted("start", -1))],
    "pad": [("padding not negated", with_static(pads=lambda v: tuple((-a, -b) for a, b in v)))],
    "pad_repeating": [("repeats left 0", lambda op, v, s: ops.pad(v[0], pads=s["pads"]))],
    "pad_repeating_to_input": [
        ("repeated entries not added", lambda op, v, s: ops.pad(v[0], pads=tuple((-a, -b) for a, b in s["pads"])))
    ],
    "index_add": [("overwrites instead of adding", overwritten)],
    "index_put": [("not set to 0", omitted)],
    "pool_scatter": [("overwrites instead of adding", overwritten), ("places off by one", next_place)],
    "pool_gather": [("places off by one", next_place)],
    "one_hot": [("class off by one", lambda op, v, s: op((v[0] + 1) % s["classes"], **s))],
    "conv2d": CONVOLUTION,
    "conv2d_to_input": CONVOLUTION,
    "conv2d_to_weight": CONVOLUTION,
    "avg_pool2d": POOLING,
    "avg_pool2d_to_input": POOLING,
}
"""Primitive -> what may go wrong when a rule calls it."""
