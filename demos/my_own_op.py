"""An operation of your own: written, checked, graded, explained, drawn, recorded."""

from __future__ import annotations

import inspect
from typing import Any

import tinygrad_edu as tg
from demos.report import Report
from demos.swish import at_zero, by_differences, define, flipped
from tinygrad_edu import explain, viz
from tinygrad_edu.autograd.functional import vjp
from tinygrad_edu.engine.primitive import registry
from tinygrad_edu.testing import GradientError, check, grade_tests

SECONDS = 10

TASK = """
Swish, x σ(βx), with a slope for x and one for β (Ramachandran, Zoph and Le, 2017). The forward takes arrays; each slope
is an expression in the inputs and the output z, and is all there is to write: what follows is read from it.
"""
DRAWN = ("The graph of a loss made with the new operation, with the slope on each arrow and the gradients in red. The "
         "drawing needs nothing that is not written above: it reads the same two slopes.")  # fmt: skip
CURVES = ("Swish for three values of β, and its slope for x as the engine computes it. It lies between x/2 (β small) "
          "and ReLU (β large), and is smooth where ReLU has a kink.")  # fmt: skip
GRADES = """
A test is worth as much as the mistakes it notices. The kit makes wrong versions of the two slopes, each a mistake
somebody could make, and runs tests against them: one that looks at x = 0 only, one that takes differences at one point,
and `check` itself.
"""


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
        check(flipped())
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
    report.figure("my_own_op", viz.graph(loss, derivatives=True), DRAWN, fit=False)
    wide, betas = tg.linspace(-6, 6, 241), {f"β = {b:g}": b for b in (0.3, 1.0, 4.0)}
    values = {name: swish(wide, b).numpy() for name, b in betas.items()}
    slopes = {name: vjp(lambda x, b=b: swish(x, b).sum(), wide)[1].numpy() for name, b in betas.items()}
    curves = viz.curves({"swish(x, β)": values, "its slope for x": slopes}, xlabel="x", x=wide.numpy())
    report.figure("my_own_op_curves", curves, CURVES)

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
