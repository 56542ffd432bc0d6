"""An operation of your own: written, checked, graded, explained, drawn, recorded."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

import tinygrad_edu as tg
from demos.report import Report, chart
from tinygrad_edu import explain, ops, viz
from tinygrad_edu.engine.domain import real
from tinygrad_edu.engine.primitive import registry
from tinygrad_edu.testing import GradientError, check, grade_tests
from tinygrad_edu.viz import plots

SECONDS = 10

TASK = """
Swish, x σ(βx), with a slope for x and one for β (Ramachandran, Zoph and Le, 2017). The forward takes arrays; each slope
is an expression in the inputs and the output z, and is all there is to write: what follows is read from it.
"""
GRADES = """
A test is worth as much as the mistakes it notices. The kit makes wrong versions of the two slopes, each a mistake
somebody could make, and runs tests against them: one that looks at x = 0 only, one that takes differences at one point,
and `check` itself.
"""


def define(wrong: bool = False) -> Any:
    """Register swish; `wrong`: with the sign of its slope for β flipped."""

    @tg.primitive(domain=(real, real), text="swish({x}, {beta})", latex=r"\mathrm{{swish}}({x}, {beta})")
    def swish(x: Any, beta: Any) -> Any:
        """x σ(βx)."""
        return x / (1 + np.exp(-beta * x))

    swish.slope(x=lambda x, beta, z: ops.sigmoid(beta * x) + beta * z * (1 - ops.sigmoid(beta * x)))
    if wrong:
        swish.slope(beta=lambda x, beta, z: -x * z * (1 - ops.sigmoid(beta * x)))
    else:
        swish.slope(beta=lambda x, beta, z: x * z * (1 - ops.sigmoid(beta * x)))
    return swish


def at_zero(swish: Any) -> None:
    """The slope of swish at 0 is 1/2."""
    x = tg.zeros(3, requires_grad=True)
    swish(x, tg.tensor(1.0)).sum().backward()
    assert np.allclose(x.grad.numpy(), 0.5)


def by_differences(swish: Any) -> None:
    """Both slopes at one point, against central differences."""
    x, beta = (tg.tensor(v, dtype=tg.float64, requires_grad=True) for v in (0.7, 1.3))
    swish(x, beta).backward()
    h = 1e-6
    for leaf, dx, dbeta in ((x, h, 0), (beta, 0, h)):
        with tg.no_grad():
            slope = (swish(x + dx, beta + dbeta) - swish(x - dx, beta - dbeta)) / (2 * h)
        assert abs(slope.item() - leaf.grad.item()) < 1e-8


def run(report: Report) -> None:
    """All of it; at the end the engine is left as it was."""
    report.text(TASK)
    report.pre(inspect.getsource(define))
    try:
        checked(report)
        shown(report, define())
    finally:
        registry.pop("swish", None)


def checked(report: Report) -> None:
    """What the kit proves of the right operation, says about a wrong one, and thinks of tests."""
    report.heading("Checked")
    found = check(define())
    report.pre(str(found))
    report.bar("largest error measured", found.error, at_most=1e-12)
    report.text("The same with a flipped sign in the slope for β:")
    try:
        check(define(wrong=True))
        said = ""
    except GradientError as error:
        said = str(error)
    report.pre(said)
    report.bar("lines of diagnosis", len(said.splitlines()), at_least=4)
    report.number("diagnosis", said)

    report.heading("Graded")
    report.text(GRADES)
    swish, rows = define(), []
    for test in (at_zero, by_differences) if report.fast else (at_zero, by_differences, check):
        grade = grade_tests(test, swish)
        missed = [mutant.name.removeprefix("swish").lstrip(".: ") for mutant in grade.survived]
        rows.append([test.__name__, f"{grade.score:.0%}", "\n".join([*missed[:4], *(["..."] if missed[4:] else [])])])
        report.number(test.__name__, {"score": grade.score, "missed": missed})
    report.table(["test", "noticed", "not noticed"], rows)


def shown(report: Report, swish: Any) -> None:
    """The operation explained, worked out, drawn, recorded."""
    report.heading("Explained")
    report.pre(str(explain.derivative(swish)))
    x = tg.tensor([-1.0, 0.5, 2.0], requires_grad=True)
    beta = tg.tensor(1.5, requires_grad=True)
    y = swish(x, beta)
    loss = (y**2).mean()
    report.pre(str(explain.worked(loss)))
    drawing = viz.graph(loss, derivatives=True)
    report.figure("my_own_op", drawing, "Drawn, with the slope on each arrow and the gradients in red.", fit=False)
    wide = tg.linspace(-6, 6, 241)
    figure, axis = chart("x", "swish(x, β) and, thinner, its slope")
    for b, (dash, marker, color) in zip((0.3, 1.0, 4.0), plots.LINES, strict=False):
        points = wide.clone().requires_grad_()
        value = swish(points, b)
        (slope,) = tg.autograd.grad(value.sum(), points)
        style = {"color": color, "marker": marker, "markevery": 30, "markersize": 4}
        axis.plot(wide.numpy(), value.detach().numpy(), dash, label=f"β = {b:g}", **style)
        axis.plot(wide.numpy(), slope.numpy(), dash, linewidth=0.7, **style)
    axis.legend(frameon=False)
    report.figure("my_own_op_curves", figure, "Between x/2 (β small) and ReLU (β large).")

    report.heading("Recorded")
    report.text("A step with it is a program like any other: forward, backward, update.")
    optimizer = tg.optim.SGD([beta], lr=0.1)
    with tg.record() as program:
        loss = (swish(x.detach(), beta) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    report.pre(program.source())
    report.number("source", program.source())
