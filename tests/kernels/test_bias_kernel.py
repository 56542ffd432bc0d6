"""Channel numbers added to images: the fast twin gives the reference's digits and memory order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_strategies import FLOATS, arrays, dtypes

from tinygrad_edu import kernels
from tinygrad_edu.kernels.layout import empty_channels_last


def channels_last(x):
    out = empty_channels_last(x.shape, x.dtype)
    out[...] = x
    return out


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_twins_agree_to_the_bit(data):
    dtype = data.draw(dtypes)
    n, c, h, w = (data.draw(st.integers(0, largest)) for largest in (3, 9, 4, 4))
    x = data.draw(arrays((n, c, h, w), dtype, special=True))
    bias = data.draw(arrays((c, 1, 1), dtype, special=True))
    for images in (x, channels_last(x)):
        with np.errstate(all="ignore"):
            found = kernels.add_channels.fast(images, bias)
        expected = kernels.add_channels.reference(images, bias)
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == dtype
        if min(x.shape) > 1:
            assert found.strides == expected.strides


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("channels", [1, 7, 512, 513])
def test_rows_longer_than_a_period(dtype, channels):
    generator = np.random.default_rng(0)
    x = channels_last(generator.standard_normal((3, channels, 9, 5)).astype(dtype))
    bias = generator.standard_normal((channels, 1, 1)).astype(dtype)
    np.testing.assert_array_equal(kernels.add_channels.fast(x, bias), x + bias)


def test_other_shapes_are_numpys():
    x, bias = np.arange(6.0).reshape(2, 3), np.ones((2, 1))
    np.testing.assert_array_equal(kernels.add_channels.fast(x, bias), x + 1)
    images = channels_last(np.zeros((1, 3, 2, 2)))
    for bias in (np.arange(4.0).reshape(2, 2), np.arange(6.0).reshape(3, 1, 2), np.ones(1)):
        np.testing.assert_array_equal(kernels.add_channels.fast(images, bias), images + bias)
    with pytest.raises(ValueError, match="broadcast"):
        kernels.add_channels.fast(images, np.ones((4, 1, 1)))
