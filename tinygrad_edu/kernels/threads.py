"""How many threads there are, and loops over a batch that use them.

Compiled loops that are marked `nogil` run without Python's lock, so ordinary threads can each take a part of a batch.
That needs no threading layer of numba's: OpenMP's is killed by `os.fork`, and numba's own must not be entered from two
threads at once. What is divided:

    conv2d, conv2d_to_input    by images
    conv2d_to_weight           by images; every part has sums of its own, which are added in the order of the parts
    matmul                     by rows of the result, where NumPy's BLAS, which divides its products itself, has fewer
                               threads (see linalg.blas_is_faster)

and when: each part has to be worth `WORTH`, by an estimate from the shapes alone. So a result depends on the number of
threads, by the rounding of its sums, and on nothing else.

A process made by `os.fork` has none of its parent's threads, and starts out with one.
"""

from __future__ import annotations

import functools
import itertools
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from .tile import shapes

# The least work worth a thread, in microseconds. To wake one, and to be woken by it, takes 20 or, in virtual machines
# that share cores, 150; a loop that has memory in common with another one gains less than half.
WORTH = 250

_count: int | None = None
_helpers = 0
_waiting: SimpleQueue[_Division] = SimpleQueue()
_lock = threading.Lock()
_inside = threading.local()


def cores() -> int:
    """The processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def get_num_threads() -> int:
    """How many threads a kernel may use: the number of cores, unless `set_num_threads` said otherwise."""
    global _count
    if _count is None:
        _count = cores()
    return _count


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
    global _count
    _count = count
    # Not at the top: it looks through all libraries that are loaded.
    from threadpoolctl import threadpool_limits

    threadpool_limits(count, user_api="blas")


def blas_threads() -> int:
    """How many threads NumPy's BLAS uses: what `set_num_threads` said, or a variable such as OPENBLAS_NUM_THREADS."""
    library = _blas()
    return (library.num_threads if library is not None else None) or get_num_threads()


@functools.cache
def _blas() -> Any:
    """The BLAS that NumPy brought along, else any that is loaded; None for one that cannot be asked."""
    from threadpoolctl import ThreadpoolController

    found = [each for each in ThreadpoolController().lib_controllers if each.user_api == "blas"]
    return min(found, key=lambda each: "numpy" not in each.filepath, default=None)


def parts(batch: int, microseconds: float) -> int:
    """Into how many parts a loop over a batch is divided that takes one thread about so long: the only such decision.

    Within a part nothing is divided further.
    """
    if microseconds < 2 * WORTH:
        return 1
    count = max(1, min(get_num_threads(), batch, int(microseconds / WORTH)))
    return 1 if getattr(_inside, "part", False) else count


def on_tile(multiply_adds: int, itemsize: int) -> float:
    """About how many microseconds one thread takes for so many multiply-adds on the register tile."""
    return multiply_adds * itemsize / (4000 * shapes()[0])


def over_batch(work: Callable[[int, int], Any], batch: int, count: int) -> None:
    """Call `work(start, stop)` for `count` parts of range(batch), together all of it, each in a thread that is free.

    The parts run at the same time and must not write to the same place; where they are cut depends on batch and count
    only. When one raises, those not yet begun are left out, and the exception is raised here after the others ended.
    """
    division = _Division(work, batch, count)
    _wake(count - 1, division)
    try:
        division.run(_raise)
    finally:
        errors = division.wait()
    for error in errors:
        raise error


class _Claim:
    """Whose a part is: a helper's, who will report its end, or the caller's."""

    __slots__ = ("helper",)

    def __init__(self, helper: bool):
        self.helper = helper


class _Division:
    """Parts of a batch for several threads. A part belongs to the first that asks, so that none waits for its thread.

    Should no other thread ever come, because all are busy or the system makes no more, the caller does everything.
    """

    __slots__ = ("bounds", "ended", "owners", "work")

    def __init__(self, work: Callable[[int, int], Any], batch: int, count: int):
        self.work = work
        self.bounds = [batch * i // count for i in range(count + 1)]
        self.owners: dict[int, _Claim] = {}
        self.ended: SimpleQueue[BaseException | None] = SimpleQueue()

    def take(self, part: int, helper: bool) -> bool:
        """Whether the part was nobody's and is this caller's now: one step, which nothing can interrupt.

        Once only, also for a thread that comes twice: every part is done, and reported, one time.
        """
        claim = _Claim(helper)
        return self.owners.setdefault(part, claim) is claim

    def run(self, report: Callable[[BaseException | None], Any], helper: bool = False) -> None:
        """Take parts as long as there are any; report how each ended."""
        try:
            _inside.part = True
            for part, bounds in enumerate(itertools.pairwise(self.bounds)):
                if self.take(part, helper):
                    report(self._error_in(bounds))
        finally:
            _inside.part = False

    def help(self) -> None:
        """What another thread does for the caller."""
        self.run(self.ended.put, helper=True)

    def _error_in(self, bounds: tuple[int, int]) -> BaseException | None:
        try:
            self.work(*bounds)
        except BaseException as error:
            return error
        return None

    def wait(self) -> list[BaseException]:
        """Leave out what nobody has begun, wait for what others have; their errors."""
        everything = range(len(self.bounds) - 1)
        begun = sum(not self.take(part, False) and self.owners[part].helper for part in everything)
        return [error for _ in range(begun) if (error := self.ended.get()) is not None]


def _raise(error: BaseException | None) -> None:
    if error is not None:
        raise error


def _wake(count: int, division: _Division) -> None:
    """Tell so many other threads; they are made when they are first needed."""
    global _helpers
    with _lock:
        while _helpers < count:
            try:
                threading.Thread(target=_help, name="tinygrad_edu", daemon=True).start()
            except RuntimeError:  # the system makes no more
                break
            _helpers += 1
    for _ in range(min(count, _helpers)):
        _waiting.put(division)


def _help() -> None:
    while True:
        # In one expression: a name for it would keep its arrays alive until the next one comes.
        _waiting.get().help()


def _start_over() -> None:
    """In a forked child: the threads are gone, and may have held locks."""
    global _count, _helpers, _waiting, _lock, _inside
    _count, _helpers, _waiting, _lock, _inside = 1, 0, SimpleQueue(), threading.Lock(), threading.local()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_over)
