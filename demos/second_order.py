"""Second order: a penalty on a gradient, Hessian-vector products, Newton's method on the 2-2-2 network."""

from __future__ import annotations

import inspect
from functools import partial
from math import log
from typing import Any

import numpy as np

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from demos.descent import descend
from demos.newton import newton
from demos.report import Report
from tinygrad_edu import explain, nn, ops, optim, viz
from tinygrad_edu.autograd.functional import hessian, hvp

SECONDS = 10

RULES = """
A rule is written in operations that have rules themselves, so the gradient it gives can be differentiated again: run on
tensors instead of arrays (create_graph=True), it leaves a graph behind. Run on symbols, it reads:
"""
FITS = ("A network fitted to twelve noisy points (black), with and without a price on its slope. With it the fit stops "
        "chasing the noise: the loss holds a derivative, and training differentiates that once more.")  # fmt: skip
QUICK = ("How far the loss is above the smallest possible one, after each update. Near the end Newton's method doubles "
         "its correct digits with every update; gradient descent needs more than a hundred for each.")  # fmt: skip
START = (0.15, 0.20, 0.25, 0.30, 0.35, 0.35, 0.40, 0.45, 0.50, 0.55, 0.60, 0.60)
ENTROPY = -(0.01 * log(0.01) + 0.99 * log(0.99))


def run(report: Report) -> None:
    """How it works; the three uses."""
    report.text(RULES)

    def slope(x: Any) -> Any:
        return explain.gradient(lambda x: ops.sigmoid(x), "x")

    first, second = readings = [slope(None).text(), explain.gradient(slope, "x").text()]
    report.table(["derivative of σ(x)", "as the engine reads it"], [["first", first], ["second", second]])
    report.number("readings", readings)
    penalty(report)
    products(report)
    smallest(report)


def priced(model: nn.Module, x: tg.Tensor, y: tg.Tensor, grid: tg.Tensor, price: float) -> tuple[tg.Tensor, float]:
    """The loss with a price on the model's slopes over the grid, and the mean of their squares."""
    (slopes,) = tg.autograd.grad(model(grid).sum(), grid, create_graph=True)
    steepness = (slopes**2).mean()
    return F.mse_loss(model(x), y) + price * steepness, steepness.item()


def penalty(report: Report) -> None:
    """Twelve noisy points, fitted with and without a price on the slope of the fit."""
    report.heading("A penalty on the gradient")
    x = tg.linspace(-2, 2, 12, dtype=tg.float64)[:, None]
    y = tg.sin(x) + 0.3 * tg.tensor(np.random.default_rng(report.seed).standard_normal((12, 1)))
    grid, fits, steep = tg.linspace(-2, 2, 81, dtype=tg.float64)[:, None].requires_grad_(), {}, {}
    for price in (0.0, 0.05):
        tg.manual_seed(report.seed)
        model = nn.Sequential(nn.Linear(1, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 1)).double()
        objective, name = partial(priced, model, x, y, grid, price), f"price {price:g}"
        optimizer = optim.Adam(model.parameters(), lr=0.01)
        descend(objective, optimizer, 200 if report.fast else 1500, what=name, stop=False)
        fits[name], steep[name] = model(grid).detach().numpy().ravel(), objective()[1]
    report.text("Loss = mean squared error + price * the mean of f'(x)² over 81 points.")
    report.table(["", "mean of f'(x)² after training"], [[name, f"{value:.3f}"] for name, value in steep.items()])
    report.bar("mean of f'(x)² with the price, over that without", steep[name] / steep["price 0"], at_most=0.9)
    figure = viz.curves({"f(x)": fits}, xlabel="x", x=grid.detach().numpy().ravel())
    figure.axes[0].plot(x.numpy(), y.numpy(), "ko", markersize=6)
    report.figure("second_order_penalty", figure, FITS)


def loss_at(v: tg.Tensor) -> tg.Tensor:
    """The loss of the worked example's network, as a function of its twelve parameters in one vector."""
    x, t = tg.tensor([0.05, 0.10], dtype=tg.float64), tg.tensor([0.01, 0.99], dtype=tg.float64)
    h = tg.sigmoid(v[:4].reshape(2, 2) @ x + v[4:6])
    return F.binary_cross_entropy(tg.sigmoid(v[6:10].reshape(2, 2) @ h + v[10:]), t)


def products(report: Report) -> None:
    """H v without H, beside the whole Hessian and differences of gradients; the steepest curvature from it."""
    report.heading("Hessian-vector products")
    report.text("H v is the gradient of (gradient · v): two walks, whatever the size; H takes one per entry of v.")
    v, direction = tg.tensor(START, dtype=tg.float64), tg.linspace(-1, 1, 12, dtype=tg.float64)
    H, product = hessian(loss_at, v), hvp(loss_at, v, direction)[1]
    up, down = (tg.autograd.functional.vjp(loss_at, v + h * direction)[1] for h in (1e-6, -1e-6))
    away = (H @ direction - product).abs().max().item()
    report.bar("largest distance of H v from the whole H times v", away, at_most=1e-15)
    report.bar("from differences of gradients", ((up - down) / 2e-6 - product).abs().max().item(), at_most=1e-9)
    for _ in range(200):
        direction = hvp(loss_at, v, direction / direction.norm())[1]
    away = abs(direction.norm().item() - abs(np.linalg.eigvalsh(H.numpy())).max())
    report.bar("largest curvature by 200 products, from that of H", float(away), at_most=1e-9)


def smallest(report: Report) -> None:
    """The way to the smallest loss: Newton's method and gradient descent."""
    report.heading("Newton's method")
    report.text(f"The worked network has 12 parameters; its loss is never below the targets' entropy, {ENTROPY:.4f}.")
    report.pre(inspect.getsource(newton))
    quick = [loss_at(v).item() - ENTROPY for v in newton(loss_at, tg.tensor(START, dtype=tg.float64), enough=1e-15)]
    w = tg.tensor(START, dtype=tg.float64, requires_grad=True)
    way = descend(lambda: (loss_at(w), 0.0), optim.SGD([w], lr=0.5), 299 if report.fast else 1999, what="descent")
    slow = [loss - ENTROPY for loss in way.losses]
    rows = [[k, f"{a:.1e}", f"{b:.1e}"] for k, (a, b) in enumerate(zip(quick, slow, strict=False))]
    report.table(["updates", "Newton: above the smallest loss", "gradient descent, the report's steps of 0.5"], rows)
    report.number("newton", quick)
    report.number("descent", slow)
    updates = sum(above > 1e-15 for above in quick)
    report.bar("Newton's updates until the loss is smallest, to 1e-15", updates, at_most=8)
    lines = {"Newton's method": quick, "gradient descent, steps of 0.5": slow}
    figure = viz.curves({"loss above the smallest (nats)": lines}, xlabel="updates", first=0)
    figure.axes[0].set_xscale("symlog", linthresh=10)
    figure.axes[0].set(yscale="log", xlim=(-0.5, None))
    report.figure("second_order_newton", figure, QUICK)
