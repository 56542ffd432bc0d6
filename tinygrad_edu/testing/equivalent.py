"""Mutants that are right after all: each with the reason why no test can notice it."""

from __future__ import annotations

from tinygrad_edu.testing.mutants import Mutant

EQUIVALENT: dict[str, str] = {}
"""Name of the mutant -> why it is no mistake."""


def is_equivalent(mutant: Mutant) -> bool:
    """Whether a mutant computes the same as the right rule."""
    return mutant.name in EQUIVALENT
