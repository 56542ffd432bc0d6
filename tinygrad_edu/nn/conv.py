"""Convolution layers."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_edu.functions import creation
from tinygrad_edu.functions.promotion import require_tensor
from tinygrad_edu.nn import functional as F
from tinygrad_edu.nn import init
from tinygrad_edu.nn.functional.arguments import Ints, ints
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.parameter import Parameter

__all__ = ["Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d"]

_MODES = ("zeros", "reflect", "replicate", "circular")


class _Conv(Module):
    """What convolutions and their adjoints share: parameters, their first values, the repr."""

    weight: Parameter
    bias: Parameter | None
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: Any
    dilation: tuple[int, ...]
    output_padding: tuple[int, ...]

    def _build(
        self, axes: int, transposed: bool, channels: tuple[int, int], settings: dict[str, Any], bias: bool, made: Any
    ) -> None:
        """Check and keep the settings, make the parameters; `made` is their dtype and device."""
        super().__init__()
        name, groups = self._get_name(), settings["groups"]
        if groups <= 0:
            raise ValueError(f"{name}: groups must be a positive integer, not {groups}")
        for what, count in zip(("in_channels", "out_channels"), channels, strict=True):
            if count % groups:
                raise ValueError(f"{name}: {what} must be divisible by groups, but {what}={count} and groups={groups}")
        self.in_channels, self.out_channels = channels
        for key in ("kernel_size", "stride", "padding", "dilation", "output_padding"):
            value = settings.get(key, 0)
            least = 0 if "padding" in key else 1
            setattr(self, key, value if isinstance(value, str) else ints(name, key, value, axes, least))
        self.transposed, self.groups, self.padding_mode = transposed, groups, settings["padding_mode"]
        self._check_padding()
        ends = channels if transposed else channels[::-1]
        shape = (ends[0], ends[1] // groups, *self.kernel_size)
        self.weight = Parameter(creation.empty(*shape, **made))
        self.register_parameter("bias", Parameter(creation.empty(channels[1], **made)) if bias else None)
        self.reset_parameters()

    def _check_padding(self) -> None:
        name, padding = self._get_name(), self.padding
        if self.padding_mode not in _MODES:
            raise ValueError(f"{name}: padding_mode must be one of {', '.join(_MODES)}, but got {self.padding_mode!r}")
        if self.transposed and self.padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {name}, not {self.padding_mode!r}')
        if isinstance(padding, str) and (self.transposed or padding not in ("same", "valid")):
            choices = "ints" if self.transposed else "'same', 'valid' or ints"
            raise ValueError(f"{name}: invalid padding string {padding!r}, should be {choices}")
        if padding == "same" and any(s != 1 for s in self.stride):
            raise ValueError(f"{name}: padding='same' is not supported for strided convolutions, stride={self.stride}")

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        # with this slope kaiming's bound is 1 / sqrt(fan_in)
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        fan_in, _ = init.fans(self.weight)
        if self.bias is not None and fan_in:
            init.uniform_(self.bias, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))

    def extra_repr(self) -> str:
        """Channels and kernel, and whatever differs from the defaults."""
        axes = len(self.kernel_size)
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        usual = {"padding": (0,) * axes, "dilation": (1,) * axes, "output_padding": (0,) * axes, "groups": 1}
        parts += [f"{k}={getattr(self, k)}" for k, default in usual.items() if getattr(self, k) != default]
        parts += ["bias=False"] * (self.bias is None)
        parts += [f"padding_mode={self.padding_mode}"] * (self.padding_mode != "zeros")
        return ", ".join(parts)

    def _padded(self, input: Any) -> tuple[Any, Any]:
        """(input, padding that the convolution still has to add)."""
        if self.padding_mode == "zeros" or self.padding == "valid":
            return input, self.padding
        around: list[int] = []
        for axis in reversed(range(len(self.kernel_size))):
            if self.padding == "same":
                total = self.dilation[axis] * (self.kernel_size[axis] - 1)
                around += [total // 2, total - total // 2]
            else:
                around += [self.padding[axis]] * 2
        return F.pad(input, around, self.padding_mode), 0

    def _output_padding(self, input: Any, output_size: Any) -> tuple[int, ...]:
        """What to add so that the output of a transposed convolution has the size that was asked for."""
        if output_size is None:
            return self.output_padding
        require_tensor(self._get_name(), input)
        axes, shape = len(self.kernel_size), input._array.shape
        sizes = list(output_size)
        if len(sizes) not in (axes, len(shape)):
            raise ValueError(
                f"{self._get_name()}: for a {len(shape)}D input, output_size must have {axes} or {len(shape)} "
                f"elements (got {len(sizes)})"
            )
        per_axis = zip(shape[-axes:], self.stride, self.padding, self.dilation, self.kernel_size, strict=True)
        least = [(n - 1) * s - 2 * p + d * (k - 1) + 1 for n, s, p, d, k in per_axis]
        more = tuple(size - n for size, n in zip(sizes[-axes:], least, strict=True))
        if any(not 0 <= m < s for m, s in zip(more, self.stride, strict=True)):
            most = [n + s - 1 for n, s in zip(least, self.stride, strict=True)]
            raise ValueError(
                f"{self._get_name()}: requested an output size of {tuple(sizes[-axes:])}, but valid sizes range from "
                f"{least} to {most} (for an input of {list(shape[-axes:])})"
            )
        return more


class Conv1d(_Conv):
    """Slide windows over signals: (N, in_channels, L) -> (N, out_channels, L'); the arguments of `Conv2d`.

    >>> import tinygrad_edu as tg
    >>> tg.nn.Conv1d(16, 33, 3, stride=2)(tg.zeros(20, 16, 50)).shape
    Size([20, 33, 24])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: Ints | str = 0,
        dilation: Ints = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        settings = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "dilation": dilation}
        settings |= {"groups": groups, "padding_mode": padding_mode}
        made = {"device": device, "dtype": dtype}
        self._build(1, False, (in_channels, out_channels), settings, bias, made)

    def forward(self, input: Any) -> Any:
        """(N, in_channels, L) or (in_channels, L) -> (N, out_channels, L') or (out_channels, L')."""
        x, padding = self._padded(input)
        return F.conv1d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv2d(_Conv):
    """Slide windows over images: (N, in_channels, H, W) -> (N, out_channels, H', W').

    weight (out_channels, in_channels / groups, *kernel_size), bias (out_channels,); both start uniform on
    +-1 / sqrt(in_channels / groups * kernel size).  H' = (H + 2 padding - dilation (kernel - 1) - 1) // stride + 1.

    padding      -- at both ends of each axis; "valid": none; "same": the output is as large as the input
    padding_mode -- what the padding is made of: "zeros", "reflect", "replicate" or "circular"
    groups       -- the channels fall into groups that do not see each other

    Raises ValueError for channels that groups do not divide, unknown paddings, and "same" with a stride.

    >>> import tinygrad_edu as tg
    >>> layer = tg.nn.Conv2d(1, 8, 3, padding="same")
    >>> layer
    Conv2d(1, 8, kernel_size=(3, 3), stride=(1, 1), padding=same)
    >>> layer(tg.zeros(5, 1, 28, 28)).shape
    Size([5, 8, 28, 28])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: Ints | str = 0,
        dilation: Ints = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        settings = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "dilation": dilation}
        settings |= {"groups": groups, "padding_mode": padding_mode}
        made = {"device": device, "dtype": dtype}
        self._build(2, False, (in_channels, out_channels), settings, bias, made)

    def forward(self, input: Any) -> Any:
        """(N, in_channels, H, W) or without N -> (N, out_channels, H', W') or without N."""
        x, padding = self._padded(input)
        return F.conv2d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class ConvTranspose1d(_Conv):
    """The adjoint of `Conv1d`: (N, in_channels, L) -> (N, out_channels, L'); see `ConvTranspose2d`.

    >>> import tinygrad_edu as tg
    >>> tg.nn.ConvTranspose1d(4, 2, 3, stride=2)(tg.zeros(1, 4, 5)).shape
    Size([1, 2, 11])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: Ints = 0,
        output_padding: Ints = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Ints = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        settings = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "dilation": dilation}
        settings |= {"groups": groups, "padding_mode": padding_mode, "output_padding": output_padding}
        made = {"device": device, "dtype": dtype}
        self._build(1, True, (in_channels, out_channels), settings, bias, made)

    def forward(self, input: Any, output_size: Any = None) -> Any:
        """(N, in_channels, L) or without N; output_size chooses among the sizes that lead to L."""
        more = self._output_padding(input, output_size)
        settings = (self.stride, self.padding, more, self.groups, self.dilation)
        return F.conv_transpose1d(input, self.weight, self.bias, *settings)


class ConvTranspose2d(_Conv):
    """The adjoint of `Conv2d`, which makes images larger: (N, in_channels, H, W) -> (N, out_channels, H', W').

    weight (in_channels, out_channels / groups, *kernel_size), bias (out_channels,); both start uniform on
    +-1 / sqrt(out_channels / groups * kernel size).
    H' = (H - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1.

    Raises ValueError for channels that groups do not divide, strings as padding, a padding_mode that is not "zeros",
    and an output_size that cannot be had.

    >>> import tinygrad_edu as tg
    >>> tg.nn.ConvTranspose2d(4, 2, 3, stride=2, padding=1)(tg.zeros(1, 4, 5, 5), output_size=(10, 10)).shape
    Size([1, 2, 10, 10])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: Ints = 0,
        output_padding: Ints = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Ints = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        settings = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "dilation": dilation}
        settings |= {"groups": groups, "padding_mode": padding_mode, "output_padding": output_padding}
        made = {"device": device, "dtype": dtype}
        self._build(2, True, (in_channels, out_channels), settings, bias, made)

    def forward(self, input: Any, output_size: Any = None) -> Any:
        """(N, in_channels, H, W) or without N; output_size chooses among the sizes that lead to (H, W)."""
        more = self._output_padding(input, output_size)
        settings = (self.stride, self.padding, more, self.groups, self.dilation)
        return F.conv_transpose2d(input, self.weight, self.bias, *settings)
