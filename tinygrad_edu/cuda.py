"""There is no GPU here; these are the questions a PyTorch script asks to find out."""

from __future__ import annotations


def is_available() -> bool:
    """Never: everything is computed on the CPU.

    >>> is_available()
    False
    """
    return False


def device_count() -> int:
    """None at all."""
    return 0


def manual_seed(seed: int) -> None:
    """Does nothing, as in PyTorch without a GPU; `tinygrad_edu.manual_seed` seeds the CPU."""


manual_seed_all = manual_seed
