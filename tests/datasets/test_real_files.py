"""The data sets themselves, where a folder has them: counts, checksums, label histograms, and what the rules say."""

import hashlib
import struct
from collections import Counter

import numpy as np
import pytest
import tiny_mnist
from drawn_shapes import bar_and_square, diamond_or_square

import tinygrad_edu as tg
from tinygrad_edu.datasets import CIS581, MNIST, CIFAR10Subset, FashionMNIST, drawn
from tinygrad_edu.datasets.places import Known, data_folders
from tinygrad_edu.transforms import ToTensor
from tinygrad_edu.utils.data import DataLoader


def needs(*names):
    """Skip, saying what is missing."""
    if not any((folder / name).is_dir() for folder in data_folders() for name in names):
        pytest.skip(f"no data folder has {names[0]}: set TINYGRAD_EDU_DATA to one that has")


MNIST_TRAIN = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
MNIST_TEST = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@pytest.mark.parametrize(
    ("cls", "folders", "train", "counts", "md5"),
    [
        (MNIST, ("mnist", "MNIST/raw"), True, MNIST_TRAIN, "6bbc9ace898e44ae57da46a324031adb"),
        (MNIST, ("mnist", "MNIST/raw"), False, MNIST_TEST, "2646ac647ad5339dbf082846283269ea"),
        (
            FashionMNIST,
            ("fashion-mnist", "FashionMNIST/raw"),
            True,
            [6000] * 10,
            "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        ),
        (
            FashionMNIST,
            ("fashion-mnist", "FashionMNIST/raw"),
            False,
            [1000] * 10,
            "8181f5470baa50b63fa0f6fddb340f0a",
        ),
    ],
)
def test_mnist_and_fashion(cls, folders, train, counts, md5):
    needs(*folders)
    dataset = cls(train=train)
    pixels = dataset.data.numpy()
    assert pixels.shape == (sum(counts), 28, 28)
    assert np.bincount(dataset.targets.numpy()).tolist() == counts
    raw = struct.pack(">4I", 2051, *pixels.shape) + pixels.tobytes()
    assert hashlib.md5(raw).hexdigest() == md5
    if train:
        frequency = np.bincount(pixels.ravel(), minlength=256) / pixels.size
        mean = frequency @ np.arange(256)
        std = np.sqrt(frequency @ (np.arange(256) - mean) ** 2)
        np.testing.assert_allclose((mean / 255, std / 255), (cls.mean[0], cls.std[0]), atol=1e-4)


def test_cifar10_subset():
    needs("cifar10-subset")
    pixels = []
    for train, count, md5 in (
        (True, 1000, "de45c4d71207862bf74a9e314bf08e1f"),
        (False, 200, "190b572135b77eb80e8b10fe85e4ccf9"),
    ):
        dataset = CIFAR10Subset(train=train, transform=ToTensor())
        assert dataset.data.shape == (10 * count, 32, 32, 3)
        assert np.bincount(dataset.targets.numpy()).tolist() == [count] * 10
        assert hashlib.md5(dataset.data.numpy().tobytes()).hexdigest() == md5
        image, label = dataset[3]
        assert image.shape == (3, 32, 32)
        assert label == int(dataset.targets[3])
        pixels.append(dataset.data.numpy().reshape(-1, 3))
        images, labels = CIFAR10Subset(train=train).tensors()
        np.testing.assert_array_equal(images[3].numpy(), image.numpy())
        assert labels.shape == (10 * count,)
    np.testing.assert_allclose(pixels[0].mean(axis=0) / 255, CIFAR10Subset.mean, atol=1e-4)
    np.testing.assert_allclose(pixels[0].std(axis=0) / 255, CIFAR10Subset.std, atol=1e-4)


@pytest.mark.parametrize(("kind", "ones"), [("random", 11), ("line", 32), ("detection", 32)])
def test_cis581_counts(kind, ones):
    needs("cis581-p4")
    dataset = CIS581(kind)
    side = 4 if kind == "random" else 16
    assert dataset.images.shape == (64, 1, side, side)
    assert dataset.images.dtype == tg.float32
    assert set(np.unique(dataset.images.numpy())) == {0.0, 1.0}
    assert dataset.targets.dtype == tg.int64
    assert np.bincount(dataset.targets.numpy()).tolist() == [64 - ones, ones]
    assert (dataset.widths is None) == (kind != "detection")
    assert f"Kind: {kind}" in repr(dataset)


def test_cis581_random_patterns_differ():
    needs("cis581-p4")
    assert len({row.tobytes() for row in CIS581("random").images.numpy()}) == 64


def test_cis581_lines_obey_the_rule_and_have_its_frequencies():
    needs("cis581-p4")
    dataset = CIS581("line")
    parts = [bar_and_square(image[0]) for image in dataset.images.numpy()]
    assert [part.label for part in parts] == dataset.targets.tolist()
    tables = {"width": drawn.WIDTHS, "height": drawn.HEIGHTS, "side": drawn.SQUARES, "gap": drawn.GAPS}
    for name, table in tables.items():
        assert Counter(getattr(part, name) for part in parts) == table


def test_cis581_detection_obeys_the_rule_and_has_its_frequencies():
    needs("cis581-p4")
    dataset = CIS581("detection")
    found = [diamond_or_square(image[0]) for image in dataset.images.numpy()]
    assert [label for label, _ in found] == dataset.targets.tolist()
    assert [r for _, r in found] == dataset.widths.tolist()
    assert Counter(r for _, r in found) == drawn.RADII


def test_cis581_items_and_batches():
    needs("cis581-p4")
    image, label, width = CIS581("detection")[40]
    assert image.shape == (1, 16, 16)
    assert (type(label), type(width)) == (int, int)
    images, labels, widths = next(iter(DataLoader(CIS581("detection"), batch_size=64)))
    assert images.shape == (64, 1, 16, 16)
    assert labels.shape == widths.shape == (64,)
    assert len(CIS581("line")[0]) == 2
    flipped, _ = CIS581("line", transform=lambda x: 1 - x)[0]
    np.testing.assert_array_equal(flipped.numpy(), 1 - CIS581("line").images[0].numpy())


def test_cis581_other_kinds_are_refused():
    with pytest.raises(ValueError, match="kind must be one of random, line, detection, not 'lines'"):
        CIS581("lines")


@pytest.mark.parametrize(
    ("make", "name"),
    [(lambda root: CIS581("line", root), "line_imgs.npy"), (CIFAR10Subset, "cifar10_12k.npz")],
    ids=["cis581", "cifar"],
)
def test_missing_says_where_it_looked(tmp_path, make, name):
    with pytest.raises(RuntimeError, match="not found") as caught:
        make(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert name in str(caught.value)
    assert "TINYGRAD_EDU_DATA" in str(caught.value)


@pytest.mark.parametrize(
    ("cls", "folder", "names"),
    [
        (lambda root: CIS581("line", root), "cis581-p4", ("line_imgs.npy", "line_labs.npy")),
        (CIFAR10Subset, "cifar10-subset", ("cifar10_12k.npz",)),
    ],
    ids=["cis581", "cifar"],
)
@pytest.mark.parametrize("content", [b"", b"half", bytes(200_000)])
def test_other_files_are_refused_unread(tmp_path, cls, folder, names, content):
    (tmp_path / folder).mkdir()
    for name in names:
        (tmp_path / folder / name).write_bytes(content)
    with pytest.raises(
        ValueError, match=rf"expected \d+ bytes with the sha256 \w+, found {len(content)} with"
    ) as caught:
        cls(tmp_path)
    assert names[0] in str(caught.value)


def test_cifar_reads_the_arrays_of_its_part(tmp_path, monkeypatch):
    random = np.random.RandomState(0)
    arrays = {
        f"x_{part}": random.randint(0, 256, (n, 32, 32, 3)).astype(np.uint8) for part, n in (("train", 3), ("test", 2))
    }
    arrays |= {"y_train": np.array([3, 1, 9], np.uint8), "y_test": np.array([0, 5], np.uint8)}
    content = tiny_mnist.npz_bytes(**arrays)
    (tmp_path / "cifar10-subset").mkdir()
    (tmp_path / "cifar10-subset" / "cifar10_12k.npz").write_bytes(content)
    monkeypatch.setattr(CIFAR10Subset, "known", Known(len(content), hashlib.sha256(content).hexdigest()))
    for train, part in ((True, "train"), (False, "test")):
        dataset = CIFAR10Subset(tmp_path, train=train, target_transform=lambda label: CIFAR10Subset.classes[label])
        picture, label = dataset[1]
        np.testing.assert_array_equal(picture, arrays[f"x_{part}"][1])
        assert label == CIFAR10Subset.classes[arrays[f"y_{part}"][1]]
        images, labels = dataset.tensors(normalize=True)
        scaled = arrays[f"x_{part}"].transpose(0, 3, 1, 2) / 255
        expected = (scaled - np.reshape(dataset.mean, (3, 1, 1))) / np.reshape(dataset.std, (3, 1, 1))
        np.testing.assert_allclose(images.numpy(), expected, atol=1e-6)
        assert labels.tolist() == arrays[f"y_{part}"].tolist()
