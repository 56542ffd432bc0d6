"""Pooling of signals (N, C, L) and images (N, C, H, W) as functions of tensors.

Without the batch axis an input is taken as a batch of one.
"""

from __future__ import annotations

from typing import Any

from tinygrad_edu import ops
from tinygrad_edu.nn.functional.arguments import Ints, batched, ints, unbatched

__all__ = ["adaptive_avg_pool1d", "adaptive_avg_pool2d", "avg_pool1d", "avg_pool2d", "max_pool1d", "max_pool2d"]


def max_pool1d(
    input: Any,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest entry of every window: (N, C, L) -> (N, C, L'); the arguments are those of `max_pool2d`."""
    settings = (kernel_size, stride, padding, dilation, ceil_mode)
    return _max_pool("max_pool1d", 1, input, settings, return_indices)


def max_pool2d(
    input: Any,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest entry of every window: (N, C, H, W) -> (N, C, H', W').

    stride         -- how far windows are apart; None: the kernel size
    padding        -- with -inf, at most half of what a window spans
    ceil_mode      -- a last window may hang over the edge
    return_indices -- also give the place of each entry in its image, row * W + column (int64)

    The gradient goes to the first of equal entries.  Raises RuntimeError when no window fits.

    >>> import tinygrad_edu as tg
    >>> x = tg.tensor([[[1.0, 3.0], [3.0, 2.0]]], requires_grad=True)
    >>> tg.nn.functional.max_pool2d(x, 2).sum().backward()
    >>> x.grad
    tensor([[[0., 1.],
             [0., 0.]]])
    """
    settings = (kernel_size, stride, padding, dilation, ceil_mode)
    return _max_pool("max_pool2d", 2, input, settings, return_indices)


def _windows(name: str, spatial: int, kernel_size: Any, stride: Any, padding: Any) -> dict[str, Any]:
    """The static parameters that all pooling has, for both axes of an image."""
    kernel = ints(name, "kernel_size", kernel_size, spatial, 1)
    steps = kernel if stride is None or stride == [] else ints(name, "stride", stride, spatial, 1)
    one, none = (1,) * (2 - spatial), (0,) * (2 - spatial)
    around = none + ints(name, "padding", padding, spatial, 0)
    return {"kernel_size": one + kernel, "stride": one + steps, "padding": around}


def _images(name: str, spatial: int, input: Any) -> Any:
    """The input of a pooling; only the batch may be empty."""
    x = batched(name, input, spatial)
    if 0 in x._array.shape[1:]:
        raise RuntimeError(
            f"{name}: expected a tensor with at most 0 dim batch size, but got size {list(input._array.shape)}"
        )
    return x


def _max_pool(name: str, spatial: int, input: Any, settings: tuple[Any, ...], return_indices: bool) -> Any:
    kernel_size, stride, padding, dilation, ceil_mode = settings
    static = _windows(name, spatial, kernel_size, stride, padding)
    static["dilation"] = (1,) * (2 - spatial) + ints(name, "dilation", dilation, spatial, 1)
    found = ops.max_pool2d(_images(name, spatial, input), ceil_mode=bool(ceil_mode), **static)
    values, indices = (unbatched(part, input, spatial) for part in found)
    return (values, indices.long()) if return_indices else values


def avg_pool1d(
    input: Any,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:
    """The mean of every window: (N, C, L) -> (N, C, L'); the arguments are those of `avg_pool2d`."""
    static = _windows("avg_pool1d", 1, kernel_size, stride, padding)
    static |= {"ceil_mode": bool(ceil_mode), "count_include_pad": bool(count_include_pad)}
    return unbatched(ops.avg_pool2d(_images("avg_pool1d", 1, input), **static), input, 1)


def avg_pool2d(
    input: Any,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    """The mean of every window: (N, C, H, W) -> (N, C, H', W').

    stride            -- how far windows are apart; None: the kernel size
    padding           -- with zeros, at most half of what a window spans
    ceil_mode         -- a last window may hang over the edge; what is beyond the padding does not count
    count_include_pad -- the zeros of the padding count in the mean
    divisor_override  -- divide by this number instead of the size of the window

    Raises RuntimeError when no window fits.
    """
    if divisor_override == 0:
        raise RuntimeError("avg_pool2d: divisor must be not zero")
    static = _windows("avg_pool2d", 2, kernel_size, stride, padding)
    static |= {"ceil_mode": bool(ceil_mode), "count_include_pad": bool(count_include_pad)}
    x = _images("avg_pool2d", 2, input)
    return unbatched(ops.avg_pool2d(x, divisor_override=divisor_override, **static), input, 2)


def adaptive_avg_pool1d(input: Any, output_size: Any) -> Any:
    """The means of `output_size` windows that share a signal as evenly as they can: (N, C, L) -> (N, C, L')."""
    return _adaptive("adaptive_avg_pool1d", 1, input, output_size)


def adaptive_avg_pool2d(input: Any, output_size: Any) -> Any:
    """The means of windows that share an image as evenly as they can: (N, C, H, W) -> (N, C, *output_size).

    output_size -- an int, or two; None keeps a size.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.adaptive_avg_pool2d(tg.tensor([[[1.0, 2.0, 3.0]]]), (None, 2))
    tensor([[[1.5000, 2.5000]]])
    """
    return _adaptive("adaptive_avg_pool2d", 2, input, output_size)


def _adaptive(name: str, spatial: int, input: Any, output_size: Any) -> Any:
    x = _images(name, spatial, input)
    given = list(output_size) if isinstance(output_size, (tuple, list)) else [output_size] * spatial
    if len(given) == spatial:
        given = [n if out is None else out for n, out in zip(x._array.shape[-spatial:], given, strict=True)]
    wanted = (1,) * (2 - spatial) + ints(name, "output_size", given, spatial, 0)
    return unbatched(ops.adaptive_avg_pool2d(x, output_size=wanted), input, spatial)
