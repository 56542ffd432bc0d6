"""A 2-2-2 network worked through: every intermediate and gradient, beside a course report and its slips."""

from __future__ import annotations

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from demos.report import Report
from tinygrad_edu import explain, viz

ROW, SECONDS = "A1", 3

# quantity: exact to ten digits; what the report printed; what went wrong there
TABLE = {
    "z1": ("0.3775 0.3925", "0.3775 0.3925", ""),
    "a1": ("0.5932699921 0.5968843783", "0.5933 0.5969", ""),
    "z2": ("1.105905967 1.224921404", "1.1059 1.2249", ""),
    "a2": ("0.7513650696 0.7729284653", "0.7514 0.7729", ""),
    "C": ("0.8252642659", "0.8254", "rounds to 0.8253: it went on with a rounded a2"),
    "dC/da2": ("1.984216153 -0.6184019980", "", ""),
    "σ'(z2)": ("0.1868156018 0.1755100528", "", ""),
    "δ2 = dC/dz2": ("0.3706825348 -0.1085357673", "0.3707 -0.1086", "the second rounds to -0.1085"),
    "dC/dW2": ("0.2199148245 0.2212546143 -0.06439101383 -0.06478330401", "0.2199 0.2213 -0.0644 -0.0648", ""),
    "dC/db2": ("0.3706825348 -0.1085357673", "0.3707 -0.1086", "the second rounds to -0.1085"),
    "dC/db2, one b2 shared": ("0.2621467674", "", ""),
    "dC/da1 = W2ᵀ δ2": ("0.09400513024 0.1071124686", "", ""),
    "σ'(z1)": ("0.2413007086 0.2406134172", "", ""),
    "δ1 = dC/dz1": ("0.02268350454 0.0257726971", "0.0489 0.0545", "WRONG: the minus sign of δ2 was dropped"),
    "dC/dW1": ("0.001134175227 0.002268350454 0.001288634855 0.002577269710", "0.0024 0.0049 0.0027 0.0055",
               "WRONG: follows from δ1"),
    "dC/db1": ("0.02268350454 0.0257726971", "0.0489 0.0545", "WRONG: follows from δ1"),
    "dC/db1, one b1 shared": ("0.04845620164", "", ""),
    "dC/dx = W1ᵀ δ1": ("0.009845699956 0.01226851004", "0.0010 0.0026", "WRONG twice: δ1, and a factor x"),
    "W1 after a step of 0.5": ("0.1494329124 0.1988658248 0.2493556826 0.2987113651", "", ""),
    "W2 after a step of 0.5": ("0.2900425878 0.3393726928 0.5321955069 0.5823916520", "", ""),
}  # fmt: skip

TASK = """
x = (0.05, 0.10), W1 = ((0.15, 0.20), (0.25, 0.30)), b1 = 0.35, W2 = ((0.40, 0.45), (0.50, 0.55)), b2 = 0.60, sigmoid,
targets t = (0.01, 0.99), C = the mean of -(t log a2 + (1 - t) log(1 - a2)), everything in float64.
"""
SLIPS = """
δ1 = (W2ᵀ δ2) σ'(z1). Take |δ2| in place of δ2, so that 0.50 · 0.1086 is added where it should be subtracted, and the
report's δ1 comes out. dC/dx = W1ᵀ δ1 is complete: an input has no activation, so no σ' follows. Multiply the wrong δ1
by x once more, as if there were one, and the report's dC/dx comes out.
"""
CAPTIONS = (
    "The network from left to right, with values in black and gradients of C in red. Below z2 stands δ2, with the "
    "minus sign that the report lost on the way back to δ1, which stands below z1.",
    "The same with every step, and the rule of the gradient on each arrow. Put the numbers into a rule and the red "
    "ones come out: g is the gradient of the operation's result, ① an input without a name.",
)


def leaf(*rows: list[float]) -> tg.Tensor:
    """A float64 matrix that wants a gradient."""
    return tg.tensor(rows, dtype=tg.float64, requires_grad=True)


def run(report: Report) -> None:
    """Forward, backward; the table, the slips made on purpose, the derivation, the drawing."""
    x, t = leaf([0.05], [0.10]), tg.tensor([[0.01], [0.99]], dtype=tg.float64)
    W1, b1 = leaf([0.15, 0.20], [0.25, 0.30]), leaf([0.35], [0.35])
    W2, b2 = leaf([0.40, 0.45], [0.50, 0.55]), leaf([0.60], [0.60])

    z1 = W1 @ x + b1
    a1 = tg.sigmoid(z1)
    z2 = W2 @ a1 + b2
    a2 = tg.sigmoid(z2)
    C = F.binary_cross_entropy(a2, t)
    for value in (z1, a1, z2, a2):
        value.retain_grad()
    C.backward()

    names = {"W1": W1, "b1": b1, "W2": W2, "b2": b2}
    derivation = str(explain.worked(C, names={"x": x, "t": t, **names}))
    drawing = viz.graph(C, params=names, names={"x": x}, derivatives=True)
    small = viz.graph(C, params=names, names={"x": x}, unnamed=False)

    W1_before, W2_before = W1.detach().clone(), W2.detach().clone()
    tg.optim.SGD([W1, W2], lr=0.5).step()
    ours = [z1, a1, z2, a2, C, a2.grad, a2 * (1 - a2), z2.grad, W2.grad, b2.grad, b2.grad.sum(), a1.grad]
    ours += [a1 * (1 - a1), z1.grad, W1.grad, b1.grad, b1.grad.sum(), x.grad, W1, W2]
    report.text(TASK)
    report.compare({name: value.detach() for name, value in zip(TABLE, ours, strict=True)}, TABLE)
    with tg.no_grad():
        delta1 = W2_before.T @ z2.grad.abs() * a1 * (1 - a1)
        show_the_slips(report, delta1, W1_before.T @ delta1 * x)

    report.heading("The same on paper")
    report.pre(derivation)
    report.heading("The same as a drawing")
    report.figure("worked_example", small, CAPTIONS[0], fit=False)
    report.figure("worked_example_full", drawing, CAPTIONS[1], fit=False)


def show_the_slips(report: Report, delta1: tg.Tensor, dx: tg.Tensor) -> None:
    """The report's figures, from its own slips."""
    report.heading("The report's figures, from its slips made on purpose")
    report.text(SLIPS)
    rows = [["δ1", "0.0489, 0.0545", delta1], ["dC/dx", "0.0010, 0.0026", dx]]
    shown = [[name, said, ", ".join(f"{v:.4f}" for v in value.numpy().ravel())] for name, said, value in rows]
    report.table(["quantity", "in the report", "with the slip"], shown)
    report.number("with the slips", {name: value.numpy().ravel().tolist() for name, _, value in rows})
