"""The kernels of pooling: twin against twin with ties, NaN and windows that hang over; adjoints; refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_strategies import channels_last, whole
from kernel_strategies import check_fresh, dtypes

from tinygrad_edu import kernels
from tinygrad_edu.kernels import pool_size
from tinygrad_edu.ops.pool import adaptive_windows, windows

WHOLE = ((2, 2), (2, 2), (0, 0), (1, 1), False)


@st.composite
def poolings(draw, dilations=3):
    """(size of the images, (kernel, stride, padding, dilation, ceil_mode), size of the result)."""
    ceil_mode, axes = draw(st.booleans()), []
    for _ in range(2):
        kernel, stride, dilation = draw(st.integers(1, 4)), draw(st.integers(1, 5)), draw(st.integers(1, dilations))
        reach = dilation * (kernel - 1) + 1
        padding = draw(st.integers(0, reach // 2))
        size = max(draw(st.integers(1, 8)), reach - 2 * padding)
        axes.append(
            (size, kernel, stride, padding, dilation, pool_size(size, kernel, stride, padding, dilation, ceil_mode))
        )
    size, kernel, stride, padding, dilation, out = zip(*axes, strict=True)
    return size, (kernel, stride, padding, dilation, ceil_mode), out


leads = st.tuples(st.sampled_from([1, 2, 0]), st.integers(1, 9))


@settings(max_examples=60, deadline=None)
@given(poolings(), leads, dtypes, st.data())
def test_max_pool_twins_agree(drawn, lead, dtype, data):
    """Values and places, with many ties and now and then NaN and infinity."""
    size, settings_, out = drawn
    x = np.array(data.draw(whole((*lead, *size), dtype, 2)))
    for special in data.draw(st.lists(st.sampled_from([np.nan, np.inf, -np.inf, -0.0]), max_size=4)) if x.size else ():
        x.flat[data.draw(st.integers(0, x.size - 1))] = special
    x = channels_last(x) if data.draw(st.booleans()) else x
    before = x.copy()
    fast, reference = kernels.max_pool2d.fast(x, *settings_), kernels.max_pool2d.reference(x, *settings_)
    for a, b, kind in zip(fast, reference, (dtype, np.int16), strict=True):
        check_fresh(a, kind, x)
        assert a.shape == b.shape == (*lead, *out)
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(x, before)
    values, places = fast
    np.testing.assert_array_equal(
        kernels.pool_gather(np.nan_to_num(x), places)[places >= 0], np.nan_to_num(values)[places >= 0]
    )
    assert np.isneginf(values[places < 0]).all()


@pytest.mark.parametrize(("size", "kind"), [((128, 256), np.int16), ((129, 256), np.int32)])
def test_places_are_short_where_the_image_allows_it(size, kind):
    x = np.arange(size[0] * size[1], dtype=np.float32).reshape(1, 1, *size)
    for twin in ("fast", "reference"):
        pool, gather, scatter = (
            getattr(k, twin) for k in (kernels.max_pool2d, kernels.pool_gather, kernels.pool_scatter)
        )
        values, places = pool(x, *WHOLE)
        assert places.dtype == kind
        np.testing.assert_array_equal(places, values)
        np.testing.assert_array_equal(gather(x, places), values)
        put = scatter(values, places, size)
        np.testing.assert_array_equal(put, np.where(np.isin(x, values), x, 0))


@settings(max_examples=60, deadline=None)
@given(poolings(dilations=2), st.tuples(st.integers(0, 3), st.integers(1, 40)), dtypes, st.data())
def test_scatter_to_the_places_of_a_pooling(drawn, lead, dtype, data):
    """Every image of what comes from above has NaN or infinity in it; one may have places in other windows."""
    size, settings_, out = drawn
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x, g = (rng.standard_normal((*lead, *s)).astype(dtype) for s in (size, out))
    places = kernels.max_pool2d.fast(x, *settings_)[1]
    if g.size:
        g[..., 0, 0] = rng.choice([np.nan, np.inf, 1.0, -0.0], g.shape[:2])
        if data.draw(st.booleans()):
            places[rng.integers(lead[0])] = rng.integers(-1, size[0] * size[1], places.shape[1:])
    fast, reference = (twin(g, places, size) for twin in (kernels.pool_scatter.fast, kernels.pool_scatter.reference))
    check_fresh(fast, dtype, g)
    tolerance = 64 * np.finfo(dtype).eps
    np.testing.assert_allclose(fast, reference, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("channels", [1, 8, 40])
def test_scatter_finds_a_place_that_does_not_exist_in_any_window(channels):
    """In the last image, among cells of 2 x 2 that are all right before."""
    g, places = np.ones((3, channels, 4, 4), np.float32), np.zeros((3, channels, 4, 4), np.int16)
    places += 2 * np.arange(4)[:, None] * 8 + 2 * np.arange(4)
    assert kernels.pool_scatter.fast(g, places, (8, 8)).sum() == g.size
    for bad in (64, -2):
        places[2, -1, 3, 3] = bad
        with pytest.raises(IndexError, match="outside of an image"):
            kernels.pool_scatter.fast(g, places, (8, 8))
    places[2, -1, 3, 3] = -1
    assert kernels.pool_scatter.fast(g, places, (8, 8)).sum() == g.size - 1


def test_first_of_equal_entries_and_last_nan_count():
    x = np.array([[[[1.0, 5.0, 5.0, 5.0]], [[np.nan, 1.0, np.nan, 2.0]], [[-np.inf] * 4]]])
    for twin in (kernels.max_pool2d.fast, kernels.max_pool2d.reference):
        values, places = twin(x, (1, 4), (1, 4), (0, 0), (1, 1), False)
        np.testing.assert_array_equal(values[0, :, 0, 0], [5, np.nan, -np.inf])
        assert places[0, :, 0, 0].tolist() == [1, 2, 0]


def test_a_window_that_sees_only_padding_is_nowhere():
    x = np.ones((1, 1, 1, 1), np.float32)
    for twin in (kernels.max_pool2d.fast, kernels.max_pool2d.reference):
        values, places = twin(x, (2, 1), (1, 1), (2, 0), (3, 1), False)
        assert values.ravel().tolist() == [-np.inf, -np.inf]
        assert places.ravel().tolist() == [-1, -1]


@settings(max_examples=30, deadline=None)
@given(st.tuples(st.integers(0, 3), st.integers(0, 40), st.integers(0, 9), st.integers(0, 40)), dtypes, st.data())
def test_twins_of_channel_sums_agree(shape, dtype, data):
    x = np.array(data.draw(whole(shape, dtype)))
    if x.size:
        x.flat[data.draw(st.integers(0, x.size - 1))] = data.draw(st.sampled_from([1, np.nan, np.inf]))
    for array in (x, channels_last(x)):
        fast, reference = kernels.channel_sums.fast(array), kernels.channel_sums.reference(array)
        np.testing.assert_array_equal(fast, reference)
        check_fresh(fast, dtype, array)


@settings(max_examples=40, deadline=None)
@given(leads, dtypes, st.data())
def test_gather_and_scatter_twins_agree_and_are_adjoint(lead, dtype, data):
    size, out = ((data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5))) for _ in range(2))
    x, g = data.draw(whole((*lead, *size), dtype)), data.draw(whole((*lead, *out), dtype))
    seed = data.draw(st.integers(0, 99))
    places = np.random.default_rng(seed).integers(-1, size[0] * size[1], g.shape)
    places = channels_last(places) if data.draw(st.booleans()) else places
    results = []
    for kernel, args in ((kernels.pool_gather, (x, places)), (kernels.pool_scatter, (g, places, size))):
        fast, reference = kernel.fast(*args), kernel.reference(*args)
        np.testing.assert_array_equal(fast, reference)
        check_fresh(fast, dtype, x, g)
        results.append(fast)
    picked, put = results
    assert np.sum(picked.astype(float) * g) == np.sum(put.astype(float) * x)


@settings(max_examples=40, deadline=None)
@given(poolings(dilations=1), leads, dtypes, st.data())
def test_average_twins_agree_and_are_adjoint(drawn, lead, dtype, data):
    size, (kernel, stride, padding, _, ceil_mode), out = drawn
    override = data.draw(st.sampled_from([None, 3, -2]))
    tables = windows(size, kernel, stride, padding, ceil_mode, data.draw(st.booleans()), override, np.dtype(dtype))
    if data.draw(st.booleans()):
        out = (data.draw(st.integers(0, 5)), data.draw(st.integers(1, 5)))
        tables = adaptive_windows(size, out, np.dtype(dtype))
    x, g = data.draw(whole((*lead, *size), dtype)), data.draw(whole((*lead, *out), dtype))
    results = []
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    for kernel, args in ((kernels.average_windows, (x, *tables)), (kernels.spread_windows, (g, size, *tables))):
        fast, reference = kernel.fast(*args), kernel.reference(*args)
        check_fresh(fast, dtype, x, g)
        np.testing.assert_allclose(fast, reference, rtol=tolerance, atol=tolerance)
        results.append(fast)
    assert results[0].shape == g.shape
    np.testing.assert_allclose(np.sum(results[0] * g), np.sum(results[1] * x), rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("twin", ["fast", "reference"])
def test_what_does_not_fit_is_refused_before_memory_is_read(twin):
    pool, gather, scatter, spread = (
        getattr(k, twin)
        for k in (kernels.max_pool2d, kernels.pool_gather, kernels.pool_scatter, kernels.spread_windows)
    )
    x, places = np.ones((1, 1, 3, 3)), np.zeros((1, 1, 2, 2), np.int64)
    with pytest.raises(ValueError, match="spans 4 does not fit into size 3"):
        pool(x, (4, 1), (1, 1), (0, 0), (1, 1), False)
    with pytest.raises(ValueError, match="between 0 and half of the 2"):
        pool(x, (2, 2), (1, 1), (2, 0), (1, 1), False)
    for bad in (9, -2):
        with pytest.raises(IndexError, match="outside of an image"):
            gather(x, np.full_like(places, bad))
        with pytest.raises(IndexError, match="outside of an image"):
            scatter(x[:, :, :2, :2], np.full_like(places, bad), (3, 3))
    with pytest.raises(TypeError, match="signed integers"):
        gather(x, places.astype(float))
    with pytest.raises(ValueError, match="do not belong together"):
        gather(np.ones((2, 1, 3, 3)), places)
    with pytest.raises(ValueError, match="same shape"):
        scatter(x, places, (3, 3))
    with pytest.raises(ValueError, match="there are"):
        spread(x, (4, 4), *adaptive_windows((4, 4), (2, 2), x.dtype))


def test_sizes_with_ceil_mode():
    # size, kernel, stride, padding, dilation: number of windows, and with ceil_mode
    for *axis, floor, ceil in [
        (4, 2, 2, 0, 1, 2, 2),
        (5, 2, 2, 0, 1, 2, 3),
        (5, 2, 3, 0, 1, 2, 2),
        (1, 1, 3, 0, 1, 1, 1),
        (4, 3, 2, 1, 1, 2, 3),
        (3, 2, 2, 1, 1, 2, 2),
        (6, 2, 2, 0, 3, 2, 2),
    ]:
        assert pool_size(*axis, False) == floor, axis
        assert pool_size(*axis, True) == ceil, axis


@pytest.mark.parametrize("dtype", [np.float16])
def test_other_dtypes_take_the_reference(dtype):
    x, places = np.arange(16).reshape(1, 1, 4, 4).astype(dtype), np.zeros((1, 1, 2, 2), np.int32)
    calls = [
        (kernels.max_pool2d, (x, *WHOLE)),
        (kernels.pool_gather, (x, places)),
        (kernels.pool_scatter, (x[:, :, :2, :2], places, (4, 4))),
        (kernels.average_windows, (x, *adaptive_windows((4, 4), (2, 2), np.dtype(dtype)))),
    ]
    for kernel, args in calls:
        np.testing.assert_array_equal(kernel.fast(*args), kernel.reference(*args))


def test_means_need_a_divisor_for_each_window():
    halves = np.array([[0, 2], [2, 4]])
    for twin in (kernels.average_windows.fast, kernels.average_windows.reference):
        with pytest.raises(IndexError):
            twin(np.ones((1, 1, 4, 4)), halves, halves, np.ones((1, 1)))
