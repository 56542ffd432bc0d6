"""Data sets: something with `len()` and an item for every index, or just a stream."""

from __future__ import annotations

import math
import operator
import warnings
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, Generic, TypeVar

from tinygrad_edu.functions.promotion import require_tensor
from tinygrad_edu.functions.randomness import Generator, randperm

T = TypeVar("T", covariant=True)


class Dataset(Generic[T]):
    """Subclass with `__getitem__(index)` and `__len__()`."""

    def __getitem__(self, index: Any) -> T:
        raise NotImplementedError(f"{type(self).__name__} needs a method __getitem__(index)")

    def __add__(self, other: Dataset[Any]) -> ConcatDataset[Any]:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T], Iterable[T]):
    """A stream of samples: subclass with `__iter__()`."""

    def __add__(self, other: Dataset[Any]) -> ChainDataset[Any]:  # type: ignore[override]
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Any, ...]]):
    """Rows of tensors: item i is the tuple of the i-th entries.

    Raises AssertionError (as PyTorch does) when the tensors have different lengths.

    >>> import tinygrad_edu as tg
    >>> tg.utils.data.TensorDataset(tg.arange(4), tg.arange(4) * 10)[2]
    (tensor(2), tensor(20))
    """

    def __init__(self, *tensors: Any) -> None:
        for tensor in tensors:
            require_tensor("TensorDataset", tensor, "tensors")
        sizes = [t._array.shape[0] if t._array.ndim else None for t in tensors]
        if len(set(sizes)) > 1 or None in sizes:
            raise AssertionError(
                f"Size mismatch between tensors: the first sizes of {[t._array.shape for t in tensors]} must be equal"
            )
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        return tuple(t[index] for t in self.tensors)

    def __len__(self) -> int:
        return len(self.tensors[0]._array)


class Subset(Dataset[T]):
    """The items of a data set at some indices."""

    def __init__(self, dataset: Dataset[T], indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


class ConcatDataset(Dataset[T]):
    """Several data sets one after the other."""

    def __init__(self, datasets: Iterable[Dataset[T]]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise AssertionError("datasets should not be an empty iterable")
        if any(isinstance(d, IterableDataset) for d in self.datasets):
            raise AssertionError("ConcatDataset does not support IterableDataset: use ChainDataset")
        self.cumulative_sizes = list(accumulate(len(d) for d in self.datasets))  # type: ignore[arg-type]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> T:
        if not -len(self) <= index < len(self):
            raise ValueError(f"index {index} is out of range: the data sets have {len(self)} items together")
        index %= len(self)
        which = bisect_right(self.cumulative_sizes, index)
        return self.datasets[which][index - (self.cumulative_sizes[which - 1] if which else 0)]


class ChainDataset(IterableDataset[T]):
    """Several streams one after the other."""

    def __init__(self, datasets: Iterable[Dataset[T]]) -> None:
        self.datasets = list(datasets)

    def __iter__(self) -> Iterator[T]:
        for dataset in self.datasets:
            if not isinstance(dataset, IterableDataset):
                raise AssertionError("ChainDataset only supports IterableDataset")
            yield from dataset


def random_split(
    dataset: Dataset[T], lengths: Sequence[int | float], generator: Generator | None = None
) -> list[Subset[T]]:
    """Parts of a data set in random order, of given lengths, or of given fractions that sum to 1.

    What is left over after rounding fractions down is dealt out one by one from the first part on.
    Raises ValueError when the lengths do not sum to the length of the data set.

    >>> [len(part) for part in random_split(range(10), [0.75, 0.25])]
    [8, 2]
    """
    count = len(dataset)  # type: ignore[arg-type]
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1:
        for i, fraction in enumerate(lengths):
            if not 0 <= fraction <= 1:
                raise ValueError(f"Fraction at index {i} is not between 0 and 1: {fraction}")
        sizes = [math.floor(count * fraction) for fraction in lengths]
        for i in range(count - sum(sizes)):
            sizes[i % len(sizes)] += 1
        for i, size in enumerate(sizes):
            if size == 0:
                warnings.warn(
                    f"Length of split at index {i} is 0. This might result in an empty dataset.", stacklevel=2
                )
    else:
        sizes = [int(n) for n in lengths]
    if sum(sizes) != count:
        raise ValueError(
            f"Sum of input lengths does not equal the length of the input dataset! {list(lengths)} against {count}"
        )
    order = randperm(count, generator=generator).tolist()
    ends = list(accumulate(sizes))
    return [Subset(dataset, order[end - size : end]) for end, size in zip(ends, sizes, strict=True)]


def gather(dataset: Any, indices: list[int]) -> list[Any] | None:
    """A whole batch of a TensorDataset (or of a subset of one) by one read per tensor; None for any other data set."""
    while type(dataset) is Subset:
        indices = [dataset.indices[i] for i in indices]
        dataset = dataset.dataset
    if not isinstance(dataset, TensorDataset) or type(dataset).__getitem__ is not TensorDataset.__getitem__:
        return None
    try:
        positions = [operator.index(i) for i in indices]
    except TypeError:
        return None
    return [t[positions] for t in dataset.tensors]
