"""In place = a pure operation and an assignment.

`x.mul_(y)` computes `v = x * y`, then assigns: x's memory takes v's numbers, x's edge becomes v's, and the storage
counts a write, so that a saved value which is no longer what it was is noticed by the walk.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.engine.mode import current
from tinygrad_edu.engine.node import producer, tap
from tinygrad_edu.engine.storage import owner, storage_of, wrote
from tinygrad_edu.engine.value import Leaf, Value, notes
from tinygrad_edu.engine.where import outside

_ORDER = {"b": 0, "u": 1, "i": 1, "f": 2}


def assign(target: Value, value: Any, *, op: str = "assign") -> None:
    """Make `target` hold the numbers of `value` (broadcast to its shape, cast to its dtype) and its history."""
    mode = current.get()
    new = value._array if isinstance(value, Value) else np.asarray(value)
    edge = value._edge if isinstance(value, Value) and mode.grad else None
    check_assignable(target, new, edge, mode.grad, op)
    if edge is not None:
        keep_own_copy(edge, target)
    if np.may_share_memory(new, target._array) and new is not target._array:
        new = new.copy()
    target._array[...] = new
    wrote(target._array, outside(2))
    if mode.grad and not (edge is None and isinstance(target._edge, Leaf)):
        if target._notes is not None and target._notes.kept is not None:
            move_kept(target, edge)
        target._edge = edge
    if mode.recorder is not None:
        if not isinstance(value, Value) and new.ndim == 0:
            mode.recorder.literal(new, value)
        mode.recorder.assign(target._array, value._array if isinstance(value, Value) else new)


def move_kept(target: Value, edge: Any) -> None:
    """`.grad` is the gradient of what the tensor is now: the hook that keeps it moves along."""
    noted = notes(target)
    if noted.kept is not None:
        hook, remove = noted.kept
        remove()
        noted.kept = None if edge is None else (hook, tap(edge, hook, keeper=True))


def check_assignable(target: Value, new: np.ndarray, edge: Any, grad: bool, op: str) -> None:
    """Refuse what PyTorch refuses, and recorded writes that would leave another tensor's history wrong."""
    if grad and isinstance(target._edge, Leaf):
        raise RuntimeError(
            f"a leaf tensor that requires grad (shape {target._array.shape}) is used in the in-place operation {op}: "
            "do it inside no_grad(), or on a clone()"
        )
    if not target._array.flags.writeable:
        raise RuntimeError(f"{op}: this tensor is read-only memory (expanded, or from a read-only array): clone() it")
    shape = target._array.shape
    if new.shape != shape and np.broadcast_shapes(shape, new.shape) != shape:
        raise RuntimeError(
            f"{op}: the result has shape {new.shape}, which does not fit in the tensor's own shape "
            f"{target._array.shape}: use the operation that returns a new tensor"
        )
    if new.dtype != target._array.dtype and _ORDER[new.dtype.kind] > _ORDER[target._array.dtype.kind]:
        raise RuntimeError(f"{op}: result type {new.dtype} can't be cast to the tensor's dtype {target._array.dtype}")
    if not grad or (edge is None and target._edge is None):
        return
    others = storage_of(target._array).live_views(target)
    if others:
        raise RuntimeError(
            f"{op}: the memory of this tensor is shared with {len(others)} other live view(s) (shape "
            f"{others[0]._array.shape}), whose gradients this recorded write would make wrong: use the operation that "
            "returns a new tensor, index assignment on the base (x[i] = v), or clone() before the view is taken"
        )


def keep_own_copy(edge: Any, target: Value) -> None:
    """If the node of the new value saved the target's old numbers, let it keep a copy: they are about to change."""
    node = producer(edge)
    if node is None or not node.saved:
        return
    memory = owner(target._array)
    recorder = current.get().recorder
    saved = []
    for array in node.saved:
        if isinstance(array, np.ndarray) and owner(array) is memory:
            copy = np.array(array)
            if recorder is not None:
                recorder.copied(copy, array)
            array = copy
        saved.append(array)
    node.saved = tuple(saved)
