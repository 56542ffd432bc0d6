"""`pad` in all its modes and `embedding`, against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from side_by_side import assert_agreement, normal

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F

examples = settings(max_examples=50, deadline=None)


@examples
@given(data=st.data())
def test_constant_padding_like_pytorch(torch, data):
    """Negative numbers cut off, also on the side where the other adds."""
    shape = tuple(data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)))
    pads = []
    for n in shape[::-1][: data.draw(st.integers(1, len(shape)))]:
        before = data.draw(st.integers(-n, 3))
        pads += [before, data.draw(st.integers(-n + max(-before, 0), 3))]
    value = data.draw(st.sampled_from([None, 0.0, 1.5]))
    assert_agreement(torch, data, lambda f, x: f.pad(x, pads, value=value), data.draw(normal(shape)))


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@examples
@given(data=st.data())
def test_padding_from_the_input_like_pytorch(torch, mode, data):
    axes = data.draw(st.integers(1, 3))
    lead = data.draw(st.sampled_from([(2,), (2, 1), (0, 2)])) if axes < 3 else (1, 2)
    size = [data.draw(st.integers(1, 4)) for _ in range(axes)]
    pads = []
    for n in size[::-1]:
        least = -((n - 1) // 2)
        before, after = data.draw(st.integers(least, 3)), data.draw(st.integers(least, 3))
        left = n + min(before, 0) + min(after, 0)
        most = {"reflect": n - 1, "replicate": 3, "circular": left}[mode]
        pads += [min(before, most), min(after, most)]
    assert_agreement(torch, data, lambda f, x: f.pad(x, pads, mode), data.draw(normal((*lead, *size))))


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_channels_last_images_stay_so(mode):
    x = F.conv2d(tg.randn(1, 3, 4, 4), tg.randn(5, 3, 2, 2))
    assert not x._array.flags.c_contiguous
    padded = F.pad(x, (1, 1, 1, 1), mode)
    assert padded._array.transpose(0, 2, 3, 1).flags.c_contiguous


def test_whole_numbers_are_padded_too(torch):
    np.testing.assert_array_equal(F.pad(tg.arange(3), (1, 2), value=2).numpy(), [2, 0, 1, 2, 2, 2])
    assert F.pad(tg.arange(3), (1, 2)).dtype == np.int64


ROWS = (1, 2, 3)
REFUSED = [
    ((2, 3), ((1,),), RuntimeError, "divisible by 2"),
    ((2, 3), ((1,) * 6,), RuntimeError, "less than or equal to two times the input dimension"),
    ((2, 3), ((-2, -2),), RuntimeError, "cut off more than there is"),
    ((2, 3), ((-4, 5),), RuntimeError, "cut off more than there is"),
    (ROWS, ((3, 1), "reflect"), RuntimeError, r"but got padding \(3, 1\) at dimension 2"),
    (ROWS, ((4, 0), "circular"), RuntimeError, r"but got padding \(4, 0\)"),
    ((4,), ((1, 1), "reflect"), NotImplementedError, "not supported for 1D"),
    ((1, 1, 4, 4), ((1, 1), "reflect"), NotImplementedError, "not supported for 4D"),
    (ROWS, ((1, 1), "reflect", 1.0), RuntimeError, "doesn't take in value"),
    (ROWS, ((1, 1), "mirror"), NotImplementedError, "Unrecognised padding mode mirror"),
    ((1, 2, 0), ((1, 1), "replicate"), RuntimeError, "no other empty axis"),
    ((1, 2, 1), ((-1, 0), "replicate"), RuntimeError, r"\[1, 2, 1\] is too small"),
    (ROWS, ((-4, 1), "reflect"), RuntimeError, r"would have the size \[1, 2, 0\]"),
]


@pytest.mark.parametrize(("shape", "args", "error", "message"), REFUSED)
def test_refused_as_pytorch_does(torch, shape, args, error, message):
    with pytest.raises(error, match=message):
        F.pad(tg.ones(*shape), *args)
    with pytest.raises(error):
        torch.nn.functional.pad(torch.ones(*shape), *args)


@examples
@given(data=st.data())
def test_embedding_like_pytorch(torch, data):
    """Rows used several times add up; the padding row gets no gradient."""
    rows, shape = data.draw(st.integers(1, 4)), tuple(data.draw(st.lists(st.integers(1, 3), max_size=2)))
    index = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, rows, shape)
    padding = data.draw(st.one_of(st.none(), st.integers(-rows, rows - 1)))

    def call(f, weight):
        given = tg.tensor(index) if f is F else torch.tensor(index)
        return f.embedding(given, weight, padding)

    assert_agreement(torch, data, call, data.draw(normal((rows, 3))))


def test_looking_up_nothing():
    weight = tg.ones(4, 3, requires_grad=True)
    found = F.embedding(tg.zeros(0, 2).long(), weight)
    assert found.shape == (0, 2, 3)
    found.sum().backward()
    assert not weight.grad.numpy().any()


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.0])
def test_rows_that_are_too_long_are_shortened_in_place(torch, norm_type):
    values = np.random.default_rng(0).standard_normal((5, 3)) * [[0.1], [1], [3], [0.2], [2]]
    index, weight = tg.tensor([0, 1, 1, 2]), tg.tensor(values, requires_grad=True)
    theirs = torch.tensor(values, requires_grad=True)
    found = F.embedding(index, weight, max_norm=1.0, norm_type=norm_type)
    expected = torch.nn.functional.embedding(torch.tensor([0, 1, 1, 2]), theirs, max_norm=1.0, norm_type=norm_type)
    np.testing.assert_allclose(weight.detach().numpy(), theirs.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=1e-12)
    found.sum().backward()
    np.testing.assert_array_equal(weight.grad.numpy()[:, 0], [1, 2, 1, 0, 0])


def test_embedding_refuses_what_pytorch_refuses(torch):
    table = (3, 2)
    for index, shape, padding, error, message in [
        ([5], table, None, IndexError, "rows 0 to 2, got 5"),
        ([-1], table, None, IndexError, "got -1"),
        ([1.0], table, None, RuntimeError, "dtype int64 or int32, got float32"),
        ([1], (3,), None, RuntimeError, "must be 2-D"),
        ([1], table, 3, AssertionError, "within num_embeddings"),
        ([1], table, -4, AssertionError, "within num_embeddings"),
    ]:
        with pytest.raises(error, match=message):
            F.embedding(tg.tensor(index), tg.ones(*shape), padding)
        with pytest.raises(error):
            torch.nn.functional.embedding(torch.tensor(index), torch.ones(*shape), padding)
    with pytest.raises(NotImplementedError, match="scale_grad_by_freq"):
        F.embedding(tg.tensor([1]), tg.ones(3, 2), scale_grad_by_freq=True)
