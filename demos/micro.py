"""An engine in 60 lines: everything backpropagation needs, on single numbers, checked against ours."""

from __future__ import annotations

import inspect
import random
from functools import partial
from typing import Any

import numpy as np
from tqdm import tqdm

import tinygrad_edu as tg
from benchmarks.timing import interleave
from demos.micro_engine import Number, number
from demos.report import Report
from demos.worked_example import TABLE
from tinygrad_edu import viz

SECONDS = 6

MISSING = """
What it lacks is what the engine is about. Its values are single numbers: the product of two 100 x 100 matrices makes
two million of them, where the engine has one node. Its derivatives are numbers as soon as they are made: they cannot be
printed as a formula, differentiated again, or compiled. And a slope is kept for every operand, wanted or not.
"""
CAPTION = ("The time for the product of two square matrices and both its gradients, in both engines; both axes are "
           "logarithmic. Twice as many rows make eight times as many numbers, and the 60 lines soon take hundreds of "
           "times as long; the engine has one node for all of them, and its time hardly moves.")  # fmt: skip
# what random formulas are made of: all of the engine, and nothing that grows without bound
OPERATIONS = (lambda x, y: x - y, lambda x, y: 2 * (x + y).sigmoid(), lambda x, y: x / (y**2 + 1),
              lambda x, y: (-(x**2)).exp() * y, lambda x, y: ((x * y) ** 2 + 1).log())  # fmt: skip


def run(report: Report) -> None:
    """The source, the worked 2-2-2 network with it, and random formulas in both engines."""
    source = inspect.getsource(Number) + "\n\n" + inspect.getsource(number)
    report.pre(source)
    lines = sum(bool(line.strip()) for line in source.splitlines())
    report.bar("lines of the engine, without blank ones", lines, at_most=60)
    C, leaves = network()
    C.backward()
    rows, errors = [], []
    for name, found in leaves.items():
        exact = [float(v) for v in TABLE[name][0].split()]
        rows.append([name, " ".join(f"{x.grad:.10g}" for x in found), TABLE[name][0]])
        errors += [abs(x.grad / e - 1) for x, e in zip(found, exact, strict=True)]
    report.table(["the worked 2-2-2 network", "by the 60 lines", "exact"], rows)
    report.bar("largest relative error against the exact digits", max(errors), at_most=1e-9)

    draws = 50 if report.fast else 500
    generator = random.Random(report.seed)
    away = max(distance(generator) for _ in range(draws))
    report.bar(f"largest distance from the engine's gradients, {draws} random formulas", away, at_most=1e-12)
    report.text(MISSING)
    cost(report)


def cost(report: Report) -> None:
    """How long both engines take for a product of square matrices and its gradients."""
    sizes, generator = (2, 4, 8, 16) if report.fast else (2, 4, 8, 16, 32), np.random.default_rng(report.seed)
    times: dict[str, list[float]] = {"by the 60 lines": [], "by the engine": []}
    for n in tqdm(sizes, desc="sizes", leave=False):
        a, b = generator.standard_normal((2, n, n))
        calls = {"by the 60 lines": partial(entry_by_entry, a, b), "by the engine": partial(whole, a, b)}
        for name, timing in interleave(calls, 3).items():
            times[name].append(1e3 * min(timing.seconds))
    figure = viz.curves({"time for A B and its gradients (ms)": times}, xlabel="rows and columns of A and B", x=sizes)
    figure.axes[0].set_xscale("log", base=2)
    figure.axes[0].set(yscale="log", xticks=sizes, xticklabels=sizes)
    report.number("ms", times)
    report.figure("micro", figure, CAPTION)


def entry_by_entry(a: Any, b: Any) -> float:
    """The slope of the sum of a b by the first entry of a, with a Number for each entry and each step."""
    A, B = np.vectorize(Number)(a), np.vectorize(Number)(b)
    (A @ B).sum().backward()
    return A[0, 0].grad


def whole(a: Any, b: Any) -> float:
    """The same with two matrices."""
    A, B = tg.tensor(a, requires_grad=True), tg.tensor(b, requires_grad=True)
    (A @ B).sum().backward()
    return A.grad[0, 0].item()


def network() -> tuple[Number, dict[str, list[Number]]]:
    """The loss of the worked example, and the numbers whose gradients are known to ten digits."""
    x, W1, W2 = (
        [Number(v) for v in values] for values in ((0.05, 0.10), (0.15, 0.20, 0.25, 0.30), (0.40, 0.45, 0.50, 0.55))
    )
    b1, b2 = Number(0.35), Number(0.60)
    h = [(W1[0] * x[0] + W1[1] * x[1] + b1).sigmoid(), (W1[2] * x[0] + W1[3] * x[1] + b1).sigmoid()]
    a = [(W2[0] * h[0] + W2[1] * h[1] + b2).sigmoid(), (W2[2] * h[0] + W2[3] * h[1] + b2).sigmoid()]
    terms = [t * p.log() + (1 - t) * (1 - p).log() for p, t in zip(a, (0.01, 0.99), strict=True)]
    leaves = {"dC/dW2": W2, "dC/db2, one b2 shared": [b2], "dC/dW1": W1, "dC/db1, one b1 shared": [b1]}
    return -(terms[0] + terms[1]) / 2, {**leaves, "dC/dx = W1ᵀ δ1": x}


def distance(generator: random.Random) -> float:
    """The largest relative distance between the gradients of one random formula in both engines."""
    starts, steps = [generator.uniform(0.5, 2) for _ in range(4)], [generator.random() for _ in range(60)]
    mine, theirs = [Number(v) for v in starts], [tg.tensor(v, dtype=tg.float64, requires_grad=True) for v in starts]
    formula(mine, steps).backward()
    formula(theirs, steps).backward()
    return max(abs(m.grad - t.grad.item()) / max(1, abs(m.grad)) for m, t in zip(mine, theirs, strict=True))


def formula(leaves: list[Any], steps: list[float]) -> Any:
    """A value that every leaf goes into, made of operations that the draws choose; of numbers or tensors."""
    values = list(leaves)
    for kind, i, j in zip(steps[::3], steps[1::3], steps[2::3], strict=True):
        x, y = values[int(i * len(values))], values[-1 - int(j * j * len(values))]
        values.append(OPERATIONS[int(kind * len(OPERATIONS))](x, y))
    return sum(values[1:], values[0])
