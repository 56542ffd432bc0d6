"""What compiled programs call for rows of numbers: a sum, and an order."""

from __future__ import annotations

from typing import Any

import numpy as np

from .jit import REASSOCIATE, jit


@jit(fastmath=REASSOCIATE)
def sum_of(x: Any) -> float:
    """The sum of a contiguous 1-d float array, in float64."""
    total = 0.0
    for i in range(x.size):
        total += x[i]
    return total


@jit
def argsort_row(x: Any, order: Any, descending: bool) -> None:
    """order = the places of the entries of x in order, equal ones as they come."""
    last = x.size - 1
    if descending:
        found = np.argsort(x[::-1], kind="mergesort")
        for i in range(x.size):
            order[i] = last - found[last - i]
    else:
        order[:] = np.argsort(x, kind="mergesort")
