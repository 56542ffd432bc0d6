"""The kernels of normalisation: twin against twin, digits kept far from 0, empty batches, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_strategies import channels_last
from kernel_strategies import arrays, check_fresh, dtypes

from tinygrad_edu import kernels

EPS = 1e-3
image_shapes = st.one_of(
    st.tuples(st.integers(1, 5), st.integers(1, 9)),
    st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 5)),
    st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 4), st.integers(1, 4)),
)


def compare(kernel, dtype, inputs, *args):
    """The fast twin against the reference in float64, which is the definition."""
    before = [np.array(a) for a in inputs]
    fast, exact = kernel.fast(*inputs, *args), kernel.reference(*(a.astype(np.float64) for a in inputs), *args)
    same = kernel.reference(*inputs, *args)
    tolerance = 1e-11 if dtype == np.float64 else 1e-4
    for a, b, c in zip(fast, exact, same, strict=True):
        check_fresh(a, dtype, *inputs)
        assert a.shape == b.shape == c.shape
        assert c.dtype == dtype
        scale = max(1.0, float(np.abs(b).max(initial=0)))
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * scale)
        np.testing.assert_allclose(c, b, rtol=0, atol=tolerance * scale)
    for old, now in zip(before, inputs, strict=True):
        np.testing.assert_array_equal(old, now)
    return exact


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_batch_norm_twins_agree(data):
    dtype, shape = data.draw(dtypes), data.draw(image_shapes)
    x, g = data.draw(arrays(shape, dtype)), data.draw(arrays(shape, dtype))
    x, g = (channels_last(a) if data.draw(st.booleans()) else a for a in (x, g))
    weight, bias = data.draw(arrays(shape[1:2], dtype)), data.draw(arrays(shape[1:2], dtype))
    _, mean, var = compare(kernels.batch_norm, dtype, (x, weight, bias), EPS)
    compare(kernels.batch_norm_grad, dtype, (g, x, weight, mean.astype(dtype), var.astype(dtype)), EPS)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_layer_norm_twins_agree(data):
    dtype, shape = data.draw(dtypes), data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4).map(tuple))
    row = shape[data.draw(st.integers(0, len(shape) - 1)) :]
    x, g = data.draw(arrays(shape, dtype)), data.draw(arrays(shape, dtype))
    weight, bias = data.draw(arrays(row, dtype)), data.draw(arrays(row, dtype))
    _, mean, var = compare(kernels.layer_norm, dtype, (x, weight, bias), EPS)
    compare(kernels.layer_norm_grad, dtype, (g, x, weight, mean.astype(dtype), var.astype(dtype)), EPS)


def test_a_large_mean_costs_no_digits():
    """Entries near 1000 with a spread of 1, in float32: a variance from sums of squares would be all noise."""
    x = (np.random.default_rng(0).standard_normal((50, 2, 20, 20)) + 1000).astype(np.float32)
    ones, zeros = np.ones(2, np.float32), np.zeros(2, np.float32)
    _, mean, var = kernels.batch_norm.fast(x, ones, zeros, 0.0)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(mean, wide.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(var, wide.var((0, 2, 3)), rtol=1e-5)
    rows = x.reshape(4, -1)
    unit = np.ones(rows.shape[1], np.float32)
    _, mean, var = kernels.layer_norm.fast(rows, unit, unit, 0.0)
    np.testing.assert_allclose(mean, rows.astype(np.float64).mean(1), rtol=1e-6)
    np.testing.assert_allclose(var, rows.astype(np.float64).var(1), rtol=1e-5)


@pytest.mark.parametrize("place", [0, 7])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_number_that_is_not_finite(value, place):
    x = np.random.default_rng(0).standard_normal((9, 40)).astype(np.float32)
    x[place, ::3] = value
    ones = np.ones(40, np.float32)
    fast, reference = (twin(x, ones, ones, EPS) for twin in (kernels.batch_norm.fast, kernels.batch_norm.reference))
    for a, b in zip(fast, reference, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    assert np.isnan(fast[0][:, ::3]).all()
    ones, x = np.ones(9, np.float32), np.ascontiguousarray(x.T)
    fast, reference = (twin(x, ones, ones, EPS) for twin in (kernels.layer_norm.fast, kernels.layer_norm.reference))
    for a, b in zip(fast, reference, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_first_row_far_from_all_others(dtype):
    """What the fast twin measures from is then far from the mean: about as many digits are lost as the count has."""
    x = np.random.default_rng(0).standard_normal((4000, 3)).astype(dtype)
    x[0] = 1e6, -1e3, 1e-3
    ones = np.ones(3, dtype)
    _, mean, var = kernels.batch_norm.fast(x, ones, ones, 0.0)
    wide, tolerance = x.astype(np.float64), 1e-6 if dtype == np.float32 else 1e-10
    np.testing.assert_allclose(mean, wide.mean(0), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(var, wide.var(0), rtol=tolerance)
    constant = np.full((50, 3), 1e7, dtype)
    assert not kernels.batch_norm.fast(constant, ones, ones, 1.0)[2].any()


def test_empty_batches():
    for dtype in (np.float32, np.float64):
        x, ones = np.ones((0, 3, 2, 2), dtype), np.ones(3, dtype)
        z, mean, var = kernels.batch_norm.fast(x, ones, ones, EPS)
        assert z.shape == x.shape
        assert np.isnan([mean, var]).all()
        dx, dweight, dbias = kernels.batch_norm_grad.fast(x, x, ones, mean, var, EPS)
        assert dx.shape == x.shape
        assert not dweight.any()
        assert not dbias.any()
        rows = np.ones((0, 3), dtype)
        z, mean, var = kernels.layer_norm.fast(rows, ones, ones, EPS)
        assert z.shape == rows.shape
        _, dweight, dbias = kernels.layer_norm_grad.fast(rows, rows, ones, mean, var, EPS)
        assert not dweight.any()
        assert not dbias.any()


def test_channels_last_stays():
    x = channels_last(np.ones((2, 3, 4, 4), np.float32))
    ones = np.ones(3, np.float32)
    z, mean, var = kernels.batch_norm.fast(x, ones, ones, EPS)
    dx, _, _ = kernels.batch_norm_grad.fast(z, x, ones, mean, var, EPS)
    for result in (z, dx):
        assert result.base is None
        assert result.transpose(0, 2, 3, 1).flags.c_contiguous


@pytest.mark.parametrize("twin", ["fast", "reference"])
def test_shapes_that_do_not_fit_are_refused_before_memory_is_read(twin):
    x, ones = np.ones((2, 3)), np.ones(3)
    batch, batch_grad = getattr(kernels.batch_norm, twin), getattr(kernels.batch_norm_grad, twin)
    layer, layer_grad = getattr(kernels.layer_norm, twin), getattr(kernels.layer_norm_grad, twin)
    with pytest.raises(ValueError, match="one number per channel"):
        batch(x, ones, np.ones(2), EPS)
    with pytest.raises(ValueError, match="one number per channel"):
        batch(np.ones(3), ones, ones, EPS)
    with pytest.raises(ValueError, match="must be the same"):
        batch_grad(x[:1], x, ones, ones, ones, EPS)
    with pytest.raises(ValueError, match="one number per channel"):
        batch_grad(x, x, ones, np.ones(4), ones, EPS)
    with pytest.raises(ValueError, match="must end in the shape"):
        layer(x, ones, np.ones(2), EPS)
    with pytest.raises(ValueError, match="do not fit"):
        layer_grad(x[:1], x, ones, np.ones(2), np.ones(2), EPS)
    with pytest.raises(ValueError, match="do not fit"):
        layer_grad(x, x, ones, np.ones(2), np.ones(1), EPS)


def test_other_dtypes_take_the_reference():
    x, ones = np.arange(6).reshape(2, 3).astype(np.float16), np.ones(3, np.float16)
    for kernel in (kernels.batch_norm, kernels.layer_norm):
        for a, b in zip(kernel.fast(x, ones, ones, EPS), kernel.reference(x, ones, ones, EPS), strict=True):
            assert a.dtype == np.float16
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("outlier", [0, -1])
def test_an_outlier_in_the_first_row_takes_no_digits(outlier):
    x = np.random.default_rng(0).standard_normal((100_000, 1))
    x[outlier] = 1e6
    _, mean, var = kernels.batch_norm.fast(x, np.ones(1), np.zeros(1), 1e-5)
    exact = x.astype(np.longdouble)
    np.testing.assert_allclose(mean, exact.mean(0).astype(np.float64), rtol=1e-12)
    np.testing.assert_allclose(var, exact.var(0).astype(np.float64), rtol=1e-12)
