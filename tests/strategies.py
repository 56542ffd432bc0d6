"""What the tests draw: arrays in every memory layout, and calls of a primitive from its domain.

Values are small multiples of 1/16, so failures shrink to readable numbers.  The second input of an elementwise call
lies on a grid shifted by 1/32: two inputs never tie, and finite differences stay away from the kink.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tinygrad_edu.engine.domain import Domain, Family

GRID = 16
ARRAYS_ONLY = {"bce_with_logits"}  # its kernel takes arrays; every public function gives it two
LAYOUTS = ("C", "F", "every other", "reversed", "transposed", "broadcast")


@dataclass
class Call:
    """One drawn call of a primitive."""

    inputs: list[Any]
    static: dict[str, Any] = field(default_factory=dict)


def lay_out(values: np.ndarray, layout: str, axis: int = 0) -> np.ndarray:
    """The same values in another memory layout (for "broadcast": its first slice, repeated without copying)."""
    if values.ndim == 0 or layout == "C":
        return np.ascontiguousarray(values).reshape(values.shape)
    axis %= values.ndim
    at = (slice(None),) * axis
    if layout == "F":
        return np.asfortranarray(values)
    if layout == "every other":
        return np.repeat(values, 2, axis=axis)[(*at, slice(None, None, 2))]
    if layout == "reversed":
        return np.ascontiguousarray(np.flip(values, axis))[(*at, slice(None, None, -1))]
    if layout == "transposed":
        return np.moveaxis(np.ascontiguousarray(np.moveaxis(values, axis, 0)), 0, axis)
    return np.broadcast_to(values[(*at, slice(0, 1))], values.shape) if values.shape[axis] else values


@st.composite
def laid_out(draw: Any, values: np.ndarray, layouts: tuple[str, ...] = LAYOUTS) -> np.ndarray:
    """An array with these values in a drawn layout."""
    return lay_out(values, draw(st.sampled_from(layouts)), draw(st.integers(0, 2)))


def shapes(max_dims: int = 3, min_dims: int = 0, min_side: int = 0, max_side: int = 3) -> Any:
    """Shapes, some with axes of size 0 or 1."""
    sides = st.sampled_from([n for n in (2, 3, 1, 0, 4) if min_side <= n <= max_side])
    return st.lists(sides, min_size=min_dims, max_size=max_dims).map(tuple)


def grid(domain: Domain, offset: float = 0.0) -> list[float]:
    """The points of the grid inside a domain, apart from its kinks."""
    points = (k / GRID + offset for k in range(int(domain.low * GRID), int(domain.high * GRID) + 1))
    inside = [p for p in points if domain.low + 1 / 32 <= p <= domain.high - 1 / 32]
    return sorted((p for p in inside if all(abs(p - a) >= 1 / 8 for a in domain.apart)), key=abs)


@st.composite
def values(draw: Any, shape: tuple[int, ...], domain: Domain, offset: float = 0.0) -> np.ndarray:
    """An array (row-major) of values from a domain."""
    count = int(np.prod(shape, dtype=int))
    if domain.boolean:
        found, dtype = st.booleans(), np.dtype(bool)
    elif domain.integer:
        found, dtype = st.integers(int(domain.low), int(domain.high)), np.dtype(np.int64)
    else:
        found, dtype = st.sampled_from(grid(domain, offset)), np.dtype(np.float64)
    drawn = draw(st.lists(found, min_size=count, max_size=count))
    return np.array(drawn, dtype).reshape(shape)


@st.composite
def distinct(draw: Any, shape: tuple[int, ...]) -> np.ndarray:
    """An array without two equal entries."""
    order = draw(st.permutations(range(int(np.prod(shape, dtype=int)))))
    return (np.array(order, np.float64).reshape(shape) - len(order) / 2 + 0.25) / 2


@st.composite
def arrays(draw: Any, shape: Any, domain: Domain, offset: float = 0.0) -> np.ndarray:
    """An array of values from a domain, in a drawn layout."""
    return draw(laid_out(draw(values(tuple(shape), domain, offset))))


@st.composite
def upstream(draw: Any, shape: tuple[int, ...], dtype: Any = np.float64) -> np.ndarray:
    """A gradient to come from above: entries all different where the layout allows it, none of them 1."""
    order = draw(st.permutations(range(int(np.prod(shape, dtype=int)))))
    wide = (np.array(order, np.float64).reshape(shape) - 1.375) / 4
    return draw(laid_out(wide.astype(dtype)))


@st.composite
def narrowed(draw: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape that broadcasts to `shape`: some axes 1, some leading ones left out."""
    kept = tuple(1 if draw(st.booleans()) else n for n in shape)
    return kept[draw(st.integers(0, len(kept))) :] if draw(st.booleans()) else kept


def axis_of(ndim: int) -> Any:
    """One axis, counted from either end."""
    return st.integers(-ndim, ndim - 1)


@st.composite
def axes_of(draw: Any, ndim: int) -> tuple[int, ...]:
    """A tuple of different axes in any order, some counted from the end; possibly empty."""
    order = draw(st.permutations(range(ndim)))
    chosen = order[: draw(st.integers(0, ndim))]
    return tuple(d - ndim if draw(st.booleans()) else d for d in chosen)


@st.composite
def elementwise(draw: Any, domains: tuple[Domain, ...], numbers: bool) -> Call:
    """Inputs whose shapes broadcast; with `numbers`, one of several is a Python number now and then."""
    full = draw(shapes())
    inputs: list[Any] = []
    for i, domain in enumerate(domains):
        shape = full if len(domains) == 1 else draw(st.one_of(st.just(full), narrowed(full)))
        inputs.append(draw(arrays(shape, domain, (i % 3) / 32)))
    plain = [i for i, d in enumerate(domains) if not (d.boolean or d.integer)]
    if numbers and len(domains) == len(plain) == 2 and draw(st.integers(0, 4)) == 4:
        i = draw(st.sampled_from(plain))
        inputs[i] = draw(st.sampled_from(grid(domains[i], i / 32)))
    return Call(inputs)


@st.composite
def calls(draw: Any, op: Any) -> Call:
    """A call of a primitive, drawn from its domain."""
    from families import FAMILIES

    if isinstance(op.domain, Family):
        call = draw(FAMILIES[op.domain.name](op))
    else:
        call = draw(elementwise(op.domain, op.name not in ARRAYS_ONLY))
    for name in {"keepdim", "reverse", "descending"} & set(op.statics):
        call.static.setdefault(name, draw(st.booleans()))
    return call
