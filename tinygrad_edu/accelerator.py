"""There is no accelerator here; these are the questions a PyTorch script asks to find out, whatever its kind."""

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


def current_accelerator(check_available: bool = False) -> None:
    """Always None, as in PyTorch where there is no accelerator."""
