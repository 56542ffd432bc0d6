"""Handwritten digits, small enough to come with a package: scikit-learn's bundled copy of the UCI test set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.datasets.base import Rows

SEED, EVERY = 0, 5


class Digits(Rows):
    """1,797 grey images of handwritten digits, 8 x 8: 1,437 to train on, 360 to test on.

    Items are (image, label): float32 (1, 8, 8) in 0..1 and an int; `transform` is applied to the image.
    `images` (N, 1, 8, 8) and `targets` (N,) int64 hold all of them, `classes` their names; `tensors()` gives both.

    The split is the same everywhere and in every run: the images of each class are shuffled with NumPy's frozen
    generator `RandomState(0)`, and every fifth, counted through the classes, goes to the test set.  So each class has
    35, 36 or 37 test images.

    Raises ImportError, saying what to install, where scikit-learn is missing.

    >>> test = Digits(train=False)
    >>> image, label = test[0]
    >>> len(test), image.shape, label
    (360, Size([1, 8, 8]), 0)
    """

    classes: tuple[str, ...] = tuple(str(digit) for digit in range(10))

    def __init__(self, train: bool = True, transform: Callable[[Any], Any] | None = None) -> None:
        try:
            from sklearn.datasets import load_digits
        except ImportError as error:
            raise ImportError(
                'the Digits images come with scikit-learn, which is not installed: pip install "tinygrad_edu[demos]"'
            ) from error
        data: Any = load_digits()
        chosen = split(data.target, train)
        self.train = train
        images = (data.images[chosen, None] / 16).astype(np.float32)
        super().__init__(transform, images, data.target[chosen].astype(np.int64))
        self.images, self.targets = self.tensors()

    def extra_repr(self) -> list[str]:
        """Which part it is."""
        return [f"Split: {'Train' if self.train else 'Test'}"]


def split(labels: np.ndarray, train: bool) -> np.ndarray:
    """The positions of the training or test images, in order."""
    random = np.random.RandomState(SEED)
    ordered = np.concatenate([random.permutation(np.flatnonzero(labels == digit)) for digit in range(10)])
    test = np.arange(len(ordered)) % EVERY == 0
    return np.sort(ordered[~test] if train else ordered[test])
