"""Apple's GPUs, which are not used."""

from __future__ import annotations


def is_available() -> bool:
    """Never: everything is computed on the CPU."""
    return False


def is_built() -> bool:
    """Never."""
    return False
