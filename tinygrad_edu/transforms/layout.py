"""Where rows, columns and channels are: pictures of either kind as planes (N, C, H, W), and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.engine.value import Value
from tinygrad_edu.functions.creation import from_numpy

CHANNELS = (1, 2, 3, 4)


def check_channels(name: str, array: np.ndarray) -> None:
    """Refuse arrays whose last axis cannot be channels: batches of grey pictures look like that."""
    if array.ndim not in (2, 3, 4):
        raise ValueError(
            f"{name}: an array must be a picture (H, W) or (H, W, C), or a batch (N, H, W, C), not {array.shape}"
        )
    if array.ndim > 2 and array.shape[-1] not in CHANNELS:
        raise ValueError(
            f"{name}: the last axis of an array is its channels, 1 to 4 of them; its shape is {array.shape}. "
            "Grey pictures (N, H, W) are given as batch[..., None], channels first as a Tensor"
        )


def no_pixels(name: str, image: Any) -> TypeError:
    """The error for what is no picture."""
    return TypeError(
        f"{name} takes a NumPy array or a Tensor, not {type(image).__name__}: np.asarray(image) makes an array of most "
        "pictures"
    )


def planes(name: str, image: Any) -> tuple[np.ndarray, Callable[[np.ndarray], Any]]:
    """The pixels as a view (N, C, H, W), and the function that brings such an array back to the form of `image`.

    Raises TypeError for what is neither array nor Tensor, ValueError for other shapes, and RuntimeError for Tensors
    that require grad.
    """
    if isinstance(image, Value):
        return _planes_of_tensor(name, image)
    if not isinstance(image, np.ndarray):
        raise no_pixels(name, image)
    check_channels(name, image)
    if image.ndim == 2:
        return image[None, None], lambda array: np.ascontiguousarray(array[0, 0])
    if image.ndim == 3:
        return np.moveaxis(image, -1, 0)[None], lambda array: np.ascontiguousarray(np.moveaxis(array[0], 0, -1))
    return np.moveaxis(image, -1, 1), lambda array: np.ascontiguousarray(np.moveaxis(array, 1, -1))


def _planes_of_tensor(name: str, image: Value) -> tuple[np.ndarray, Callable[[np.ndarray], Any]]:
    if image._edge is not None:
        raise RuntimeError(f"{name} has no gradient, and this image requires one: pass image.detach()")
    array = image._array
    if array.ndim not in (2, 3, 4):
        raise ValueError(
            f"{name}: a Tensor must be an image (H, W) or (C, H, W), or a batch (N, C, H, W), not {array.shape}"
        )
    lead = 4 - array.ndim
    return array[(None,) * lead], lambda out: from_numpy(np.ascontiguousarray(out[(0,) * lead]))
