"""The most memory that training needs: weights, activations, gradients and whatever else five steps allocate.

Each measurement is a process of its own, in which the same training ran before, so that libraries are loaded and
kernels compiled. Linux only, which lets a process start its peak anew.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.timing import KEEP_MEMORY, optional, show_table

ROOT = Path(__file__).parent.parent
NAMES = ("c", "d1", "d2", "e")
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

if lib.__name__ == "torch":
    lib.set_num_threads(1)
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
    """Print the table; the numbers as records. Memory does not vary as times do: `rounds` has no effect."""
    if sys.platform != "linux":
        print("memory: only Linux lets a process start its peak anew")
        return []
    peers = {"ours": ("tinygrad_edu", "NCHW")}
    if optional("torch") is not None:
        peers |= {"torch NCHW": ("torch", "NCHW"), "torch NHWC": ("torch", "NHWC")}
    records: Records = []
    for name in tqdm(NAMES, desc="memory", leave=False):
        for peer, (module, layout) in peers.items():
            if not (name == "c" and layout == "NHWC"):
                found = megabytes(module, name, layout)
                records.append({"benchmark": "memory", "line": f"({name}) SGD", "name": peer, "MiB": found})
    rows = [[r["line"], r["name"], f"{r['MiB']:.1f}"] for r in records]
    show_table("peak of five training steps above what was held before them", ["", "", "MiB"], rows)
    return records


def megabytes(module: str, name: str, layout: str) -> float:
    """What the script prints, in a process of its own whose malloc gives memory back."""
    environment = {k: v for k, v in os.environ.items() if k not in KEEP_MEMORY} | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SCRIPT.format(module=module, name=name, layout=layout)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=environment)
    return float(done.stdout)
