"""A fifth of CIFAR-10, from one .npz file."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.datasets.base import Pictures
from tinygrad_edu.datasets.places import Known, first_with, known_bytes
from tinygrad_edu.functions.creation import from_numpy


class CIFAR10Subset(Pictures):
    """12,000 colour images of CIFAR-10, 32 x 32: 1,000 of each class to train on, 200 of each to test on.

    A fifth of the data set: results on it do not compare with published ones.  The official parts are kept apart.

    root -- the folder that has `cifar10-subset/cifar10_12k.npz` in it; else the one the environment variable
            `TINYGRAD_EDU_DATA` names; else the first default place that has it (see `datasets.places`)

    Item i is (picture, label): an array (32, 32, 3) of uint8, of which `ToTensor()` makes a Tensor (3, 32, 32) in
    0..1, and an int.  `data` (N, 32, 32, 3) uint8 and `targets` (N,) int64 hold all of them, `classes` the names;
    `tensors()` gives images (N, 3, 32, 32) and labels for a TensorDataset.  `mean` and `std` are of these pictures.

    Raises RuntimeError where the file is missing, ValueError where it is damaged, cut off or another one.

    Krizhevsky, "Learning multiple layers of features from tiny images" (2009).
    """

    classes = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    mean, std = (0.4889, 0.4804, 0.4464), (0.2474, 0.2432, 0.2610)
    folder, name = "cifar10-subset", "cifar10_12k.npz"
    known = Known(33962268, "13014ab4a232d4a50ea7d03de05864e55c4f356cfd5c468899313d6d56543f24")

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        self.train = train
        self.transform = transform
        self.target_transform = target_transform
        self.location = first_with(root, self.folder, [self.name], type(self).__name__)
        part = "train" if train else "test"
        with np.load(io.BytesIO(known_bytes(self.location / self.name, self.known)), allow_pickle=False) as arrays:
            self.data = from_numpy(arrays[f"x_{part}"])
            self.targets = from_numpy(arrays[f"y_{part}"].astype(np.int64))

    def extra_repr(self) -> list[str]:
        """Where it comes from, and which part it is."""
        return [f"Location: {self.location}", f"Split: {'Train' if self.train else 'Test'}"]
