"""From pixels to numbers that nets like, and transforms one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.engine.value import Value
from tinygrad_edu.functions.creation import from_numpy
from tinygrad_edu.transforms.layout import check_channels, no_pixels


class Compose:
    """Transforms one after the other.

    >>> Compose([Lambda(lambda x: x + 1), Lambda(lambda x: x * 10)])(2)
    30
    >>> Compose([ToTensor(), Normalize((0.1307,), (0.3081,))])
    Compose(
        ToTensor()
        Normalize(mean=(0.1307,), std=(0.3081,))
    )
    """

    def __init__(self, transforms: Iterable[Callable[[Any], Any]]) -> None:
        self.transforms = list(transforms)

    def __call__(self, image: Any) -> Any:
        for transform in self.transforms:
            image = transform(image)
        return image

    def __repr__(self) -> str:
        inside = "".join(f"{transform}\n" for transform in self.transforms).replace("\n", "\n    ").rstrip(" ")
        return f"{type(self).__name__}(\n    {inside})" if self.transforms else f"{type(self).__name__}()"


class Lambda:
    """Any function as a transform.  Raises TypeError for what cannot be called."""

    def __init__(self, lambd: Callable[[Any], Any]) -> None:
        if not callable(lambd):
            raise TypeError(f"Lambda: argument lambd should be callable, got {type(lambd).__name__}")
        self.lambd = lambd

    def __call__(self, image: Any) -> Any:
        return self.lambd(image)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class ToTensor:
    """A picture as a Tensor: channels first, and bytes 0..255 as float32 in 0..1.

    (H, W) -> (1, H, W), (H, W, C) -> (C, H, W), (N, H, W, C) -> (N, C, H, W); uint8 is divided by 255, any other dtype
    keeps its numbers.  The numbers are copied.  uint8 Tensors, being pixels still, are taken like arrays.

    Raises TypeError for a Tensor of another dtype and for what is no array, ValueError for other shapes.

    >>> import numpy as np
    >>> ToTensor()(np.array([[0, 51], [102, 255]], np.uint8))
    tensor([[[0.0000, 0.2000],
             [0.4000, 1.0000]]])
    """

    def __call__(self, pic: Any) -> Any:
        if isinstance(pic, Value):
            if pic._array.dtype != np.uint8:
                raise TypeError(
                    f"ToTensor takes pixels, and this is a Tensor of {pic._array.dtype} already: leave ToTensor out"
                )
            pic = pic._array
        if not isinstance(pic, np.ndarray):
            raise no_pixels("ToTensor", pic)
        check_channels("ToTensor", pic)
        first = pic[None] if pic.ndim == 2 else np.moveaxis(pic, -1, -3)
        if pic.dtype == np.uint8:
            return from_numpy(np.divide(first, np.float32(255), dtype=np.float32, order="C"))
        return from_numpy(np.array(first, order="C"))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Normalize:
    """Shift and scale each channel: (x - mean) / std.

    mean, std -- one number per channel, or one for all; float images only: arrays (H, W), (H, W, C), (N, H, W, C), or
    Tensors (..., C, H, W).  The dtype stays, and gradients pass.

    Raises ValueError for a std of 0 and for another number of channels, TypeError for images of integers.

    >>> import tinygrad_edu as tg
    >>> Normalize((0.5,), (0.25,))(tg.tensor([[[0.0, 0.5, 1.0]]]))
    tensor([[[-2.,  0.,  2.]]])
    """

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float]) -> None:
        self.mean, self.std = _numbers(mean), _numbers(std)
        if len(self.mean) != len(self.std) and 1 not in (len(self.mean), len(self.std)):
            raise ValueError(
                f"Normalize: {len(self.mean)} means and {len(self.std)} stds: give one of each per channel"
            )
        if 0.0 in self.std:
            raise ValueError(f"Normalize: std {self.std} has a zero, which would be divided by")

    def __call__(self, image: Any) -> Any:
        array = image._array if isinstance(image, Value) else image
        if not isinstance(array, np.ndarray):
            raise no_pixels("Normalize", image)
        if array.dtype.kind != "f":
            raise TypeError(f"Normalize: the image should be of floats, it is of {array.dtype}: use ToTensor() first")
        if isinstance(image, Value):
            if array.ndim < 3:
                raise ValueError(f"Normalize: the tensor should be an image (..., C, H, W), its shape is {array.shape}")
            channels, shape = array.shape[-3], (-1, 1, 1)
        else:
            check_channels("Normalize", array)
            channels, shape = (1 if array.ndim == 2 else array.shape[-1]), (-1,)
        mean, std = self._fitted(channels, array.dtype, shape)
        if isinstance(image, Value):
            mean, std = from_numpy(mean), from_numpy(std)
        return (image - mean) / std

    def _fitted(self, channels: int, dtype: np.dtype, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        count = max(len(self.mean), len(self.std))
        if count not in (1, channels):
            raise ValueError(f"Normalize: the image has {channels} channels, mean and std are for {count}")
        return np.array(self.mean, dtype).reshape(shape), np.array(self.std, dtype).reshape(shape)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(mean={self.mean}, std={self.std})"


def _numbers(values: Any) -> tuple[float, ...]:
    """One number or several, as a tuple of floats."""
    return tuple(float(v) for v in np.atleast_1d(np.asarray(values)))
