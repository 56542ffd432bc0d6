"""Mutants that are right after all: each with the reason why no test can notice it."""

from __future__ import annotations

from tinygrad_edu.testing.mutants import Mutant

OUTSIDE = "saved values used outside the graph"
STEPS = "the slope is constant but for jumps: it has no derivative with respect to the saved values that could be lost"
TIES_FIRST = "ties are taken out by == before: of what is left, < and <= say the same"
TWICE = "h enters twice, so its sign cancels"
ONE_AXIS = "there is one axis: its entries have only one order"
ONE_NUMBER = "the upstream gradient is one number, which has no order"

AT_POLES = {
    "bce.x: maximum dropped (maximum)": "(1 - x) x is below 1e-12 only at the poles 0 and 1, outside of the domain",
    "pow.y: condition forgotten (where)": "differs only at base 0 with a negative exponent: a pole, too",
    "pow.x: == became <= (eq)": "differs only at base 0 with a negative exponent: a pole, where there is no slope",
}
"""What differs at poles alone, where no slope exists to compare with: tests of their own go there."""

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
    **{f"{op}.x: subtracted the other way round (sub)": TWICE for op in ("batch_norm", "layer_norm")},
    "batch_norm.x: entries in column order (reshape)": ONE_AXIS,
    **{f"mse.{x}: memory order taken for row-major": ONE_NUMBER for x in ("x", "y")},
    "batch_norm.weight: transposed": ONE_AXIS,
    "batch_norm.bias: transposed": ONE_AXIS,
    "pow.x: == became <= (eq number 2)": "where y is 0 the slope y x^(y-1) is 0 for a negative base too",
    **AT_POLES,
}
"""Name of the mutant -> why it is no mistake, as far as the domain of the operation goes."""


def is_equivalent(mutant: Mutant) -> bool:
    """Whether a mutant computes the same as the right rule wherever the operation's domain reaches."""
    return mutant.name in EQUIVALENT
