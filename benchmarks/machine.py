"""The surroundings of a measurement: what was unset, how many threads everybody has, what the machine can do."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import platform
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_edu as tg
from benchmarks.timing import fair_clock, optional

# Variables that slow NumPy's BLAS down, where somebody set them: nobody shall be flattered by that.
PINS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
# glibc hands large arrays back to the system at once, and every page of the next one costs a fault, for all alike.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "1000000000", "MALLOC_TRIM_THRESHOLD_": "2000000000"}
LIBRARIES = ("numpy", "numba", "torch", "jax", "jaxlib", "mygrad", "autograd", "micrograd")
ROOT = Path(__file__).parent.parent


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


def begin(threads: int) -> dict[str, str]:
    """Honest surroundings and as many threads for everybody; prints and returns what a reader has to know."""
    unset = fair_surroundings()
    use_threads(threads)
    about = describe(threads, unset)
    for name, text in about.items():
        print(f"{name}: {text}")
    return about


def use_threads(count: int) -> None:
    """Hold ourselves, every BLAS, PyTorch and JAX to so many threads. `busy_cores` shows who does not keep to it."""
    from threadpoolctl import threadpool_limits

    # XLA makes its pools when JAX is first used and has no call to change them: it reads these two.
    os.environ["NPROC"] = str(count)
    flags = [flag for flag in os.environ.get("XLA_FLAGS", "").split() if "multi_thread_eigen" not in flag]
    os.environ["XLA_FLAGS"] = " ".join([*flags, f"--xla_cpu_multi_thread_eigen={str(count > 1).lower()}"])
    # What is loaded later would bring a BLAS that nobody told
    for name in ("scipy.linalg", *LIBRARIES):
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    threadpool_limits(count)
    tg.set_num_threads(count)
    if optional("torch") is not None:
        optional("torch").set_num_threads(count)


def describe(threads: int, unset: Sequence[str] = ()) -> dict[str, str]:
    """Machine, versions, threads and BLAS, as text."""
    import llvmlite.binding as llvm
    from threadpoolctl import threadpool_info

    features = llvm.get_host_cpu_features()
    vectors = [name for name in ("avx512f", "avx2", "fma", "neon") if features.get(name)]
    pools = [
        f"{i['internal_api']} {i.get('version') or ''} {i.get('architecture', '')}".strip() + f": {i['num_threads']}"
        for i in threadpool_info()
    ]
    pinned = [f"{name}={os.environ[name]}" for name in PINS if name in os.environ]
    blas = f"pinned by {' '.join(pinned)}" if pinned else "not pinned"
    keeps = all(os.environ.get(name) == value for name, value in KEEP_MEMORY.items())
    load = f"; load {os.getloadavg()[0]:.1f} before it began" if hasattr(os, "getloadavg") else ""
    return {
        "machine": f"{processor()} ({llvm.get_host_cpu_name()}), {cores()} cores, {' '.join(vectors)}{load}",
        "versions": ", ".join(
            [f"python {platform.python_version()}", *(f"{name} {v}" for name in LIBRARIES if (v := _version(name)))]
        ),
        "threads": f"{threads} for every library; pools: {', '.join(pools) or 'none'}",
        "clock": "time this process computed" if threads == 1 else "on the wall",
        "environment": f"BLAS {blas}{f' (unset for this run: {chr(32).join(unset)})' if unset else ''}; "
        f"malloc {'keeps' if keeps else 'returns'} memory, for all alike",
    }


def cores() -> int:
    """The processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """The processor as it calls itself."""
    place = Path("/proc/cpuinfo")
    lines = place.read_text().splitlines() if place.exists() else []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def busy_cores(call: Callable[[], Any], seconds: float = 0.03) -> float:
    """How many cores this process keeps busy while it calls `call` again and again."""
    start, spent = time.perf_counter(), time.process_time()
    while time.perf_counter() - start < seconds:
        call()
    return (time.process_time() - spent) / (time.perf_counter() - start)


def peak(threads: int, rounds: int = 40) -> float:
    """GFLOP/s of so many threads: the register tile at work on factors that stay in the nearest cache."""
    from tinygrad_edu.kernels.tile import shapes

    rows, vectors, steps, times = shapes()[1][2], 2, 128, 20_000
    width = vectors * shapes()[0] // 4
    work = _busy_tile(rows, steps, width)
    sizes = (rows * steps, steps * width, rows * width)
    factors = [[np.ones(size, np.float32) for size in sizes] for _ in range(threads)]
    work(*factors[0], 1)
    least = min(_at_once(work, [(*arrays, times) for arrays in factors]) for _ in range(rounds))
    return 2 * rows * width * steps * times * threads / least / 1e9


def _busy_tile(rows: int, steps: int, width: int) -> Callable[..., Any]:
    """Compiled: the product of (rows, steps) and (steps, width), so many times."""
    from numba import njit

    from tinygrad_edu.kernels import tile

    fma, spaced, store, zero, tile_shape = tile.fma, tile.spaced, tile.store, tile.zero, tile.tile_shape

    @njit(nogil=True)
    def work(a: Any, b: Any, out: Any, times: int) -> None:
        shape = tile_shape(a, (0, 0))
        lines = spaced(shape, 0, steps, rows)
        for _ in range(times):
            acc = zero(shape)
            for k in range(steps):
                acc = fma(acc, a, lines, k, b, k * width)
            store(acc, out, spaced(shape, 0, width, rows), 0, rows, width, False)

    return work


def _at_once(work: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> float:
    """Seconds until all calls are done, each in a thread of its own."""
    helpers = [threading.Thread(target=work, args=given) for given in arguments[1:]]
    clock = fair_clock()
    start = clock()
    for helper in helpers:
        helper.start()
    work(*arguments[0])
    for helper in helpers:
        helper.join()
    return clock() - start
