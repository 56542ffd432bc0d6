"""Identities every course derives: the slope of the sigmoid, and why cross-entropy cancels it."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from demos.report import Report
from tinygrad_edu import explain, ops, viz

ROW, SECONDS = "A3", 2

SLIPS = """
One report gives (ŷ - y) σ'(z) x as the gradient of its squared error: that is the gradient of half of it. For
(ŷ - y)², the loss of the course and of the report's own code, there is a factor 2 in front. In another report the
result is right, d/dâ is only written where d/da is meant; but its code computes σ' as eᶻ / (1 + eᶻ)², which is
infinity / infinity above z = 709. ŷ (1 - ŷ), written in the value of the sigmoid, knows no such limit.
"""
SPEED = """
A unit that is sure of the wrong answer (here y = 1 and z far below 0) is barely moved by the squared error: its
gradient has the factor σ'(z), nearly 0 there. Cross-entropy divides by that very factor, and the error itself is left.
"""
CAPTION = ("The derivative of two losses with respect to the input z of a sigmoid unit whose answer should be 1. At "
           "the left the unit is sure of the wrong answer: cross-entropy moves it with its full slope of -1, and the "
           "squared error hardly at all.")  # fmt: skip


def sigmoid(z: Any) -> Any:
    """The unit's answer; its name is what the formulas are written in."""
    return ops.sigmoid(z).named("ŷ")


def cross_entropy(a: Any, y: Any) -> Any:
    """Of an answer a, where y is right."""
    return -(y * ops.log(a) + (1 - y) * ops.log(1 - a))


def cross_entropy_of_unit(z: Any, y: Any) -> Any:
    """Of the unit's answer."""
    return cross_entropy(sigmoid(z), y)


def squared_error(z: Any, y: Any) -> Any:
    """Of the unit's answer, without a half."""
    return (sigmoid(z) - y) ** 2


def half(z: Any, y: Any) -> Any:
    """With a half."""
    return squared_error(z, y) / 2


# identity: the function of symbols, the same on tensors, and what the gradient must be (p: the sigmoid of z)
SQUARED = "squared error of σ: 2 (ŷ - y) σ'"
CROSS = "cross-entropy of σ: ŷ - y"
IDENTITIES = {
    "σ' = σ (1 - σ)": (sigmoid, lambda z, y: tg.sigmoid(z), lambda p, y: p * (1 - p)),
    CROSS: (cross_entropy_of_unit, partial(F.binary_cross_entropy_with_logits, reduction="none"), lambda p, y: p - y),
    SQUARED: (squared_error, lambda z, y: (tg.sigmoid(z) - y) ** 2, lambda p, y: 2 * (p - y) * p * (1 - p)),
    "half of it: (ŷ - y) σ'": (half, lambda z, y: (tg.sigmoid(z) - y) ** 2 / 2, lambda p, y: (p - y) * p * (1 - p)),
}


def run(report: Report) -> None:
    """The engine's own reading of each, the same in numbers, the slips, and what follows for learning."""
    report.text("Each gradient as the engine's rules give it, one after the other, and the same simplified.")
    rows, readings = [], {}
    for name, (f, _, _) in IDENTITIES.items():
        raw, short = (explain.gradient(f, "z", simplified=simplified).text() for simplified in (False, True))
        rows.append([name, raw, short])
        readings[name] = short
    report.table(["df/dz", "by the chain rule", "simplified"], rows)
    report.number("readings", readings)
    report.pre(f"{explain.derivative('sigmoid')}\n{explain.derivative('bce_with_logits')}")
    in_numbers(report)

    report.heading("Where the reports slipped")
    report.text(SLIPS)
    far = np.float64(710)
    with np.errstate(over="ignore", invalid="ignore"):
        theirs = np.exp(far) / (1 + np.exp(far)) ** 2
    z = tg.tensor(far, requires_grad=True)
    tg.sigmoid(z).backward()
    report.table(["σ'(710)", "value"], [["eᶻ / (1 + eᶻ)²", theirs], ["the engine", z.grad.item()]])
    report.number("slope at 710", [str(theirs), z.grad.item()])

    report.heading("Learning speed")
    report.text(SPEED)
    z = tg.linspace(-8, 8, 161, dtype=tg.float64).requires_grad_()
    losses = {name: IDENTITIES[name][1](z, tg.ones_like(z)) for name in (CROSS, SQUARED)}
    slopes = {name: tg.autograd.grad(loss.sum(), z)[0].numpy() for name, loss in losses.items()}
    figure = viz.curves({"dL/dz for y = 1": slopes}, xlabel="z, the unit's input", x=z.detach().numpy())
    report.figure("identities", figure, CAPTION)


def in_numbers(report: Report) -> None:
    """The engine's gradients of 1,000 random pairs (z, y), beside the identities and central differences."""
    report.heading("In numbers")
    generator, h = tg.Generator().manual_seed(report.seed), 1e-5
    z = (4 * tg.randn(1000, generator=generator, dtype=tg.float64)).requires_grad_()
    y = tg.rand(1000, generator=generator, dtype=tg.float64)
    p, rows, largest = 1 / (1 + np.exp(-z.detach().numpy())), [], 0.0
    for name, (_, loss, identity) in IDENTITIES.items():
        (slope,) = tg.autograd.grad(loss(z, y).sum(), z)
        away = abs(slope.numpy() - identity(p, y.numpy())).max()
        with tg.no_grad():
            central = ((loss(z + h, y) - loss(z - h, y)) / (2 * h) - slope).abs().max().item()
        rows.append([name, f"{away:.1e}", f"{central:.1e}"])
        largest = max(largest, away)
    report.table(["largest distance of the gradient from", "the identity", "central differences"], rows)
    report.bar("largest distance of a gradient from its identity", float(largest), at_most=1e-14)
