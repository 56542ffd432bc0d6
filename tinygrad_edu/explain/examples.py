"""A small example for every kind of primitive: its rule is run on symbols of these shapes.

Elementwise primitives need nothing: their inputs are single numbers.  Others state a `Family`; one that is not listed
here brings its example along: `Family("conv", data={"example": ({"x": (1, 2, 5, 5)}, {"stride": 1})})`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.engine.domain import Domain, Family
from tinygrad_edu.engine.primitive import Primitive

FLOAT = np.dtype(np.float64)
MATRIX = (2, 3)
REDUCED = ({}, {"dim": (1,)})
HOLES = (ops.HOLE,)

Example = tuple[dict[str, Any], dict[str, Any]]

EXAMPLES: dict[str, Example] = {
    "expand": ({"x": (3,)}, {"shape": MATRIX}),
    "sum_to": ({}, {"shape": (3,)}),
    "cast": ({}, {"dtype": FLOAT}),
    "astype": ({}, {"dtype": np.dtype(np.int64)}),
    "reduction": REDUCED,
    "distinct_reduction": REDUCED,
    "argmax": ({}, {"dim": 1}),
    "argmin": ({}, {"dim": 1}),
    "axis": ({}, {"dim": 1}),
    "reshape": ({}, {"shape": (3, 2)}),
    "permute": ({}, {"dims": (1, 0)}),
    "matrix": ({}, {}),
    "matmul": ({"a": (2, 3), "b": (3, 2)}, {}),
    "cat": ({"tensors": [(2, 3), (1, 3)]}, {"dim": 0}),
    "split": ({}, {"sizes": (1, 2), "dim": 1}),
    "narrow": ({}, {"dim": 1, "start": 1, "length": 2}),
    "embed": ({}, {"dim": 1, "start": 1, "size": 5}),
    "index": ({"x": (4, 3), "at": [np.array([2, 0])]}, {"template": HOLES}),
    "index_add": ({"at": [np.array([2, 0])]}, {"template": HOLES, "shape": (4, 3)}),
    "index_put": ({"x": (4, 3), "v": MATRIX, "at": [np.array([2, 0])]}, {"template": HOLES}),
    "classes": ({"target": np.array([2, 0])}, {"classes": 3, "dtype": FLOAT}),
    "logits": ({"target": np.array([2, 0])}, {}),
    "key": ({"key": np.array(1, np.uint64)}, {"shape": MATRIX}),
}
"""Primitive or family -> (shape or array of the inputs that are not (2, 3), static parameters)."""


def example(op: Primitive) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """(array by input name, static parameters) to call a primitive with; `*tensors` are tensors[0], tensors[1]."""
    known: Example = ({}, {})
    if isinstance(op.domain, Family):
        known = op.domain.data.get("example") or EXAMPLES.get(op.name) or EXAMPLES.get(op.domain.name, known)
    given, static = known
    missing = [name for name in op.statics if name not in static and name not in op.defaults]
    if missing:
        raise ValueError(
            f"{op.name} needs {', '.join(missing)} to be read, and there is no example for it: state one in its "
            'domain, Family(..., data={"example": ({"x": (2, 3)}, {"' + missing[0] + '": ...})})'
        )
    arrays: dict[str, np.ndarray] = {}
    for place, name in enumerate(op.inputs):
        usual = () if isinstance(op.domain, tuple) else MATRIX
        what = given.get(name, usual if name != op.variadic else [usual, usual])
        many = {f"{name}[{k}]": w for k, w in enumerate(what)} if name == op.variadic else {name: what}
        for k, (label, shape) in enumerate(many.items()):
            domain = op.domain[place] if isinstance(op.domain, tuple) else None
            arrays[label] = shape if isinstance(shape, np.ndarray) else points(shape, domain, place + k)
    return arrays, {**op.defaults, **static}


def points(shape: tuple[int, ...], domain: Domain | None, shift: int = 0) -> np.ndarray:
    """Distinct numbers inside a domain, all different for different shifts, away from its kinks."""
    domain = domain or Domain("real")
    n = int(np.prod(shape))
    unit = (np.arange(1, n + 1) * 0.618033988749895 + 0.37 * shift) % 1
    if domain.boolean:
        return (unit > 0.5).reshape(shape)
    spots = domain.low + (domain.high - domain.low) * (0.05 + 0.9 * unit)
    if domain.integer:
        return np.round(spots).astype(np.int64).reshape(shape)
    for apart in domain.apart:
        near = np.abs(spots - apart) < 0.05
        spots = np.where(near, apart + 0.1, spots)
    return spots.reshape(shape)
