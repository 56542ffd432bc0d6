"""What functions of images and signals have in common: arguments for every axis, and the axes of a batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.nn.functional.activation import floating

Ints = int | tuple[int, ...]


def ints(name: str, argument: str, value: Any, count: int, least: int | None = None) -> tuple[int, ...]:
    """An argument that is one int for all axes, or one for each: always a tuple of `count`.

    Raises TypeError for what are no ints, RuntimeError for another number of them or one below `least`.
    """
    # what layers pass is of this form already
    if value.__class__ is tuple and len(value) == count and not [v for v in value if v.__class__ is not int]:
        found = value
    else:
        given = tuple(value) if isinstance(value, (tuple, list)) else (value,)
        if not all(isinstance(v, (int, np.integer)) and not isinstance(v, bool) for v in given):
            raise TypeError(f"{name}(): argument {argument!r} must be an int or a tuple of ints, not {value!r}")
        if len(given) not in (1, count):
            raise RuntimeError(
                f"{name}: expected {argument} to be an int or {count} ints, but got {argument}={value!r}"
            )
        found = tuple(int(v) for v in given) * (count if len(given) == 1 else 1)
    if least is not None and min(found) < least:
        raise RuntimeError(f"{name}: {argument} must be at least {least}, but got {argument}={value!r}")
    return found


def batched(name: str, input: Any, spatial: int, position: str = "input") -> Any:
    """A floating tensor (N, C, ...) or (C, ...), the latter as a batch of one; signals as images of one row."""
    array = floating(name, input, position)._array
    if array.ndim not in (spatial + 1, spatial + 2):
        raise RuntimeError(
            f"Expected {spatial + 1}D (unbatched) or {spatial + 2}D (batched) input to {name}, but got input of size: "
            f"{list(array.shape)}"
        )
    lead = array.shape[:-spatial] if array.ndim == spatial + 2 else (1, *array.shape[:1])
    return reshaped(input, (*lead, *(1,) * (2 - spatial), *array.shape[-spatial:]))


def reshaped(input: Any, shape: tuple[int, ...]) -> Any:
    """The tensor in another shape; itself when that is the one it has."""
    return input if input._array.shape == shape else ops.reshape(input, shape=shape)


def unbatched(result: Any, input: Any, spatial: int) -> Any:
    """The result (N, C, H, W) with the axes that `batched` added to the input taken out again."""
    shape = result._array.shape
    lead = shape[:2] if input._array.ndim == spatial + 2 else shape[1:2]
    return reshaped(result, (*lead, *shape[-spatial:]))
