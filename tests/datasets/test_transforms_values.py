"""ToTensor, Normalize, Compose, Lambda: the numbers, the shapes, and what they refuse."""

import copy
import pickle

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.transforms import (
    Compose,
    Lambda,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    RandomRotation,
    RandomShift,
    ToTensor,
)


def pixels(*shape):
    return np.random.RandomState(0).randint(0, 256, shape).astype(np.uint8)


@pytest.mark.parametrize(
    ("shape", "axes", "expected"),
    [
        ((5, 7), None, (1, 5, 7)),
        ((5, 7, 1), (2, 0, 1), (1, 5, 7)),
        ((5, 7, 3), (2, 0, 1), (3, 5, 7)),
        ((2, 5, 7, 3), (0, 3, 1, 2), (2, 3, 5, 7)),
        ((0, 5, 7, 1), (0, 3, 1, 2), (0, 1, 5, 7)),
    ],
)
def test_to_tensor(shape, axes, expected):
    picture = pixels(*shape)
    first = picture[None] if axes is None else picture.transpose(axes)
    image = ToTensor()(picture)
    assert image.shape == expected
    assert image.dtype == tg.float32
    assert image.is_contiguous()
    np.testing.assert_array_equal(image.numpy(), first.astype(np.float32) / np.float32(255))


def test_to_tensor_divides_as_pytorch_does(torch):
    every = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(ToTensor()(every).numpy()[0], torch.from_numpy(every).float().div(255).numpy())


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.bool_])
def test_to_tensor_keeps_other_numbers(dtype):
    picture = pixels(4, 5, 3).astype(dtype)
    image = ToTensor()(picture)
    assert image.dtype == dtype
    np.testing.assert_array_equal(image.numpy(), picture.transpose(2, 0, 1))
    image.numpy()[:] = 0
    assert picture.any()


def test_to_tensor_takes_views_of_all_kinds():
    picture = pixels(8, 6, 3)
    for view in (picture[::-1], picture[:, ::2], picture.transpose(1, 0, 2), np.asfortranarray(picture)):
        np.testing.assert_array_equal(ToTensor()(view).numpy() * 255, view.transpose(2, 0, 1))


def test_to_tensor_of_bytes_in_a_tensor():
    picture = pixels(4, 4)
    np.testing.assert_array_equal(ToTensor()(tg.tensor(picture)).numpy(), ToTensor()(picture).numpy())


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (tg.zeros(1, 4, 4), TypeError, "a Tensor of float32 already: leave ToTensor out"),
        ([[1, 2]], TypeError, r"takes a NumPy array or a Tensor, not list: np\.asarray\(image\)"),
        (np.zeros(4), ValueError, r"must be a picture \(H, W\)"),
        (np.zeros((1, 2, 3, 4, 1)), ValueError, r"must be a picture \(H, W\)"),
        (np.zeros((60, 28, 28), np.uint8), ValueError, r"Grey pictures \(N, H, W\) are given as batch\[\.\.\., None\]"),
    ],
)
def test_to_tensor_refuses(image, error, message):
    with pytest.raises(error, match=message):
        ToTensor()(image)


MEAN, STD = (0.5, 0.25, 0.1), (0.5, 2.0, 0.3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 3, 4, 5), (6, 2, 3, 4, 5), (0, 3, 4, 5)])
def test_normalize_tensors(shape, dtype):
    image = np.random.RandomState(0).rand(*shape).astype(dtype)
    out = Normalize(MEAN, STD)(tg.tensor(image))
    assert out.dtype == dtype
    mean, std = (np.array(v, dtype).reshape(3, 1, 1) for v in (MEAN, STD))
    np.testing.assert_array_equal(out.numpy(), (image - mean) / std)


@pytest.mark.parametrize("shape", [(4, 5, 3), (2, 4, 5, 3)])
def test_normalize_arrays_have_their_channels_last(shape):
    image = np.random.RandomState(0).rand(*shape).astype(np.float32)
    out = Normalize(MEAN, STD)(image)
    assert isinstance(out, np.ndarray)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, (image - np.float32(MEAN)) / np.float32(STD), rtol=1e-6)


def test_one_number_serves_all_channels():
    image = tg.rand(3, 4, 5)
    for transform in (Normalize(0.5, 0.25), Normalize((0.5,), (0.25,)), Normalize((0.5,) * 3, (0.25,))):
        np.testing.assert_array_equal(transform(image).numpy(), (image.numpy() - 0.5) / 0.25)
    np.testing.assert_array_equal(Normalize(0.5, 0.25)(np.ones((4, 5))), np.full((4, 5), 2.0))


def test_gradients_pass_through_normalize():
    image = tg.rand(3, 2, 2, dtype=tg.float64)
    image.requires_grad_()
    Normalize(MEAN, STD)(image).sum().backward()
    np.testing.assert_allclose(image.grad.numpy(), np.broadcast_to(1 / np.reshape(STD, (3, 1, 1)), (3, 2, 2)))


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (tg.zeros(1, 4, 4), ValueError, "the image has 1 channels, mean and std are for 3"),
        (tg.zeros(4, 4), ValueError, r"the tensor should be an image \(\.\.\., C, H, W\), its shape is \(4, 4\)"),
        (tg.zeros(3, 4, 4, dtype=tg.uint8), TypeError, r"of uint8: use ToTensor\(\) first"),
        (np.zeros((4, 4, 3), np.uint8), TypeError, r"of uint8: use ToTensor\(\) first"),
        (np.zeros((4, 4)), ValueError, "the image has 1 channels, mean and std are for 3"),
        (np.zeros((3, 40, 40)), ValueError, "the last axis of an array is its channels"),
        ("picture", TypeError, "takes a NumPy array or a Tensor, not str"),
    ],
)
def test_normalize_refuses(image, error, message):
    with pytest.raises(error, match=message):
        Normalize(MEAN, STD)(image)


def test_normalize_refuses_its_numbers():
    with pytest.raises(ValueError, match="has a zero"):
        Normalize((0.5, 0.5), (1.0, 0.0))
    with pytest.raises(ValueError, match="2 means and 3 stds: give one of each per channel"):
        Normalize((0.5, 0.5), (1.0, 1.0, 1.0))


def test_compose_goes_from_first_to_last():
    assert Compose([Lambda(lambda x: x + 1), Lambda(lambda x: 2 * x)])(3) == 8
    assert Compose([])("as it is") == "as it is"


def test_lambda_refuses_what_cannot_be_called():
    with pytest.raises(TypeError, match="argument lambd should be callable, got int"):
        Lambda(3)


def test_printed():
    inner = Compose([RandomCrop(28, padding=4), RandomHorizontalFlip()])
    assert repr(Compose([inner, ToTensor(), Lambda(abs)])) == (
        "Compose(\n"
        "    Compose(\n"
        "        RandomCrop(size=(28, 28), padding=4)\n"
        "        RandomHorizontalFlip(p=0.5)\n"
        "    )\n"
        "    ToTensor()\n"
        "    Lambda()\n"
        ")"
    )
    assert repr(Normalize((0.1307,), (0.3081,))) == "Normalize(mean=(0.1307,), std=(0.3081,))"
    assert repr(RandomRotation(10)) == "RandomRotation(degrees=[-10.0, 10.0], interpolation=bilinear, fill=0)"
    assert repr(RandomShift(2)) == "RandomShift(pixels=(2, 2), fill=0)"


def test_transforms_can_be_pickled_and_copied():
    transform = Compose([RandomCrop(4, 2), RandomHorizontalFlip(), RandomShift(1), RandomRotation(9), ToTensor()])
    picture = pixels(4, 4)
    for again in (pickle.loads(pickle.dumps(transform)), copy.deepcopy(transform)):
        tg.manual_seed(1)
        expected = transform(picture)
        tg.manual_seed(1)
        np.testing.assert_array_equal(again(picture).numpy(), expected.numpy())
