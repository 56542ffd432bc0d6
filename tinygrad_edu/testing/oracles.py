"""What a gradient is compared with: the slopes of the forward, found without using any rule.

The complex step is exact to rounding: Im f(x + ih) / h has no difference in it, so h can be 1e-20 (Squire and Trapp,
Using complex variables to estimate derivatives of real functions, SIAM Review 1998).  It needs a forward that accepts
complex numbers and is analytic; whether it is, is tested.  Else central differences with three steps, extrapolated
twice (Richardson 1911): how much the two extrapolations differ is the measured error, which sets the tolerance.
Where the slopes from the left and from the right differ there is a kink, and a right gradient lies between them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

Vector = Callable[[Sequence[np.ndarray]], np.ndarray]
"""All outputs of a function, flattened into one vector."""

STEPS = (2.0**-9, 2.0**-13, 2.0**-17)
TINY = 1e-20
ROUNDING = 2.0**-48
LARGEST_ERROR = 1e-6


@dataclass
class Slopes:
    """The Jacobian (outputs, entries of all inputs) with its measured error.

    low, high  -- the slopes of both sides where there is a kink; equal to `value` elsewhere
    known      -- whether there is a slope at all: not at a jump, nor where the forward is not finite
    method     -- "complex step" or "central differences"
    """

    value: np.ndarray
    error: np.ndarray
    low: np.ndarray
    high: np.ndarray
    known: np.ndarray
    method: str

    @property
    def kinked(self) -> np.ndarray:
        """Where the two sides have different slopes."""
        return self.low < self.high

    @property
    def smooth(self) -> np.ndarray:
        """Where there is one slope."""
        return self.known & ~self.kinked

    def pull(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(vector-Jacobian product of u, its tolerance, which entries can be compared)."""
        matters = u[:, None] != 0
        usable = np.all(self.smooth | ~matters, axis=0)
        value = u @ np.where(self.known, self.value, 0.0)
        error = np.abs(u) @ np.where(self.known, self.error, 0.0)
        return value, 4 * error + self.rounding(u), usable

    def rounding(self, u: np.ndarray) -> float:
        """What rounding alone can do to a product with u."""
        largest = float(np.max(np.abs(np.where(self.known, self.value, 0.0)), initial=0.0))
        return ROUNDING * max(1.0, len(u)) * max(1.0, float(np.max(np.abs(u), initial=0.0))) * max(1.0, largest)


def agree(found: np.ndarray, expected: np.ndarray, tolerance: np.ndarray | float) -> np.ndarray:
    """Entry by entry; NaN agrees with nothing."""
    with np.errstate(invalid="ignore"):
        return np.abs(found - expected) <= tolerance


def slopes(f: Vector, xs: Sequence[np.ndarray], complex_f: Vector | None = None) -> Slopes:
    """The slopes of f at xs, by the best method that works there."""
    with np.errstate(all="ignore"):
        if complex_f is not None:
            exact = complex_step(f, complex_f, xs)
            if exact is not None:
                return exact
        return differences(f, xs)


def complex_step(f: Vector, complex_f: Vector, xs: Sequence[np.ndarray]) -> Slopes | None:
    """The slopes by the complex step; None where the forward does not accept complex numbers, or is not analytic."""
    here = f(xs)
    columns = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)  # the imaginary part is dropped on the way
            for i, x in enumerate(xs):
                for at in np.ndindex(x.shape):
                    moved = [np.array(v, np.complex128) for v in xs]
                    moved[i][at] += 1j * TINY
                    out = complex_f(moved)
                    if out.dtype.kind != "c" or out.shape != here.shape or not agree(np.real(out), here, 1e-9).all():
                        return None
                    columns.append(np.imag(out) / TINY)
    except Exception:  # whatever a forward does with numbers it was not written for, it does not accept them
        return None
    value = np.stack(columns, axis=1) if columns else np.zeros((len(here), 0))
    if not np.isfinite(value).all() or not _analytic(f, xs, value):
        return None
    error = ROUNDING * np.maximum(1.0, np.abs(value))
    return Slopes(value, error, value, value, np.ones(value.shape, bool), "complex step")


def _analytic(f: Vector, xs: Sequence[np.ndarray], value: np.ndarray) -> bool:
    """Whether the complex step gives the slope in a direction that goes through everything."""
    rng = np.random.default_rng(0)
    direction = [rng.uniform(0.5, 1.0, x.shape) for x in xs]
    found = differences(lambda t: f([x + t[0] * d for x, d in zip(xs, direction, strict=True)]), [np.zeros(())])
    flat = np.concatenate([d.ravel() for d in direction]) if direction else np.zeros(0)
    close = agree(value @ flat, found.value[:, 0], 10 * found.error[:, 0] + found.rounding(flat))
    return bool(np.all(close & found.smooth[:, 0]))


def differences(f: Vector, xs: Sequence[np.ndarray]) -> Slopes:
    """The slopes by central differences, with the one-sided slopes at kinks."""
    base = [np.array(x, np.float64) for x in xs]
    here = f(base)
    columns = [_column(f, base, x, at, here) for x in base for at in np.ndindex(x.shape)]
    if not columns:
        empty = np.zeros((len(here), 0))
        return Slopes(empty, empty, empty, empty, empty.astype(bool), "central differences")
    value, error, low, high, known = (np.stack(part, axis=1) for part in zip(*columns, strict=True))
    return Slopes(value, error, low, high, known.astype(bool), "central differences")


def _column(
    f: Vector, base: list[np.ndarray], x: np.ndarray, at: tuple[int, ...], here: np.ndarray
) -> tuple[np.ndarray, ...]:
    """(value, error, low, high, known) for one entry; smaller steps where the first ones do not agree."""
    best = _with_step(f, base, x, at, here, STEPS[0])
    for first in STEPS[1:]:
        if np.all(best[1] <= 1e-2 * LARGEST_ERROR * np.maximum(1.0, np.abs(best[0]))):
            break
        found = _with_step(f, base, x, at, here, first)
        better = (found[1] < best[1]) & found[4]
        best = tuple(np.where(better, new, old) for new, old in zip(found, best, strict=True))
    value, error, low, high, known = best
    known = known & (error <= LARGEST_ERROR * np.maximum(1.0, np.abs(value)))
    return value, error, low, high, known


def _with_step(
    f: Vector, base: list[np.ndarray], x: np.ndarray, at: tuple[int, ...], here: np.ndarray, first: float
) -> tuple[np.ndarray, ...]:
    """One entry, with the steps first, first / 2 and first / 4."""
    center = x[at]
    ups, downs, steps = [], [], (first, first / 2, first / 4)
    for h in steps:
        x[at] = center + h
        ups.append(f(base))
        x[at] = center - h
        downs.append(f(base))
    x[at] = center
    # what is small here may be a difference of numbers near 1
    rounding = np.finfo(float).eps * (16 * np.abs(here) + 4) / steps[-1]
    value, error = _extrapolated([(u - d) / (2 * h) for u, d, h in zip(ups, downs, steps, strict=True)], 4.0, 16.0)
    right, right_error = _extrapolated([(u - here) / h for u, h in zip(ups, steps, strict=True)], 2.0, 4.0)
    left, left_error = _extrapolated([(here - d) / h for d, h in zip(downs, steps, strict=True)], 2.0, 4.0)
    gap, noise = np.abs(right - left), right_error + left_error + 4 * rounding
    kink = (gap > 10 * noise) & (gap > LARGEST_ERROR * np.maximum(1.0, np.abs(value)))
    error = np.where(kink, noise, error + rounding)
    finite = np.isfinite(here) & np.all(np.isfinite(ups), axis=0) & np.all(np.isfinite(downs), axis=0)
    known = finite & ~_jumps(ups, here) & ~_jumps(downs, here)
    low, high = (np.where(kink, side(left, right), value) for side in (np.minimum, np.maximum))
    return value, np.where(np.isfinite(error), error, np.inf), low, high, known


def _extrapolated(found: list[np.ndarray], first: float, second: float) -> tuple[np.ndarray, np.ndarray]:
    """Slopes with the steps h, h/2, h/4 taken to the limit, and how far the last two estimates are apart."""
    once = [(first * b - a) / (first - 1) for a, b in pairwise(found)]
    twice = (second * once[1] - once[0]) / (second - 1)
    return twice, np.abs(twice - once[1])


def _jumps(moved: list[np.ndarray], here: np.ndarray) -> np.ndarray:
    """Whether the change does not get smaller with the step."""
    far, near = np.abs(moved[0] - here), np.abs(moved[-1] - here)
    return (near > 1e-6 * np.maximum(1.0, np.abs(here))) & (near > 0.75 * far)


def one_sided(f: Vector, xs: Sequence[np.ndarray], direction: Sequence[np.ndarray]) -> Slopes:
    """The slopes of both sides in one direction: a Jacobian with a single column."""
    with np.errstate(all="ignore"):
        moved = lambda t: f([np.asarray(x + t[0] * d) for x, d in zip(xs, direction, strict=True)])  # noqa: E731
        return differences(moved, [np.zeros(())])
