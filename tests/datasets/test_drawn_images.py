"""Pictures drawn by rule: every one obeys it, the frequencies are the ones promised, and seeds decide."""

import hashlib
import itertools
from collections import Counter

import numpy as np
import pytest
from drawn_shapes import bar_and_square, diamond_or_square

import tinygrad_edu as tg
from tinygrad_edu.datasets import DetectionImages, LineImages, RandomImages, drawn
from tinygrad_edu.utils.data import DataLoader, TensorDataset

DRAWN = [LineImages, DetectionImages, RandomImages]
MANY = 6000


@pytest.fixture(scope="module")
def lines():
    return LineImages(MANY, generator=11)


@pytest.fixture(scope="module")
def detections():
    return DetectionImages(MANY, generator=12)


def agree(observed, expected):
    """Counts within five standard deviations of what the probabilities promise, and nothing that cannot be."""
    total = sum(observed.values())
    assert set(observed) <= set(expected)
    share = sum(expected.values())
    for value, weight in expected.items():
        p = weight / share
        assert abs(observed[value] - total * p) <= 5 * np.sqrt(total * p * (1 - p)) + 1e-9, value


def test_lines_are_a_bar_and_a_square_apart(lines):
    parts = [bar_and_square(image[0]) for image in lines.images.numpy()]
    assert [part.label for part in parts] == lines.targets.tolist()
    joint = {
        (width, gap, square): a * b * c
        for ((width, a), (gap, b), (square, c)) in itertools.product(
            drawn.WIDTHS.items(), drawn.GAPS.items(), drawn.SQUARES.items()
        )
        if width + gap + square <= 16
    }
    agree(Counter(part.height for part in parts), drawn.HEIGHTS)
    for place, values in enumerate(zip(*((part.width, part.gap, part.side) for part in parts), strict=True)):
        marginal = Counter()
        for shape, weight in joint.items():
            marginal[shape[place]] += weight
        agree(Counter(values), marginal)


def test_lines_lie_anywhere_they_fit(lines):
    ink = lines.images.numpy()[:, 0]
    columns = ink.any(axis=1)
    first = columns.argmax(axis=1)
    extent = 16 - columns[:, ::-1].argmax(axis=1) - first
    for total in (9, 10, 11):
        agree(Counter(first[extent == total].tolist()), {start: 1 for start in range(17 - total)})
    parts = [bar_and_square(image) for image in ink]
    for height in drawn.HEIGHTS:
        tops = Counter(part.bar_top for part in parts if part.height == height)
        agree(tops, {top: 1 for top in range(17 - height)})
    for side in (3, 5, 7):
        tops = Counter(part.square_top for part in parts if part.side == side)
        agree(tops, {top: 1 for top in range(17 - side)})


def test_detections_are_one_diamond_or_square(detections):
    found = [diamond_or_square(image[0]) for image in detections.images.numpy()]
    assert [label for label, _ in found] == detections.targets.tolist()
    assert [r for _, r in found] == detections.widths.tolist()
    agree(Counter(r for _, r in found), drawn.RADII)
    for label in (0, 1):
        agree(Counter(r for shape, r in found if shape == label), drawn.RADII)


def test_detections_lie_anywhere_they_fit(detections):
    ink, radii = detections.images.numpy()[:, 0], detections.widths.numpy()
    for axis in (1, 2):
        first = ink.any(axis=axis).argmax(axis=1)
        for r in (2, 3, 4):
            agree(Counter(first[radii == r].tolist()), {start: 1 for start in range(16 - 2 * r)})


def test_random_images_are_different_fair_bits():
    dataset = RandomImages(MANY, generator=13)
    bits = dataset.images.numpy().reshape(MANY, 16)
    assert len({row.tobytes() for row in bits}) == MANY
    assert abs(bits.mean(axis=0) - 0.5).max() < 5 * 0.5 / np.sqrt(MANY)
    assert np.abs(np.corrcoef(bits.T) - np.eye(16)).max() < 5 / np.sqrt(MANY)
    assert int(dataset.targets.sum()) == round(MANY * 11 / 64)
    for pixel in bits.T:
        assert abs(np.corrcoef(pixel, dataset.targets.numpy())[0, 1]) < 5 / np.sqrt(MANY)


def test_all_random_images_there_are():
    dataset = RandomImages(1 << 16, generator=0)
    codes = dataset.images.numpy().reshape(-1, 16) @ (2 ** np.arange(16))
    assert np.array_equal(np.sort(codes), np.arange(1 << 16))
    with pytest.raises(ValueError, match="n must be 0 to 65536, it is 65537"):
        RandomImages((1 << 16) + 1)


@pytest.mark.parametrize("cls", DRAWN)
@pytest.mark.parametrize("n", [0, 1, 2, 7, 64])
def test_any_number(cls, n):
    dataset = cls(n, generator=1)
    side = 4 if cls is RandomImages else 16
    assert len(dataset) == n
    assert dataset.images.shape == (n, 1, side, side)
    assert dataset.images.dtype == tg.float32
    assert dataset.targets.shape == (n,)
    assert dataset.targets.dtype == tg.int64
    assert int(dataset.targets.sum()) == (round(n * 11 / 64) if cls is RandomImages else n // 2)


@pytest.mark.parametrize("cls", DRAWN)
def test_fewer_than_none(cls):
    with pytest.raises(ValueError, match=rf"{cls.__name__}: n must be .*, it is -1"):
        cls(-1)


def numbers(dataset):
    return b"".join(tensor.numpy().tobytes() for tensor in dataset.tensors())


@pytest.mark.parametrize("cls", DRAWN)
def test_the_seed_decides(cls):
    first = numbers(cls(generator=5))
    assert numbers(cls(generator=5)) == first
    assert numbers(cls(generator=np.int64(5))) == first
    assert numbers(cls(generator=tg.Generator().manual_seed(5))) == first
    assert numbers(cls(generator=6)) != first
    tg.manual_seed(5)
    assert numbers(cls()) == first
    assert numbers(cls()) != first


@pytest.mark.parametrize("cls", DRAWN)
def test_a_seed_leaves_the_default_generator_alone(cls):
    before = tg.get_rng_state()
    cls(generator=5)
    np.testing.assert_array_equal(tg.get_rng_state().numpy(), before.numpy())


@pytest.mark.parametrize(
    ("cls", "digest"),
    [(LineImages, "00e1b45398abab2a"), (DetectionImages, "691a2c4026b8dd24"), (RandomImages, "c2e660a9d2da7c13")],
)
def test_the_pictures_of_a_seed_are_frozen(cls, digest):
    parts = [tensor.numpy().astype("<f4").tobytes() for tensor in cls(64, generator=0).tensors()]
    assert hashlib.sha256(b"".join(parts)).hexdigest()[:16] == digest


def test_both_kernels_draw_the_same():
    before = tg.kernels.backend()
    try:
        tg.kernels.use("reference")
        reference = numbers(LineImages(generator=3))
    finally:
        tg.kernels.use(before)
    assert numbers(LineImages(generator=3)) == reference


def test_a_generator_of_another_kind():
    with pytest.raises(TypeError, match="generator must be a Generator, an int to seed one, or None, not str"):
        LineImages(generator="0")


def test_items_transforms_and_copies():
    dataset = DetectionImages(8, generator=0, transform=lambda image: image * 2)
    image, label, width = dataset[3]
    np.testing.assert_array_equal(image.numpy(), 2 * dataset.images[3].numpy())
    assert (label, width) == (int(dataset.targets[3]), int(dataset.widths[3]))
    assert (type(label), type(width)) == (int, int)
    plain = LineImages(8, generator=0)
    plain[0][0].zero_()
    assert int(plain.images[0].sum()) > 0
    with pytest.raises(IndexError, match="index 8 is out of range: LineImages has 8 items"):
        plain[8]


def test_loaded_in_batches_either_way():
    dataset = DetectionImages(10, generator=0)
    slow, fast = DataLoader(dataset, batch_size=4), DataLoader(TensorDataset(*dataset.tensors()), batch_size=4)
    for a, b in zip(slow, fast, strict=True):
        assert len(a) == len(b) == 3
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x.numpy(), y.numpy())
            assert x.dtype == y.dtype


def test_printed():
    assert repr(LineImages(3, generator=0)) == "Dataset LineImages\n    Number of datapoints: 3"
    assert LineImages(0).class_to_idx == {"square right of bar": 0, "square left of bar": 1}
