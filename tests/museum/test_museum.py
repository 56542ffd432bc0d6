"""The kit catches every exhibit and has nothing against the right versions; the naive tests miss most of them."""

from __future__ import annotations

import re

import caught
import numpy as np
import page
import pytest
from museum import EXHIBITS, called

import tinygrad_edu as tg
from tinygrad_edu.testing import GradientError, check

every = pytest.mark.parametrize("exhibit", EXHIBITS, ids=lambda e: e.__name__)


@every
def test_the_kit_catches_it_and_says_why(exhibit):
    error = caught.by_the_kit(exhibit)
    assert error is not None
    assert error.property == exhibit.property
    assert re.search(exhibit.cause, "\n".join([error.wrong.message, *error.causes]), re.DOTALL)
    assert exhibit.cause or not error.causes


@every
def test_it_is_the_defect_that_is_caught(exhibit):
    with caught.quickly(cases=5):
        exhibit.kit(exhibit.right)


@every
def test_the_naive_test_is_a_test(exhibit):
    """It passes with the right operation, and fails when the result is doubled and the gradient is not."""
    right = called(exhibit.right)
    exhibit.naive(right)

    def doubled(*inputs):
        z = right(*inputs)
        return z + z.detach()

    with pytest.raises(AssertionError):
        exhibit.naive(doubled)


def test_naive_tests_miss_at_least_two_thirds():
    missed = [e.__name__ for e in EXHIBITS if not caught.by_the_naive_test(e)]
    assert len(missed) >= 2 / 3 * len(EXHIBITS), missed


def test_any_slope_between_both_sides_is_accepted():
    """Conventions are no mistakes: relu with slope 1 at 0."""

    class Relu(tg.autograd.Function):
        at_zero = 1.0

        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return tg.relu(x)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * tg.where(x == 0, Relu.at_zero, (x > 0).to(g.dtype))

    check(Relu, np.zeros(2))
    Relu.at_zero = 1.5
    with caught.quickly(), pytest.raises(GradientError, match="the slopes of both sides are 0 and 1"):
        check(Relu, np.zeros(2))


def test_the_page_is_what_the_exhibits_say():
    """`python tests/museum/page.py` writes it anew."""
    assert page.PAGE.read_text(encoding="utf-8") == page.text()
