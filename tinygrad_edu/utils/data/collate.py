"""From a list of samples to a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.engine.value import Value
from tinygrad_edu.functions import creation, shapes


def default_convert(data: Any) -> Any:
    """NumPy arrays become tensors, in whatever nesting; everything else stays as it is."""
    if isinstance(data, (np.ndarray, np.generic)) and np.asarray(data).dtype.kind in "fiub":
        return creation.as_tensor(data)
    if isinstance(data, Mapping):
        return _rebuilt(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*map(default_convert, data))
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return [default_convert(value) for value in data]
    return data


def default_collate(batch: Any) -> Any:
    """Stack tensors, arrays and numbers along a new first axis, in whatever nesting of tuples, lists and dicts.

    Strings stay as they are.  Raises RuntimeError for samples of different sizes, TypeError for what cannot be batched.

    >>> default_collate([(1, 2.0), (3, 4.0)])
    [tensor([1, 3]), tensor([2., 4.], dtype=float64)]
    """
    first = batch[0]
    if isinstance(first, Value):
        return shapes.stack(batch)
    if isinstance(first, (np.ndarray, np.generic)) and np.asarray(first).dtype.kind in "fiub":
        return shapes.stack([creation.as_tensor(np.asarray(value)) for value in batch])
    if isinstance(first, float):
        return creation.tensor(batch, dtype=np.float64)
    if isinstance(first, int):
        return creation.tensor(batch)
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        return _rebuilt(first, {key: default_collate([sample[key] for sample in batch]) for key in first})
    if isinstance(first, Sequence):
        if any(len(sample) != len(first) for sample in batch):
            raise RuntimeError(
                "each element in list of batch should be of equal size: these samples have "
                f"{sorted({len(sample) for sample in batch})} parts; pass a collate_fn of your own"
            )
        parts = [default_collate(part) for part in zip(*batch, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else parts
    raise TypeError(
        "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found "
        f"{type(first).__name__}: pass a collate_fn of your own"
    )


def _rebuilt(like: Any, values: dict[Any, Any]) -> Any:
    """A mapping of the same type, where its type can be made from a dict."""
    try:
        return type(like)(values)
    except TypeError:
        return values
