"""MNIST and Fashion-MNIST: read from IDX files, or downloaded once."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from tinygrad_edu.datasets.base import Pictures
from tinygrad_edu.datasets.idx import read_idx
from tinygrad_edu.datasets.places import VARIABLE, data_folders, download_folder
from tinygrad_edu.functions.creation import from_numpy


class Resource(NamedTuple):
    """One IDX file: its shape, and the md5 of its unpacked bytes (gzip's own header differs from copy to copy)."""

    shape: tuple[int, ...]
    md5: str


class MNIST(Pictures):
    """70,000 grey images of handwritten digits, 28 x 28: 60,000 to train on, 10,000 to test on.

    root -- the folder; else the one the environment variable `TINYGRAD_EDU_DATA` names; else the first of the default
            places that has the files (see `datasets.places`).  They lie in `<root>/mnist`, in `<root>/MNIST/raw` as
            torchvision puts them, or in `<root>` itself, packed (`train-images-idx3-ubyte.gz`) or not.
    train -- the training part, or the test part
    transform, target_transform -- applied to the picture, and to the label
    download -- fetch the files that are missing or damaged, once, into `<root>/mnist`; without a root or the variable,
            into the user's cache folder

    Item i is (picture, label), as torchvision's is, with an array (28, 28) of uint8 for its PIL image: `ToTensor()`
    makes a Tensor (1, 28, 28) in 0..1 of it.  `data` holds all pictures (N, 28, 28) uint8, `targets` all labels (N,)
    int64, `classes` the names; `tensors()` gives both at once, ready for a TensorDataset, which is a lot faster.

    Every file is checked: a checksum pins what it unpacks to.  Raises RuntimeError when files are missing or cannot be
    downloaded, ValueError for files that are damaged, cut off or not the ones they should be.

    LeCun, Cortes and Burges, "The MNIST database of handwritten digits" (1998).
    """

    classes = (
        "0 - zero",
        "1 - one",
        "2 - two",
        "3 - three",
        "4 - four",
        "5 - five",
        "6 - six",
        "7 - seven",
        "8 - eight",
        "9 - nine",
    )
    mean, std = (0.1307,), (0.3081,)
    folders = ("mnist", "MNIST/raw", ".")
    mirrors = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    )
    resources: ClassVar[dict[str, Resource]] = {
        "train-images-idx3-ubyte": Resource((60000, 28, 28), "6bbc9ace898e44ae57da46a324031adb"),
        "train-labels-idx1-ubyte": Resource((60000,), "a25bea736e30d166cdddb491f175f624"),
        "t10k-images-idx3-ubyte": Resource((10000, 28, 28), "2646ac647ad5339dbf082846283269ea"),
        "t10k-labels-idx1-ubyte": Resource((10000,), "27ae3e4e09519cfbb04c329615203637"),
    }

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ) -> None:
        self.root = root
        self.train = train
        self.transform = transform
        self.target_transform = target_transform
        if download:
            self._complete()
        part = "train" if train else "t10k"
        pictures, self.location = self._read(f"{part}-images-idx3-ubyte", download)
        labels, _ = self._read(f"{part}-labels-idx1-ubyte", download)
        self.data = from_numpy(pictures)
        self.targets = from_numpy(labels.astype(np.int64))

    def extra_repr(self) -> list[str]:
        """Where it comes from, and which part it is."""
        return [f"Location: {self.location}", f"Split: {'Train' if self.train else 'Test'}"]

    def _found(self, name: str) -> Iterator[Path]:
        """The files of this name, unpacked or packed, in the order of the folders."""
        for folder in data_folders(self.root):
            for inner in self.folders:
                for path in (folder / inner / name, folder / inner / f"{name}.gz"):
                    if path.is_file():
                        yield path

    def _complete(self) -> None:
        """Download all files, of both parts, that are nowhere."""
        for name in self.resources:
            if not any(self._found(name)):
                self._fetch(name)

    def _fetch(self, name: str) -> Path:
        """Download one file."""
        # Here, because most never need the network, and its modules take long to import.
        from tinygrad_edu.datasets.fetch import fetch

        shape, md5 = self.resources[name]
        target = download_folder(self.root) / self.folders[0] / f"{name}.gz"
        urls = [f"{mirror}{target.name}" for mirror in self.mirrors]
        # gzip adds less than a hundredth to what it cannot pack.
        limit = math.prod(shape) * 101 // 100 + 1024
        return fetch(urls, target, lambda path: read_idx(path, shape=shape, md5=md5), limit=limit)

    def _read(self, name: str, download: bool) -> tuple[np.ndarray, Path]:
        """The array of one file, the first good one or a new download of it, and the folder it is in."""
        shape, md5 = self.resources[name]
        problems = []
        for path in self._found(name):
            try:
                return read_idx(path, shape=shape, md5=md5), path.parent
            except ValueError as error:
                problems.append(str(error))
        if download:
            path = self._fetch(name)
            return read_idx(path, shape=shape, md5=md5), path.parent
        if problems:
            raise ValueError("\n".join([*problems, f"{type(self).__name__}(..., download=True) gets a good one"]))
        places = [folder / inner for folder in data_folders(self.root) for inner in self.folders]
        raise RuntimeError(
            f"{type(self).__name__} not found: there is no {name} or {name}.gz in {', '.join(map(str, places))}. "
            f"You can use download=True to download it, or give root= or set {VARIABLE} to the folder that has it"
        )


class FashionMNIST(MNIST):
    """70,000 grey images of clothes, 28 x 28, in the form of MNIST: 60,000 to train on, 10,000 to test on.

    Everything is as for `MNIST`; the folders are `<root>/fashion-mnist` and `<root>/FashionMNIST/raw`.

    Xiao, Rasul and Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms"
    (2017).
    """

    classes = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )
    mean, std = (0.2860,), (0.3530,)
    folders = ("fashion-mnist", "FashionMNIST/raw", ".")
    mirrors = (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    )
    resources: ClassVar[dict[str, Resource]] = {
        "train-images-idx3-ubyte": Resource((60000, 28, 28), "f4a8712d7a061bf5bd6d2ca38dc4d50a"),
        "train-labels-idx1-ubyte": Resource((60000,), "9018921c3c673c538a1fc5bad174d6f9"),
        "t10k-images-idx3-ubyte": Resource((10000, 28, 28), "8181f5470baa50b63fa0f6fddb340f0a"),
        "t10k-labels-idx1-ubyte": Resource((10000,), "15d484375f8d13e6eb1aabb0c3f46965"),
    }
