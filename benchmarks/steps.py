"""One training step of six networks, beside PyTorch and others in the same process, float32.

Every candidate starts from the same weights and sees the same batch. The losses of four steps and the parameters after
them must agree before anything is timed; who is not installed, cannot do it, fails or differs is named with the reason.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import numpy as np

import tinygrad_edu as tg
from benchmarks.array_peers import TRAININGS, Unable
from benchmarks.machine import busy_cores, peak
from benchmarks.networks import MLPS, NAMES, TITLES, Training, operations
from benchmarks.timing import Timing, installed, interleave, optional, progress, show_absent, show_table

STEPS = [(name, "SGD") for name in NAMES] + [("c", "Adam"), ("e", "Adam")]
NOT_INSTALLED = "not installed"
# Of how far all parameters together, and each of them, have moved. In (e) float32 is no closer to float64 than that:
# a ReLU that rounding puts on the other side of its kink changes the small gradients of the biases before it.
TOGETHER, EACH = 0.02, 0.25
Records = list[dict[str, Any]]


class Trains(Protocol):
    """A network in some library."""

    def step(self) -> Any:
        """Train once; the loss."""

    def weights(self) -> dict[str, np.ndarray]:
        """Parameters and running statistics by PyTorch's names."""
        ...


Makers = dict[str, Callable[[], Trains]]


def run(rounds: int) -> Records:
    """Print a table per step; the numbers as records."""
    threads = tg.get_num_threads()
    top = peak(threads)
    print(f"peak measured: {top:.0f} GFLOP/s, {threads} thread(s) on what is in the nearest cache")
    records: Records = []
    for name, optimizer in STEPS:
        start, makers, absent = candidates(name, optimizer)
        trainings, failed = agreeing(makers, start, f"({name}) {optimizer}: checking")
        absent |= failed
        notes = not_held({peer: training.step for peer, training in trainings.items()}, threads)
        calls = {peer: training.step for peer, training in trainings.items()}
        times = interleave(calls, rounds, least=5e-3, title=f"({name}) {optimizer}")
        records += table(name, optimizer, times, absent, top)
        for note in notes:
            print(f"  {note}")
    return records


def candidates(name: str, optimizer: str) -> tuple[dict[str, np.ndarray], Makers, dict[str, str]]:
    """The weights all start from, what makes the trainings, and who has none and why. The first is ours, eager."""
    tg.manual_seed(0)
    ours = Training(tg, name, optimizer)
    start = ours.weights()
    makers: Makers = {"ours": lambda: ours, "ours, compiled": lambda: CompiledTraining(name, optimizer, start)}
    absent: dict[str, str] = {}
    if not installed("torch"):
        absent |= dict.fromkeys(("torch", "torch.compile"), NOT_INSTALLED)
    else:
        makers |= torch_makers(optional("torch"), name, optimizer, start)
        absent |= without_compiler(makers)
    for peer, (module, make) in TRAININGS.items():
        if not installed(module):
            absent[peer] = NOT_INSTALLED
        else:
            makers[peer] = partial(make, name, optimizer, start)
    return start, makers, absent


class CompiledTraining:
    """Our step, recorded and compiled as one program."""

    def __init__(self, name: str, optimizer: str, weights: Mapping[str, np.ndarray]) -> None:
        self.training = Training(tg, name, optimizer)
        self.training.start_from(weights)
        self.batch = {"x": self.training.x, "target": self.training.target}
        x, target = self.batch.values()
        with tg.record() as program:
            loss = self.training.loss(x, target)
            self.training.optimizer.zero_grad()
            loss.backward()
            self.training.optimizer.step()
        self.training.start_from(weights)
        for held in self.training.optimizer.state.values():
            for value in held.values():
                value.zero_()
        try:
            self.program = program.compile(outputs=["loss"])
        except NotImplementedError as error:
            raise Unable(str(error)) from error

    def step(self) -> Any:
        """Train once; the loss."""
        return self.program(**self.batch)["loss"]

    def weights(self) -> dict[str, np.ndarray]:
        """Parameters and running statistics."""
        return self.training.weights()


def torch_makers(torch: Any, name: str, optimizer: str, start: Mapping[str, np.ndarray]) -> Makers:
    """PyTorch: eager in both memory orders, its quickest optimizer, and its compiler in both orders."""

    def make(layout: str, form: str) -> Training:
        training = Training(torch, name, optimizer, layout, form)
        training.start_from(start)
        return training

    layouts = {"": "NCHW"} if name in MLPS else {" NCHW": "NCHW", " NHWC": "NHWC"}
    quick = "foreach" if optimizer == "SGD" else "fused"
    makers: Makers = {f"torch{order}": partial(make, layout, "optimizer") for order, layout in layouts.items()}
    makers |= {f"torch {quick}{order}": partial(make, layout, quick) for order, layout in layouts.items()}
    # Else it would keep what it compiled for other networks, and give up compiling after eight of them
    torch._dynamo.reset()
    torch._dynamo.config.fail_on_recompile_limit_hit = True
    return makers | {f"torch.compile{order}": partial(make, layout, "compile") for order, layout in layouts.items()}


def without_compiler(makers: dict[str, Any]) -> dict[str, str]:
    """Take torch.compile out where there is no C++ compiler to work for it; the reason."""
    compiler = os.environ.get("CXX") or "g++"
    if shutil.which(compiler) is not None:
        return {}
    return {name: f"no C++ compiler: {compiler} not found" for name in list(makers) if drop(makers, name)}


def drop(makers: dict[str, Any], name: str) -> bool:
    """Remove a candidate of torch.compile; whether it was one."""
    return name.startswith("torch.compile") and makers.pop(name) is not None


def agreeing(
    makers: Makers, start: Mapping[str, np.ndarray], title: str = ""
) -> tuple[dict[str, Trains], dict[str, str]]:
    """The trainings whose first four losses and whose parameters after them are ours; the reasons of the others."""
    found: dict[str, Trains] = {}
    absent: dict[str, str] = {}
    expected: tuple[list[float], dict[str, np.ndarray]] | None = None
    for peer, make in progress(makers.items(), title):
        try:
            training = make()
            losses = [number(training.step()) for _ in range(4)]
            weights = training.weights()
        except Exception as error:
            if expected is None:
                raise
            absent[peer] = reason(error)
            continue
        expected = expected or (losses, weights)
        differs = difference(losses, weights, *expected, start)
        if differs:
            absent[peer] = f"DIFFERS from ours: {differs}"
        else:
            found[peer] = training
    return found, absent


def difference(
    losses: list[float],
    weights: Mapping[str, np.ndarray],
    our_losses: list[float],
    ours: Mapping[str, np.ndarray],
    start: Mapping[str, np.ndarray],
) -> str:
    """What differs, in words; nothing if all agrees. Parameters are compared by how far they moved from the start."""
    if not np.allclose(losses, our_losses, rtol=5e-4):
        return f"losses {losses}, ours {our_losses}"
    apart, moved = [], []
    for name, value in ours.items():
        if value.dtype != np.float32:
            continue
        if name not in weights or weights[name].shape != value.shape:
            return f"{name} is missing or has another shape"
        apart.append(float(np.linalg.norm(weights[name] - value)))
        moved.append(float(np.linalg.norm(value - start[name])))
        if not apart[-1] <= EACH * moved[-1]:
            return f"{name} moved by {moved[-1]:.3g} and ends {apart[-1]:.3g} from ours"
    total = float(np.linalg.norm(apart) / np.linalg.norm(moved))
    return "" if total <= TOGETHER else f"parameters end {total:.3g} of their way from ours"


def reason(error: Exception) -> str:
    """Why it was not measured, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(error, Unable):
        return lines[0]
    return f"fails: {type(error).__name__}: {lines[0] if lines else ''}"[:200]


def not_held(calls: Mapping[str, Callable[[], Any]], threads: int) -> list[str]:
    """A line about everyone who keeps more cores busy than it was told to."""
    busy = {name: busy_cores(call) for name, call in calls.items()}
    return [f"{name} kept {n:.1f} cores busy: not held to {threads}" for name, n in busy.items() if n > threads + 0.2]


def number(loss: Any) -> float:
    """A loss of any library as a number."""
    return float(loss.detach() if hasattr(loss, "detach") else loss)


def table(name: str, optimizer: str, times: dict[str, Timing], absent: Mapping[str, str], top: float) -> Records:
    """Print the times of one step; the records."""
    line, work = f"({name}) {optimizer}", operations(name) / 1e9
    ours = times["ours"].median
    common = {"benchmark": "steps", "line": line, "title": f"({name}) {TITLES[name]}, {optimizer}"}
    records: Records = []
    for peer, t in times.items():
        rate = work / t.median
        measured = {"seconds": t.median, "spread": t.spread, "ratio": t.median / ours}
        records.append(common | {"name": peer} | measured | {"gflops": rate, "of_peak": rate / top})
    rows = []
    for r in records:
        cells = [r["name"], f"{1e6 * r['seconds']:.1f}", f"{100 * r['spread']:.0f} %", f"{r['gflops']:.1f}"]
        rows.append([*cells, f"{100 * r['of_peak']:.0f} %", f"{r['ratio']:.2f}"])
    show_table(common["title"], ["", "us", "spread", "GFLOP/s", "of peak", "this / ours"], rows)
    show_absent(absent)
    return records + [common | {"name": peer, "absent": why} for peer, why in absent.items()]
