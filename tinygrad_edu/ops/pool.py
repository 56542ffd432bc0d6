"""Pooling.  The gradient of max pooling puts back what comes from above at the places of the largest entries;
average pooling spreads it over the windows.  kernel_size, stride, padding, dilation are (rows, columns).
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from tinygrad_edu import kernels
from tinygrad_edu.engine.calls import primitive
from tinygrad_edu.engine.domain import Family

__all__ = [
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_to_input",
    "avg_pool2d",
    "avg_pool2d_to_input",
    "max_pool2d",
    "pool_gather",
    "pool_scatter",
]

IMAGE, POOLED = (1, 1, 4, 4), (1, 1, 2, 2)
PLACES = np.array([[[[0, 2], [9, 15]]]])
WINDOW = {"kernel_size": (2, 2), "stride": (2, 2)}


@primitive(
    domain=Family("max_pool2d", data={"example": ({"x": IMAGE}, WINDOW)}),
    text="max_pool2d({x})",
    latex=r"\mathrm{{maxpool}}({x})",
    outputs=2,
    auxiliary=(1,),
)
def max_pool2d(x, *, kernel_size, stride, padding=(0, 0), dilation=(1, 1), ceil_mode=False):
    """The largest entry of each window of x (N, C, H, W), the first one of several; and its place, row * W + column."""
    return kernels.max_pool2d(x, kernel_size, stride, padding, dilation, ceil_mode)


@primitive(
    domain=Family("pool_gather", data={"example": ({"x": IMAGE, "places": PLACES}, {})}),
    text="gather({x}, {places})",
    latex="{x}_{{[{places}]}}",
)
def pool_gather(x, places):
    """The entries of the images x (N, C, H, W) at `places` (N, C, H', W'); 0 at place -1."""
    return kernels.pool_gather(x, places)


@primitive(
    domain=Family("pool_scatter", data={"example": ({"y": POOLED, "places": PLACES}, {"size": (4, 4)})}),
    text="scatter({y}, {places})",
    latex=r"{y}_{{[{places}]^{{\top}}}}",
)
def pool_scatter(y, places, *, size):
    """Images (N, C, *size) of zeros with every y added at its place."""
    return kernels.pool_scatter(y, places, size)


max_pool2d.pullback(x=lambda g, z1, x_shape: pool_scatter(g[0], z1, size=x_shape[2:]))
pool_gather.no_gradient("places")
pool_gather.pullback(x=lambda g, places, x_shape: pool_scatter(g, places, size=x_shape[2:]))
pool_scatter.no_gradient("places")
pool_scatter.pullback(y=lambda g, places: pool_gather(g, places))


def _spans(size: int, kernel: int, stride: int, padding: int, ceil_mode: bool) -> tuple[Any, Any]:
    """(first and end of every window within an axis, its length with the padding on both sides)."""
    first = np.arange(kernels.pool_size(size, kernel, stride, padding, 1, ceil_mode)) * stride - padding
    end = np.minimum(first + kernel, size + padding)
    return np.stack([np.maximum(first, 0), np.minimum(end, size)], axis=1), end - first


@functools.lru_cache(maxsize=256)
def windows(
    size: tuple[int, int],
    kernel_size: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
    dtype: Any,
) -> tuple[Any, Any, Any]:
    """(rows, columns, divisor) of average pooling, as `kernels.average_windows` takes them."""
    (rows, high), (columns, wide) = (_spans(size[a], kernel_size[a], stride[a], padding[a], ceil_mode) for a in (0, 1))
    if not count_include_pad:
        high, wide = rows[:, 1] - rows[:, 0], columns[:, 1] - columns[:, 0]
    divisor = np.outer(high, wide) if divisor_override is None else np.full((len(high), len(wide)), divisor_override)
    return rows, columns, divisor.astype(dtype)


@functools.lru_cache(maxsize=256)
def adaptive_windows(size: tuple[int, int], output_size: tuple[int, int], dtype: Any) -> tuple[Any, Any, Any]:
    """(rows, columns, divisor) of windows that share an image as evenly as they can."""
    rows, columns = (
        np.array([[i * n // k, -(-(i + 1) * n // k)] for i in range(k)], np.int64).reshape(k, 2)
        for n, k in zip(size, output_size, strict=True)
    )
    return rows, columns, np.outer(rows[:, 1] - rows[:, 0], columns[:, 1] - columns[:, 0]).astype(dtype)


@primitive(
    domain=Family("avg_pool2d", data={"example": ({"x": IMAGE}, WINDOW)}),
    text="avg_pool2d({x})",
    latex=r"\mathrm{{avgpool}}({x})",
)
def avg_pool2d(
    x, *, kernel_size, stride, padding=(0, 0), ceil_mode=False, count_include_pad=True, divisor_override=None
):
    """The sum of each window of x (N, C, H, W), divided by its size."""
    settings = (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    return kernels.average_windows(x, *windows(x.shape[2:], *settings, x.dtype))


@primitive(
    domain=Family("avg_pool2d", data={"example": ({"y": POOLED}, {"size": (4, 4), **WINDOW})}),
    text="avg_pool2d_to_input({y})",
    latex=r"\mathrm{{avgpool}}^{{\top}}({y})",
)
def avg_pool2d_to_input(
    y, *, size, kernel_size, stride, padding=(0, 0), ceil_mode=False, count_include_pad=True, divisor_override=None
):
    """Every y divided by the size of its window, and added to all entries of it -> (N, C, *size)."""
    settings = (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    return kernels.spread_windows(y, size, *windows(size, *settings, y.dtype))


avg_pool2d.pullback(
    x=lambda g, x_shape, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override: (
        avg_pool2d_to_input(
            g,
            size=x_shape[2:],
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            ceil_mode=ceil_mode,
            count_include_pad=count_include_pad,
            divisor_override=divisor_override,
        )
    )
)
avg_pool2d_to_input.pullback(
    y=lambda g, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override: avg_pool2d(
        g,
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
        divisor_override=divisor_override,
    )
)


@primitive(
    domain=Family("adaptive_avg_pool2d", data={"example": ({"x": IMAGE}, {"output_size": (2, 3)})}),
    text="adaptive_avg_pool2d({x}, {output_size})",
    latex=r"\mathrm{{avgpool}}({x})",
)
def adaptive_avg_pool2d(x, *, output_size):
    """The means of windows that share x (N, C, H, W) as evenly as they can -> (N, C, *output_size)."""
    return kernels.average_windows(x, *adaptive_windows(x.shape[2:], output_size, x.dtype))


@primitive(
    domain=Family("adaptive_avg_pool2d", data={"example": ({"y": (1, 1, 2, 3)}, {"size": (4, 4)})}),
    text="adaptive_avg_pool2d_to_input({y}, {size})",
    latex=r"\mathrm{{avgpool}}^{{\top}}({y})",
)
def adaptive_avg_pool2d_to_input(y, *, size):
    """Every y divided by the size of its window, and added to all entries of it -> (N, C, *size)."""
    return kernels.spread_windows(y, size, *adaptive_windows(size, y.shape[2:], y.dtype))


adaptive_avg_pool2d.pullback(x=lambda g, x_shape: adaptive_avg_pool2d_to_input(g, size=x_shape[2:]))
adaptive_avg_pool2d_to_input.pullback(y=lambda g, y_shape: adaptive_avg_pool2d(g, output_size=y_shape[2:]))
