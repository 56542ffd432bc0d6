"""What the benchmarks have in common: interleaved rounds, medians with their spread, equal results, tables.

Candidates take turns in one process, so that whatever else the machine does falls on all of them. A ratio is a peer's
time divided by ours: above 1 we are faster.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from tqdm import tqdm

import tinygrad_edu as tg


@dataclass
class Timing:
    """Seconds per call, one entry for each round."""

    seconds: list[float]

    @property
    def median(self) -> float:
        return median(self.seconds)

    @property
    def spread(self) -> float:
        """Half the range of the middle half, relative to the median."""
        low, high = np.percentile(self.seconds, [25, 75])
        return float(high - low) / 2 / self.median


def installed(name: str) -> bool:
    """Whether there is such a library. A mere folder of that name on the path is none."""
    found = importlib.util.find_spec(name)
    return found is not None and found.origin is not None


def optional(name: str) -> Any:
    """A peer, or None where it is not installed."""
    return importlib.import_module(name) if installed(name) else None


def interleave(
    candidates: Mapping[str, Callable[[], Any]],
    rounds: int,
    least: float = 2e-3,
    clock: Callable[[], float] | None = None,
    title: str = "",
) -> dict[str, Timing]:
    """Time the candidates in turns. A round calls each so often that it takes `least` seconds, in another order.

    Without a clock it is `fair_clock`'s. Garbage is collected between the turns, so that nobody clears up after
    another; what a candidate's own calls set off is charged to it. With a title, a bar shows the progress.
    """
    clock = clock or fair_clock()
    repeats = {}
    for name, call in candidates.items():
        call()
        once = min(_elapsed(call, 1, clock) for _ in range(3))
        repeats[name] = max(1, round(least / max(once, 1e-9)))
    found: dict[str, list[float]] = {name: [] for name in candidates}
    names = list(candidates)
    gc.collect()
    gc.freeze()
    try:
        for turn in progress(range(rounds), title):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                gc.collect()
                found[name].append(_elapsed(candidates[name], repeats[name], clock) / repeats[name])
    finally:
        gc.unfreeze()
    return {name: Timing(seconds) for name, seconds in found.items()}


def fair_clock() -> Callable[[], float]:
    """With one thread the time this process computed, so that the turns of other programs on its core do not count.

    It counts for all threads, as XLA computes on one of its own. With more threads it is the clock on the wall.
    """
    return time.process_time if tg.get_num_threads() == 1 else time.perf_counter


def progress(turns: Any, title: str) -> Any:
    """The turns with a bar, where a terminal shows it and there is a title."""
    return tqdm(turns, desc=title, leave=False, disable=None if title else True)


def _elapsed(call: Callable[[], Any], count: int, clock: Callable[[], float]) -> float:
    start = clock()
    for _ in range(count):
        call()
    return clock() - start


def check_equal(results: Mapping[str, Any], tolerance: float) -> None:
    """Raise AssertionError unless all results agree to within a tolerance relative to their largest entry."""
    (first, expected), *rest = ((name, np.asarray(value)) for name, value in results.items())
    scale = float(np.abs(expected).max(initial=0)) or 1.0
    for name, value in rest:
        np.testing.assert_allclose(value, expected, rtol=0, atol=tolerance * scale, err_msg=f"{name} against {first}")


def geometric_mean(ratios: Sequence[float]) -> float:
    """The mean that ratios have."""
    return float(np.exp(np.mean(np.log(ratios))))


def show_table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows of text under a title, the first column left-aligned."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    print(f"\n{title}")
    for row in (head, *rows):
        cells = [
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        print("  " + "  ".join(cells))


def show_absent(absent: Mapping[str, str]) -> None:
    """Name who was not measured, and why, a line each."""
    for name, reason in absent.items():
        print(f"  not measured: {name}: {reason}")
