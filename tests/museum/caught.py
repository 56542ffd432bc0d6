"""What happens to an exhibit: each test is run once, however many ask."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from unittest import mock

from museum import Exhibit, called, in_force

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
