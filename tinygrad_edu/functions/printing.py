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
    finite = np.abs(values[np.isfinite(values) & (values != 0)].astype(np.float64))
    text: Any
    if finite.size and (finite.max() / finite.min() > 1000 or finite.max() > 1e8 or finite.min() < 1e-4):
        whole = bool((values[np.isfinite(values)] == np.floor(values[np.isfinite(values)])).all())
        text = (lambda v: f"{v:.0f}.") if whole and finite.max() < 1e8 else (lambda v: f"{v:.{PRECISION}e}")
    elif finite.size == 0 or bool((finite == np.floor(finite)).all()):
        text = lambda v: f"{v:.0f}."  # noqa: E731
    else:
        text = lambda v: f"{v:.{PRECISION}f}"  # noqa: E731
    show = lambda v: text(v) if np.isfinite(v) else str(v)  # noqa: E731
    width = max((len(show(v)) for v in values.ravel()), default=1)
    return lambda v: show(v).rjust(width)


def rows(array: np.ndarray, show: Any, indent: int, summarise: bool) -> str:
    """The nested brackets; long axes keep their ends."""
    if array.ndim == 0:
        return show(array[()])
    cut = summarise and array.shape[0] > 2 * EDGE
    picked = [*array[:EDGE], None, *array[-EDGE:]] if cut else list(array)
    if array.ndim == 1:
        return "[" + _wrapped(["..." if v is None else show(v) for v in picked], indent + 1) + "]"
    inner = ["..." if v is None else rows(v, show, indent + 1, summarise) for v in picked]
    return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(inner) + "]"


def _wrapped(items: list[str], indent: int) -> str:
    """Items joined with commas, broken at 80 columns."""
    lines, line = [], ""
    for item in items:
        if line and indent + len(line) + len(item) + 2 > 80:
            lines.append(line)
            line = item
        else:
            line = f"{line}, {item}" if line else item
    return (",\n" + " " * indent).join([*lines, line])


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
    return f"{name}({', '.join([body, *extra])})"
