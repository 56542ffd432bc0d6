"""Black and white pictures drawn by rule, as many as wanted: `CIS581`'s three kinds, without its files."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.datasets.base import Rows
from tinygrad_edu.functions.randomness import Generator
from tinygrad_edu.transforms.draws import choice, generator_of, integers, permutation

SIDE = 16
RANDOM, LINE, DETECTION = ("0", "1"), ("square right of bar", "square left of bar"), ("diamond", "square")
# How often each value occurs among the 64 pictures of the course.
WIDTHS = {2: 15, 3: 32, 4: 17}
HEIGHTS = {11: 11, 12: 26, 13: 13, 14: 14}
SQUARES = {1: 7, 3: 15, 5: 32, 7: 7, 9: 2, 11: 1}
GAPS = {0: 6, 1: 15, 2: 17, 3: 12, 4: 6, 5: 6, 6: 2}
RADII = {1: 4, 2: 9, 3: 21, 4: 18, 5: 9, 6: 2, 7: 1}


def check_count(name: str, n: int, most: int | None = None) -> None:
    """Refuse numbers of items that cannot be."""
    if n < 0 or (most is not None and n > most):
        raise ValueError(f"{name}: n must be {'0 or more' if most is None else f'0 to {most}'}, it is {n}")


def balanced(generator: Generator, n: int, classes: int = 2) -> np.ndarray:
    """Labels 0 .. classes - 1, equally many of each (the first ones one more where n is no multiple), shuffled."""
    return permutation(generator, n) % classes


def picked(generator: Generator, table: dict[int, int], n: int) -> np.ndarray:
    """n keys of the table, each as likely as its number says."""
    return np.array(list(table))[choice(generator, list(table.values()), n)]


class LineImages(Rows):
    """Pictures 16 x 16 of one vertical bar and one filled square beside it: is the square left of the bar?

    n         -- how many; half of the labels are 1
    generator -- a Generator, or an int to start one from; None for the default one: the same pictures again for the
                 same seed
    transform -- applied to the image

    Item i is (image, label): a float32 Tensor (1, 16, 16) of 0 and 1, and an int, 1 when the square is left of the
    bar, else 0.  `images` (n, 1, 16, 16) and `targets` (n,) int64 hold all of them; `tensors()` gives both.

    The bar is 2 to 4 wide and 11 to 14 high, the square has an odd side of 1 to 11, and 0 to 6 empty columns lie
    between them.  Each is as frequent as in the course's 64 pictures, among what fits into 16 columns; where the two
    lie is uniform among the places they have.

    >>> image, label = LineImages(100, generator=0)[0]
    >>> image.shape, label
    (Size([1, 16, 16]), 1)
    """

    classes = LINE

    def __init__(
        self, n: int = 64, generator: Generator | int | None = None, transform: Callable[[Any], Any] | None = None
    ) -> None:
        check_count("LineImages", n)
        source = generator_of(generator)
        labels = balanced(source, n)
        fitting = [shape for shape in itertools.product(WIDTHS, GAPS, SQUARES) if sum(shape) <= SIDE]
        weights = [WIDTHS[width] * GAPS[gap] * SQUARES[square] for width, gap, square in fitting]
        width, gap, square = np.array(fitting)[choice(source, weights, n)].T
        height = picked(source, HEIGHTS, n)
        first = integers(source, 0, SIDE + 1 - width - gap - square, n)
        bar_top = integers(source, 0, SIDE + 1 - height, n)
        square_top = integers(source, 0, SIDE + 1 - square, n)
        bar_left = np.where(labels == 1, first + square + gap, first)
        square_left = np.where(labels == 1, first, first + width + gap)
        images = _filled(bar_top, bar_left, height, width) | _filled(square_top, square_left, square, square)
        super().__init__(transform, images[:, None].astype(np.float32), labels)
        self.images, self.targets = self.tensors()


class DetectionImages(Rows):
    """Pictures 16 x 16 of one diamond or one filled square: which is it, and how wide?

    n, generator, transform -- as for `LineImages`; half of the labels are 1

    Item i is (image, label, width): a float32 Tensor (1, 16, 16) of 0 and 1, 0 for a diamond or 1 for a square, and
    the half width r in 1..7.  `images` (n, 1, 16, 16), `targets` and `widths` (n,) int64 hold all of them; `tensors()`
    gives the three.

    Around its centre the diamond has the pixels with |dx| + |dy| <= r, the square those with max(|dx|, |dy|) <= r: both
    are 2r + 1 wide.  r is as frequent as in the course's 64 pictures; the centre is uniform where all of it fits in.

    >>> image, label, width = DetectionImages(100, generator=0)[0]
    >>> int(image.sum()) == (2 * width + 1) ** 2 if label else 2 * width * (width + 1) + 1
    True
    """

    classes = DETECTION

    def __init__(
        self, n: int = 64, generator: Generator | int | None = None, transform: Callable[[Any], Any] | None = None
    ) -> None:
        check_count("DetectionImages", n)
        source = generator_of(generator)
        labels = balanced(source, n)
        radius = picked(source, RADII, n)
        row, column = integers(source, radius, SIDE - radius, 2, n)
        down = np.abs(np.arange(SIDE)[:, None] - row[:, None, None])
        across = np.abs(np.arange(SIDE) - column[:, None, None])
        distance = np.where(labels[:, None, None] == 1, np.maximum(down, across), down + across)
        images = distance <= radius[:, None, None]
        super().__init__(transform, images[:, None].astype(np.float32), labels, radius)
        self.images, self.targets, self.widths = self.tensors()


class RandomImages(Rows):
    """Pictures 4 x 4 of fair bits, all different, with labels that follow no rule: to be learnt by heart.

    n, generator, transform -- as for `LineImages`; of n = 64 labels 11 are 1, of others the same share, rounded

    Item i is (image, label): a float32 Tensor (1, 4, 4) of 0 and 1, and an int.  `images` (n, 1, 4, 4) and `targets`
    (n,) int64 hold all of them; `tensors()` gives both.

    Raises ValueError for more than the 65,536 pictures there are.

    >>> int(RandomImages(generator=0).targets.sum())
    11
    """

    classes = RANDOM

    def __init__(
        self, n: int = 64, generator: Generator | int | None = None, transform: Callable[[Any], Any] | None = None
    ) -> None:
        check_count("RandomImages", n, 1 << 16)
        source = generator_of(generator)
        patterns = permutation(source, 1 << 16)[:n]
        images = (patterns[:, None] >> np.arange(16)) & 1
        labels = (permutation(source, n) < round(n * 11 / 64)).astype(np.int64)
        super().__init__(transform, images.reshape(n, 1, 4, 4).astype(np.float32), labels)
        self.images, self.targets = self.tensors()


def _filled(top: np.ndarray, left: np.ndarray, height: np.ndarray, width: np.ndarray) -> np.ndarray:
    """One filled rectangle per picture: (n, 16, 16) booleans."""
    rows, columns = np.arange(SIDE)[:, None], np.arange(SIDE)
    top, left, height, width = (v[:, None, None] for v in (top, left, height, width))
    return (rows >= top) & (rows < top + height) & (columns >= left) & (columns < left + width)
