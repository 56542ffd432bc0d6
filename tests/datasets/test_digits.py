"""The bundled digits: whole, split the same everywhere, and honest about what they need."""

import hashlib
import sys

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.datasets import Digits


@pytest.fixture(scope="module")
def parts():
    pytest.importorskip("sklearn", reason="scikit-learn is not installed: the digits come with it")
    return Digits(train=True), Digits(train=False)


def test_shapes_dtypes_and_range(parts):
    train, test = parts
    assert (len(train), len(test)) == (1437, 360)
    for part in parts:
        assert tuple(part.images.shape) == (len(part), 1, 8, 8)
        assert part.images.dtype == tg.float32
        assert part.targets.dtype == tg.int64
        assert (part.images.numpy().min(), part.images.numpy().max()) == (0.0, 1.0)
    image, label = train[3]
    assert tuple(image.shape) == (1, 8, 8)
    assert label == int(train.targets[3])
    assert isinstance(label, int)


def test_every_class_is_in_both_parts_in_proportion(parts):
    counts = np.bincount(parts[1].targets.numpy())
    assert len(counts) == 10
    assert set(counts) <= {35, 36, 37}


def test_the_parts_are_disjoint_and_together_the_whole(parts):
    from sklearn.datasets import load_digits

    together = np.concatenate([part.images.numpy()[:, 0] for part in parts])
    whole = load_digits().images / 16
    assert sorted(map(bytes, together)) == sorted(map(bytes, whole.astype(np.float32)))


def test_the_split_is_frozen(parts):
    digest = hashlib.sha256(parts[1].targets.numpy().astype("<i8").tobytes()).hexdigest()
    assert digest[:16] == "ae62ac319df3d664"


def test_transform_is_applied_to_the_image(parts):
    flipped = Digits(train=False, transform=lambda image: 1 - image)
    image, label = flipped[5]
    np.testing.assert_array_equal(image.numpy(), 1 - parts[1][5][0].numpy())
    assert label == parts[1][5][1]


def test_what_is_done_to_an_item_stays_there(parts):
    train = parts[0]
    before = train.images.numpy().copy()
    train[3][0].mul_(0)
    np.testing.assert_array_equal(train.images.numpy(), before)
    with pytest.raises(TypeError, match=r"Digits takes one index at a time, not slice"):
        train[0:2]
    with pytest.raises(IndexError, match=r"Digits has 1437 items"):
        train[1437]
    assert [tuple(t.shape) for t in train.tensors()] == [(1437, 1, 8, 8), (1437,)]


def test_without_scikit_learn_it_says_what_to_install(monkeypatch):
    for name in ("sklearn", "sklearn.datasets"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r'pip install "tinygrad_edu\[demos\]"'):
        Digits()


def test_reading_items_leaves_nothing_behind(parts):
    from tinygrad_edu.engine.storage import storage_of

    for _ in range(3):
        assert sum(label for _, label in parts[0]) > 0
    assert len(storage_of(parts[0].images._array)._views) <= 130
