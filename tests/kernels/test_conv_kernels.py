"""The three kernels of convolution: twin against twin, each the adjoint of the others, memory, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_strategies import channels_last, convolutions, whole
from kernel_strategies import LAYOUTS, check_fresh, dtypes, lay_out

from tinygrad_edu import kernels
from tinygrad_edu.kernels import conv_loops
from tinygrad_edu.kernels.layout import channels_last as in_memory_order

NONE = ((0, 0), (0, 0))
ONCE = (1, 1)


def both(kernel, *args):
    """What the two twins return, after a check of the memory they return it in; inputs may not change."""
    before = [np.array(a) for a in args[:2]]
    fast, reference = kernel.fast(*args), kernel.reference(*args)
    for old, now in zip(before, args, strict=False):
        np.testing.assert_array_equal(old, now)
    for result in (fast, reference):
        check_fresh(result, args[0].dtype, *args[:2])
    return fast, reference


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_twins_agree_and_are_adjoint(data):
    """With whole numbers everything is exact: <conv(x, w), y> = <x, to_input(y, w)> = <w, to_weight(x, y)>."""
    made, dtype = data.draw(convolutions()), data.draw(dtypes)
    x, w, y = (data.draw(whole(made[name], dtype)) for name in "xwy")
    products = []
    for kernel, args, other in (
        (kernels.conv2d, (x, w), y),
        (kernels.conv2d_to_input, (y, w, x.shape[2:]), x),
        (kernels.conv2d_to_weight, (x, y, w.shape[2:]), w),
    ):
        fast, reference = both(kernel, *args, *made["rest"])
        np.testing.assert_array_equal(fast, reference)
        assert fast.shape == other.shape
        products.append(np.sum(fast.astype(np.float64) * other))
    assert products[0] == products[1] == products[2]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 20), st.integers(1, 3), st.integers(0, 9))
def test_depthwise_twins_agree(channels, size, seed):
    generator = np.random.default_rng(seed)
    x = generator.integers(-4, 5, (2, channels, 5, 6)).astype(np.float32)
    w = generator.integers(-4, 5, (channels, 1, size, 2)).astype(np.float32)
    rest = ((2, 1), ((1, 0), (0, 2)), (1, 2), channels)
    y, expected = both(kernels.conv2d, x, w, *rest)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(*both(kernels.conv2d_to_input, y, w, (5, 6), *rest))
    np.testing.assert_array_equal(*both(kernels.conv2d_to_weight, x, y, (size, 2), *rest))


def test_it_is_the_sum_it_says():
    """The formula of the module's docstring, entry by entry."""
    generator = np.random.default_rng(0)
    x, w = generator.standard_normal((2, 4, 5, 6)), generator.standard_normal((6, 2, 2, 3))
    stride, padding, dilation, groups = (2, 1), ((1, 2), (0, 3)), (3, 2), 2
    padded = np.pad(x, ((0, 0), (0, 0), *padding))
    expected = np.zeros((2, 6, 3, 5))
    for n, o, a, b in np.ndindex(expected.shape):
        for c, i, j in np.ndindex(w.shape[1:]):
            channel = o // 3 * 2 + c
            expected[n, o, a, b] += w[o, c, i, j] * padded[n, channel, 2 * a + 3 * i, b + 2 * j]
    for result in both(kernels.conv2d, x, w, stride, padding, dilation, groups):
        np.testing.assert_allclose(result, expected, rtol=1e-13, atol=1e-13)


@settings(max_examples=30, deadline=None)
@given(convolutions(), st.integers(0, 9))
def test_rounding_is_that_of_a_sum_of_its_length(made, seed):
    """float32 against float64: any order of n products errs by at most n roundings of their magnitude."""
    generator = np.random.default_rng(seed)
    x, w, y = (generator.standard_normal(made[name]).astype(np.float32) for name in "xwy")
    for kernel, args in (
        (kernels.conv2d, (x, w)),
        (kernels.conv2d_to_input, (y, w, x.shape[2:])),
        (kernels.conv2d_to_weight, (x, y, w.shape[2:])),
    ):
        a, b, *rest = *args, *made["rest"]
        exact = kernel.reference(a.astype(np.float64), b.astype(np.float64), *rest)
        magnitude = kernel.reference(np.abs(a).astype(np.float64), np.abs(b).astype(np.float64), *rest)
        terms = kernel.reference(np.ones_like(a), np.ones_like(b), *rest)
        bound = (terms + 1) * np.finfo(np.float32).eps * magnitude
        assert (np.abs(kernel.fast(a, b, *rest) - exact) <= bound).all()


def test_each_loop_is_compiled_once_per_dtype_and_width():
    """Whatever the layout of the operands: they are brought into one before a loop is entered."""
    loops = (conv_loops.convolve, conv_loops.convolve_scattered, conv_loops.convolve_to_weight)
    x, w, y = np.ones((1, 2, 3, 3), np.float32), np.ones((4, 2, 2, 2), np.float32), np.ones((1, 4, 2, 2), np.float32)
    counts = None
    for layout in LAYOUTS:
        a, b, c = (lay_out(v, layout, 1) for v in (x, w, y))
        kernels.conv2d.fast(a, b, ONCE, NONE, ONCE, 1)
        kernels.conv2d_to_input.fast(c, b, (3, 3), ONCE, NONE, ONCE, 1)
        kernels.conv2d_to_weight.fast(a, c, (2, 2), ONCE, NONE, ONCE, 1)
        now = [len(loop.dispatcher.nopython_signatures) for loop in loops]
        counts = counts or now
        assert now == counts
    # in two dtypes and three widths of the tile
    assert max(counts) <= 6


def test_nan_and_infinity_stay_where_they_are():
    x, w = np.ones((1, 2, 4, 4), np.float32), np.ones((5, 2, 2, 2), np.float32)
    x[0, 0, 0, 0], x[0, 1, 3, 3] = np.nan, np.inf
    for y in both(kernels.conv2d, x, w, ONCE, NONE, ONCE, 1):
        assert np.isnan(y[0, :, 0, 0]).all()
        assert np.isposinf(y[0, :, 2, 2]).all()
        assert np.isfinite(y).sum() == y.size - 10


def test_images_come_and_go_channels_last_without_copies():
    x = channels_last(np.ones((2, 3, 5, 5), np.float32))
    w = np.ones((4, 3, 2, 2), np.float32)
    assert np.shares_memory(in_memory_order(x), x)
    y = kernels.conv2d.fast(x, w, ONCE, NONE, ONCE, 1)
    assert y.base is None
    assert in_memory_order(y).base is not None
    assert y.transpose(0, 2, 3, 1).flags.c_contiguous
    x = kernels.conv2d_to_input.fast(y, w, (5, 5), ONCE, NONE, ONCE, 1)
    assert x.base is None
    assert x.transpose(0, 2, 3, 1).flags.c_contiguous
    assert kernels.conv2d_to_weight.fast(x, y, (2, 2), ONCE, NONE, ONCE, 1).flags.c_contiguous


@pytest.mark.parametrize("twin", ["fast", "reference"])
def test_shapes_that_do_not_fit_are_refused_before_memory_is_read(twin):
    x, w, y = np.ones((1, 4, 5, 5)), np.ones((6, 2, 2, 2)), np.ones((1, 6, 4, 4))
    conv, to_input, to_weight = (
        getattr(k, twin) for k in (kernels.conv2d, kernels.conv2d_to_input, kernels.conv2d_to_weight)
    )
    rest = (ONCE, NONE, ONCE)
    with pytest.raises(ValueError, match="do not belong together"):
        conv(x, w, *rest, 1)
    with pytest.raises(ValueError, match="do not belong together"):
        conv(x, np.ones((5, 2, 2, 2)), *rest, 2)
    with pytest.raises(ValueError, match="reaches over 6 does not fit into 5"):
        conv(x, np.ones((6, 2, 6, 2)), *rest, 2)
    with pytest.raises(ValueError, match="do not belong together"):
        to_input(y, w, (7, 5), *rest, 2)
    with pytest.raises(ValueError, match="do not belong together"):
        to_input(y[:, :5], w, (5, 5), *rest, 2)
    with pytest.raises(ValueError, match="do not belong together"):
        to_weight(x, y, (3, 2), *rest, 2)
    with pytest.raises(ValueError, match="do not belong together"):
        to_weight(x, np.ones((2, 6, 4, 4)), (2, 2), *rest, 2)
    with pytest.raises(ValueError, match="groups=0"):
        to_weight(x, y, (2, 2), *rest, 0)


@pytest.mark.parametrize("dtype", [np.int64, np.float16])
def test_other_dtypes_take_the_reference(dtype):
    x, w = np.arange(18).reshape(1, 2, 3, 3).astype(dtype), np.arange(8).reshape(1, 2, 2, 2).astype(dtype)
    for kernel, args in (
        (kernels.conv2d, (x, w)),
        (kernels.conv2d_to_input, (w[:, :1], w, (3, 3))),
        (kernels.conv2d_to_weight, (x, w[:, :1], (2, 2))),
    ):
        fast, reference = both(kernel, *args, ONCE, NONE, ONCE, 1)
        np.testing.assert_array_equal(fast, reference)
