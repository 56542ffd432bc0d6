"""Random crops, shifts, flips and rotations: each result is one of the promised ones, all equally often."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.datasets import LineImages
from tinygrad_edu.transforms import (
    Compose,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    RandomRotation,
    RandomShift,
    ToTensor,
)
from tinygrad_edu.transforms.geometry import rotated
from tinygrad_edu.utils.data import DataLoader

RANDOM = [
    lambda **seed: RandomCrop(6, padding=2, **seed),
    lambda **seed: RandomHorizontalFlip(**seed),
    lambda **seed: RandomShift(2, **seed),
    lambda **seed: RandomRotation(40, **seed),
]
names = pytest.mark.parametrize("make", RANDOM, ids=["crop", "flip", "shift", "rotation"])


def numbered(*shape, dtype=np.float32):
    """1, 2, 3 ...: no two pixels alike, none like the fill."""
    return (1 + np.arange(np.prod(shape, dtype=int))).reshape(shape).astype(dtype)


def even(counts, total, kinds):
    """All kinds occur, within five standard deviations of equally often."""
    assert len(counts) == kinds
    p = 1 / kinds
    assert all(abs(n - total * p) <= 5 * np.sqrt(total * p * (1 - p)) for n in counts.values())


# Laws of all of them


@names
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, np.int64])
@pytest.mark.parametrize("shape", [(6, 6), (6, 6, 1), (6, 6, 3), (4, 6, 6, 3), (0, 6, 6, 1)])
def test_an_array_stays_an_array_and_a_tensor_a_tensor(make, shape, dtype):
    picture = numbered(*shape, dtype=dtype)
    before = picture.copy()
    out = make(generator=0)(picture)
    assert type(out) is np.ndarray
    assert (out.shape, out.dtype) == (shape, dtype)
    assert out.flags.c_contiguous
    first = np.moveaxis(picture, -1, -3) if len(shape) > 2 else picture
    tensor = tg.tensor(first)
    image = make(generator=0)(tensor)
    assert isinstance(image, tg.Tensor)
    assert (image.shape, image.dtype) == (first.shape, dtype)
    np.testing.assert_array_equal(image.numpy(), np.moveaxis(out, -1, -3) if len(shape) > 2 else out)
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(tensor.numpy(), first)


@names
def test_what_comes_out_shares_no_memory(make):
    for seed in range(8):
        for picture in (numbered(6, 6), numbered(2, 6, 6, 1)):
            assert not np.shares_memory(make(generator=seed)(picture), picture)


@names
def test_seeds(make):
    picture = numbered(64, 6, 6, 1)
    transform = make(generator=tg.Generator().manual_seed(3))
    first = transform(picture)
    np.testing.assert_array_equal(first, make(generator=3)(picture))
    assert not np.array_equal(first, transform(picture))
    assert not np.array_equal(first, make(generator=4)(picture))
    tg.manual_seed(3)
    np.testing.assert_array_equal(first, make()(picture))


@names
def test_every_image_of_a_batch_is_changed_on_its_own(make):
    batch = np.repeat(numbered(1, 6, 6, 1), 64, axis=0)
    assert len({image.tobytes() for image in make(generator=0)(batch)}) > 1


@names
def test_refusals(make):
    transform = make(generator=0)
    with pytest.raises(RuntimeError, match=r"has no gradient, and this image requires one: pass image\.detach\(\)"):
        transform(tg.zeros(1, 6, 6, requires_grad=True))
    with pytest.raises(TypeError, match="takes a NumPy array or a Tensor, not list"):
        transform([[0, 1], [2, 3]])
    with pytest.raises(ValueError, match=r"or a batch \(N, C, H, W\), not \(6,\)"):
        transform(tg.zeros(6))
    with pytest.raises(ValueError, match="the last axis of an array is its channels"):
        transform(np.zeros((3, 6, 6)))
    with tg.record(), pytest.raises(RuntimeError, match="cannot be recorded in a program: transform the batch outside"):
        transform(tg.zeros(1, 6, 6))
    with pytest.raises(TypeError, match="generator must be a Generator"):
        make(generator="seed")


# Flips


def test_flips_are_mirror_images_half_of_the_time():
    batch = numbered(4000, 2, 3, 3)
    out = RandomHorizontalFlip(generator=0)(batch)
    flipped = [np.array_equal(a, b[:, ::-1]) for a, b in zip(out, batch, strict=True)]
    for a, b, mirror in zip(out, batch, flipped, strict=True):
        np.testing.assert_array_equal(a, b[:, ::-1] if mirror else b)
    even(Counter(flipped), 4000, 2)


@pytest.mark.parametrize(("p", "step"), [(0.0, 1), (1.0, -1)])
def test_flips_that_are_sure(p, step):
    batch = numbered(50, 3, 4, 4)
    np.testing.assert_array_equal(RandomHorizontalFlip(p)(tg.tensor(batch)).numpy(), batch[..., ::step])


def test_flip_probabilities_that_are_none():
    for p in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="must be between 0 and 1"):
            RandomHorizontalFlip(p)


# Crops and shifts


def places(padded, parts):
    """Where each part lies in the picture padded with zeros: (top, left)."""
    height, width = parts.shape[1:3]
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(0, 1))
    where = {
        np.moveaxis(windows[t, l], 0, -1).tobytes(): (t, l)
        for t in range(windows.shape[0])
        for l in range(windows.shape[1])  # noqa: E741
    }
    assert len(where) == windows.shape[0] * windows.shape[1]
    return Counter(where[part.tobytes()] for part in parts)


def test_crops_are_parts_of_the_padded_picture_all_equally_often():
    picture = numbered(5, 6, 2)
    parts = RandomCrop((4, 5), padding=(1, 2), generator=0)(np.repeat(picture[None], 6000, axis=0))
    even(places(np.pad(picture, ((2, 2), (1, 1), (0, 0))), parts), 6000, 6 * 4)


def test_crops_with_four_paddings():
    picture = numbered(4, 4, 1)
    parts = RandomCrop(4, padding=(1, 0, 2, 3), generator=0)(np.repeat(picture[None], 4000, axis=0))
    even(places(np.pad(picture, ((0, 3), (1, 2), (0, 0))), parts), 4000, 4 * 4)


def test_a_crop_of_everything_is_the_picture():
    np.testing.assert_array_equal(RandomCrop((3, 4))(numbered(3, 4)), numbered(3, 4))


@pytest.mark.parametrize("mode", ["edge", "reflect", "symmetric"])
def test_padding_modes(mode):
    out = RandomCrop(9, padding=2, padding_mode=mode)(numbered(5, 5))
    np.testing.assert_array_equal(out, np.pad(numbered(5, 5), 2, mode=mode))


def test_fill():
    out = RandomCrop(7, padding=2, fill=9)(np.zeros((3, 3), np.uint8))
    assert out.sum() == 9 * (49 - 9)


def test_small_pictures_are_padded_when_asked():
    with pytest.raises(ValueError, match=r"required crop size \(5, 4\) is larger than the \(padded\) image \(3, 4\)"):
        RandomCrop((5, 4))(numbered(3, 4))
    parts = RandomCrop((5, 4), pad_if_needed=True, generator=0)(np.repeat(numbered(1, 3, 4, 1), 2000, axis=0))
    even(places(np.pad(numbered(3, 4, 1), ((2, 2), (0, 0), (0, 0))), parts), 2000, 3)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"size": 0}, ValueError, "size must be an int of at least 1"),
        ({"size": (1, 2, 3)}, ValueError, "or two"),
        ({"size": 2.5}, TypeError, "integer"),
        ({"size": 4, "padding": (1, 2, 3)}, ValueError, "padding must be 1, 2 or 4 numbers"),
        ({"size": 4, "padding": -1}, ValueError, "not negative"),
        ({"size": 4, "padding_mode": "wrap"}, ValueError, "padding_mode must be one of"),
    ],
)
def test_crops_that_cannot_be(arguments, error, message):
    with pytest.raises(error, match=message):
        RandomCrop(**arguments)


def test_shifts_move_up_to_so_many_pixels_all_equally_often():
    picture = numbered(4, 5, 1)
    parts = RandomShift((1, 2), generator=0)(np.repeat(picture[None], 6000, axis=0))
    even(places(np.pad(picture, ((1, 1), (2, 2), (0, 0))), parts), 6000, 3 * 5)


def test_shift_by_nothing_and_by_less_than_nothing():
    np.testing.assert_array_equal(RandomShift(0)(numbered(3, 3)), numbered(3, 3))
    with pytest.raises(ValueError, match="pixels must be an int of at least 0"):
        RandomShift(-1)


# Rotations


@pytest.mark.parametrize("quarters", [-2, -1, 0, 1, 2, 3, 4])
@pytest.mark.parametrize("side", [4, 5])
def test_quarter_turns_are_counter_clockwise(quarters, side):
    picture = numbered(side, side, dtype=np.uint8)
    out = RandomRotation((90 * quarters, 90 * quarters))(picture)
    np.testing.assert_array_equal(out, np.rot90(picture, quarters))


@given(height=st.integers(1, 7), width=st.integers(1, 7), degrees=st.floats(-360, 360), seed=st.integers(0, 99))
def test_rotation_is_pytorch_s_bilinear_sampling(torch, height, width, degrees, seed):
    pictures = np.random.RandomState(seed).randn(2, 3, height, width)
    angles = np.deg2rad([degrees, degrees / 2])
    sin, cos = np.sin(angles), np.cos(angles)
    matrices = np.zeros((2, 2, 3))
    matrices[:, 0, 0], matrices[:, 0, 1] = cos, -sin * height / width
    matrices[:, 1, 0], matrices[:, 1, 1] = sin * width / height, cos
    grid = torch.nn.functional.affine_grid(torch.from_numpy(matrices), pictures.shape, align_corners=False)
    expected = torch.nn.functional.grid_sample(torch.from_numpy(pictures), grid, align_corners=False)
    np.testing.assert_allclose(rotated(pictures, angles, 0), expected.numpy(), atol=1e-9)


def test_angles_are_uniform_between_the_limits():
    ramp = np.zeros((9, 9, 1), np.float64) + (np.arange(9) - 4)[:, None]
    # On a ramp bilinear values are exact, so two of them tell the angle.
    out = RandomRotation((-20, 70), generator=0)(np.repeat(ramp[None], 4000, axis=0))[..., 0]
    angles = np.rad2deg(np.arctan2(-out[:, 6, 4], out[:, 4, 6]))
    assert -20 <= angles.min() < -19.5
    assert 69.5 < angles.max() <= 70
    even(Counter(np.digitize(angles, [-2, 16, 34, 52]).tolist()), 4000, 5)


def test_rotation_keeps_the_range_of_bytes_and_fills():
    white = np.full((8, 8), 255, np.uint8)
    np.testing.assert_array_equal(RandomRotation(180, fill=255, generator=0)(white), white)
    corners = RandomRotation((45, 45))(white)[[0, 0, -1, -1], [0, -1, 0, -1]]
    np.testing.assert_array_equal(corners, 0)


def test_integers_are_rounded():
    picture = np.array([[0, 1]], np.uint8)
    # 60 degrees take both values from between the pixels and the edge.
    out = rotated(picture[None, None], np.deg2rad([60.0]), 1)[0, 0]
    np.testing.assert_array_equal(RandomRotation((60, 60), fill=1)(picture), np.rint(out))
    assert not np.array_equal(out, np.rint(out))


def test_rotations_that_cannot_be():
    with pytest.raises(ValueError, match="must not be negative"):
        RandomRotation(-1)
    with pytest.raises(ValueError, match=r"must be a number or \(from, to\)"):
        RandomRotation((1, 2, 3))


# Together


def test_augmentation_in_a_loader_repeats_with_the_seed():
    transform = Compose([RandomShift(2), RandomHorizontalFlip(), RandomRotation(10), Normalize(0.5, 0.5)])
    dataset = LineImages(20, generator=0, transform=transform)

    def epoch():
        return np.concatenate([images.numpy() for images, _ in DataLoader(dataset, batch_size=8, shuffle=True)])

    tg.manual_seed(0)
    first, second = epoch(), epoch()
    assert first.shape == (20, 1, 16, 16)
    assert not np.array_equal(first, second)
    tg.manual_seed(0)
    np.testing.assert_array_equal(epoch(), first)


def test_before_or_after_to_tensor_is_the_same():
    picture = np.random.RandomState(0).randint(0, 256, (6, 6, 3)).astype(np.uint8)
    for make in RANDOM[:3]:
        before = Compose([make(generator=1), ToTensor()])(picture)
        after = Compose([ToTensor(), make(generator=1)])(picture)
        np.testing.assert_array_equal(before.numpy(), after.numpy())
