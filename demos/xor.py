"""XOR: what a hidden layer with an activation can separate, and without one provably not."""

from __future__ import annotations

from functools import partial
from math import log
from typing import Any

import numpy as np

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from demos.descent import Run, classify, plots, same_count
from demos.report import Report
from demos.together import together
from demos.weights import Start, with_weights
from tinygrad_edu import nn, optim
from tinygrad_edu.viz import plots as drawing

ROW, SECONDS = "B3", 15

X = tg.tensor([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=tg.float64)
Y = tg.tensor([[0], [1], [1], [0]], dtype=tg.float64)
SHAPES = {"W1": (2, 2), "b1": (2,), "W2": (2, 1), "b2": (1,)}
NAMES = {"00": (0, 9), "01": (-10, 0), "10": (10, 0), "11": (0, -9)}
SLOW = "tanh, steps of 0.1"
LOOKS = (0, 3000, 4500, 5000, 5630, 10000)
# activation, step size, updates; until all four are right: elsewhere from these weights, reported from others
SETTINGS = {SLOW: (nn.Tanh, 0.1, 10000, 5630, "about 3100"), "tanh, steps of 0.5": (nn.Tanh, 0.5, 3000, 1130, ""),
            "no activation": (nn.Identity, 0.1, 10000, None, "")}  # fmt: skip
BEGINNINGS = {"as the course wants them": {}, "N(0, 1), biases 0": {"std": 1.0, "cut": np.inf, "bias": 0.0}}
# twelve draws elsewhere: how they begin, step size, how many solved in 10,000 updates, their median
DRAWS = (("as the course wants them", 0.1, "10 of 12", 4248), ("as the course wants them", 0.5, "12 of 12", 1093),
         ("N(0, 1), biases 0", 0.1, "6 of 12", None))  # fmt: skip
PROOF = """
Without an activation the two layers are one linear map (w = W1 W2), and no line does it: (0, 0) and (1, 1) on the side
of 0 need b < 0 and w1 + w2 + b < 0, so w1 + w2 + 2b < 0; (0, 1) and (1, 0) on the side of 1 need w2 + b >= 0 and
w1 + b >= 0, so w1 + w2 + 2b >= 0. Three of the four are the most. The loss is convex in w and b, with its only minimum
at w = 0, b = 0: p = 1/2 for every point and the loss log 2, which is where training ends.
"""
CAPTIONS = (
    "Loss and share of right answers from the same weights, with tanh at two step sizes and without an activation. "
    "Tanh keeps the loss at log 2 = 0.693 (summed, the report's 2.77) for long, then solves it; without, it stays.",
    "The four points as the hidden layer sees them, and the line where the output is one half, at several moments. "
    "Training pulls 01 and 10 apart and lays 00 and 11 on each other, until one line can separate them.",
)


def run(report: Report) -> None:
    """From given weights with and without activation; the hidden plane; the proof; many draws."""
    start, runs, rows = Start(report, "xor_init.npz", SHAPES), {}, []
    planes: dict[str, dict[int, Any]] = {name: {} for name in SETTINGS}
    for name, (activation, lr, limit, elsewhere, reported) in SETTINGS.items():
        model = nn.Sequential(nn.Linear(2, 2), activation(), nn.Linear(2, 1), nn.Sigmoid())
        with_weights(model, start("init0"))

        def look(updates: int, model: Any = model, name: str = name) -> None:
            if updates in LOOKS:
                values = model[1](model[0](X)), *model[2].parameters()
                planes[name][updates] = [value.detach().numpy().copy() for value in values]

        limit //= 5 if report.fast and start.given is None else 1
        fit = partial(classify, model, F.binary_cross_entropy, (X, Y), partial(optim.SGD, lr=lr), limit, what=name)
        found = runs[name] = fit(stop=False, on_step=look)
        rows.append([name, found.count, elsewhere or "never", reported, f"{found.losses[-1]:.9f}"])
        same_count(report, name, found, elsewhere if start.given is not None else None)
        report.number(name, {"count": found.solved, "losses": found.losses[:1001], "last": found.losses[-1]})
    report.table(["updates to 4 of 4", start.what, "elsewhere", "reported, other weights", "last loss"], rows)
    report.figure("xor", plots(runs, "loss (mean over the four, nats)"), CAPTIONS[0])
    report.figure("xor_plane", hidden_planes(planes[SLOW]), CAPTIONS[1])
    impossible(report, runs["no activation"])
    draws(report, start)


def hidden_planes(planes: dict[int, Any]) -> Any:
    """(h1, h2) at several steps: the points, circles for 0 and squares for 1, and where the output is one half."""
    figure = drawing.figure(8.4, 5.8)
    axes = figure.subplots(2, 3, sharex=True, sharey=True)
    for axis, (updates, (h, w, b)) in zip(axes.flat, planes.items(), strict=False):
        for point, y, (name, place) in zip(h, Y.numpy()[:, 0], NAMES.items(), strict=True):
            axis.plot(*point, "ks" if y else "ko", markerfacecolor="k" if y else "w", label=f"y = {y:g}")
            axis.annotate(name, point, xytext=place, textcoords="offset points", ha="center", va="center", fontsize=8)
        h1, h2 = np.meshgrid(*[np.linspace(-1.3, 1.3, 100)] * 2)
        axis.contour(h1, h2, w[0, 0] * h1 + w[0, 1] * h2 + b[0], levels=[0], colors="#1b5fb0", linestyles="--")
        axis.set(title=f"{updates:,} updates", xlabel="h1", ylabel="h2")
    for axis in axes.flat[len(planes) :]:
        axis.set_axis_off()
    axes[0, 0].legend(handles=axes[0, 0].get_lines()[:2], frameon=False, fontsize=8)
    return figure


def impossible(report: Report, found: Run) -> None:
    """The proof, and that the training and the engine's Hessian agree with it."""
    report.heading("Without an activation")
    report.text(PROOF)
    line = lambda v: F.binary_cross_entropy_with_logits(X @ v[:2] + v[2], Y[:, 0])  # noqa: E731
    origin = tg.zeros(3, dtype=tg.float64, requires_grad=True)
    (slope,) = tg.autograd.grad(line(origin), origin)
    bend = np.linalg.eigvalsh(tg.autograd.functional.hessian(line, origin).numpy())
    report.bar("slope of the loss at w = 0, b = 0", slope.abs().max().item(), at_most=1e-15)
    report.bar("smallest curvature there", float(bend[0]), at_least=0.01)
    report.bar("most points right in all updates", 4 * max(found.accuracies), at_most=3)
    report.bar("last loss, above log 2", found.losses[-1] - log(2), at_least=0)


def draws(report: Report, start: Start) -> None:
    """How often it works."""
    report.heading("Many draws")
    rows, number, limit = [], 100, 4000 if report.fast else 10000
    for begin, lr, elsewhere, middle in DRAWS[1:2] if report.fast else DRAWS:
        drawn = [start.drawn(**BEGINNINGS[begin]) for _ in range(number)]
        counts, losses = together(drawn, tg.tanh, F.binary_cross_entropy, (X, Y), lr, limit, begin)
        stuck = (abs(losses[counts < 0] - log(2) / 2) < 0.01).sum()
        solved = counts[counts >= 0]
        rows.append([begin, lr, len(solved), elsewhere, f"{np.median(solved):.0f}", middle or "", stuck])
        report.number(f"{begin}, {lr}", counts.tolist())
    header = ["weights", "step", f"solved, of {number}", "elsewhere", "their median", "elsewhere", "stuck at 0.347"]
    report.table(header, rows, caption="A loss of 0.347 = (log 2) / 2: two points right for good, two at one half.")
