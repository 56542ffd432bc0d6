"""MNIST from folders: where it is looked for, what it gives, and what it says when files are wrong."""

import numpy as np
import pytest
from tiny_mnist import ARRAYS, PACKED, RAW, TinyMNIST, write

import tinygrad_edu as tg
from tinygrad_edu.datasets import MNIST, FashionMNIST, places
from tinygrad_edu.transforms import Compose, Normalize, ToTensor
from tinygrad_edu.utils.data import DataLoader, Subset, TensorDataset


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """No data set of this machine is seen."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.delenv("TINYGRAD_EDU_DATA", raising=False)
    monkeypatch.setenv("TINYGRAD_EDU_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(places, "CHECKOUT", tmp_path / "sources" / "checkout")


@pytest.fixture
def root(tmp_path):
    write(tmp_path / "data" / "mnist")
    return tmp_path / "data"


def same_as_train(dataset):
    np.testing.assert_array_equal(dataset.data.numpy(), ARRAYS["train-images-idx3-ubyte"])
    np.testing.assert_array_equal(dataset.targets.numpy(), ARRAYS["train-labels-idx1-ubyte"])


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("inner", ["mnist", "MNIST/raw", "."])
def test_layouts(tmp_path, inner, packed):
    write(tmp_path / "data" / inner, packed=packed)
    same_as_train(TinyMNIST(tmp_path / "data"))
    same_as_train(TinyMNIST(str(tmp_path / "data")))


def test_both_parts(root):
    for train, part, count in ((True, "train", 30), (False, "t10k", 20)):
        dataset = TinyMNIST(root, train=train)
        assert len(dataset) == count
        assert dataset.data.dtype == tg.uint8
        assert dataset.targets.dtype == tg.int64
        np.testing.assert_array_equal(dataset.data.numpy(), ARRAYS[f"{part}-images-idx3-ubyte"])


def test_one_part_is_enough(tmp_path):
    write(tmp_path / "mnist", parts=("t10k",))
    assert len(TinyMNIST(tmp_path, train=False)) == 20
    with pytest.raises(RuntimeError, match=r"there is no train-images-idx3-ubyte or train-images-idx3-ubyte\.gz"):
        TinyMNIST(tmp_path)


def test_places_in_their_order(tmp_path, monkeypatch):
    beside, cache, variable = tmp_path / "shared" / "data", tmp_path / "cache" / "data", tmp_path / "variable"
    write(cache / "mnist")
    assert TinyMNIST().location == cache / "mnist"
    sources = tmp_path / "sources" / "shared" / "data" / "mnist"
    write(sources)
    assert TinyMNIST().location == cache / "mnist"
    places.CHECKOUT.mkdir()
    (places.CHECKOUT / "setup.cfg").touch()
    assert TinyMNIST().location == sources
    write(beside / "mnist")
    assert TinyMNIST().location == beside / "mnist"
    write(variable / "mnist")
    monkeypatch.setenv("TINYGRAD_EDU_DATA", str(variable))
    assert TinyMNIST().location == variable / "mnist"
    write(tmp_path / "given")
    assert TinyMNIST(tmp_path / "given").location == tmp_path / "given"


def test_what_was_asked_for_is_not_replaced_by_another_place(tmp_path, monkeypatch):
    write(tmp_path / "shared" / "data" / "mnist")
    with pytest.raises(RuntimeError, match="not found"):
        TinyMNIST(tmp_path / "empty")
    monkeypatch.setenv("TINYGRAD_EDU_DATA", str(tmp_path / "empty"))
    with pytest.raises(RuntimeError, match="not found"):
        TinyMNIST()


def test_nothing_found_says_where_it_looked_and_what_to_do(tmp_path):
    with pytest.raises(RuntimeError) as caught:
        TinyMNIST()
    message = str(caught.value)
    for part in ("TinyMNIST not found", "shared/data/mnist", "shared/data/MNIST/raw", str(tmp_path / "cache")):
        assert part in message
    assert "download=True" in message
    assert "TINYGRAD_EDU_DATA" in message


def test_a_damaged_file_is_named(root):
    path = root / "mnist" / "train-images-idx3-ubyte.gz"
    path.write_bytes(PACKED["train-images-idx3-ubyte.gz"][:5000])
    with pytest.raises(ValueError, match="half a file") as caught:
        TinyMNIST(root)
    assert str(path) in str(caught.value)
    assert "download=True" in str(caught.value)


def test_a_good_copy_serves_for_a_damaged_one(root):
    (root / "mnist" / "train-images-idx3-ubyte.gz").write_bytes(b"")
    write(root / "MNIST" / "raw", packed=False)
    same_as_train(TinyMNIST(root))


def test_files_of_another_data_set_with_the_same_names_are_refused(root):
    raw = bytearray(RAW["train-images-idx3-ubyte"])
    raw[100] ^= 1
    (root / "mnist" / "train-images-idx3-ubyte.gz").write_bytes(raw)
    with pytest.raises(ValueError, match="damaged, or another file: its unpacked bytes should have the md5"):
        TinyMNIST(root)
    with pytest.raises(ValueError, match=r"expected shape \(60000, 28, 28\) of uint8, it has \(30, 28, 28\)"):
        MNIST(root)
    with pytest.raises(RuntimeError, match="FashionMNIST not found"):
        FashionMNIST(root)


def test_items(root):
    dataset = TinyMNIST(root)
    picture, label = dataset[4]
    assert isinstance(picture, np.ndarray)
    assert picture.shape == (28, 28)
    assert picture.dtype == np.uint8
    assert label == ARRAYS["train-labels-idx1-ubyte"][4]
    assert type(label) is int
    np.testing.assert_array_equal(dataset[-1][0], ARRAYS["train-images-idx3-ubyte"][-1])
    np.testing.assert_array_equal(dataset[tg.tensor(4)][0], picture)
    assert len(list(dataset)) == 30


def test_items_are_copies(root):
    dataset = TinyMNIST(root)
    dataset[0][0][:] = 0
    same_as_train(dataset)


def test_indices_that_are_none(root):
    dataset = TinyMNIST(root)
    for index in (30, -31):
        with pytest.raises(IndexError, match=rf"index {index} is out of range: TinyMNIST has 30 items"):
            dataset[index]
    for index in (slice(3), [1, 2], 1.0):
        with pytest.raises(TypeError, match="one index at a time"):
            dataset[index]


def test_transforms(root):
    dataset = TinyMNIST(root, transform=ToTensor(), target_transform=lambda label: -label)
    image, label = dataset[7]
    assert image.shape == (1, 28, 28)
    assert image.dtype == tg.float32
    np.testing.assert_array_equal(image.numpy()[0], ARRAYS["train-images-idx3-ubyte"][7] / np.float32(255))
    assert label == -int(ARRAYS["train-labels-idx1-ubyte"][7])


@pytest.mark.parametrize("normalize", [False, True, (0.5, 0.25), ((0.5,), (0.25,))])
def test_all_at_once_is_image_by_image_to_the_bit(root, normalize):
    steps = [ToTensor()]
    if normalize:
        steps.append(Normalize((0.1307,), (0.3081,)) if normalize is True else Normalize(*normalize))
    dataset = TinyMNIST(root, transform=Compose(steps))
    images, labels = dataset.tensors(normalize=normalize)
    assert images.shape == (30, 1, 28, 28)
    assert images.dtype == tg.float32
    assert labels.dtype == tg.int64
    slow, fast = (DataLoader(d, batch_size=8) for d in (dataset, TensorDataset(images, labels)))
    for (a, x), (b, y) in zip(slow, fast, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
        np.testing.assert_array_equal(x.numpy(), y.numpy())


def test_data_may_be_assigned(root):
    dataset = TinyMNIST(root)
    dataset.data, dataset.targets = dataset.data[:5], dataset.targets[:5]
    assert len(dataset) == 5
    assert dataset.tensors()[0].shape == (5, 1, 28, 28)
    dataset.data, dataset.targets = np.zeros((2, 28, 28), np.uint8), [3, 4]
    assert [label for _, label in dataset] == [3, 4]
    assert dataset.tensors()[1].tolist() == [3, 4]


def test_loads_in_batches_and_subsets(root):
    pictures, labels = next(iter(DataLoader(Subset(TinyMNIST(root), [3, 1]), batch_size=2)))
    np.testing.assert_array_equal(pictures.numpy(), ARRAYS["train-images-idx3-ubyte"][[3, 1]])
    np.testing.assert_array_equal(labels.numpy(), ARRAYS["train-labels-idx1-ubyte"][[3, 1]])


def test_printed(root):
    dataset = TinyMNIST(root, train=False, transform=Compose([ToTensor()]), target_transform=abs)
    assert repr(dataset) == (
        "Dataset TinyMNIST\n"
        "    Number of datapoints: 20\n"
        f"    Location: {root / 'mnist'}\n"
        "    Split: Test\n"
        "    Transform: Compose(\n"
        "                   ToTensor()\n"
        "               )\n"
        "    Target transform: <built-in function abs>"
    )


def test_class_names():
    assert MNIST.classes[7] == "7 - seven"
    assert FashionMNIST.classes[9] == "Ankle boot"
    assert len(MNIST.classes) == len(FashionMNIST.classes) == 10


def test_label_of_a_class(root):
    assert TinyMNIST(root).class_to_idx["3 - three"] == 3
