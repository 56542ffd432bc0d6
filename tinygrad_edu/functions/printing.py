"""`repr` of tensors, in PyTorch's layout."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.engine.node import producer
from tinygrad_edu.functions.promotion import get_default_dtype

PRECISION, THRESHOLD, EDGE = 4, 1000, 3


def formatter(values: np.ndarray) -> Any:
    """One format for all entries: whole numbers as `1.`, others with four digits, scientific when they differ much."""
    if values.dtype.kind == "b":
        return lambda v: str(bool(v)).rjust(5 if not values.all() and values.size else 4)
    if values.dtype.kind in "iu":
        width = max((len(str(v)) for v in values.ravel()), default=1)
        return lambda v: str(v).rjust(width)
    counted = values[np.isfinite(values) & (values != 0)]
    size = np.abs(counted.astype(np.float64))
    if size.size and (size.max() / size.min() > 1000 or size.max() > 1e8 or size.min() < 1e-4):
        pattern = f"{{:.{PRECISION}e}}"
    else:
        pattern = "{:.0f}." if bool((size == np.floor(size)).all()) else f"{{:.{PRECISION}f}}"
    # like PyTorch, zeros, NaN and infinities do not widen the columns
    width = max((len(pattern.format(v)) for v in counted), default=1)
    return lambda v: (pattern.format(v) if np.isfinite(v) else str(v)).rjust(width)


def rows(array: np.ndarray, show: Any, indent: int, summarise: bool) -> str:
    """The nested brackets; long axes keep their ends."""
    if array.ndim == 0:
        return show(array[()])
    cut = summarise and array.shape[0] > 2 * EDGE
    picked = [*array[:EDGE], None, *array[-EDGE:]] if cut else list(array)
    if array.ndim == 1:
        return "[" + _wrapped([" ..." if v is None else show(v) for v in picked], indent + 1) + "]"
    inner = ["..." if v is None else rows(v, show, indent + 1, summarise) for v in picked]
    return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(inner) + "]"


def _wrapped(items: list[str], indent: int) -> str:
    """Items joined with commas, as many on each line as have room in 80 columns."""
    count = max(1, (81 - indent) // (len(items[0]) + 2)) if items else 1
    lines = [", ".join(items[i : i + count]) for i in range(0, len(items), count)]
    return (",\n" + " " * indent).join(lines)


def describe(tensor: Any, name: str = "tensor") -> str:
    """`tensor([1., 2.], requires_grad=True)`."""
    array = np.asarray(tensor._array)
    summarise = array.size > THRESHOLD
    shown = array
    if summarise:
        for axis in range(array.ndim):
            if array.shape[axis] > 2 * EDGE:
                ends = [shown.take(range(EDGE), axis), shown.take(range(-EDGE, 0), axis)]
                shown = np.concatenate(ends, axis)
    body = rows(array, formatter(shown), len(name) + 1, summarise) if array.size else "[]"
    extra = []
    if array.size == 0 and array.ndim != 1:
        extra.append(f"size={tuple(array.shape)}")
    if array.dtype not in (get_default_dtype(), np.int64, np.bool_) or (array.size == 0 and array.dtype.kind != "f"):
        extra.append(f"dtype={array.dtype}")
    node = producer(tensor._edge) if tensor._edge is not None else None
    if node is not None:
        extra.append(f"grad_fn=<{node.op.name}>")
    elif tensor._edge is not None:
        extra.append("requires_grad=True")
    return suffixed(f"{name}({body}", extra, len(name) + 1) + ")"


def suffixed(text: str, extra: list[str], indent: int) -> str:
    """Text and what follows it after commas, each on a new line where it would go beyond 80 columns."""
    width = len(text) - text.rfind("\n") + 1
    for part in extra:
        if width + len(part) + 2 > 80:
            text += ",\n" + " " * indent + part
            width = indent + len(part)
        else:
            text += ", " + part
            width += len(part) + 2
    return text
