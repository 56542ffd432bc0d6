"""Random crops, shifts, flips and rotations: new pictures of the same things."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.engine.mode import unrecordable
from tinygrad_edu.functions.randomness import Generator
from tinygrad_edu.transforms.draws import generator_of, integers, uniform
from tinygrad_edu.transforms.layout import planes


class RandomGeometry:
    """What the transforms of this file share: images in, images of the same kind out.

    Raises RuntimeError for Tensors that require grad, and while a program is being recorded: what was drawn would be
    frozen into it.
    """

    def __init__(self, generator: Generator | int | None) -> None:
        # None stays None, so that such a transform can be pickled and copied.
        self.generator = None if generator is None else generator_of(generator)

    def __call__(self, image: Any) -> Any:
        name = type(self).__name__
        unrecordable(name, "transform the batch outside of the recorded block, and pass it as an input")
        pictures, restore = planes(name, image)
        return restore(self._changed(pictures, generator_of(self.generator)))

    def _changed(self, pictures: np.ndarray, generator: Generator) -> np.ndarray:
        """New pictures (N, C, H', W') of the same dtype."""
        raise NotImplementedError


class RandomHorizontalFlip(RandomGeometry):
    """Mirror left and right with probability p.  Raises ValueError for a p outside of 0..1.

    >>> import numpy as np
    >>> RandomHorizontalFlip(p=1)(np.array([[1, 2, 3]]))
    array([[3, 2, 1]])
    """

    def __init__(self, p: float = 0.5, *, generator: Generator | int | None = None) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"RandomHorizontalFlip: the probability p must be between 0 and 1, it is {p}")
        super().__init__(generator)
        self.p = p

    def _changed(self, pictures: np.ndarray, generator: Generator) -> np.ndarray:
        flipped = uniform(generator, len(pictures)) < self.p
        out = pictures.copy()
        out[flipped] = pictures[flipped, :, :, ::-1]
        return out

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p})"


class RandomCrop(RandomGeometry):
    """A part of the image at a random place.

    size          -- of the part: an int, or (height, width)
    padding       -- pixels added first: all around, or (left and right, top and bottom), or (left, top, right, bottom)
    pad_if_needed -- add what is missing when the image is smaller than the part
    fill          -- the value of the pixels added
    padding_mode  -- "constant", "edge", "reflect" or "symmetric"

    Raises ValueError for a part that is larger than the padded image, and for settings it does not know.

    >>> import numpy as np
    >>> RandomCrop(28, padding=4)(np.zeros((28, 28), np.uint8)).shape
    (28, 28)
    """

    MODES = ("constant", "edge", "reflect", "symmetric")

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        pad_if_needed: bool = False,
        fill: float = 0,
        padding_mode: str = "constant",
        *,
        generator: Generator | int | None = None,
    ) -> None:
        super().__init__(generator)
        self.size = _pair("RandomCrop: size", size)
        if padding_mode not in self.MODES:
            raise ValueError(f"RandomCrop: padding_mode must be one of {self.MODES}, not {padding_mode!r}")
        self.padding = padding
        self.sides = _sides(padding)
        self.pad_if_needed = pad_if_needed
        self.fill = fill
        self.padding_mode = padding_mode

    def _changed(self, pictures: np.ndarray, generator: Generator) -> np.ndarray:
        rows, columns = self.sides
        if self.pad_if_needed:
            height, width = pictures.shape[2] + sum(rows), pictures.shape[3] + sum(columns)
            more_rows, more_columns = max(self.size[0] - height, 0), max(self.size[1] - width, 0)
            rows = (rows[0] + more_rows, rows[1] + more_rows)
            columns = (columns[0] + more_columns, columns[1] + more_columns)
        padded = _padded(pictures, rows, columns, self.padding_mode, self.fill)
        height, width = padded.shape[2:]
        if self.size[0] > height or self.size[1] > width:
            raise ValueError(
                f"RandomCrop: required crop size {self.size} is larger than the (padded) image {(height, width)}: "
                "use pad_if_needed=True or more padding"
            )
        return _windows(padded, self.size, generator)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size}, padding={self.padding})"


class RandomShift(RandomGeometry):
    """Move the image by up to `pixels` up or down and left or right, whole pixels, all equally likely.

    pixels -- an int, or (vertically, horizontally); what comes in at the edges is `fill`.  The size stays.
    torchvision has no such transform: it is RandomCrop(image size, padding=pixels).

    >>> import numpy as np
    >>> RandomShift((0, 1), generator=0)(np.array([[1, 2, 3]]))
    array([[0, 1, 2]])
    """

    def __init__(
        self, pixels: int | Sequence[int], fill: float = 0, *, generator: Generator | int | None = None
    ) -> None:
        super().__init__(generator)
        self.pixels = _pair("RandomShift: pixels", pixels, least=0)
        self.fill = fill

    def _changed(self, pictures: np.ndarray, generator: Generator) -> np.ndarray:
        down, right = self.pixels
        padded = _padded(pictures, (down, down), (right, right), "constant", self.fill)
        return _windows(padded, pictures.shape[2:], generator)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(pixels={self.pixels}, fill={self.fill})"


class RandomRotation(RandomGeometry):
    """Turn the image about its centre by a random angle, with bilinear interpolation.

    degrees -- (from, to), or a number d for (-d, d); positive angles turn counter-clockwise
    fill    -- the value outside of the image

    The size stays.  With the offsets dx, dy of a pixel from the centre and the angle a, its value is the one at
    (dx cos a - dy sin a, dx sin a + dy cos a) in the original, between four pixels; integers are rounded.

    Raises ValueError for a negative number of degrees.

    >>> import numpy as np
    >>> RandomRotation((90, 90))(np.array([[1, 2], [3, 4]]))
    array([[2, 4],
           [1, 3]])
    """

    def __init__(
        self, degrees: float | Sequence[float], fill: float = 0, *, generator: Generator | int | None = None
    ) -> None:
        super().__init__(generator)
        given = [float(d) for d in np.atleast_1d(degrees)]
        if len(given) == 1:
            if given[0] < 0:
                raise ValueError(f"RandomRotation: if degrees is a single number it must not be negative: {degrees}")
            given = [-given[0], given[0]]
        if len(given) != 2:
            raise ValueError(f"RandomRotation: degrees must be a number or (from, to), not {degrees}")
        self.degrees = given
        self.fill = fill

    def _changed(self, pictures: np.ndarray, generator: Generator) -> np.ndarray:
        low, high = self.degrees
        angles = np.deg2rad(low + (high - low) * uniform(generator, len(pictures)))
        turned = rotated(pictures, angles, self.fill)
        return (turned if pictures.dtype.kind == "f" else np.rint(turned)).astype(pictures.dtype)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(degrees={self.degrees}, interpolation=bilinear, fill={self.fill})"


def rotated(pictures: np.ndarray, angles: np.ndarray, fill: float) -> np.ndarray:
    """Each picture of (N, C, H, W) turned by its angle (N,) in radians, as float64."""
    height, width = pictures.shape[2:]
    dy = np.arange(height)[:, None] - (height - 1) / 2
    dx = np.arange(width) - (width - 1) / 2
    sin, cos = np.sin(angles)[:, None, None], np.cos(angles)[:, None, None]
    y, x = dx * sin + dy * cos + (height - 1) / 2, dx * cos - dy * sin + (width - 1) / 2
    top, left = np.floor(y).astype(np.int64), np.floor(x).astype(np.int64)
    each = np.arange(len(pictures))[:, None, None]
    out = np.zeros((len(pictures), height, width, pictures.shape[1]))
    for row, row_share in ((top, top + 1 - y), (top + 1, y - top)):
        for column, column_share in ((left, left + 1 - x), (left + 1, x - left)):
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            found = pictures[each, :, row.clip(0, height - 1), column.clip(0, width - 1)]
            out += (row_share * column_share)[..., None] * np.where(inside[..., None], found, fill)
    return np.moveaxis(out, -1, 1)


def _padded(
    pictures: np.ndarray, rows: tuple[int, int], columns: tuple[int, int], mode: str, fill: float
) -> np.ndarray:
    """Pixels added above and below, and left and right."""
    if not any(rows + columns):
        return pictures
    if mode != "constant":
        return np.pad(pictures, ((0, 0), (0, 0), rows, columns), mode=mode)  # type: ignore[call-overload]
    height, width = pictures.shape[2:]
    out = np.full((*pictures.shape[:2], height + sum(rows), width + sum(columns)), fill, pictures.dtype)
    out[:, :, rows[0] : rows[0] + height, columns[0] : columns[0] + width] = pictures
    return out


def _windows(pictures: np.ndarray, size: tuple[int, ...], generator: Generator) -> np.ndarray:
    """A part (height, width) of each picture, all places equally likely."""
    (height, width), (rows, columns) = size, pictures.shape[2:]
    high = [[rows - height + 1], [columns - width + 1]]
    out = np.empty((*pictures.shape[:2], height, width), pictures.dtype)
    for i, (top, left) in enumerate(integers(generator, 0, high, 2, len(pictures)).T.tolist()):
        out[i] = pictures[i, :, top : top + height, left : left + width]
    return out


def _pair(what: str, value: Any, least: int = 1) -> tuple[int, int]:
    """One int for both, or two."""
    pair = tuple(operator.index(v) for v in np.atleast_1d(value))
    pair = pair * 2 if len(pair) == 1 else pair
    if len(pair) != 2 or min(pair) < least:
        raise ValueError(f"{what} must be an int of at least {least}, or two (height, width), not {value!r}")
    return pair[0], pair[1]


def _sides(padding: int | Sequence[int] | None) -> tuple[tuple[int, int], tuple[int, int]]:
    """((above, below), (left, right)) of what RandomCrop takes."""
    given = tuple(operator.index(v) for v in np.atleast_1d(0 if padding is None else padding))
    if len(given) not in (1, 2, 4) or min(given) < 0:
        raise ValueError(f"RandomCrop: padding must be 1, 2 or 4 numbers that are not negative, not {padding!r}")
    left, top, right, bottom = given * (4 // len(given))
    return (top, bottom), (left, right)
