"""What the benchmarks have in common: honest surroundings, interleaved rounds, medians with their spread, tables.

Candidates take turns in one process, so that whatever else the machine does falls on all of them. A ratio is a peer's
time divided by ours: above 1 we are faster.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

import tinygrad_edu as tg

# Variables that slow NumPy's BLAS down, where somebody set them: nobody shall be flattered by that.
PINS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
# glibc hands large arrays back to the system at once, and every page of the next one costs a fault, for all alike.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "1000000000", "MALLOC_TRIM_THRESHOLD_": "2000000000"}
PEERS = ("numpy", "numba", "torch", "jax", "mygrad", "autograd", "micrograd")


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


def fair_surroundings() -> list[str]:
    """Run the command again without `PINS` and with `KEEP_MEMORY`, unless it is so already; what was unset.

    Both are read when a process starts, so setting them here would come too late.
    """
    pinned = [name for name in PINS if name in os.environ]
    if pinned or any(os.environ.get(name) != value for name, value in KEEP_MEMORY.items()):
        environment = {name: value for name, value in os.environ.items() if name not in PINS}
        environment |= KEEP_MEMORY | {"BENCHMARKS_UNPINNED": " ".join(pinned)}
        sys.stdout.flush()
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks", *sys.argv[1:]], environment)
    return os.environ.get("BENCHMARKS_UNPINNED", "").split()


def begin() -> None:
    """Honest surroundings and one thread for everybody; prints what a reader has to know of the machine."""
    unset = fair_surroundings()
    use_threads(1)
    for name, text in describe(1, unset).items():
        print(f"{name}: {text}")


def use_threads(count: int) -> None:
    """Let ourselves, BLAS and PyTorch use so many threads."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(count)
    tg.set_num_threads(count)
    torch = optional("torch")
    if torch is not None:
        torch.set_num_threads(count)


def optional(name: str) -> Any:
    """A peer, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return None


def describe(threads: int, unset: Sequence[str] = ()) -> dict[str, str]:
    """Machine, versions, threads and BLAS, as text."""
    import llvmlite.binding as llvm
    from threadpoolctl import threadpool_info

    features = llvm.get_host_cpu_features()
    vectors = [name for name in ("avx512f", "avx2", "fma", "neon") if features.get(name)]
    blas = [f"{i['internal_api']} {i.get('version')} {i.get('architecture', '')}".strip() for i in threadpool_info()]
    return {
        "machine": f"{platform.machine()}, {llvm.get_host_cpu_name()}, {os.cpu_count()} cores, {' '.join(vectors)}",
        "versions": ", ".join(f"{name} {v}" for name in PEERS if (v := _version(name))),
        "threads": f"{threads}; pools: {', '.join(blas)}",
        "environment": f"BLAS not pinned{f' (unset: {chr(32).join(unset)})' if unset else ''}; malloc keeps memory",
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def interleave(
    candidates: Mapping[str, Callable[[], Any]],
    rounds: int,
    least: float = 2e-3,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Timing]:
    """Time the candidates in turns. A round calls each so often that it takes `least` seconds, in another order.

    With time.thread_time as clock, work on one thread is not charged for the turns of other programs on its core.
    """
    repeats = {}
    for name, call in candidates.items():
        call()
        once = min(_elapsed(call, 1, clock) for _ in range(3))
        repeats[name] = max(1, round(least / max(once, 1e-9)))
    found: dict[str, list[float]] = {name: [] for name in candidates}
    names = list(candidates)
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            found[name].append(_elapsed(candidates[name], repeats[name], clock) / repeats[name])
    return {name: Timing(seconds) for name, seconds in found.items()}


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
