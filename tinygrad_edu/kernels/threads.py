"""How many threads there are, and loops over a batch that use them.

Compiled kernels run without Python's lock, so ordinary threads can each take a part of a batch. That needs no
threading layer of numba's: OpenMP's is killed by `os.fork`, and numba's own must not be entered from two threads at
once. It costs about 50 us a time, so only work that takes many times as long is divided.

A process made by `os.fork` has none of its parent's threads, and starts out with one.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from typing import Any

# The least work worth a thread, in microseconds.
WORTH = 250

_chosen: int | None = None
_pool: Any = None
_lock = threading.Lock()
_inside = threading.local()


def cores() -> int:
    """The processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def get_num_threads() -> int:
    """How many threads a kernel may use: the number of cores, unless `set_num_threads` said otherwise."""
    return _chosen if _chosen is not None else cores()


def set_num_threads(count: int) -> None:
    """Let kernels and NumPy's BLAS use up to `count` threads.

    Raises TypeError for what is not an integer, RuntimeError for numbers below 1.

    >>> before = get_num_threads()
    >>> set_num_threads(1)
    >>> get_num_threads()
    1
    >>> set_num_threads(before)
    """
    if isinstance(count, bool) or not isinstance(count, int):
        raise TypeError(f"set_num_threads expects an int, but got {type(count).__name__}")
    if count < 1:
        raise RuntimeError(f"set_num_threads expects a positive integer, but got {count}")
    global _chosen
    with _lock:
        _chosen = count
        _drop_pool()
    # Not at the top: it looks through all libraries that are loaded.
    from threadpoolctl import threadpool_limits

    threadpool_limits(count, user_api="blas")


def over_batch(work: Callable[[int, int], Any], batch: int, microseconds: float) -> None:
    """Call `work(start, stop)` for parts of range(batch), together all of it, in several threads where that pays.

    microseconds -- about how long the whole takes one thread; each thread gets at least `WORTH` of it

    The parts run at the same time and must not write to the same place. The first exception is raised here, when all
    have ended. Work that is divided already is not divided further.
    """
    parts = max(1, min(get_num_threads(), batch, int(microseconds / WORTH)))
    if parts == 1 or getattr(_inside, "part", False):
        work(0, batch)
        return
    bounds = [batch * i // parts for i in range(parts + 1)]
    others = [_threads().submit(_part, work, *pair) for pair in itertools.pairwise(bounds[1:])]
    try:
        _part(work, bounds[0], bounds[1])
    finally:
        errors = [error for each in others if (error := each.exception()) is not None]
    if errors:
        raise errors[0]


def _part(work: Callable[[int, int], Any], start: int, stop: int) -> None:
    _inside.part = True
    try:
        work(start, stop)
    finally:
        _inside.part = False


def _threads() -> Any:
    """The threads that wait for parts; made when they are first needed."""
    global _pool
    with _lock:
        if _pool is None:
            from concurrent.futures import ThreadPoolExecutor

            _pool = ThreadPoolExecutor(max(get_num_threads() - 1, 1), thread_name_prefix="tinygrad_edu")
        return _pool


def _drop_pool() -> None:
    global _pool
    if _pool is not None:
        _pool.shutdown(wait=False)
        _pool = None


def _start_over() -> None:
    """In a forked child: the threads are gone, and another thread may have held the lock."""
    global _chosen, _pool, _lock, _inside
    _chosen, _pool, _lock, _inside = 1, None, threading.Lock(), threading.local()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_over)
