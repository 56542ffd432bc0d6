"""Points in the plane whose classes no line can part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.datasets.base import Rows
from tinygrad_edu.datasets.drawn import balanced, check_count
from tinygrad_edu.functions.randomness import Generator
from tinygrad_edu.transforms.draws import generator_of, normal, uniform


class Points(Rows):
    """(point, label) items: a float32 Tensor (2,) and an int.

    `points` (n, 2) and `targets` (n,) int64 hold all of them; `tensors()` gives both.
    """

    def __init__(
        self,
        points: np.ndarray,
        labels: np.ndarray,
        noise: float,
        generator: Generator,
        transform: Callable[[Any], Any] | None,
    ) -> None:
        if not noise >= 0:
            raise ValueError(f"{type(self).__name__}: noise is a standard deviation, it must not be negative: {noise}")
        if noise:
            points = points + noise * normal(generator, *points.shape)
        super().__init__(transform, points.astype(np.float32), labels)
        self.points, self.targets = self.tensors()


class Moons(Points):
    """Two half circles that reach into one another.

    n         -- how many points, half of each class, in random order
    noise     -- standard deviation of what is added to each coordinate
    generator -- a Generator, or an int to start one from; None for the default one
    transform -- applied to the point

    With t uniform on [0, pi) class 0 is (cos t, sin t), class 1 is (1 - cos t, 1/2 - sin t).

    Item i is (point, label): a float32 Tensor (2,) and an int; `points` (n, 2) and `targets` (n,) int64 hold all.

    >>> Moons(100, generator=0).points.shape
    Size([100, 2])
    """

    classes = ("upper", "lower")

    def __init__(
        self,
        n: int = 200,
        noise: float = 0.1,
        generator: Generator | int | None = None,
        transform: Callable[[Any], Any] | None = None,
    ) -> None:
        check_count("Moons", n)
        source = generator_of(generator)
        labels = balanced(source, n)
        angle = np.pi * uniform(source, n)
        upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        points = np.where(labels[:, None] == 0, upper, [1.0, 0.5] - upper)
        super().__init__(points, labels, noise, source, transform)


class Spirals(Points):
    """Arms that wind around the origin, one for each class.

    n         -- how many points, equally many on each arm, in random order
    arms      -- how many arms
    turns     -- how often an arm goes around
    noise, generator, transform -- as for `Moons`

    With r uniform on [0, 1) a point of arm k is r (cos a, sin a) at the angle a = 2 pi (turns r + k / arms).

    Item i is (point, label): a float32 Tensor (2,) and an int; `points` (n, 2) and `targets` (n,) int64 hold all.

    >>> Spirals(90, arms=3, generator=0).targets.max()
    tensor(2)
    """

    def __init__(
        self,
        n: int = 200,
        arms: int = 2,
        turns: float = 1.0,
        noise: float = 0.02,
        generator: Generator | int | None = None,
        transform: Callable[[Any], Any] | None = None,
    ) -> None:
        check_count("Spirals", n)
        if arms < 1:
            raise ValueError(f"Spirals: there must be at least one arm, not {arms}")
        self.classes = tuple(f"arm {arm}" for arm in range(arms))
        source = generator_of(generator)
        labels = balanced(source, n, arms)
        radius = uniform(source, n)
        angle = 2 * np.pi * (turns * radius + labels / arms)
        points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        super().__init__(points, labels, noise, source, transform)


class XOR(Points):
    """The four corners of the unit square; label 1 where exactly one coordinate is 1.

    n         -- how many points: the corners (0, 0), (0, 1), (1, 0), (1, 1) in turn, again and again
    noise, generator, transform -- as for `Moons`; without noise, which is the default, nothing is random

    Item i is (point, label): a float32 Tensor (2,) and an int; `points` (n, 2) and `targets` (n,) int64 hold all.

    >>> XOR().points.tolist(), XOR().targets.tolist()
    ([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1, 0])
    """

    classes = ("same", "different")

    def __init__(
        self,
        n: int = 4,
        noise: float = 0.0,
        generator: Generator | int | None = None,
        transform: Callable[[Any], Any] | None = None,
    ) -> None:
        check_count("XOR", n)
        first, second = np.arange(n) // 2 % 2, np.arange(n) % 2
        points = np.stack([first, second], axis=1).astype(np.float64)
        super().__init__(points, (first ^ second).astype(np.int64), noise, generator_of(generator), transform)
