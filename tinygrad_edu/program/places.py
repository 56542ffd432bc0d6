"""Where the entries of a value are found in the emitted code: in an array, or by index arithmetic in another's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Indices = Sequence[str]


@dataclass(frozen=True)
class Place:
    """The source of one entry, given the source of its indices.

    array       -- the source of a row-major array that holds exactly this value, if there is one
    transposed  -- the source of a row-major array of which this is the transpose of each matrix, if there is one
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    at: Callable[[Indices], str]
    array: str | None = None
    transposed: str | None = None


def stored(name: str, shape: tuple[int, ...], dtype: np.dtype, row_major: bool = True) -> Place:
    """An array of its own; a local variable when it has no axes."""
    if not shape:
        return Place(shape, dtype, lambda _: name)
    return Place(shape, dtype, lambda at: f"{name}[{', '.join(at)}]", name if row_major else None)


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
    swap = n >= 2 and dims == [*range(n - 2), n - 1, n - 2]
    return Place(
        tuple(place.shape[d] for d in dims),
        place.dtype,
        lambda at: place.at([at[b] for b in back]),
        place.array if dims == list(range(n)) else place.transposed if swap else None,
        place.array if swap else None,
    )


def cut(place: Place, starts: Sequence[int], steps: Sequence[int], shape: tuple[int, ...]) -> Place:
    """Every step-th entry from start on, along each axis."""
    return Place(
        shape,
        place.dtype,
        lambda at: place.at([moved(i, a, s) for i, a, s in zip(at, starts, steps, strict=True)]),
        place.array if shape == place.shape and all(s == 1 for s in steps) else None,
    )


def fixed(place: Place, axis: int, index: int) -> Place:
    """Without an axis: its entry at one index."""
    shape = (*place.shape[:axis], *place.shape[axis + 1 :])
    array = f"{place.array}[{index}]" if place.array is not None and axis == 0 and shape else None
    return Place(shape, place.dtype, lambda at: place.at([*at[:axis], str(index), *at[axis:]]), array)


def reshaped(place: Place, shape: tuple[int, ...]) -> Place | None:
    """In another shape; None when that takes a copy."""
    array = None if place.array is None or not shape else f"{place.array}.reshape({shape})"
    if [n for n in place.shape if n != 1] == [n for n in shape if n != 1] or 0 in shape:

        def at(indices: Indices) -> str:
            real = iter([i for i, n in zip(indices, shape, strict=True) if n != 1])
            return place.at(["0" if n == 1 else next(real) for n in place.shape])

        return Place(shape, place.dtype, at if 0 not in shape else lambda _: "0", array)
    return None if array is None else stored(array, shape, place.dtype)


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
