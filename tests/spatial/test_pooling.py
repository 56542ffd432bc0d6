"""Pooling against PyTorch: drawn windows, layouts and upstreams, ties, NaN, first and second order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from side_by_side import assert_agreement, normal

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F

examples = settings(max_examples=40, deadline=None)


@st.composite
def pooling(draw, count, dilations=1):
    """(shape of the input, keyword arguments) of a pooling that fits; windows overlap, have gaps, or hang over."""
    axes = []
    for _ in range(count):
        kernel, stride, dilation = draw(st.integers(1, 4)), draw(st.integers(1, 5)), draw(st.integers(1, dilations))
        # PyTorch's gradient of a window that sees nothing but padding is undefined
        padding = draw(st.integers(0, kernel // 2)) if dilation == 1 else 0
        least = max(dilation * (kernel - 1) + 1 - 2 * padding, 1)
        axes.append((kernel, stride, padding, dilation, least + draw(st.integers(0, 5))))
    kernel, stride, padding, dilation, size = zip(*axes, strict=True)
    kwargs = {"kernel_size": kernel, "padding": padding, "ceil_mode": draw(st.booleans())}
    if dilations > 1:
        kwargs["dilation"] = dilation
    if draw(st.booleans()):
        kwargs["stride"] = stride
    lead = draw(st.sampled_from([(1,), (2,), (0,), ()]))
    return (*lead, draw(st.integers(1, 3)), *size), kwargs


@pytest.mark.parametrize("name", ["max_pool1d", "max_pool2d"])
@examples
@given(data=st.data())
def test_max_pooling_like_pytorch(torch, name, data):
    """With ties: values are rounded to halves."""
    shape, kwargs = data.draw(pooling(int(name[-2]), 2))
    x = data.draw(normal(shape))
    x = np.round(2 * x) / 2 if data.draw(st.booleans()) else x
    assert_agreement(torch, data, lambda f, x: getattr(f, name)(x, **kwargs), x)


@pytest.mark.parametrize("name", ["max_pool1d", "max_pool2d"])
@examples
@given(data=st.data())
def test_indices_like_pytorch(torch, name, data):
    """Also where entries are equal, infinite or NaN."""
    shape, kwargs = data.draw(pooling(int(name[-2]), 2))
    x = np.array(np.round(data.draw(normal(shape))))
    for special in data.draw(st.lists(st.sampled_from([np.nan, np.inf, -np.inf]), max_size=4)) if x.size else ():
        x.flat[data.draw(st.integers(0, x.size - 1))] = special
    values, indices = getattr(F, name)(tg.tensor(x), **kwargs, return_indices=True)
    expected = getattr(torch.nn.functional, name)(torch.tensor(x), **kwargs, return_indices=True)
    assert indices.dtype == np.int64
    assert not indices.requires_grad
    np.testing.assert_array_equal(values.numpy(), expected[0].numpy())
    np.testing.assert_array_equal(indices.numpy(), expected[1].numpy())


@pytest.mark.parametrize("name", ["avg_pool1d", "avg_pool2d"])
@examples
@given(data=st.data())
def test_average_pooling_like_pytorch(torch, name, data):
    shape, kwargs = data.draw(pooling(int(name[-2])))
    kwargs["count_include_pad"] = data.draw(st.booleans())
    if name == "avg_pool2d":
        kwargs["divisor_override"] = data.draw(st.sampled_from([None, 3, -2]))
    assert_agreement(torch, data, lambda f, x: getattr(f, name)(x, **kwargs), data.draw(normal(shape)))


@pytest.mark.parametrize("name", ["adaptive_avg_pool1d", "adaptive_avg_pool2d"])
@examples
@given(data=st.data())
def test_adaptive_pooling_like_pytorch(torch, name, data):
    count = int(name[-2])
    size = tuple(data.draw(st.integers(1, 7)) for _ in range(count))
    out = tuple(data.draw(st.integers(1, 7)) for _ in range(count))
    out = data.draw(st.sampled_from([out, out[0], (None, *out[1:])])) if count == 2 else out[0]
    lead = data.draw(st.sampled_from([(1, 2), (2, 3), (0, 1), (2,)]))
    assert_agreement(torch, data, lambda f, x: getattr(f, name)(x, out), data.draw(normal((*lead, *size))))


def test_relu_and_pooling_send_each_gradient_to_one_entry():
    """Windows full of zeros are all ties: the whole gradient goes to the first entry, none is lost or doubled."""
    x = tg.full((1, 2, 4, 4), -1.0, requires_grad=True)
    pooled = F.max_pool2d(x * 0, 2)
    (g,) = tg.autograd.grad(pooled, x * 1, tg.ones(1, 2, 2, 2), allow_unused=True)
    assert g is None
    y = (x * 0).detach().requires_grad_()
    (g,) = tg.autograd.grad(F.max_pool2d(y, 2), y, tg.ones(1, 2, 2, 2))
    expected = np.zeros((1, 2, 4, 4))
    expected[:, :, ::2, ::2] = 1
    np.testing.assert_array_equal(g.numpy(), expected)


def test_overlapping_windows_add_up():
    x = tg.tensor([[[0.0, 1.0, 5.0, 1.0, 0.0]]], requires_grad=True)
    F.max_pool1d(x, 3, 1).backward(tg.tensor([[[1.0, 10.0, 100.0]]]))
    np.testing.assert_array_equal(x.grad.numpy(), [[[0, 0, 111, 0, 0]]])


def test_the_result_may_be_written_in_place():
    """Only the places are kept for the gradient, as in PyTorch."""
    x = tg.tensor([[[1.0, -2.0], [-3.0, -4.0]]], requires_grad=True)
    y = F.max_pool2d(x, (1, 2))
    F.relu(y, inplace=True).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [[[1, 0], [0, 0]]])


IMAGE = (1, 1, 5, 5)
REFUSED = [
    ("max_pool2d", (1, 1, 2, 2), (3,), "spans 3 does not fit into size 2"),
    ("avg_pool2d", (1, 1, 2, 2), (3,), "spans 3 does not fit into size 2"),
    ("max_pool1d", (1, 1, 2), (3,), "spans 3 does not fit into size 2"),
    ("max_pool2d", IMAGE, (2, None, 2), "between 0 and half of the 2"),
    ("avg_pool2d", IMAGE, (2, None, 2), "between 0 and half of the 2"),
    ("max_pool2d", (5, 5), (2,), "Expected 3D"),
    ("max_pool2d", (1, 0, 5, 5), (2,), "at most 0 dim batch size"),
    ("max_pool2d", IMAGE, (2, 0), "stride must be at least 1"),
    ("max_pool2d", IMAGE, (0,), "kernel_size must be at least 1"),
    ("max_pool2d", IMAGE, (2, 1, 0, 0), "dilation must be at least 1"),
    ("max_pool2d", IMAGE, ((2, 2, 2),), "an int or 2 ints"),
    ("avg_pool2d", IMAGE, (2, None, 0, False, True, 0), "divisor must be not zero"),
    ("adaptive_avg_pool2d", IMAGE, (-1,), "output_size must be at least 0"),
    ("adaptive_avg_pool2d", IMAGE, ((1, 2, 3),), "an int or 2 ints"),
]


@pytest.mark.parametrize(("name", "shape", "args", "message"), REFUSED)
def test_refused_as_pytorch_does(torch, name, shape, args, message):
    with pytest.raises(RuntimeError, match=message):
        getattr(F, name)(tg.ones(*shape), *args)
    with pytest.raises(RuntimeError):
        getattr(torch.nn.functional, name)(torch.ones(*shape), *args)
