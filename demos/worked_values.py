"""Values to check by hand: cross-entropy, the KL identity, softmax and its Jacobian, backpropagation as matrices."""

from __future__ import annotations

from functools import partial
from typing import Any

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from demos.identities import cross_entropy, cross_entropy_of_unit
from demos.newton import newton
from demos.report import Report
from tinygrad_edu import explain, ops, viz

ROW, SECONDS = "A2", 2

# quantity: exact; what the report printed; what went wrong there
TABLE = {
    "cross-entropy of p = 0.9, y = 0": ("2.302585093", "2.303", ""),
    "the mean where the true class has 0.1, 0.8, 0.3": ("1.243233816", "1.243", "no minus; a log of a log"),
    "D(P, Q) for P = (0.5, 0.5), Q = (0.8, 0.2)": ("0.2231435513", "", ""),
    "H(P, Q) = H(P) + D(P, Q)": ("0.9162907319", "", "on the way, H(P) has the wrong sign"),
    "softmax of z = (1, 2, 3)": ("0.09003057317 0.2447284711 0.6652409558", "", ""),
    "L for the true class 3": ("0.4076059644", "", ""),
    "dL/dz": ("0.09003057317 0.2447284711 -0.3347590442", "", "WRONG: ends with yᵢ ŷᵢ"),
    "Jacobian of softmax, row 1": ("0.0819250691 -0.0220330445 -0.0598920245", "", ""),
    "Jacobian of softmax, row 2": ("-0.0220330445 0.1848364465 -0.1628034020", "", ""),
    "Jacobian of softmax, row 3": ("-0.0598920245 -0.1628034020 0.2226954265", "", ""),
    "softmax of z + 1000": ("0.09003057317 0.2447284711 0.6652409558", "", ""),
    "softmax of z - 1000": ("0.09003057317 0.2447284711 0.6652409558", "", ""),
    "cross-entropy of the logits 800, -800 with y = 1": ("0 800", "", ""),
    "cross-entropy of the logits 800, -800 with y = 0": ("800 0", "", ""),
    "cross-entropy of the logit 40 with y = 1": ("4.248354255e-18", "", ""),
    "smallest cross-entropy for y = 0.3: at a = y, its entropy": ("0.3 0.6108643021", "", ""),
}
CAPTION = ("Cross-entropy of an answer a, for three targets y; the dots are values of the table. Each curve is lowest "
           "at a = y with the entropy of y, and the height above that is the divergence D.")  # fmt: skip
MATRICES = """
Backpropagation in matrix form: δᴸ = σ'(zᴸ) * dC/daᴸ (BP1), δˡ = σ'(zˡ) * Wˡ⁺¹ᵀ δˡ⁺¹ (BP2), dC/dbˡ = δˡ (BP3),
dC/dWˡ = δˡ aˡ⁻¹ᵀ (BP4), written out for four layers of 3, 4, 5 and 2 units and compared with the engine. Without an
activation the diagonal matrix of σ' is the identity, and δ¹ is a product of transposed weights alone.
"""


def f64(*values: Any) -> tg.Tensor:
    """A float64 vector."""
    return tg.tensor(values, dtype=tg.float64)


def run(report: Report) -> None:
    """The table, what the engine reads where the report slipped, and BP1 to BP4."""
    report.compare(values(), TABLE)
    report.figure("worked_values", curves(), CAPTION)
    slips(report)
    report.heading("Backpropagation as matrices")
    report.text(MATRICES)
    kinds = {"sigmoid": (tg.sigmoid, lambda a: a * (1 - a)), "no activation": (lambda z: z, tg.ones_like)}
    for name, (activation, slope) in kinds.items():
        report.bar(f"{name}: largest difference, BP1-BP4 to autograd", by_hand(activation, slope), at_most=1e-14)


def values() -> dict[str, Any]:
    """Every quantity of the table, from the library's own functions."""
    P, Q, z, y = f64(0.5, 0.5), f64(0.8, 0.2), f64(1, 2, 3).requires_grad_(), f64(0, 0, 1)
    softmax, each = partial(F.softmax, dim=0), partial(F.binary_cross_entropy_with_logits, reduction="none")
    L = F.cross_entropy(z, y)
    L.backward()
    J = tg.autograd.functional.jacobian(softmax, z.detach())
    divergence = (P * (P / Q).log()).sum()
    *_, a = newton(lambda a: F.binary_cross_entropy(a, f64(0.3)), f64(0.9), enough=1e-30)
    far = f64(800, -800)
    ours = [F.binary_cross_entropy(f64(0.9), f64(0)), F.binary_cross_entropy(f64(0.1, 0.8, 0.3), f64(1, 1, 1)),
            divergence, -(P * P.log()).sum() + divergence, softmax(z), L, z.grad, *J,
            softmax(z + 1000), softmax(z - 1000), each(far, f64(1, 1)), each(far, f64(0, 0)), each(f64(40), f64(1)),
            tg.stack([a[0], F.binary_cross_entropy(a, f64(0.3))])]  # fmt: skip
    return {name: value.detach() for name, value in zip(TABLE, ours, strict=True)}


def slips(report: Report) -> None:
    """The rules the report should have ended with, as the engine reads them."""
    report.heading("The slips, and the engine's reading of the same derivative")
    decay = explain.gradient(lambda w, x, y, lam, m: cross_entropy_of_unit(w * x, y) / m + lam / (2 * m) * w**2, "w")
    softmax = explain.gradient(lambda z, y: -y * ops.log_softmax(z, dim=0), "z", shapes={"z": (3,), "y": (3,)})
    bend = explain.gradient(lambda a, y: explain.gradient(cross_entropy, "a"), "a")
    rows = [
        ["d/dw of one term, with λ/(2m) w²", "ends with λ Σ w²; in the update y ŷ for ŷ - y", decay],
        ["dL/dz of -Σ y log softmax(z) (g = 1, Σ y = 1)", "yᵢ ŷᵢ: (0, 0, 0.6652); i = k and i ≠ k swapped", softmax],
        ["d/da of the cross-entropy", "a and y swapped: undefined at y = 0, 1", explain.gradient(cross_entropy, "a")],
        ["d²/da²: positive, so a = y is the minimum", "missing: only the slope is shown to be 0", bend],
    ]
    report.table(["derivative", "in the report", "the engine's reading"], rows)
    report.number("readings", [row[-1].text() for row in rows])


def curves() -> Any:
    """Cross-entropy over the answer, for three targets; dots where the table has values."""
    cost = partial(F.binary_cross_entropy, reduction="none")
    a, dots = tg.linspace(0.02, 0.98, 97, dtype=tg.float64), f64(0.9, 0.3, 0.8, 0.5)
    costs = {f"y = {y:g}": cost(a, tg.full_like(a, y)).numpy() for y in (0, 0.3, 0.5)}
    figure = viz.curves({"cross-entropy (nats)": costs}, xlabel="a, the probability answered", x=a.numpy())
    figure.axes[0].plot(dots.numpy(), cost(dots, f64(0, 0.3, 0.5, 0.5)).numpy(), "ko", markersize=7)
    return figure


def by_hand(activation: Any, slope: Any) -> float:
    """The largest difference between BP1-BP4 and the engine's gradients; `slope` is given the activation's value."""
    draw = partial(tg.randn, dtype=tg.float64, generator=tg.Generator().manual_seed(0))
    W = [draw(*shape).requires_grad_() for shape in ((4, 3), (5, 4), (2, 5))]
    b = [draw(n, 1).requires_grad_() for n in (4, 5, 2)]
    a, target = [draw(3, 1)], draw(2, 1)
    for weight, bias in zip(W, b, strict=True):
        a.append(activation(weight @ a[-1] + bias))
    (((a[-1] - target) ** 2).sum() / 2).backward()
    with tg.no_grad():
        away, delta = 0.0, slope(a[3]) * (a[3] - target)
        for layer in (2, 1, 0):
            for ours, engine in ((delta, b[layer].grad), (delta @ a[layer].T, W[layer].grad)):
                away = max(away, (ours - engine).abs().max().item())
            delta = slope(a[layer]) * (W[layer].T @ delta)
    return away
