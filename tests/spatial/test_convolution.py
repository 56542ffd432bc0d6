"""Convolution and its transposed form against PyTorch: drawn geometry, layouts and upstreams, to second order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from side_by_side import assert_agreement, normal, plain

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from tinygrad_edu.engine.primitive import registry

examples = settings(max_examples=40, deadline=None)


def axes(count, least):
    """`count` numbers, or now and then one for all."""
    one = st.integers(least, 3)
    return st.one_of(one, st.tuples(*[one] * count))


def each(value, count):
    return (value,) * count if isinstance(value, int) else value


@st.composite
def convolution(draw, count):
    """(shape of the input, of the weight, of the bias, keyword arguments) of a convolution that fits."""
    groups, per_group, columns = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(count))
    kwargs = {"stride": draw(axes(count, 1)), "padding": draw(axes(count, 0)), "dilation": draw(axes(count, 1))}
    if draw(st.integers(0, 4)) == 4:
        kwargs |= {"padding": "same", "stride": 1}
    padding = (9,) * count if kwargs["padding"] == "same" else each(kwargs["padding"], count)
    reach = [d * (k - 1) + 1 for d, k in zip(each(kwargs["dilation"], count), kernel, strict=True)]
    size = [max(draw(st.integers(1, 7)), r - 2 * p) for r, p in zip(reach, padding, strict=True)]
    lead = draw(st.sampled_from([(1,), (2,), (0,), ()]))
    x, w = (*lead, groups * per_group, *size), (groups * columns, per_group, *kernel)
    return x, w, w[:1], {**kwargs, "groups": groups}


@pytest.mark.parametrize("name", ["conv1d", "conv2d"])
@examples
@given(data=st.data())
def test_convolution_like_pytorch(torch, name, data):
    x, w, b, kwargs = data.draw(convolution(int(name[4])))
    arrays = [data.draw(normal(shape)) for shape in (x, w, b)[: data.draw(st.integers(2, 3))]]
    assert_agreement(torch, data, lambda f, *t: getattr(f, name)(*t, **kwargs), *arrays)


@st.composite
def transposed(draw, count):
    """The same for a transposed convolution with output padding."""
    groups, per_group, columns = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(count))
    stride, dilation = draw(axes(count, 1)), draw(axes(count, 1))
    limits = zip(each(stride, count), each(dilation, count), strict=True)
    more = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in limits)
    size = tuple(draw(st.integers(1, 4)) for _ in range(count))
    whole = [
        (n - 1) * s + d * (k - 1) + 1 + m
        for n, s, d, k, m in zip(size, each(stride, count), each(dilation, count), kernel, more, strict=True)
    ]
    padding = tuple(draw(st.integers(0, min(3, (n - 1) // 2))) for n in whole)
    kwargs = {"stride": stride, "padding": padding, "output_padding": more, "dilation": dilation, "groups": groups}
    lead = draw(st.sampled_from([(1,), (2,), (0,), ()]))
    w = (groups * per_group, columns, *kernel)
    return (*lead, groups * per_group, *size), w, (groups * columns,), kwargs


@pytest.mark.parametrize("name", ["conv_transpose1d", "conv_transpose2d"])
@examples
@given(data=st.data())
def test_transposed_convolution_like_pytorch(torch, name, data):
    x, w, b, kwargs = data.draw(transposed(int(name[-2])))
    arrays = [data.draw(normal(shape)) for shape in (x, w, b)[: data.draw(st.integers(2, 3))]]
    assert_agreement(torch, data, lambda f, *t: getattr(f, name)(*t, **kwargs), *arrays)


@pytest.mark.parametrize("padding", [0, (1, 0), 2])
def test_output_padding_beyond_the_stride(torch, padding):
    """Allowed below the dilation: the rows lie outside of every window."""
    x, w = np.random.default_rng(0).standard_normal((2, 2, 3, 3)), np.ones((2, 1, 2, 2))
    kwargs = {"stride": (1, 2), "padding": padding, "output_padding": 2, "dilation": 3}
    found = F.conv_transpose2d(tg.tensor(x), tg.tensor(w), **kwargs)
    expected = torch.nn.functional.conv_transpose2d(torch.tensor(x), torch.tensor(w), **kwargs)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-12, atol=1e-12)


@examples
@given(data=st.data())
def test_float32_errs_no_more_than_a_sum_of_its_length(torch, data):
    """Result and gradients, here and in PyTorch: within n + 1 roundings of n products."""
    x, w, _, kwargs = data.draw(convolution(2))
    arrays = [data.draw(normal(shape, np.float32)) for shape in (x, w)]
    g = None

    def run(lib, functional, inputs, upstream):
        nonlocal g
        tensors = [lib.from_numpy(plain(a)).requires_grad_() for a in inputs]
        out = functional.conv2d(*tensors, **kwargs)
        if g is None:
            g = data.draw(normal(tuple(out.shape), np.float32))
        grads = lib.autograd.grad(out, tensors, lib.from_numpy(plain(upstream(g))))
        return [t.detach().numpy() for t in (out, *grads)]

    found, peers = run(tg, F, arrays, lambda g: g), run(torch, torch.nn.functional, arrays, lambda g: g)
    wide = [a.astype(np.float64) for a in arrays]
    exact = run(tg, F, wide, lambda g: g.astype(np.float64))
    magnitude = run(tg, F, [abs(a) for a in wide], lambda g: abs(g).astype(np.float64))
    terms = run(tg, F, [np.ones_like(a) for a in wide], lambda g: np.ones(g.shape))
    for a, peer, e, m, n in zip(found, peers, exact, magnitude, terms, strict=True):
        assert a.dtype == np.float32
        bound = (n + 1) * np.finfo(np.float32).eps * m
        assert (abs(a - e) <= bound).all()
        assert (abs(a - peer) <= 2 * bound).all()


def test_the_three_primitives_are_each_others_gradients():
    """Of second order too: no other primitive computes with images and weights."""
    x = tg.randn(1, 2, 5, 5, requires_grad=True)
    w = tg.randn(3, 2, 2, 2, requires_grad=True)
    with tg.record() as program:
        y = F.conv2d(x, w, stride=2)
        (gx, gw) = tg.autograd.grad((y * y).sum(), (x, w), create_graph=True)
        (gx.sum() * 2 + (gw * gw).sum()).backward()
    used = {line.op for line in program.instructions if line.op in registry and line.op.startswith("conv")}
    assert used == {"conv2d", "conv2d_to_input", "conv2d_to_weight"}


ONE = (1, 1, 1, 1)
REFUSED = [
    ("conv2d", [(3, 3), ONE], {}, RuntimeError, r"Expected 3D \(unbatched\) or 4D \(batched\) input to conv2d"),
    ("conv1d", [(2, 3, 7, 2), (4, 3, 2)], {}, RuntimeError, r"Expected 2D .* got input of size: \[2, 3, 7, 2\]"),
    ("conv2d", [(1, 3, 5, 5), (2, 2, 2, 2)], {}, RuntimeError, "to have 2 channels, but got 3 channels"),
    ("conv2d", [(1, 4, 5, 5), (3, 2, 2, 2)], {"groups": 2}, RuntimeError, "divisible by 2 at dimension 0"),
    ("conv2d", [ONE, ONE], {"groups": 0}, RuntimeError, "groups must be at least 1"),
    ("conv2d", [(1, 1, 2, 2), (1, 1, 3, 3)], {}, RuntimeError, r"input size per channel: \[2, 2\].*can't be greater"),
    ("conv2d", [(1, 1, 0, 2), ONE], {}, RuntimeError, "can't be greater"),
    ("conv2d", [ONE, ONE], {"stride": 0}, RuntimeError, "stride must be at least 1"),
    ("conv2d", [ONE, ONE], {"padding": -1}, RuntimeError, "padding must be at least 0"),
    ("conv2d", [ONE, ONE], {"dilation": 0}, RuntimeError, "dilation must be at least 1"),
    ("conv2d", [ONE, ONE, (3,)], {}, RuntimeError, "bias to be 1-dimensional with 1 elements"),
    ("conv2d", [ONE, ONE], {"stride": 2, "padding": "same"}, RuntimeError, "not supported for strided"),
    ("conv2d", [ONE, ONE], {"padding": "foo"}, RuntimeError, "invalid padding string 'foo'"),
    ("conv2d", [ONE, ONE], {"stride": (1, 1, 1)}, RuntimeError, "an int or 2 ints"),
    ("conv2d", [ONE, ONE], {"stride": 1.0}, TypeError, "'stride' must be an int"),
    ("conv2d", [ONE, (1, 1, 0, 1)], {}, RuntimeError, "4D weight with a kernel"),
    ("conv_transpose2d", [ONE, ONE], {"output_padding": 1}, RuntimeError, "smaller than either stride or dilation"),
    ("conv_transpose2d", [(1, 3, 3, 3), (2, 3, 2, 2)], {}, RuntimeError, "to have 2 channels"),
    ("conv_transpose2d", [ONE, (1, 1, 2, 2)], {"padding": 1}, RuntimeError, r"\[0, 0\]. Output size is too small"),
    ("conv_transpose2d", [ONE, ONE], {"padding": "same"}, TypeError, "'padding' must be an int"),
]


@pytest.mark.parametrize(("name", "shapes", "kwargs", "error", "message"), REFUSED)
def test_refused_as_pytorch_does(torch, name, shapes, kwargs, error, message):
    with pytest.raises(error, match=message):
        getattr(F, name)(*(tg.ones(*s) for s in shapes), **kwargs)
    with pytest.raises(error):
        getattr(torch.nn.functional, name)(*(torch.ones(*s) for s in shapes), **kwargs)


def test_dtypes_must_agree():
    x, w = tg.ones(1, 1, 2, 2), tg.ones(1, 1, 1, 1)
    with pytest.raises(RuntimeError, match="input float32, weight float64"):
        F.conv2d(x, w.double())
    with pytest.raises(RuntimeError, match="bias float64"):
        F.conv2d(x, w, tg.ones(1).double())
    with pytest.raises(RuntimeError, match="floating tensor, not int64"):
        F.conv2d(x.long(), w.long())
    with pytest.raises(TypeError, match="must be Tensor, not list"):
        F.conv2d([1], w)
