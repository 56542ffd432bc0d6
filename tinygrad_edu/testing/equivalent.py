"""Mutants that are right after all: each with the reason why no test can notice it."""

from __future__ import annotations

from tinygrad_edu.testing.mutants import Mutant

OUTSIDE = "saved values used outside the graph"
STEPS = "the slope is constant but for jumps: it has no derivative with respect to the saved values that could be lost"
TIES_FIRST = "ties are taken out by == before: of what is left, < and <= say the same"
ONE_AXIS = "g has one axis: there is only one order of its entries"

EQUIVALENT: dict[str, str] = {
    f"abs.x: {OUTSIDE}": STEPS,
    f"relu.x: {OUTSIDE}": STEPS,
    f"remainder.y: {OUTSIDE}": STEPS,
    **{f"{op}.{x}: {OUTSIDE}": STEPS for op in ("maximum", "minimum") for x in ("x", "y")},
    f"amax.x: {OUTSIDE}": STEPS,
    f"amin.x: {OUTSIDE}": STEPS,
    "relu.x: x taken for z": "z <= 0 exactly where x <= 0",
    **{f"maximum.{x}: < became <= (lt)": TIES_FIRST for x in ("x", "y")},
    **{f"minimum.{x}: > became >= (gt)": TIES_FIRST for x in ("x", "y")},
    "amin.x: == became <= (eq)": "no entry is smaller than the smallest",
    "softmax_cross_entropy.x: memory order taken for row-major": ONE_AXIS,
    "softmax_cross_entropy.x: entries in column order (reshape)": ONE_AXIS,
    "bce.x: maximum dropped (maximum)": (
        "(1 - x) x is below 1e-12 only at the poles 0 and 1, outside of the domain; the tests of the loss go there"
    ),
}
"""Name of the mutant -> why it is no mistake."""


def is_equivalent(mutant: Mutant) -> bool:
    """Whether a mutant computes the same as the right rule."""
    return mutant.name in EQUIVALENT
