"""How long it takes until something happens: import, and the first training step of a small CNN in a new process.

Cold means that no compiled kernel is on disk, warm that all are. Each measurement is a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from statistics import median
from typing import Any

from benchmarks.machine import ROOT
from benchmarks.timing import optional, progress, show_table

IMPORT = """
import time
start = time.perf_counter()
import {module}
print(time.perf_counter() - start)
"""
STEP = """
import time
start = time.perf_counter()
import {module} as lib
from benchmarks.networks import Training
training = Training(lib, "d1")
training.step()
print(time.perf_counter() - start)
"""
Records = list[dict[str, Any]]


def run(rounds: int) -> Records:
    """Print the table; the numbers as records."""
    count = max(3, rounds // 10)
    modules = ["numpy", "tinygrad_edu", *(["torch"] if optional("torch") is not None else [])]
    lines: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for turn in progress(range(count), "startup"):
            for module in modules:
                lines.setdefault(f"import {module}", []).append(seconds(IMPORT, module))
            cache = {"TINYGRAD_EDU_CACHE": f"{folder}/{turn}", "TINYGRAD_EDU_QUIET": "1"}
            # A cold start takes many times as long as all others together: once is enough
            if turn == 0:
                lines["first CNN step, tinygrad_edu, cold"] = [seconds(STEP, "tinygrad_edu", cache)]
                warm = cache
            lines.setdefault("first CNN step, tinygrad_edu, warm", []).append(seconds(STEP, "tinygrad_edu", warm))
            if "torch" in modules:
                lines.setdefault("first CNN step, torch", []).append(seconds(STEP, "torch"))
    records = [{"benchmark": "startup", "line": line, "seconds": median(found)} for line, found in lines.items()]
    show_table("startup, import included", ["", "s"], [[r["line"], f"{r['seconds']:.2f}"] for r in records])
    return records


def seconds(script: str, module: str, environment: dict[str, str] | None = None) -> float:
    """What the script prints, in a process of its own."""
    surroundings = os.environ | {"PYTHONPATH": str(ROOT)} | (environment or {})
    command = [sys.executable, "-c", script.format(module=module)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=surroundings)
    return float(done.stdout)
