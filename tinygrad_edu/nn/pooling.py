"""Pooling layers."""

from __future__ import annotations

from typing import Any

from tinygrad_edu.nn import functional as F
from tinygrad_edu.nn.functional.arguments import Ints, ints
from tinygrad_edu.nn.module import Module

__all__ = ["AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AvgPool1d", "AvgPool2d", "MaxPool1d", "MaxPool2d"]


class _MaxPool(Module):
    def __init__(
        self,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        dilation: Ints = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def extra_repr(self) -> str:
        """The windows."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"ceil_mode={self.ceil_mode}"
        )

    def _settings(self) -> tuple[Any, ...]:
        windows = (self.kernel_size, self.stride, self.padding, self.dilation)
        return (*windows, self.ceil_mode, self.return_indices)


class MaxPool1d(_MaxPool):
    """The largest entry of every window: (N, C, L) -> (N, C, L'); the arguments of `MaxPool2d`."""

    def forward(self, input: Any) -> Any:
        """(N, C, L) or (C, L) -> the same with L'; with return_indices also the places."""
        return F.max_pool1d(input, *self._settings())


class MaxPool2d(_MaxPool):
    """The largest entry of every window: (N, C, H, W) -> (N, C, H', W').

    stride         -- how far windows are apart; None: the kernel size
    padding        -- with -inf, at most half of what a window spans
    return_indices -- also give the place of each entry in its image, row * W + column (int64)
    ceil_mode      -- a last window may hang over the edge

    >>> import tinygrad_edu as tg
    >>> tg.nn.MaxPool2d(2)(tg.arange(16.0).reshape(1, 4, 4))
    tensor([[[ 5.,  7.],
             [13., 15.]]])
    """

    def forward(self, input: Any) -> Any:
        """(N, C, H, W) or (C, H, W) -> the same with (H', W'); with return_indices also the places."""
        return F.max_pool2d(input, *self._settings())


class _AvgPool(Module):
    kernel_size: Ints
    stride: Ints
    padding: Ints

    def extra_repr(self) -> str:
        """The windows."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(_AvgPool):
    """The mean of every window: (N, C, L) -> (N, C, L'); the arguments of `AvgPool2d`."""

    def __init__(
        self,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = ints("AvgPool1d", "kernel_size", kernel_size, 1, 1)
        self.stride = self.kernel_size if stride is None else ints("AvgPool1d", "stride", stride, 1, 1)
        self.padding = ints("AvgPool1d", "padding", padding, 1, 0)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Any) -> Any:
        """(N, C, L) or (C, L) -> the same with L'."""
        settings = (self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)
        return F.avg_pool1d(input, *settings)


class AvgPool2d(_AvgPool):
    """The mean of every window: (N, C, H, W) -> (N, C, H', W').

    stride            -- how far windows are apart; None: the kernel size
    padding           -- with zeros, at most half of what a window spans
    ceil_mode         -- a last window may hang over the edge
    count_include_pad -- the zeros of the padding count in the mean
    divisor_override  -- divide by this number instead of the size of the window

    >>> import tinygrad_edu as tg
    >>> tg.nn.AvgPool2d(2)(tg.arange(16.0).reshape(1, 4, 4))
    tensor([[[ 2.5000,  4.5000],
             [10.5000, 12.5000]]])
    """

    def __init__(
        self,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Any) -> Any:
        """(N, C, H, W) or (C, H, W) -> the same with (H', W')."""
        settings = (self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)
        return F.avg_pool2d(input, *settings, self.divisor_override)


class _Adaptive(Module):
    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def extra_repr(self) -> str:
        """The size of the output."""
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_Adaptive):
    """The means of `output_size` windows that share a signal evenly: (N, C, L) -> (N, C, output_size)."""

    def forward(self, input: Any) -> Any:
        """(N, C, L) or (C, L) -> the same with output_size entries."""
        return F.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(_Adaptive):
    """The means of windows that share an image evenly: (N, C, H, W) -> (N, C, *output_size); None keeps a size.

    >>> import tinygrad_edu as tg
    >>> tg.nn.AdaptiveAvgPool2d((1, None))(tg.arange(6.0).reshape(1, 2, 3))
    tensor([[[1.5000, 2.5000, 3.5000]]])
    """

    def forward(self, input: Any) -> Any:
        """(N, C, H, W) or (C, H, W) -> the same with the size asked for."""
        return F.adaptive_avg_pool2d(input, self.output_size)
