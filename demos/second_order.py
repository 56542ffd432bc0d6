"""Second order: a penalty on a gradient, Hessian-vector products, Newton's method on the 2-2-2 network."""

from __future__ import annotations

from math import log
from typing import Any

import numpy as np

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from demos.report import Report, chart
from tinygrad_edu import explain, nn, ops, optim
from tinygrad_edu.autograd.functional import hessian, hvp
from tinygrad_edu.viz import plots

SECONDS = 10

RULES = """
A rule is written in operations that have rules themselves. So the gradient it gives can be differentiated again: run on
tensors instead of arrays (create_graph=True), the very same rule leaves a graph behind. Run on symbols, it reads:
"""
NEWTON = """
The worked example's network has 12 parameters; its smallest loss is the entropy of the targets, 0.0560. Newton's method
solves H d = g with the full Hessian. Where H has negative eigenvalues (it does, at the start) it would climb: we take
their absolute values, and half a step where a whole one does not help. Gradient descent takes the report's step of 0.5.
"""
START = (0.15, 0.20, 0.25, 0.30, 0.35, 0.35, 0.40, 0.45, 0.50, 0.55, 0.60, 0.60)
ENTROPY = -(0.01 * log(0.01) + 0.99 * log(0.99))


def run(report: Report) -> None:
    """How it works; the three uses."""
    report.text(RULES)

    def slope(x: Any) -> Any:
        return explain.gradient(lambda x: ops.sigmoid(x), "x")

    readings = [slope(None).text(), explain.gradient(slope, "x").text()]
    report.table(["derivative of σ(x)", "as the engine reads it"], [["first", readings[0]], ["second", readings[1]]])
    report.number("readings", readings)
    penalty(report)
    products(report)
    newton(report)


def penalty(report: Report) -> None:
    """Twelve noisy points, fitted with and without a price on the slope of the fit."""
    report.heading("A penalty on the gradient")
    generator = np.random.default_rng(report.seed)
    x = tg.tensor(np.linspace(-2, 2, 12)[:, None])
    y = tg.sin(x) + 0.3 * tg.tensor(generator.standard_normal((12, 1)))
    grid, shown = tg.linspace(-2, 2, 81, dtype=tg.float64)[:, None], {}
    for price in (0.0, 0.05):
        tg.manual_seed(report.seed)
        model = nn.Sequential(nn.Linear(1, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 1)).double()
        optimizer = optim.Adam(model.parameters(), lr=0.01)
        for _ in range(200 if report.fast else 1500):
            inputs = grid.clone().requires_grad_()
            (slopes,) = tg.autograd.grad(model(inputs).sum(), inputs, create_graph=True)
            loss = F.mse_loss(model(x), y) + price * (slopes**2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        shown[price] = model(grid).detach().numpy(), (slopes.detach() ** 2).mean().item()
    report.text(f"Loss = mean squared error + {price:g} * the mean of f'(x)² over 81 points.")
    rows = [[f"{p:g}", f"{steep:.3f}"] for p, (_, steep) in shown.items()]
    report.table(["price", "mean of f'(x)² after training"], rows)
    free, priced = (steep for _, steep in shown.values())
    report.bar("mean of f'(x)² with the price, over that without", priced / free, at_most=0.9)
    figure, axis = chart("x", "f(x)")
    for (p, (fit, _)), (dash, _, color) in zip(shown.items(), plots.LINES, strict=False):
        axis.plot(grid.numpy(), fit, dash, color=color, label=f"price {p:g}")
    axis.plot(x.numpy(), y.numpy(), "ko", markersize=4, label="points")
    axis.legend(frameon=False)
    report.figure("second_order_penalty", figure, "With a price on its slope, the fit stops chasing the noise.")


def loss_at(v: tg.Tensor) -> tg.Tensor:
    """The loss of the worked example's network, as a function of its twelve parameters in one vector."""
    x, t = tg.tensor([0.05, 0.10], dtype=tg.float64), tg.tensor([0.01, 0.99], dtype=tg.float64)
    h = tg.sigmoid(v[:4].reshape(2, 2) @ x + v[4:6])
    return F.binary_cross_entropy(tg.sigmoid(v[6:10].reshape(2, 2) @ h + v[10:]), t)


def products(report: Report) -> None:
    """H v without H, beside the whole Hessian and differences of gradients; the steepest curvature from it."""
    report.heading("Hessian-vector products")
    report.text(
        "H v is the gradient of (gradient · v): two walks, whatever the size; the whole H takes one per parameter."
    )
    v, direction = tg.tensor(START, dtype=tg.float64), tg.linspace(-1, 1, 12, dtype=tg.float64)
    H, product = hessian(loss_at, v), hvp(loss_at, v, direction)[1]
    up, down = (tg.autograd.functional.vjp(loss_at, v + h * direction)[1] for h in (1e-6, -1e-6))
    report.bar(
        "largest distance of H v from the whole H times v", (H @ direction - product).abs().max().item(), at_most=1e-15
    )
    report.bar("from differences of gradients", ((up - down) / 2e-6 - product).abs().max().item(), at_most=1e-9)
    for _ in range(200):
        direction = hvp(loss_at, v, direction / direction.norm())[1]
    largest = abs(np.linalg.eigvalsh(H.numpy())).max()
    report.bar(
        "largest curvature by 200 products, from that of H", float(abs(direction.norm().item() - largest)), at_most=1e-9
    )


def newton(report: Report) -> None:
    """The way to the smallest loss: Newton's method and gradient descent."""
    report.heading("Newton's method")
    report.text(NEWTON)
    v, above = tg.tensor(START, dtype=tg.float64), []
    while (excess := loss_at(v).item() - ENTROPY) > 1e-15 and len(above) < 20:
        above.append(excess)
        gradient = tg.autograd.functional.vjp(loss_at, v)[1].numpy()
        values, vectors = np.linalg.eigh(hessian(loss_at, v).numpy())
        step = tg.tensor(vectors @ ((vectors.T @ gradient) / np.maximum(abs(values), 1e-6)))
        while loss_at(v - step) > loss_at(v):
            step = step / 2
        v = v - step
    slow, w = [], tg.tensor(START, dtype=tg.float64, requires_grad=True)
    optimizer = optim.SGD([w], lr=0.5)
    for _ in range(300 if report.fast else 2000):
        loss = loss_at(w)
        slow.append(loss.item() - ENTROPY)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    rows = [[k, f"{a:.1e}", f"{b:.1e}"] for k, (a, b) in enumerate(zip([*above, excess], slow, strict=False))]
    report.table(["updates", "Newton: above the smallest loss", "gradient descent"], rows)
    report.number("newton", [*above, excess])
    report.number("descent", slow)
    report.bar("Newton's updates until the loss is smallest, to 1e-15", len(above), at_most=8)
    figure, axis = chart("updates", "loss above the smallest (nats)")
    axis.plot([*above, excess], "-o", color="#1b5fb0", markersize=4, label="Newton")
    axis.plot(slow, "--", color="#b3411a", label="gradient descent, steps of 0.5")
    axis.set_yscale("log")
    axis.set_xscale("symlog", linthresh=10)
    axis.set_xlim(left=-0.5)
    axis.set_xticks([0, 2, 4, 6, 8, 10, 100, 1000], ["0", "2", "4", "6", "8", "10", "100", "1000"])
    axis.legend(frameon=False)
    caption = "Near the end, Newton's method doubles its correct digits with every update."
    report.figure("second_order_newton", figure, caption)
