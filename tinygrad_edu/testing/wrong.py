"""What a property says that does not hold, and how gradients of two runs are compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.testing.cases import Case
from tinygrad_edu.testing.oracles import agree

EXACT = 1e-12


@dataclass
class Wrong(Exception):
    """A property that does not hold.

    input               -- which of the inputs that get a gradient, if it is about one
    found, expected     -- arrays in the shape of that input, with the tolerance used
    bad                 -- which entries differ
    """

    message: str
    input: int | None = None
    found: np.ndarray | None = None
    expected: np.ndarray | None = None
    tolerance: Any = None
    bad: np.ndarray | None = None
    oracle: str = ""

    def __str__(self) -> str:
        return self.message


Property = Callable[["Case"], None]
"""A function of a case that raises `Wrong` where it does not hold."""


def listed(properties: dict[str, Property], name: str) -> Callable[[Property], Property]:
    """Decorator: put a property on a list, under a name."""

    def add(check: Property) -> Property:
        properties[name] = check
        return check

    return add


def same(
    message: str, found: Sequence[np.ndarray], expected: Sequence[np.ndarray], relative: float = EXACT, name: str = ""
) -> None:
    """Gradients of two runs agree to rounding, on the scale of the largest entry; infinities and NaN are the same."""
    for k, (a, b) in enumerate(zip(found, expected, strict=True)):
        if a.shape != b.shape:
            raise Wrong(f"{message}: shape {a.shape}, expected {b.shape}", k)
        finite = np.abs(b[np.isfinite(b)])
        tolerance = relative * max(1.0, float(np.max(finite, initial=0.0)))
        good = agree(a, b, tolerance) | (a == b) | (np.isnan(a) & np.isnan(b))
        if not good.all():
            raise Wrong(message, k, a, b, tolerance, ~good, name)
