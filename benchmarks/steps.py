"""One training step of six networks, beside PyTorch and others in the same process, one thread, float32.

Every candidate starts from the same weights. The losses of four steps must agree before anything is timed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_edu as tg
from benchmarks.array_peers import peers
from benchmarks.networks import NAMES, Training
from benchmarks.timing import Timing, interleave, optional, show_table

STEPS = [(name, "SGD") for name in NAMES] + [("c", "Adam"), ("e", "Adam")]
Records = list[dict[str, Any]]


def run(rounds: int) -> Records:
    """Print a table per step; the numbers as records."""
    torch = optional("torch")
    records: Records = []
    for name, optimizer in STEPS:
        calls = candidates(name, optimizer, torch)
        check_losses(calls)
        times = interleave(calls, rounds, least=5e-3)
        records += table(f"({name}) {optimizer}", times)
    return records


def candidates(name: str, optimizer: str, torch: Any) -> dict[str, Callable[[], Any]]:
    """Steps to time, by the names of those who do them."""
    tg.manual_seed(0)
    ours = Training(tg, name, optimizer)
    weights = ours.weights()
    calls: dict[str, Callable[[], Any]] = {"ours": ours.step}
    compiled = compiled_step(name, optimizer, weights)
    if compiled is not None:
        calls["ours, compiled"] = compiled
    if torch is not None:
        made = {"torch NCHW": Training(torch, name, optimizer)}
        if name not in "abc":
            made["torch NHWC"] = Training(torch, name, optimizer, layout="NHWC")
        if optimizer == "SGD":
            made["torch foreach"] = Training(torch, name, foreach=True)
        for peer, training in made.items():
            training.start_from(weights)
            calls[peer] = training.step
    if optimizer == "SGD":
        calls |= peers(name, weights)
    return calls


def compiled_step(name: str, optimizer: str, weights: dict[str, np.ndarray]) -> Callable[[], Any] | None:
    """The same step as one compiled program; None where it has an operation that cannot be compiled."""
    training = Training(tg, name, optimizer)
    training.start_from(weights)
    x, target = training.x, training.target
    with tg.record() as program:
        training.step()
    training.start_from(weights)
    for held in training.optimizer.state.values():
        for value in held.values():
            value.zero_()
    try:
        step = program.compile(outputs=["loss"])
        return lambda: step(x=x, target=target)["loss"]
    except NotImplementedError as error:
        print(f"({name}) is not compiled: {error}")
        return None


def check_losses(calls: dict[str, Callable[[], Any]]) -> None:
    """Raise AssertionError unless the losses of the first four steps agree."""
    losses = {peer: [number(step()) for _ in range(4)] for peer, step in calls.items()}
    for peer, found in losses.items():
        np.testing.assert_allclose(found, losses["ours"], rtol=2e-3, err_msg=peer)


def number(loss: Any) -> float:
    """A loss of any library as a number."""
    return float(loss.detach() if hasattr(loss, "detach") else loss)


def table(title: str, times: dict[str, Timing]) -> Records:
    """Print the times of one step."""
    ours = times["ours"].median
    records = [
        {
            "benchmark": "steps",
            "line": title,
            "name": peer,
            "microseconds": 1e6 * t.median,
            "spread": t.spread,
            "ratio": t.median / ours,
        }
        for peer, t in times.items()
    ]
    rows = [[r["name"], f"{r['microseconds']:.1f}", f"{100 * r['spread']:.0f} %", f"{r['ratio']:.2f}"] for r in records]
    show_table(title, ["", "us", "spread", "this / ours"], rows)
    return records
