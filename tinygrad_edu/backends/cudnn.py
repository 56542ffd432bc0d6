"""Settings for GPUs that scripts make to get the same numbers every time; without a GPU they change nothing."""

from __future__ import annotations

enabled = True
benchmark = False
deterministic = False


def is_available() -> bool:
    """Never: everything is computed on the CPU."""
    return False
