"""What the demos learn from, and what they fall back to where files are missing; the report says which it was."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

import tinygrad_edu as tg
from demos.report import Report
from tinygrad_edu.datasets import (
    CIS581,
    MNIST,
    CIFAR10Subset,
    DetectionImages,
    Digits,
    FashionMNIST,
    LineImages,
    RandomImages,
)
from tinygrad_edu.datasets.places import first_with

OTHERS = "What is called reported or elsewhere is about the real pictures."


class Part(NamedTuple):
    """Pictures (N, C, H, W) float32 in 0..1 and their labels (N,) int64."""

    images: tg.Tensor
    targets: tg.Tensor

    def first(self, count: int) -> Part:
        """The first `count` of them."""
        return Part(self.images[:count], self.targets[:count])


@dataclass
class Images:
    """Pictures to train on and to test on, and the names of the classes; `real`: not a stand-in."""

    name: str
    train: Part
    test: Part
    classes: tuple[str, ...]
    real: bool

    def first(self, train: int, test: int) -> Images:
        """Less of it."""
        return replace(self, train=self.train.first(train), test=self.test.first(test))


def oracle(file: str) -> dict[str, np.ndarray] | None:
    """The arrays of one file of initial weights, or None where there is none."""
    try:
        folder = first_with(None, "oracles", [file], file)
    except RuntimeError:
        return None
    with np.load(folder / file, allow_pickle=False) as arrays:
        return dict(arrays)


def course_pictures(report: Report, kind: str) -> tuple[tg.Tensor, tg.Tensor, tg.Tensor | None, bool]:
    """(pictures (64, 1, H, W), labels (64, 1), half widths (64, 1) or None, whether they are the course's), float64."""
    drawn = {"random": RandomImages, "line": LineImages, "detection": DetectionImages}[kind]
    try:
        data, real = CIS581(kind), True
        report.text(f"Data: the course's 64 pictures, from {data.location}.")
    except RuntimeError:
        data, real = drawn(64), False
        report.text("Data: 64 pictures drawn by the same rule, because the course's own are not here; counts differ.")
    tensors = [data.images, *(t.reshape(64, 1) for t in data.tensors()[1:])]
    images, targets, *widths = (t.double() for t in tensors)
    return images, targets, widths[0] if widths else None, real


def grey(report: Report, fashion: bool = False) -> Images:
    """MNIST (or Fashion-MNIST): from a folder, or downloaded once; else scikit-learn's digits, as large."""
    kind = FashionMNIST if fashion else MNIST
    try:
        train, test = kind(train=True, download=True), kind(train=False, download=True)
    except (RuntimeError, OSError) as error:
        report.text(
            f"Data: scikit-learn's digits enlarged to 28 x 28, for {kind.__name__} is neither here nor to be had "
            f"({str(error).splitlines()[0].rstrip(':')}). {OTHERS}"
        )
        return digits()
    report.text(f"Data: {kind.__name__}, {len(train):,} + {len(test):,} pictures, from {train.location}.")
    return Images(kind.__name__, Part(*train.tensors()), Part(*test.tensors()), tuple(train.classes), True)


def digits() -> Images:
    """The bundled digits in the form of MNIST: each pixel 3 x 3, and a margin of 2."""

    def enlarged(data: Digits) -> Part:
        wide = np.kron(data.images.numpy(), np.ones((1, 1, 3, 3), np.float32))
        return Part(tg.from_numpy(np.pad(wide, ((0, 0), (0, 0), (2, 2), (2, 2)))), data.targets)

    return Images("digits", enlarged(Digits(train=True)), enlarged(Digits(train=False)), Digits.classes, False)


def colour(report: Report) -> Images:
    """A fifth of CIFAR-10 from a folder; else the digits, 32 x 32, in three equal channels."""
    try:
        train, test = CIFAR10Subset(train=True), CIFAR10Subset(train=False)
    except RuntimeError:
        report.text(f"Data: scikit-learn's digits enlarged to 32 x 32, for the CIFAR-10 subset is not here. {OTHERS}")
        return coloured(digits())
    report.text(f"Data: a fifth of CIFAR-10, {len(train):,} + {len(test):,} pictures, from {train.location}.")
    return Images("CIFAR-10 subset", Part(*train.tensors()), Part(*test.tensors()), tuple(train.classes), True)


def coloured(grey: Images) -> Images:
    """Pictures of 28 x 28 as (N, 3, 32, 32): a margin of 2, and three equal channels."""

    def framed(part: Part) -> Part:
        wide = np.pad(part.images.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)))
        return Part(tg.from_numpy(np.repeat(wide, 3, axis=1)), part.targets)

    return replace(grey, train=framed(grey.train), test=framed(grey.test))
