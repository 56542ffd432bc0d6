"""Where the entries of a value are found in the emitted code: in an array, or by index arithmetic in another's."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Indices = Sequence[str]
RESHAPED = re.compile(r"(?P<name>\b[^\W\d]\w*)\.reshape\((?P<shape>\([\d, ]+\))\)")


@dataclass(frozen=True)
class Place:
    """The source of one entry, given the source of its indices.

    order   -- the axes from the slowest to the fastest, as the entries follow each other in memory; () is not known
    memory  -- the source of an array in C order that holds exactly this value, its axes in that order, if there is one
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    at: Callable[[Indices], str]
    order: tuple[int, ...] = ()
    memory: str | None = None

    def laid_out(self, order: Sequence[int]) -> str | None:
        """The source of an array in C order with the axes in this order; None when that takes a copy."""
        if self.memory is None or self.order == tuple(order):
            return self.memory
        real, wanted = ([axis for axis in o if self.shape[axis] != 1] for o in (self.order, order))
        return seen(self.memory, tuple(self.shape[axis] for axis in order)) if real == wanted else None

    @property
    def array(self) -> str | None:
        """The source of a row-major array."""
        return self.laid_out(range(len(self.shape)))

    @property
    def transposed(self) -> str | None:
        """The source of a row-major array of which this is the transpose of each matrix."""
        n = len(self.shape)
        return None if n < 2 else self.laid_out([*range(n - 2), n - 1, n - 2])


def seen(memory: str, shape: tuple[int, ...]) -> str:
    """The source of an array in C order in another shape.

    >>> seen("x", (2, 3)), seen("x.reshape((2, 3))", (6,)), seen("x[0]", (6,))
    ('x.reshape((2, 3))', 'x.reshape((6,))', 'x[0].reshape((6,))')
    """
    again = RESHAPED.fullmatch(memory)
    return f"{again['name'] if again else memory}.reshape({shape})"


def channels_last(n: int) -> tuple[int, ...]:
    """The order of n axes (N, C, ...) with the channels next to each other."""
    return (0, *range(2, n), 1)


def stored(name: str, shape: tuple[int, ...], dtype: np.dtype, order: Sequence[int] | None = None) -> Place:
    """An array of its own, with its axes in this order (row-major); a local variable when it has no axes."""
    if not shape:
        return Place(shape, dtype, lambda _: name)
    axes = tuple(range(len(shape)) if order is None else order)
    return Place(shape, dtype, lambda at: f"{name}[{', '.join(at[axis] for axis in axes)}]", axes, name)


def number(text: str, dtype: np.dtype) -> Place:
    """A number."""
    return Place((), dtype, lambda _: text)


def moved(index: str, start: int, step: int = 1) -> str:
    """The source of start + step * index.

    >>> moved("i", 0), moved("i", 3), moved("i", 9, -1), moved("0", 3, 2)
    ('i', 'i + 3', '9 - i', '3')
    """
    if index.isdigit():
        return str(start + step * int(index))
    scaled = index if abs(step) == 1 else f"{abs(step)} * {index}"
    if step < 0:
        return f"{start} - {scaled}"
    return scaled if start == 0 else f"{scaled} + {start}"


def broadcast(place: Place, shape: tuple[int, ...]) -> Place:
    """Repeated along new leading axes and axes of size 1."""
    lead = len(shape) - len(place.shape)

    def at(indices: Indices) -> str:
        own = indices[lead:]
        return place.at(["0" if n == 1 else i for i, n in zip(own, place.shape, strict=True)])

    same = place.shape == shape
    return place if same else Place(shape, place.dtype, at)


def permuted(place: Place, dims: Sequence[int]) -> Place:
    """Axis i is axis dims[i] of the other."""
    n = len(dims)
    dims = [d % n for d in dims]
    back = [dims.index(i) for i in range(n)]
    return Place(
        tuple(place.shape[d] for d in dims),
        place.dtype,
        lambda at: place.at([at[b] for b in back]),
        tuple(back[axis] for axis in place.order),
        place.memory,
    )


def cut(place: Place, starts: Sequence[int], steps: Sequence[int], shape: tuple[int, ...]) -> Place:
    """Every step-th entry from start on, along each axis."""
    return Place(
        shape,
        place.dtype,
        lambda at: place.at([moved(i, a, s) for i, a, s in zip(at, starts, steps, strict=True)]),
        place.order,
        place.memory if shape == place.shape and all(s == 1 for s in steps) else None,
    )


def fixed(place: Place, axis: int, index: int) -> Place:
    """Without an axis: its entry at one index."""
    shape = (*place.shape[:axis], *place.shape[axis + 1 :])
    outermost = place.memory is not None and place.order[0] == axis and shape
    return Place(
        shape,
        place.dtype,
        lambda at: place.at([*at[:axis], str(index), *at[axis:]]),
        tuple(a - (a > axis) for a in place.order if a != axis),
        f"{place.memory}[{index}]" if outermost else None,
    )


def reshaped(place: Place, shape: tuple[int, ...]) -> Place | None:
    """In another shape; None when that takes a copy."""
    if shape == place.shape:
        return place
    old, new = ([axis for axis, n in enumerate(s) if n != 1] for s in (place.shape, shape))
    if [place.shape[axis] for axis in old] == [shape[axis] for axis in new]:

        def at(indices: Indices) -> str:
            real = iter([indices[axis] for axis in new])
            return place.at(["0" if n == 1 else next(real) for n in place.shape])

        renamed = dict(zip(old, new, strict=True))
        ones = [axis for axis, n in enumerate(shape) if n == 1]
        order = (*ones, *(renamed[axis] for axis in place.order if axis in renamed)) if place.order else ()
        memory = seen(place.memory, tuple(shape[axis] for axis in order)) if place.memory and shape else None
        return Place(shape, place.dtype, at, order, memory)
    if 0 in shape:
        return Place(shape, place.dtype, lambda _: "0")
    return None if place.array is None else stored(seen(place.array, shape), shape, place.dtype)


def merged(
    shape: tuple[int, ...], order: Sequence[int], places: Sequence[Place]
) -> tuple[tuple[int, ...], list[Place]] | None:
    """Neighbouring axes as one, for fewer and longer loops: the sizes left, and the places in that shape.

    The places are broadcast to the shape. None where one of them has no memory, or in another order than this, and
    where there is one entry.
    """
    if 0 in shape or not order:
        return None
    lead = len(shape)
    wide = [reshaped(p, (1,) * (lead - len(p.shape)) + p.shape) or p if p.shape else p for p in map(plain, places)]
    if any(p.shape and p.laid_out(order) is None for p in wide):
        return None
    groups: list[list[int]] = []
    for axis in (axis for axis in order if shape[axis] != 1):
        together = groups and all((p.shape[axis] == 1) == (p.shape[groups[-1][-1]] == 1) for p in wide if p.shape)
        groups = [*groups[:-1], [*groups[-1], axis]] if together else [*groups, [axis]]
    if not groups:
        return None
    sizes = [tuple(math.prod(p.shape[axis] for axis in group) for group in groups) if p.shape else () for p in wide]
    found = [resized(p, size) for p, size in zip(wide, sizes, strict=True)]
    return tuple(math.prod(shape[axis] for axis in group) for group in groups), found


def resized(place: Place, shape: tuple[int, ...]) -> Place:
    """The memory of a place as a row-major array of another shape; a number as it is."""
    if place.memory is None or not shape:
        return place
    same = shape == tuple(place.shape[axis] for axis in place.order)
    return stored(place.memory if same else seen(place.memory, shape), shape, place.dtype)


def plain(place: Place) -> Place:
    """A number for entries that are all the same."""
    text = place.at([f"n{axis}_" for axis in range(len(place.shape))])
    return place if any(f"n{axis}_" in text for axis in range(len(place.shape))) else number(text, place.dtype)


def short(dtype: np.dtype) -> str:
    """`f32` for float32, `i64` for int64: what emitted code calls a dtype."""
    return f"{dtype.kind}{8 * dtype.itemsize}"


def typed(value: Any, dtype: np.dtype) -> str:
    """The source of a number in a dtype, so that a Python float does not widen float32 to float64.

    >>> typed(0.5, np.dtype("float64")), typed(1, np.dtype("float32")), typed(-np.inf, np.dtype("float32"))
    ('0.5', 'f32(1.0)', 'f32(-np.inf)')
    """
    if isinstance(value, np.generic):
        value, dtype = value.item(), value.dtype
    if dtype.kind == "b" and isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and dtype.kind != "f":
        dtype = np.dtype(np.float64)
    text = repr(float(value) if dtype.kind == "f" else int(value))
    text = text.replace("inf", "np.inf").replace("nan", "np.nan")
    return text if dtype in (np.float64, np.int64) else f"{short(dtype)}({text})"
