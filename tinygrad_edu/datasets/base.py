"""What the data sets here share: rows of arrays in memory, read one at a time or all at once."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.engine.value import array_of
from tinygrad_edu.functions.creation import from_numpy
from tinygrad_edu.utils.data import Dataset


class InMemory(Dataset[tuple[Any, ...]]):
    """A data set that prints itself, knows its classes, and takes single positions only."""

    classes: Sequence[str] = ()
    transform: Callable[[Any], Any] | None = None
    target_transform: Callable[[Any], Any] | None = None

    def __len__(self) -> int:
        raise NotImplementedError

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The label of each class name."""
        return {name: label for label, name in enumerate(self.classes)}

    def extra_repr(self) -> list[str]:
        """More lines for `repr`."""
        return []

    def __repr__(self) -> str:
        lines = [f"Number of datapoints: {len(self)}", *self.extra_repr()]
        for name, function in (("Transform", self.transform), ("Target transform", self.target_transform)):
            if function is not None:
                lines.append(f"{name}: {function!r}".replace("\n", "\n    " + " " * (len(name) + 2)))
        return "\n    ".join([f"Dataset {type(self).__name__}", *lines])

    def _position(self, index: Any) -> int:
        """The index as an int; IndexError past the ends, TypeError for slices and lists."""
        name, count = type(self).__name__, len(self)
        try:
            i = operator.index(index)
        except TypeError:
            raise TypeError(
                f"{name} takes one index at a time, not {type(index).__name__}: use utils.data.Subset, or tensors()"
            ) from None
        if not -count <= i < count:
            raise IndexError(f"index {i} is out of range: {name} has {count} items")
        return i


class Rows(InMemory):
    """Tensors of equal length: item i is row i of the first, transformed, and the numbers i of the others.

    `tensors()` gives them all, for a TensorDataset.
    """

    def __init__(self, transform: Callable[[Any], Any] | None, *arrays: np.ndarray) -> None:
        self.transform = transform
        self._tensors = tuple(from_numpy(array) for array in arrays)

    def tensors(self) -> tuple[Any, ...]:
        """All of it, not transformed: tensors that share the memory of this data set."""
        return self._tensors

    def __len__(self) -> int:
        return len(self._tensors[0])

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        i = self._position(index)
        row, *numbers = (tensor._array[i] for tensor in self._tensors)
        # A copy: a transform that writes into its image must not change the data set.
        row = from_numpy(np.array(row))
        return (self.transform(row) if self.transform else row, *(int(number) for number in numbers))


class Pictures(InMemory):
    """uint8 pictures (N, H, W) or (N, H, W, C) in `data`, their labels (N,) int64 in `targets`.

    Item i is (picture, label): an array (H, W) or (H, W, C) of uint8 and an int, each through its transform.
    Both attributes may be assigned, to tensors, arrays or lists of equal length.
    """

    mean: Sequence[float] = ()
    std: Sequence[float] = ()
    data: Any
    targets: Any

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: Any) -> tuple[Any, Any]:
        i = self._position(index)
        # A copy: a transform that writes into its picture must not change the data set.
        picture: Any = np.array(array_of(self.data)[i])
        label: Any = int(array_of(self.targets)[i])
        if self.transform is not None:
            picture = self.transform(picture)
        if self.target_transform is not None:
            label = self.target_transform(label)
        return picture, label

    def tensors(self, normalize: bool | tuple[Any, Any] = False) -> tuple[Any, Any]:
        """All of it at once: images (N, C, H, W) float32 in 0..1, and labels (N,) int64.

        normalize -- True subtracts `mean` and divides by `std`, the data set's own, per channel; or (mean, std).
        The transforms are not applied.  What `ToTensor` and `Normalize` give image by image is this, to the bit.

            loader = DataLoader(TensorDataset(*MNIST().tensors(normalize=True)), batch_size=128, shuffle=True)
        """
        pictures = np.asarray(array_of(self.data))
        first = pictures[:, None] if pictures.ndim == 3 else np.moveaxis(pictures, -1, 1)
        images = np.divide(first, np.float32(255), dtype=np.float32, order="C")
        if normalize:
            mean, std = (self.mean, self.std) if normalize is True else normalize
            for values, apply in ((mean, np.subtract), (std, np.divide)):
                apply(images, np.array(values, np.float32).reshape(-1, 1, 1), out=images)
        return from_numpy(images), from_numpy(np.array(array_of(self.targets), np.int64))
