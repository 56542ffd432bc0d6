"""Static parameters that remember what they are called: Python code in a rule sees numbers, people see `x.shape[0]`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinygrad_edu import ops


class Size(int):
    """A whole number with a name."""

    _text: Callable[[], str]

    def __new__(cls, value: int, text: Callable[[], str]) -> Size:
        size = super().__new__(cls, value)
        size._text = text
        return size

    @property
    def text(self) -> str:
        """What people read."""
        return self._text()

    def __add__(self, other: Any) -> Any:
        if int(other) == 0:
            return self
        return Size(int(self) + int(other), lambda: f"{self.text} + {static_text(other)}")

    def __radd__(self, other: Any) -> Any:
        if int(other) == 0:
            return self
        return Size(int(self) + int(other), lambda: f"{static_text(other)} + {self.text}")

    def __mod__(self, other: Any) -> Any:
        return self if 0 <= int(self) < int(other) else int(self) % int(other)


class Sizes(tuple[Any, ...]):
    """A tuple with a name: the shape of a symbol, or a static parameter."""

    _text: Callable[[], str]

    def __new__(cls, values: Iterable[Any], text: Callable[[], str]) -> Sizes:
        sizes = super().__new__(cls, values)
        sizes._text = text
        return sizes

    @property
    def text(self) -> str:
        """What people read."""
        return self._text()

    def __getitem__(self, key: Any) -> Any:
        item = super().__getitem__(key)
        return Size(item, lambda: f"{self.text}[{key.text}]") if isinstance(key, Size) else item


def shape_named(shape: tuple[int, ...], text: Callable[[], str]) -> Sizes:
    """The shape of something: its sizes are named too."""
    sizes = [Size(n, lambda k=k: f"{text()}.shape[{k}]") for k, n in enumerate(shape)]
    return Sizes(sizes, lambda: f"{text()}.shape")


def dtype_named(dtype: np.dtype, text: Callable[[], str]) -> np.dtype:
    """A dtype equal to `dtype` with a name."""
    return np.dtype(dtype, metadata={"text": text})


def static_named(name: str, value: Any) -> Any:
    """A static parameter that reads as its own name; None, booleans and indices stay what they are."""
    if isinstance(value, int) and not isinstance(value, bool):
        return Size(value, lambda: name)
    if isinstance(value, tuple) and all(isinstance(item, int) for item in value):
        return Sizes(value, lambda: name)
    return dtype_named(value, lambda: name) if isinstance(value, np.dtype) else value


def plain(value: Any) -> Any:
    """The value without names, for forwards and for code."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return tuple(plain(item) for item in tuple.__iter__(value))
    if isinstance(value, Size):
        return int(value)
    return np.dtype(value.type) if isinstance(value, np.dtype) and value.metadata else value


def static_text(value: Any) -> str:
    """A static parameter as people write it."""
    if isinstance(value, (Size, Sizes)):
        return value.text
    if isinstance(value, np.dtype):
        return value.metadata["text"]() if value.metadata else value.name
    if isinstance(value, ops.Cut):
        ends = ["" if end is None else static_text(end) for end in (value.start, value.stop, value.step)]
        return ":".join(ends[:2] if value.step is None else ends)
    if isinstance(value, tuple):
        return f"({', '.join(map(static_text, value))}{',' if len(value) == 1 else ''})"
    return "..." if value is Ellipsis else str(value)
