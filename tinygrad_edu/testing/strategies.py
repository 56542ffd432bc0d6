"""What checks draw: arrays of small dyadic numbers in every memory layout, shapes, axes, indices.

Values are small multiples of 1/16, so failures shrink to readable numbers and finite differences are nearly exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.engine import domain
from tinygrad_edu.engine.domain import Domain
from tinygrad_edu.testing.choices import Choices, strategy

GRID = 16
LAYOUTS = ("C", "F", "every other", "reversed", "transposed", "broadcast")
SIDES = (2, 3, 1, 0, 4)
EDGES = (0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-300, -1e-300, 5e-324, 1e300, -1e300)

Shape = tuple[int, ...]


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


@strategy
def laid_out(choices: Choices, values: Any, layouts: tuple[str, ...] = LAYOUTS) -> np.ndarray:
    """An array (or what a strategy draws) in a drawn memory layout: row-major, Fortran, sliced, reversed, repeated."""
    return lay_out(choices.draw(values), choices.pick(layouts), choices.integer(0, 2))


def grid(of: Domain, offset: float = 0.0) -> list[float]:
    """The points of the grid inside a domain, apart from its kinks; the simplest first."""
    points = (k / GRID + offset for k in range(int(of.low * GRID), int(of.high * GRID) + 1))
    inside = [p for p in points if of.low + 1 / 32 <= p <= of.high - 1 / 32]
    return sorted((p for p in inside if all(abs(p - a) >= 1 / 8 for a in of.apart)), key=abs)


@strategy
def values(choices: Choices, shape: Any, of: Domain, offset: float = 0.0) -> np.ndarray:
    """An array (row-major) of values from a domain.

    offset -- shifts the grid: arrays with different offsets below 1/16 have no value in common
    """
    if of.boolean:
        return choices.array([False, True], choices.draw(shape))
    if of.integer:
        return choices.array(range(int(of.low), int(of.high) + 1), choices.draw(shape)).astype(np.int64)
    return choices.array(grid(of, offset), tuple(choices.draw(shape)))


@strategy
def arrays(choices: Choices, shape: Any, of: Domain, offset: float = 0.0) -> np.ndarray:
    """An array of values from a domain, in a drawn layout."""
    return choices.draw(laid_out(values(shape, of, offset)))


@strategy
def real(choices: Choices, shape: Any = ()) -> np.ndarray:
    """Numbers between -4 and 4; now and then whole ones only, so that zeros and ties occur."""
    shape = choices.draw(shape)
    if choices.integer(0, 3) == 3:
        return choices.array([0.0, 1.0, -1.0], shape)
    return choices.draw(values(shape, domain.real))


@strategy
def positive(choices: Choices, shape: Any = ()) -> np.ndarray:
    """Numbers between 1/8 and 4."""
    return choices.draw(values(shape, domain.positive))


@strategy
def nonzero(choices: Choices, shape: Any = ()) -> np.ndarray:
    """Numbers between -4 and 4, at least 1/8 away from 0."""
    return choices.draw(values(shape, domain.nonzero))


@strategy
def unit_interval(choices: Choices, shape: Any = ()) -> np.ndarray:
    """Numbers strictly between 0 and 1."""
    return choices.draw(values(shape, domain.unit_interval))


@strategy
def distinct(choices: Choices, shape: Any = ()) -> np.ndarray:
    """An array without two equal entries: any two are at least 1/2 apart."""
    shape = choices.draw(shape)
    order = choices.order(int(np.prod(shape, dtype=int)))
    return (np.array(order, np.float64).reshape(shape) - len(order) / 2 + 0.25) / 2


@strategy
def tied(choices: Choices, shape: Any = ()) -> np.ndarray:
    """An array with repeated entries: ties for max, sort and pooling."""
    shape = choices.draw(shape)
    found = choices.array([1.0, -0.5, 2.0], shape)
    if found.size > 1:
        found.flat[choices.integer(1, found.size - 1)] = found.flat[0]
    return found


@strategy
def edge(choices: Choices, shape: Any = ()) -> np.ndarray:
    """Zeros of both signs, infinities, NaN, tiny and huge numbers."""
    return choices.array(EDGES, choices.draw(shape))


@strategy
def upstream(choices: Choices, shape: Shape, dtype: Any = np.float64) -> np.ndarray:
    """A gradient to come from above: entries all different where the layout allows it, none of them 0 or 1."""
    order = choices.order(int(np.prod(shape, dtype=int)))
    wide = (np.array(order, np.float64).reshape(shape) - 1.375) / 4
    return choices.draw(laid_out(wide.astype(dtype)))


@strategy
def shapes(choices: Choices, max_dims: int = 3, min_dims: int = 0, min_side: int = 0, max_side: int = 3) -> Shape:
    """Shapes, some with axes of size 0 or 1, some with all axes the same."""
    sides = [n for n in SIDES if min_side <= n <= max_side]
    count = choices.integer(min_dims, max_dims)
    if choices.integer(0, 4) == 4:
        return (choices.pick(sides),) * count  # a transpose shows in squares, not in an error
    return tuple(choices.pick(sides) for _ in range(count))


@strategy
def narrowed(choices: Choices, shape: Shape) -> Shape:
    """A shape that broadcasts to `shape`: some axes 1, some leading ones left out; now and then the shape itself."""
    if choices.integer(0, 3) == 3:
        return shape
    kept = tuple(1 if choices.boolean() else n for n in shape)
    return kept[choices.integer(0, len(kept)) :] if choices.boolean() else kept


@strategy
def broadcastable(choices: Choices, count: int = 2) -> tuple[Shape, ...]:
    """Several shapes that broadcast against each other; one of them is that of the result."""
    full = choices.draw(shapes())
    found = [full, *(choices.draw(narrowed(full)) for _ in range(count - 1))]
    return tuple(found[i] for i in choices.order(count))


@strategy
def matmul_shapes(choices: Choices) -> tuple[Shape, Shape]:
    """Shapes of two factors: vectors, matrices, batches that broadcast, axes of size 0."""
    n, k, m = (choices.pick([2, 3, 1, 0]) for _ in range(3))
    batch = choices.draw(shapes(max_dims=2))
    left, right = batch, choices.draw(narrowed(batch))
    if choices.boolean():
        left, right = right, left
    a = (k,) if not left and choices.boolean() else (*left, n, k)
    b = (k,) if not right and choices.boolean() else (*right, k, m)
    return a, b


@strategy
def axis_of(choices: Choices, ndim: int) -> int:
    """One axis, counted from either end."""
    axis = choices.integer(0, ndim - 1)
    return axis - ndim if choices.boolean() else axis


@strategy
def axes_of(choices: Choices, ndim: int) -> tuple[int, ...]:
    """A tuple of different axes in any order, some counted from the end; possibly empty."""
    order = choices.order(ndim)
    chosen = order[: choices.integer(0, ndim)]
    return tuple(d - ndim if choices.boolean() else d for d in chosen)


@strategy
def axes(choices: Choices, shape: Shape) -> Any:
    """A `dim` as public functions take it: None, an axis from either end, a tuple of axes."""
    kind = choices.pick(["none", "one", "several"]) if len(shape) else "none"
    if kind == "none":
        return None
    if kind == "one":
        return choices.draw(axis_of(len(shape)))
    return choices.draw(axes_of(len(shape)).filter(bool))


@strategy
def permutation(choices: Choices, ndim: int = 3) -> tuple[int, ...]:
    """An order of the axes; of three and more it is now and then a cycle, which is not its own inverse."""
    return tuple(d - ndim if choices.boolean() else d for d in choices.order(ndim))


@strategy
def indices(choices: Choices, size: int, shape: Any = (3,)) -> np.ndarray:
    """Positions (int64) on an axis of `size`, from either end; the first two are the same entry where there are two."""
    found = choices.array(range(-size, size), choices.draw(shape)).astype(np.int64)
    if found.size > 1:
        found.flat[1] = found.flat[0] % size
    return found
