"""The loss of one neuron as a surface over its weight and bias: squared error, cross-entropy, and their slopes."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from demos.newton import newton
from demos.report import Report
from tinygrad_edu.autograd.functional import vjp
from tinygrad_edu.viz import plots

ROW, SECONDS = "B1", 5

X, Y, EDGE = 1.0, 0.5, 5.0
TABLE = {
    "s, p, squared error, its slope, cross-entropy, its slope": (
        "1 0.7310585786 0.05338806676 0.09085774767 0.8132616875 0.2310585786", "", ""),
    "the same at s = 2": ("2 0.8807970780 0.1450064146 0.07996250106 1.126928011 0.3807970780", "", ""),
    "the same at s = 5": ("5 0.9933071491 0.2433519433 0.006559067766 2.506715348 0.4933071491", "", ""),
    "steepest squared error: at s, slope": ("1.316957897 0.09622504487", "", ""),
    "smallest squared error, smallest cross-entropy (w = -b)": ("0 0.6931471806", "", "not where w = b"),
}  # fmt: skip
ANSWERS = """
All five depend on s = w + b only (the input is x = 1): every surface is a curve drawn out along the lines w + b = s.
The valley of both losses lies along w = -b, not along w = b as the report says. The slope of the squared error is
steepest at s = ±log(2 + √3), where it is 1 / (6 √3), and dies out beyond: the factor p (1 - p) goes to 0. The slope of
cross-entropy is p - y. That it levels off at ±0.5 is due to y = 0.5; with y = 0 or 1 it reaches 1, and
it never vanishes where the answer is wrong.
"""
CAPTION = ("The answer, both losses and their slopes over weight and bias (lines 1 apart), and along s = w + b. All "
           "five stay the same where w + b does, with the valley of both losses along w = -b; far from it the slope of "
           "the squared error dies out, and that of cross-entropy does not.")  # fmt: skip


def surfaces(w: tg.Tensor, b: tg.Tensor) -> dict[str, tg.Tensor]:
    """The answer of the neuron, both losses, and their derivatives with respect to w, all in the shape of w and b."""
    w = w.detach().requires_grad_()
    y = tg.full_like(w, Y)
    p = tg.sigmoid(w * X + b)
    found = {"answer": p.detach()}
    for name, loss in (
        ("squared error", F.mse_loss(p, y, reduction="none")),
        ("cross-entropy", F.binary_cross_entropy(p, y, reduction="none")),
    ):
        found[name] = loss.detach()
        (found[f"slope of {name}"],) = tg.autograd.grad(loss.sum(), w, retain_graph=True)
    return found


def along(s: tg.Tensor) -> tg.Tensor:
    """The rows of the table: s and the five surfaces there, (len(s), 6)."""
    return tg.stack([s, *surfaces(s, tg.zeros_like(s)).values()], dim=1)


def steepest() -> tg.Tensor:
    """Where the slope of the squared error is largest, by Newton's method on its own derivatives; and how large."""

    def slope(s: tg.Tensor) -> tg.Tensor:
        return vjp(lambda s: ((tg.sigmoid(s) - Y) ** 2).sum(), s, create_graph=True)[1].sum()

    *_, s = newton(lambda s: -slope(s), tg.ones(1, dtype=tg.float64), enough=1e-30)
    return tg.stack([s[0], slope(s)]).detach()


def run(report: Report) -> None:
    """The exact values, the extrema on the grid, five surfaces, and the three answers."""
    report.text(
        f"One neuron p = σ(w x + b) with x = {X:g}, wanted y = {Y:g}; slopes are derivatives with respect to w."
    )
    ticks = tg.arange(-EDGE, EDGE + 1e-9, 0.1 if report.fast else 0.01, dtype=tg.float64)
    b, w = tg.meshgrid(ticks, ticks, indexing="ij")
    grid = surfaces(w, b)
    least = tg.stack([grid["squared error"].min(), grid["cross-entropy"].min()])
    rows = along(tg.tensor([1, 2, 5], dtype=tg.float64))
    report.compare(dict(zip(TABLE, [*rows, steepest(), least], strict=True)), TABLE)

    extrema = [[name, f"{z.min().item():.6f}", f"{z.max().item():.6f}"] for name, z in grid.items()]
    report.table([f"on {len(ticks)} x {len(ticks)} points", "smallest", "largest"], extrema)
    slope = grid["slope of squared error"]
    report.bar("steepest slope on the grid, short of 1 / (6 √3)", 1 / (6 * 3**0.5) - slope.max().item(), at_most=1e-4)
    valley = (grid["cross-entropy"] < np.log(2) + 1e-12).numpy()
    report.bar("largest |w + b| in the valley", float(abs(w.numpy() + b.numpy())[valley].max()), at_most=1e-6)
    report.number("valley", int(valley.sum()))
    report.text(ANSWERS)
    report.figure("surfaces", drawn(w.numpy(), b.numpy(), grid), CAPTION)


def drawn(w: np.ndarray, b: np.ndarray, grid: dict[str, tg.Tensor]) -> Any:
    """Five surfaces in 3-D, the same ground under all; and the curves they are drawn out of."""
    figure = plots.figure(12, 7.2)
    every = (len(w) - 1) // 10
    for place, (name, surface) in zip((1, 2, 5, 3, 6), grid.items(), strict=True):
        axis: Any = figure.add_subplot(2, 3, place, projection="3d")
        z = surface.numpy()
        shades = {"cmap": "gray", "vmin": 1.8 * z.min() - 0.8 * z.max(), "edgecolor": "black", "linewidth": 0.5}
        axis.plot_surface(w, b, z, rstride=every, cstride=every, **shades)
        axis.set(xlabel="w", ylabel="b", xlim=(-EDGE, EDGE), ylim=(-EDGE, EDGE))
        axis.set_title(f"{name} (nats)" if name == "cross-entropy" else name)
        axis.view_init(elev=28, azim=-65)
    axis = figure.add_subplot(2, 3, 4)
    s = tg.linspace(-2 * EDGE, 2 * EDGE, 201, dtype=tg.float64)
    curves = list(surfaces(s, tg.zeros_like(s)).items())[1:]
    for (name, z), (dash, marker, color) in zip(curves, plots.LINES, strict=True):
        axis.plot(s, z, dash, marker=marker, markevery=20, markersize=4, color=color, label=name)
    axis.set(xlabel="s = w + b", ylabel="value", ylim=(-1.2, 1.5), title="losses and slopes along s")
    axis.grid(color="#dddddd", linewidth=0.6)
    axis.legend(frameon=False, fontsize=7, ncols=2, loc="lower center")
    return figure
