"""Dropout as modules."""

from __future__ import annotations

from typing import Any

from tinygrad_edu.nn import functional as F
from tinygrad_edu.nn.module import Module

__all__ = ["Dropout", "Dropout2d"]


class Dropout(Module):
    """While training, zero each entry with probability p and scale the others by 1 / (1 - p); nothing in eval().

    Raises ValueError unless 0 <= p <= 1.
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p = p
        self.inplace = inplace

    def forward(self, input: Any) -> Any:
        """Any shape."""
        return F.dropout(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        """The probability."""
        return f"p={self.p}, inplace={self.inplace}"


class Dropout2d(Dropout):
    """While training, zero whole channels of (N, C, H, W) with probability p and scale the others by 1 / (1 - p).

    A 3D input is taken as (N, C, L), with a warning.  Raises ValueError unless 0 <= p <= 1.
    """

    def forward(self, input: Any) -> Any:
        """(N, C, H, W) -> the same."""
        return F.dropout2d(input, self.p, self.training, self.inplace)
