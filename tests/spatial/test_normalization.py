"""Batch and layer normalisation against PyTorch: training and evaluation, running statistics, second order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from side_by_side import assert_agreement, normal

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F

examples = settings(max_examples=40, deadline=None)
CHANNELS = 3
images = st.sampled_from([(2, 3), (5, 3), (2, 3, 4), (1, 3, 2), (2, 3, 3, 2), (1, 3, 2, 2), (0, 3, 2, 2)])


@examples
@given(data=st.data())
def test_batch_norm_in_training_like_pytorch(torch, data):
    x, eps = data.draw(normal(data.draw(images))), data.draw(st.sampled_from([1e-5, 0.1]))
    vectors = [data.draw(normal((CHANNELS,))) for _ in range(data.draw(st.sampled_from([0, 2])))]
    spread = x.var((0, *range(2, x.ndim))).min(initial=9.0) if x.size else 1.0
    if spread < 1e-3:  # entries that are (almost) equal: second gradients are as large as 1 / eps ** 2
        eps = 0.1

    def call(f, x, *vectors):
        return f.batch_norm(x, None, None, *vectors, training=True, eps=eps)

    assert_agreement(torch, data, call, x, *vectors, tolerance=1e-9)


@examples
@given(data=st.data())
def test_batch_norm_in_evaluation_like_pytorch(torch, data):
    x = data.draw(normal(data.draw(images)))
    vectors = [data.draw(normal((CHANNELS,))) for _ in range(data.draw(st.integers(0, 2)))]
    mean, var = data.draw(normal((CHANNELS,))), np.abs(data.draw(normal((CHANNELS,))))

    def call(f, x, *vectors):
        lib = tg if f is F else torch
        return f.batch_norm(x, lib.tensor(np.array(mean)), lib.tensor(np.array(var)), *vectors)

    assert_agreement(torch, data, call, x, *vectors)


@examples
@given(images, st.sampled_from([0.0, 0.1, 1.0]), st.integers(0, 9))
def test_running_statistics_like_pytorch(torch, shape, momentum, seed):
    generator = np.random.default_rng(seed)
    x, start = generator.standard_normal(shape), np.abs(generator.standard_normal((2, CHANNELS)))
    found, expected = [tg.tensor(v) for v in start], [torch.tensor(v) for v in start]
    first = found[0]
    for _ in range(2):
        y = F.batch_norm(tg.tensor(x, requires_grad=True), *found, training=True, momentum=momentum)
        torch.nn.functional.batch_norm(torch.tensor(x), *expected, training=True, momentum=momentum)
    assert y.requires_grad
    assert found[0] is first
    for a, b in zip(found, expected, strict=True):
        assert not a.requires_grad
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12)


def test_evaluation_leaves_the_running_statistics_alone():
    mean, var = tg.zeros(3), tg.ones(3)
    F.batch_norm(tg.randn(4, 3), mean, var)
    assert mean._version == var._version == 0


@examples
@given(data=st.data())
def test_layer_norm_like_pytorch(torch, data):
    shape = data.draw(st.sampled_from([(3,), (2, 3), (2, 3, 2), (0, 3), (2, 1, 2, 3)]))
    row = shape[data.draw(st.integers(0, len(shape) - 1)) :]
    if np.prod(row) in (0, 1, 2):  # two entries are always 1 apart after normalisation, whatever they were
        row = shape[-1:]
    vectors = [data.draw(normal(row)) for _ in range(data.draw(st.integers(0, 2)))]
    x = data.draw(normal(shape))

    def call(f, x, *vectors):
        return f.layer_norm(x, row, *vectors, eps=0.1)

    assert_agreement(torch, data, call, x, *vectors, tolerance=1e-9)


@pytest.mark.parametrize("shape", [(64, 8, 12, 12), (32, 20)])
def test_float32_is_as_exact_as_pytorch(torch, shape):
    generator = np.random.default_rng(0)
    x, g = (generator.standard_normal((2, *shape)) + 2).astype(np.float32)
    w, b = generator.standard_normal((2, shape[1])).astype(np.float32)

    def run(lib, functional, dtype):
        tensors = [lib.tensor(v.astype(dtype), requires_grad=True) for v in (x, w, b)]
        out = functional.batch_norm(tensors[0], None, None, *tensors[1:], training=True)
        grads = lib.autograd.grad(out, tensors, lib.tensor(g.astype(dtype)))
        return [t.detach().numpy() for t in (out, *grads)]

    found, peers = run(tg, F, np.float32), run(torch, torch.nn.functional, np.float32)
    exact = run(torch, torch.nn.functional, np.float64)
    for a, peer, e in zip(found, peers, exact, strict=True):
        assert a.dtype == np.float32
        assert abs(a - e).max() <= 2 * abs(peer - e).max() + 1e-6 * abs(e).max()


def test_one_value_per_channel_cannot_be_trained_on(torch):
    for lib, functional in ((tg, F), (torch, torch.nn.functional)):
        for shape in ((1, 3), (1, 3, 1, 1)):
            with pytest.raises(ValueError, match="Expected more than 1 value per channel when training"):
                functional.batch_norm(lib.ones(*shape), None, None, training=True)
        assert tuple(functional.batch_norm(lib.ones(1, 3), lib.zeros(3), lib.ones(3)).shape) == (1, 3)


X, THREE, TWO = (2, 3), (3,), (2,)
BATCH_REFUSED = [
    ([X, None, None], {}, RuntimeError, "running_mean must be defined"),
    ([X, THREE, None], {"training": True}, ValueError, "both be None or neither"),
    ([X, TWO, TWO], {}, RuntimeError, r"running_mean should have shape \[3\], not \[2\]"),
    ([X, THREE, THREE, TWO], {}, RuntimeError, r"weight should have shape \[3\]"),
    ([THREE, THREE, THREE], {}, RuntimeError, r"an input \(N, C, ...\), got shape \[3\]"),
    ([X, None, None], {"training": True, "eps": 0.0}, ValueError, "eps must be positive during training"),
]


@pytest.mark.parametrize(("shapes", "kwargs", "error", "message"), BATCH_REFUSED)
def test_batch_norm_refuses_what_pytorch_refuses(torch, shapes, kwargs, error, message):
    with pytest.raises(error, match=message):
        F.batch_norm(*(None if s is None else tg.ones(*s) for s in shapes), **kwargs)
    with pytest.raises(error):
        torch.nn.functional.batch_norm(*(None if s is None else torch.ones(*s) for s in shapes), **kwargs)


LAYER_REFUSED = [
    (X, (2,), None, RuntimeError, r"expected input with shape \[\*, 2\], but got input of size \[2, 3\]"),
    (X, (3,), TWO, RuntimeError, r"weight should have shape \[3\], not \[2\]"),
    (X, (), None, RuntimeError, "at least one element"),
    (X, 3, None, TypeError, "tuple of ints, not int"),
    (THREE, (2, 3), None, RuntimeError, r"\[\*, 2, 3\]"),
]


@pytest.mark.parametrize(("shape", "row", "weight", "error", "message"), LAYER_REFUSED)
def test_layer_norm_refuses_what_pytorch_refuses(torch, shape, row, weight, error, message):
    with pytest.raises(error, match=message):
        F.layer_norm(tg.ones(*shape), row, None if weight is None else tg.ones(*weight))
    with pytest.raises(error):
        torch.nn.functional.layer_norm(torch.ones(*shape), row, None if weight is None else torch.ones(*weight))


def test_dtypes_must_agree():
    with pytest.raises(RuntimeError, match="the input is float64, running_mean is float32"):
        F.batch_norm(tg.ones(2, 3).double(), tg.zeros(3), tg.ones(3), training=True)
    with pytest.raises(RuntimeError, match="the input is float32, weight is float64"):
        F.layer_norm(tg.ones(2, 3), (3,), tg.ones(3).double())
