"""Memory order is private: kernels leave it as suits them, until somebody can see it.

To a user a tensor that was computed lies in row-major order, as in PyTorch.  Really it may lie in memory in another
order, such as channels-last, and stay so through a whole chain of operations.  Whoever is about to show the memory (a
view, strides, a NumPy array) calls `relay` first.  In-place writes need not: nobody else sees what they write to.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.engine.mode import current
from tinygrad_edu.engine.storage import is_shown, owner
from tinygrad_edu.engine.value import Leaf


def relay(value: Any) -> Any:
    """The tensor, moved to row-major memory first if it fills memory that nobody else has seen.

    Nodes that saved the array keep the old memory, which holds the same numbers.
    """
    old = value._array
    if old.flags.c_contiguous or not fills(memory := owner(old), old) or is_shown(memory):
        return value
    new = np.array(old, order="C")
    value._array = new
    if isinstance(value._edge, Leaf):
        value._edge.array = new
    recorder = current.get().recorder
    if recorder is not None:
        recorder.relaid(new, old)
    return value


def fills(memory: np.ndarray, array: np.ndarray) -> bool:
    """Whether a view shows all of the memory, every entry once, in whatever order of the axes."""
    if memory.base is not None or memory.nbytes != array.nbytes:
        return False
    order = sorted(range(array.ndim), key=lambda axis: -array.strides[axis])
    return array.transpose(order).flags.c_contiguous
