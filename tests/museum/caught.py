"""What happens to an exhibit: each test is run once, however many ask."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np
from museum import Exhibit, agrees_at, called, in_force, moves

import tinygrad_edu as tg
from tinygrad_edu.testing import GradientError, checking


@contextlib.contextmanager
def quickly(cases: int = checking.CASES) -> Iterator[None]:
    """Fewer cases, and no search for the smallest, which takes most of the time."""
    with checking.without_shrinking(), mock.patch.object(checking, "CASES", cases):
        yield


@functools.cache
def by_the_kit(exhibit: type[Exhibit]) -> GradientError | None:
    """What the kit says about the first failing case it meets."""
    with in_force(exhibit), quickly():
        try:
            exhibit.kit(exhibit.wrong)
        except GradientError as error:
            return error
    return None


@functools.cache
def by_the_naive_test(exhibit: type[Exhibit]) -> bool:
    """Whether the naive test notices."""
    with in_force(exhibit):
        try:
            exhibit.naive(called(exhibit.wrong))
        except AssertionError:
            return True
    return False


@functools.cache
def at_a_random_point(exhibit: type[Exhibit]) -> bool:
    """Whether one test for all notices: `agrees_at` a random point, of the very shape in which the kit found it."""
    error = by_the_kit(exhibit)
    assert error is not None
    rng = np.random.default_rng(0)
    inputs = [rng.uniform(0, 1, x.shape) if moves(x) else tensor(x) for x in error.case.inputs]

    def first_output(*xs: Any) -> Any:
        z = called(error.case.subject.fn)(*xs)
        return z[0] if isinstance(z, tuple) else z

    with in_force(exhibit):
        try:
            agrees_at(first_output, *inputs)
        except Exception:  # a walk that breaks down is noticed as well
            return True
    return False


def tensor(value: Any) -> Any:
    """Arrays as tensors, anything else as it is."""
    return tg.tensor(value) if isinstance(value, np.ndarray) else value
