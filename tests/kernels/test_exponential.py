"""The polynomials of exp, sigmoid, tanh, erf and the logarithms: errors in units in the last place over all numbers."""

import itertools
import math

import numpy as np
import pytest
from kernel_strategies import FLOATS

from tinygrad_edu import kernels
from tinygrad_edu.kernels import exponential, vectors
from tinygrad_edu.kernels.jit import jit

# As the docstrings promise.
BOUNDS = {"exp": 1.5, "sigmoid": 3.5, "tanh": 3.0, "erf": 1.5}
NAMES = tuple(BOUNDS)


def looped(scalar):
    """The scalar function in a compiled loop: in vector instructions, unlike calls from Python."""

    @jit
    def loop(x, out):
        for i in range(x.size):
            out[i] = scalar(x[i])

    def run(x):
        out = np.empty_like(x)
        loop(x, out)
        return out

    return run


def exact(name, x):
    """The function in a wider type: float64 for float32, extended precision (where there is one) for float64."""
    wide = x.astype(np.float64 if x.dtype == np.float32 else np.longdouble)
    with np.errstate(all="ignore"):
        if name == "erf":
            return np.array([math.erf(v) for v in x.tolist()])
        return {"exp": np.exp, "sigmoid": lambda v: 1 / (1 + np.exp(-v)), "tanh": np.tanh}[name](wide)


def ulps(actual, expected):
    """Errors in units in the last place of the exact result; infinity and NaN must be the same."""
    with np.errstate(all="ignore"):
        rounded = expected.astype(actual.dtype)
        finite = np.isfinite(rounded) & np.isfinite(actual)
        errors = np.abs(actual - expected)[finite] / np.spacing(np.abs(rounded[finite]))
    limit = np.finfo(actual.dtype).max
    # Within a rounding of the largest number either side is fine.
    border = np.abs(expected) >= limit * (1 - 4 * np.finfo(actual.dtype).eps)
    np.testing.assert_array_equal(actual[~finite & ~border], rounded[~finite & ~border])
    return float(errors.max(initial=0))


def bit_patterns(dtype):
    """Numbers of every size and sign, denormal ones too: bit patterns at even distances, without NaN."""
    if dtype == np.float32:
        x = np.arange(0, 2**32, 8191, dtype=np.uint64).astype(np.uint32).view(np.float32)
    else:
        x = np.arange(0, 2**64 - 1, 2**64 // 60_000, dtype=np.uint64).view(np.float64)
    return x[~np.isnan(x)]


def sweep(dtype):
    """Evenly over the ranges in which the functions bend, overflow and vanish."""
    ends = (-104, 90) if dtype == np.float32 else (-746, 711)
    parts = [np.linspace(*ends, 60_001), np.linspace(-12, 12, 60_001), np.linspace(-1.1, 1.1, 20_001)]
    return np.concatenate(parts).astype(dtype)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", FLOATS)
def test_errors_stay_within_the_stated_bounds(name, dtype):
    extended = dtype == np.float32 or np.finfo(np.longdouble).eps < np.finfo(np.float64).eps
    # The reference itself is rounded where nothing wider is at hand.
    slack = 0.01 if extended and name != "erf" else 1.0 if dtype == np.float64 else 0.01
    for x in (bit_patterns(dtype), sweep(dtype)):
        for run in (kernels.registered()[name].fast, looped(getattr(exponential, f"{name}_scalar"))):
            assert ulps(run(x), exact(name, x)) <= BOUNDS[name] + slack


@pytest.mark.parametrize("dtype", FLOATS)
def test_exp_of_negative_numbers(dtype):
    run = looped(exponential.exp_of_negative)
    x = np.concatenate([-np.abs(sweep(dtype)), [-np.inf, -0.0]]).astype(dtype)
    assert ulps(run(x), exact("exp", x)) <= BOUNDS["exp"] + 0.01
    assert np.isnan(run(np.full(40, np.nan, dtype))).all()


def test_times_power_rounds_once_and_overflows():
    """Where there is no instruction for it LLVM calls the C library: slow, but the same."""
    assert not vectors.has_times_power()
    assert vectors.times_power(3.0, 4) == 48

    @jit
    def loop(x, n, out):
        for i in range(x.size):
            out[i] = vectors.times_power(x[i], n[i])

    powers = np.arange(-160, 140, dtype=np.int32)
    x = np.tile(np.array([1.3, -0.7], np.float32), 150)
    out = np.empty_like(x)
    loop(x, powers, out)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(out, np.ldexp(x, powers))


@pytest.mark.parametrize("dtype", FLOATS)
def test_ends_are_exact(dtype):
    inf, nan, huge, tiny = np.inf, np.nan, np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal
    x = np.array([nan, inf, -inf, huge, -huge, 0.0, -0.0, tiny, -tiny], dtype)
    half = 0.5
    slope = dtype(2 / math.sqrt(math.pi))
    table = {
        "exp": [nan, inf, 0, inf, 0, 1, 1, 1, 1],
        "sigmoid": [nan, 1, 0, 1, 0, half, half, half, half],
        "tanh": [nan, 1, -1, 1, -1, 0.0, -0.0, tiny, -tiny],
        "erf": [nan, 1, -1, 1, -1, 0.0, -0.0, slope * tiny, -slope * tiny],
    }
    for name, expected in table.items():
        for copies in (1, 100):
            out = np.repeat(kernels.registered()[name].fast(np.tile(x, copies)), 1)
            np.testing.assert_array_equal(out, np.tile(np.array(expected, dtype), copies))
            np.testing.assert_array_equal(np.signbit(out[5:9]), np.signbit(np.array(expected[5:9])))


@pytest.mark.parametrize("dtype", FLOATS)
def test_exp_overflows_and_vanishes_where_it_should(dtype):
    largest, smallest = np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal
    top, bottom = np.log(np.longdouble(largest)), np.log(np.longdouble(smallest))
    step = float(np.spacing(dtype(top)))
    x = np.array([float(top) - 2 * step, float(top) + 2 * step, float(bottom) + 0.1, float(bottom) - 1], dtype)
    below, above, least, nothing = kernels.exp.fast(x)
    assert below > largest * 0.999
    assert above == np.inf
    assert least == smallest
    assert nothing == 0


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("name", "low", "high"), [("log1p_of_fraction", 0.0, 1.0), ("log_of_sum", 1.0, 1e6)])
def test_logarithms_in_their_ranges(name, low, high, dtype):
    x = np.concatenate([np.linspace(low, high, 20_001), np.linspace(low, low + 1, 20_001)]).astype(dtype)
    if name == "log1p_of_fraction":
        x = np.concatenate([x, np.logspace(-44, 0, 2001).astype(dtype)])
    wide = x.astype(np.longdouble)
    expected = np.log1p(wide) if low == 0 else np.log(wide)
    actual = looped(getattr(exponential, name))(x)
    assert ulps(actual, expected) <= 3
    assert np.isnan(looped(getattr(exponential, name))(np.array([np.nan], dtype)))[0]


@pytest.mark.parametrize("dtype", FLOATS)
def test_integers_in_the_order_of_numbers(dtype):
    x = np.sort(np.concatenate([bit_patterns(dtype)[::100], np.array([-np.inf, np.inf, 0.0], dtype)]))
    orders = [exponential.order_of(v) for v in x]
    assert all(a <= b for a, b in itertools.pairwise(orders))
    assert [exponential.from_order(n, x[0]) for n in orders] == x.tolist()
