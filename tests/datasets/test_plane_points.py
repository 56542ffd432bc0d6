"""Moons, spirals and XOR: on their curves without noise, around them with it."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.datasets import XOR, Moons, Spirals
from tinygrad_edu.utils.data import DataLoader

KINDS = [Moons, Spirals, XOR]


def parts(dataset):
    return dataset.points.numpy().astype(np.float64), dataset.targets.numpy()


def test_moons_are_two_half_circles():
    points, labels = parts(Moons(2000, noise=0, generator=0))
    upper = np.where(labels[:, None] == 0, points, [1.0, 0.5] - points)
    np.testing.assert_allclose(np.hypot(*upper.T), 1, atol=1e-6)
    assert upper[:, 1].min() > -1e-6
    angles = np.arccos(upper[:, 0].clip(-1, 1)) / np.pi
    for label in (0, 1):
        np.testing.assert_allclose(np.histogram(angles[labels == label], 5, (0, 1))[0], 200, atol=5 * np.sqrt(160))


@pytest.mark.parametrize("arms", [1, 2, 3])
@pytest.mark.parametrize("turns", [0.5, 1.5])
def test_spirals_wind_around_the_origin(arms, turns):
    points, labels = parts(Spirals(900, arms=arms, turns=turns, noise=0, generator=0))
    radius = np.hypot(*points.T)
    angle = 2 * np.pi * (turns * radius + labels / arms)
    np.testing.assert_allclose(points, radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1), atol=1e-5)
    assert np.bincount(labels).tolist() == [900 // arms] * arms
    np.testing.assert_allclose(np.histogram(radius, 5, (0, 1))[0], 180, atol=5 * np.sqrt(144))


def test_xor_is_the_corners_in_turn():
    points, labels = parts(XOR(9))
    corners = [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert points.tolist() == [*corners, *corners, corners[0]]
    assert labels.tolist() == [0, 1, 1, 0, 0, 1, 1, 0, 0]


@pytest.mark.parametrize("cls", KINDS)
def test_noise_is_normal_and_leaves_the_rest_as_it_is(cls):
    clean, noisy = cls(4000, noise=0, generator=1), cls(4000, noise=0.25, generator=1)
    np.testing.assert_array_equal(clean.targets.numpy(), noisy.targets.numpy())
    noise = (parts(noisy)[0] - parts(clean)[0]).ravel() / 0.25
    assert abs(noise.mean()) < 5 / np.sqrt(8000)
    assert abs(noise.std() - 1) < 5 / np.sqrt(16000)
    assert abs((np.abs(noise) < 1).mean() - 0.6827) < 5 * 0.4654 / np.sqrt(8000)
    assert abs(np.corrcoef(noise[::2], noise[1::2])[0, 1]) < 5 / np.sqrt(4000)


@pytest.mark.parametrize("cls", KINDS)
@pytest.mark.parametrize("n", [0, 1, 5])
def test_any_number(cls, n):
    dataset = cls(n, generator=0)
    assert dataset.points.shape == (n, 2)
    assert dataset.points.dtype == tg.float32
    assert dataset.targets.shape == (n,)
    assert dataset.targets.dtype == tg.int64
    assert len(list(dataset)) == n


@pytest.mark.parametrize("cls", KINDS)
def test_the_seed_decides(cls):
    def numbers(**arguments):
        return cls(20, noise=0.1, **arguments).points.tolist()

    assert numbers(generator=4) == numbers(generator=tg.Generator().manual_seed(4))
    assert numbers(generator=4) != numbers(generator=5)
    tg.manual_seed(4)
    assert numbers() == numbers(generator=4)


@pytest.mark.parametrize("cls", KINDS)
def test_what_cannot_be(cls):
    with pytest.raises(ValueError, match="n must be 0 or more, it is -1"):
        cls(-1)
    for noise in (-0.1, float("nan")):
        with pytest.raises(ValueError, match="noise is a standard deviation, it must not be negative"):
            cls(4, noise=noise)


def test_no_arms():
    with pytest.raises(ValueError, match="there must be at least one arm, not 0"):
        Spirals(arms=0)


def test_items_and_batches():
    dataset = Moons(10, generator=0, transform=lambda point: -point)
    point, label = dataset[2]
    np.testing.assert_array_equal(point.numpy(), -dataset.points[2].numpy())
    assert type(label) is int
    points, labels = next(iter(DataLoader(dataset, batch_size=10)))
    np.testing.assert_array_equal(points.numpy(), -dataset.points.numpy())
    np.testing.assert_array_equal(labels.numpy(), dataset.targets.numpy())


def test_class_names():
    assert Spirals(3, arms=3, generator=0).classes == ("arm 0", "arm 1", "arm 2")
    assert Moons(2, generator=0).class_to_idx == {"upper": 0, "lower": 1}
