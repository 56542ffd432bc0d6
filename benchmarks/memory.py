"""The most memory that training needs: weights, activations, gradients and whatever else five steps allocate.

Ours and PyTorch's are measured in the same way. Each measurement is a process of its own, in which the same training
ran before, so that libraries are loaded and kernels compiled; then the process starts its peak anew, which Linux only
lets it do. Malloc gives memory back, as it does by default.
"""

from __future__ import annotations

import os
import subprocess
import sys
from statistics import median
from typing import Any

import tinygrad_edu as tg
from benchmarks.machine import KEEP_MEMORY, ROOT
from benchmarks.networks import MLPS, TITLES
from benchmarks.steps import NOT_INSTALLED
from benchmarks.timing import installed, progress, show_absent, show_table

NAMES = ("c", "d1", "d2", "e")
PROCESSES = 3
# By name: the module and the memory order
PEERS = {"ours": ("tinygrad_edu", "NCHW"), "torch NCHW": ("torch", "NCHW"), "torch NHWC": ("torch", "NHWC")}
SCRIPT = """
import ctypes, gc
import {module} as lib
from benchmarks.networks import Training

def held(what):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(what)) / 1024

def train():
    training = Training(lib, "{name}", layout="{layout}")
    for _ in range(5):
        training.step()

lib.set_num_threads({threads})
train()
gc.collect()
ctypes.CDLL(None).malloc_trim(0)
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
before = held("VmRSS")
train()
print(held("VmHWM") - before)
"""
Records = list[dict[str, Any]]


def run(rounds: int) -> Records:
    """Print the table; the numbers as records. Memory does not vary as times do: three processes, whatever `rounds`."""
    if sys.platform != "linux":
        print("memory: only Linux lets a process start its peak anew")
        return []
    absent = {} if installed("torch") else {"torch": NOT_INSTALLED}
    peers = [peer for peer, (module, _) in PEERS.items() if module not in absent]
    jobs = [(name, peer) for name in NAMES for peer in peers if not (name in MLPS and peer == "torch NHWC")]
    found: dict[tuple[str, str], list[float]] = {job: [] for job in jobs}
    for job in progress(jobs * PROCESSES, "memory"):
        name, peer = job
        found[job].append(megabytes(*PEERS[peer], name))
    records = [record(name, peer, found) for name, peer in jobs]
    rows = [[r["title"], r["name"], f"{r['MiB']:.1f}", f"{r['spread']:.1f}", f"{r['ratio']:.2f}"] for r in records]
    head = ["", "", "MiB", "range", "this / ours"]
    show_table("peak of five training steps, weights included, above what the process held before them", head, rows)
    show_absent(absent)
    return records + [{"benchmark": "memory", "line": "all", "name": n, "absent": why} for n, why in absent.items()]


def record(name: str, peer: str, found: dict[tuple[str, str], list[float]]) -> dict[str, Any]:
    """The measurements of one peer."""
    sizes, ours = found[name, peer], median(found[name, "ours"])
    line = {"benchmark": "memory", "line": f"({name}) SGD", "title": f"({name}) {TITLES[name]}", "name": peer}
    return line | {"MiB": median(sizes), "spread": max(sizes) - min(sizes), "ratio": median(sizes) / ours}


def megabytes(module: str, layout: str, name: str) -> float:
    """What the script prints, in a process of its own whose malloc gives memory back."""
    environment = {k: v for k, v in os.environ.items() if k not in KEEP_MEMORY} | {"PYTHONPATH": str(ROOT)}
    script = SCRIPT.format(module=module, layout=layout, name=name, threads=tg.get_num_threads())
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=environment)
    return float(done.stdout)
