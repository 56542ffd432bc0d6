"""Memory that a training step frees is kept for the next one.

A step makes and frees the same arrays every time, some megabytes each. By default glibc's malloc hands such memory back
to the system as soon as it is free, and gets it again a page at a time, each of them an interrupt and 4096 zeros to
write: a quarter of the time of a small convolutional network's step. So importing this package raises two limits of
malloc's (see mallopt(3)); other memory allocators, and other systems, are left alone. It holds for the whole process,
which may in turn keep up to `KEPT` bytes that it does not need.

TINYGRAD_EDU_MALLOC=default leaves malloc as it is, and so does anybody's own setting of these limits in the
environment.
"""

from __future__ import annotations

import ctypes
import os
import sys

# Arrays up to this size come from the heap, not from the system one by one; so much may lie free at the heap's end.
LARGEST, KEPT = 64 << 20, 256 << 20

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> bool:
    """Raise the limits, unless the environment says otherwise; whether it was done."""
    set_already = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_")
    if os.environ.get("TINYGRAD_EDU_MALLOC") == "default" or any(name in os.environ for name in set_already):
        return False
    if sys.platform != "linux" or "malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return False
    # Other C libraries have no such function.
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    # older versions go no higher than half of this
    raised = mallopt(_M_MMAP_THRESHOLD, LARGEST) or mallopt(_M_MMAP_THRESHOLD, LARGEST // 2)
    return bool(raised and mallopt(_M_TRIM_THRESHOLD, KEPT))
