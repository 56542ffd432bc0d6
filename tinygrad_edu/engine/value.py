"""What a tensor is to the engine: an array, and the edge that says where it came from.

    Value    -- array, edge, gradient cell: the base of the public `Tensor`
    Leaf     -- the edge of a tensor the user made and wants a gradient for
    Const    -- the edge of an input that needs no gradient
    Cell     -- where a gradient is put
    Notes    -- what few tensors have besides

The edges of computed values are `Node` and `Output`, in node.py; memory shared by views is in storage.py.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.engine.where import Where


class Cell:
    """Where the gradient of one tensor is put, and the hooks it passes on the way."""

    __slots__ = ("grad", "hooks", "lock")

    def __init__(self) -> None:
        self.grad: Value | None = None
        self.hooks: dict[object, Any] = {}
        self.lock = threading.Lock()

    def add(self, g: Any) -> None:
        """Add a gradient of a computed tensor to what was kept before, as a new tensor."""
        self.grad = g if self.grad is None else self.grad + g


class Leaf:
    """The edge of a tensor that was made, not computed, and requires grad; `made`: the user's line."""

    __slots__ = ("array", "cell", "dtype", "made", "shape")

    def __init__(self, array: np.ndarray, cell: Cell, made: Where | None = None) -> None:
        self.array = array
        self.cell = cell
        self.made = made
        self.shape = array.shape
        self.dtype = array.dtype


class Const:
    """The edge of an input that needs no gradient: an array, or a Python number."""

    __slots__ = ("array", "made")

    def __init__(self, array: Any, made: Where | None = None) -> None:
        self.array = array
        self.made = made

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array; () for a number."""
        return np.shape(self.array)

    @property
    def dtype(self) -> np.dtype:
        """Of the array; the one NumPy gives a number."""
        return np.asarray(self.array).dtype


class Notes:
    """What few tensors have: a gradient cell, an edge as a constant, the line that made them.

    kept -- for a computed tensor whose gradient is kept: the hook that does it, and how to remove the hook
    """

    __slots__ = ("cell", "const", "kept", "made")

    def __init__(self) -> None:
        self.cell: Cell | None = None
        self.const: Const | None = None
        self.kept: tuple[Any, Any] | None = None
        self.made: Where | None = None


class Value:
    """An array in the graph.  The public `Tensor` adds the spelling and nothing else.

    _array, _edge  -- the numbers, and where they came from (None for a constant)
    _notes         -- None until there is something to note
    """

    __slots__ = ("__weakref__", "_array", "_edge", "_notes")

    _array: np.ndarray
    _edge: Any
    _notes: Notes | None

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    @property
    def _cell(self) -> Cell | None:
        """Where the gradient of this tensor is put, if anywhere."""
        return self._notes.cell if self._notes is not None else None

    @property
    def _made(self) -> Where | None:
        """The user's line that made this tensor, if it was made and not computed."""
        return self._notes.made if self._notes is not None else None


def notes(value: Value) -> Notes:
    """The notes of a tensor, to write on."""
    if value._notes is None:
        value._notes = Notes()
    return value._notes


def constant(value: Any) -> Const:
    """The edge of an input that needs no gradient; one per tensor, however often it is used."""
    if not isinstance(value, Value):
        return Const(value)
    noted = value._notes or notes(value)
    if noted.const is None or noted.const.array is not value._array:
        noted.const = Const(value._array, noted.made)
    return noted.const


_result_class: type[Value] = Value


def set_result_class(cls: type[Value]) -> None:
    """The class `make` makes: `Value` until tensor.py says `Tensor`."""
    global _result_class
    _result_class = cls


def make(array: np.ndarray, edge: Any = None) -> Any:
    """A tensor around `array`, without copying.  `edge` None means a constant."""
    value = object.__new__(_result_class)
    value._array = array
    value._edge = edge
    value._notes = None
    return value


def array_of(value: Any) -> Any:
    """The bare array of a value; anything else unchanged."""
    return value._array if isinstance(value, Value) else value
