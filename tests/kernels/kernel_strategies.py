"""What the kernel tests draw: arrays of drawn shapes, in every memory layout NumPy knows."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

FLOATS = (np.float32, np.float64)
SPECIAL = (np.nan, np.inf, -np.inf, 0.0, -0.0)
LAYOUTS = ("C", "Fortran", "every other", "reversed", "broadcast", "read-only")

dtypes = st.sampled_from(FLOATS)


def lay_out(values: np.ndarray, layout: str, axis: int = 0) -> np.ndarray:
    """An array equal to `values` (for "broadcast": to its first slice, repeated) in another memory layout."""
    if layout == "read-only":
        values = values.copy()
        values.flags.writeable = False
        return values
    if values.ndim == 0 or layout == "C":
        return values
    if layout == "Fortran":
        return np.asfortranarray(values)
    axis %= values.ndim
    if layout == "every other":
        wide = np.repeat(values, 2, axis=axis)
        return wide[(slice(None),) * axis + (slice(None, None, 2),)]
    if layout == "reversed":
        backwards = (slice(None),) * axis + (slice(None, None, -1),)
        return np.ascontiguousarray(values[backwards])[backwards]
    first = (slice(None),) * axis + (slice(0, 1),)
    return np.broadcast_to(values[first], values.shape) if values.shape[axis] else values


@st.composite
def arrays(draw: Any, shape: tuple[int, ...], dtype: Any, special: bool = False, scale: float = 2.0) -> np.ndarray:
    """Normally distributed values in a drawn layout; with `special`, some NaN, infinities and zeros."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = np.asarray(generator.standard_normal(shape) * scale, dtype)
    if special and values.size:
        for _ in range(draw(st.integers(1, 3))):
            values.reshape(-1)[draw(st.integers(0, values.size - 1))] = draw(st.sampled_from(SPECIAL))
    return lay_out(values, draw(st.sampled_from(LAYOUTS)), draw(st.integers(0, 3)))


shapes = st.one_of(
    st.sampled_from([(), (0,), (1,), (0, 3), (3, 0), (1, 1)]),
    st.lists(st.integers(1, 9), min_size=1, max_size=4).map(tuple),
    # Long enough for the path that large arrays take.
    st.tuples(st.integers(20, 40), st.integers(20, 40)),
)


def check_fresh(result: Any, dtype: Any, *inputs: np.ndarray) -> None:
    """A kernel's promise about memory: a new ndarray of the dtype in C order, or channels-last."""
    assert type(result) is np.ndarray
    assert result.dtype == dtype
    last = result.transpose(0, *range(2, result.ndim), 1) if result.ndim > 2 else result
    assert result.flags.c_contiguous or last.flags.c_contiguous
    assert result.flags.writeable
    assert not any(np.shares_memory(result, array) for array in inputs)
