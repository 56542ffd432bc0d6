"""What emitted code calls besides the kernels."""

from __future__ import annotations

from typing import Any

from tinygrad_edu.kernels.jit import REASSOCIATE, jit


@jit(fastmath=REASSOCIATE)
def sum_of(x: Any) -> float:
    """The sum of a contiguous 1-d float array, in float64."""
    total = 0.0
    for i in range(x.size):
        total += x[i]
    return total
