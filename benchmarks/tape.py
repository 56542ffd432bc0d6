"""What one operation costs on the tape, beside PyTorch eager in the same process.

A chain of 1000 operations on tensors of one entry, `y = y * a; y = y + b`, forward and then backward.  Everything but
the arithmetic of one number is overhead.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import tinygrad_edu as tg

LENGTH = 500


def chain(tensor: Callable[..., Any], weights: bool) -> tuple[float, float, float]:
    """Microseconds per operation, forward and backward, and the gradient of the start."""
    x = tensor([1.0], requires_grad=True)
    a, b = tensor([1.001], requires_grad=weights), tensor([0.001], requires_grad=weights)
    start = time.perf_counter()
    y = x
    for _ in range(LENGTH):
        y = y * a
        y = y + b
    middle = time.perf_counter()
    y.backward()
    end = time.perf_counter()
    scale = 1e6 / (2 * LENGTH)
    return (middle - start) * scale, (end - middle) * scale, float(x.grad.item())


def run(rounds: int) -> None:
    """Print microseconds per operation and the ratio to PyTorch."""
    peers: dict[str, Callable[..., Any]] = {"tinygrad_edu": tg.tensor}
    try:
        import torch
    except ModuleNotFoundError:
        print("PyTorch is not installed: our own time only")
    else:
        peers["torch"] = torch.tensor
    for weights in (True, False):
        times: dict[str, list[tuple[float, float, float]]] = {name: [] for name in peers}
        for _ in range(rounds):
            for name, tensor in peers.items():
                times[name].append(chain(tensor, weights))
        print(f"operands {'require a gradient too' if weights else 'are constants'}:")
        for name, rows in times.items():
            forward, backward = median(r[0] for r in rows), median(r[1] for r in rows)
            agree = abs(rows[0][2] - times["tinygrad_edu"][0][2]) < 1e-4
            ratio = median((o[0] + o[1]) / (r[0] + r[1]) for o, r in zip(times["tinygrad_edu"], rows, strict=True))
            print(
                f"  {name:13s} {forward:5.2f} forward + {backward:5.2f} backward = {forward + backward:5.2f} us/op"
                f"   tinygrad_edu / this: {ratio:.2f}   {'' if agree else 'RESULTS DIFFER'}"
            )
