"""What the tests of image kernels draw: images in every memory layout, channels-last among them, and geometries."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from kernel_strategies import LAYOUTS, lay_out

from tinygrad_edu.kernels import conv_size


def channels_last(x: np.ndarray) -> np.ndarray:
    """The same values with the channels next to each other in memory."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


def in_layout(x: np.ndarray, layout: str, axis: int) -> np.ndarray:
    """The same values in a memory layout."""
    return channels_last(x) if layout == "channels-last" else lay_out(x, layout, axis)


@st.composite
def whole(draw: Any, shape: tuple[int, ...], dtype: Any, largest: int = 4) -> np.ndarray:
    """Small whole numbers in a drawn layout: sums of their products are exact in any order."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = generator.integers(-largest, largest + 1, shape).astype(dtype)
    return in_layout(values, draw(st.sampled_from(("channels-last", *LAYOUTS))), draw(st.integers(0, 3)))


@st.composite
def convolutions(draw: Any) -> dict[str, Any]:
    """The shapes of x, w and y of a convolution, and its stride, padding, dilation and groups."""
    axes = []
    for _ in range(2):
        kernel, stride, dilation = draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.integers(1, 3))
        padding = (draw(st.integers(0, 4)), draw(st.integers(0, 4)))
        size = max(draw(st.integers(1, 7)), dilation * (kernel - 1) + 1 - sum(padding))
        axes.append((size, kernel, stride, padding, dilation, conv_size(size, kernel, stride, padding, dilation)))
    size, kernel, stride, padding, dilation, out = zip(*axes, strict=True)
    n, groups = draw(st.sampled_from([1, 2, 3, 0])), draw(st.integers(1, 4))
    per_group, columns = draw(st.integers(1, 5)), draw(st.integers(1, 9))
    return {
        "x": (n, groups * per_group, *size),
        "w": (groups * columns, per_group, *kernel),
        "y": (n, groups * columns, *out),
        "rest": (stride, padding, dilation, groups),
    }
