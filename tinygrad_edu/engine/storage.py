"""Memory: who wrote to it, and which tensors see it.

A tensor is a view of some memory; its storage is found through the array that owns that memory, and only exists
once there is something to know about it.  Most memory is never written twice, and costs nothing here.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tinygrad_edu.engine.value import Value
    from tinygrad_edu.engine.where import Where

clock = itertools.count(1)
"""Stamps nodes and writes alike, so `storage.written > node.seq` means: overwritten after the node was made."""


class Writes:
    """The stamp of the latest write to any memory: nodes made after it need no further look."""

    last = 0


class Storage:
    """What is known of one piece of memory.

    version -- how often it was written in place;  written, writer -- when last, and on which line
    shown   -- somebody besides one tensor has seen it: a view, or an array of the user's
    """

    def __init__(self) -> None:
        self.memory: weakref.ref[np.ndarray] | None = None
        self.version = 0
        self.written = 0
        self.writer: Where | None = None
        self.shown = False
        self._views: dict[int, weakref.ref[Value]] = {}
        self._many = 64

    def add_view(self, view: Value) -> None:
        """Remember a tensor that sees this memory together with others; once, however often it is viewed."""
        self.shown = True
        self._views[id(view)] = weakref.ref(view)
        if len(self._views) >= self._many:
            self._views = {k: ref for k, ref in self._views.items() if ref() is not None}
            self._many = 2 * len(self._views) + 64

    def live_views(self, besides: Value) -> list[Value]:
        """The other tensors alive that see this memory."""
        found = [ref() for ref in self._views.values()]
        return [v for v in found if v is not None and v is not besides and storage_of(v._array) is self]


_known: dict[int, Storage] = {}
_lock = threading.Lock()


def owner(array: np.ndarray) -> np.ndarray:
    """The array that owns the memory of a view."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def storage_of(array: np.ndarray) -> Storage:
    """The storage behind an array, made when first asked for and forgotten with the memory."""
    memory = array if array.base is None else owner(array)
    key = id(memory)
    storage = _known.get(key)
    if storage is None:
        with _lock:
            storage = _known.setdefault(key, Storage())
            storage.memory = weakref.ref(memory, lambda _: _known.pop(key, None))
    return storage


def is_shown(memory: np.ndarray) -> bool:
    """Whether somebody besides one tensor has seen (and may still see) this memory."""
    storage = _known.get(id(memory))
    return storage is not None and storage.shown


def wrote(array: np.ndarray, where: Where | None) -> None:
    """Count one write in place."""
    storage = storage_of(array)
    storage.version += 1
    storage.written = Writes.last = next(clock)
    storage.writer = where


def written_since(array: object, stamp: int) -> Storage | None:
    """The storage of an array, if it was written after the stamp."""
    if not isinstance(array, np.ndarray):
        return None
    storage = _known.get(id(owner(array)))
    return storage if storage is not None and storage.written > stamp else None
