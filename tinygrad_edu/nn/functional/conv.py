"""Convolution of signals (N, C, L) and images (N, C, H, W), and its adjoint, as functions of tensors.

Without the batch axis an input is taken as a batch of one.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from tinygrad_edu import kernels, ops
from tinygrad_edu.engine.written import written_call
from tinygrad_edu.nn.functional.activation import floating
from tinygrad_edu.nn.functional.arguments import Ints, batched, ints, reshaped, unbatched

__all__ = ["conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d"]


def conv1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Any:
    """Every window of a signal times the weight, summed: (N, C, L), (O, C / groups, l), (O,) -> (N, O, L').

    The arguments are those of `conv2d`.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.conv1d(tg.tensor([[1.0, 2.0, 4.0, 8.0]]), tg.tensor([[[-1.0, 1.0]]]))
    tensor([[1., 2., 4.]])
    """
    return _conv("conv1d", 1, input, weight, bias, (stride, padding, dilation, groups))


def conv2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Any:
    """Every window of an image times the weight, summed: (N, C, H, W), (O, C / groups, h, w), (O,) -> (N, O, H', W').

    H' = (H + 2 padding - dilation (h - 1) - 1) // stride + 1; padding "valid" is none, "same" keeps the size.
    The gradient of the input is the transposed convolution of g, that of the weight the convolution of input and g.
    Raises RuntimeError when shapes, dtypes or arguments do not fit.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.conv2d(tg.ones(1, 1, 3, 3), tg.ones(1, 1, 2, 2), padding="same")
    tensor([[[[4., 4., 2.],
              [4., 4., 2.],
              [2., 2., 1.]]]])
    """
    return _conv("conv2d", 2, input, weight, bias, (stride, padding, dilation, groups))


def _conv(name: str, spatial: int, input: Any, weight: Any, bias: Any, settings: tuple[Any, ...]) -> Any:
    stride, padding, dilation, groups = settings
    x, w = batched(name, input, spatial), _kernel(name, spatial, weight, groups)
    steps, spread = _steps(name, spatial, stride, dilation)
    around = padding if isinstance(padding, str) else ints(name, "padding", padding, spatial, 0)
    _same_dtypes(name, input=input, weight=weight, bias=bias)
    shapes = input._array.shape, weight._array.shape, x._array.shape, w._array.shape
    pairs = _geometry(name, spatial, shapes, steps, around, spread, groups)
    z = ops.conv2d(x, w, stride=steps, padding=pairs, dilation=spread, groups=groups)
    return _with_bias(name, unbatched(z, input, spatial), bias, w._array.shape[0], spatial)


@lru_cache(maxsize=1024)
def _geometry(name: str, spatial: int, shapes: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    """The padding of both axes as pairs, once it is sure that everything fits.

    shapes -- of input and weight as they are given, and of both with two spatial axes
    """
    input, weight, x, w = shapes
    if x[1] != w[1] * groups:
        raise RuntimeError(
            f"Given groups={groups}, weight of size {list(weight)}, expected input{list(input)} to have "
            f"{w[1] * groups} channels, but got {x[1]} channels instead"
        )
    if w[0] % groups or not w[0]:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0 and not empty, but got "
            f"weight of size {list(weight)}"
        )
    pairs = _pairs(name, spatial, padding, w[2:], stride, dilation)
    padded = [n + sum(pair) for n, pair in zip(x[2:], pairs, strict=True)]
    if any(d * (k - 1) + 1 > n for d, k, n in zip(dilation, w[2:], padded, strict=True)):
        raise RuntimeError(
            f"{name}: calculated padded input size per channel: {padded[-spatial:]}, kernel size: "
            f"{list(w[2:][-spatial:])}, dilation: {list(dilation[-spatial:])}. The kernel can't be greater than the "
            "input: pad the input, or use a smaller kernel"
        )
    return pairs


def _kernel(name: str, spatial: int, weight: Any, groups: Any) -> Any:
    """The weight with two spatial axes, checked together with the groups."""
    shape = floating(name, weight, "weight")._array.shape
    if len(shape) != spatial + 2 or min(shape[2:]) < 1:
        raise RuntimeError(f"{name}: expected a {spatial + 2}D weight with a kernel, but got size {list(shape)}")
    ints(name, "groups", groups, 1, 1)
    return reshaped(weight, (*shape[:2], *(1,) * (2 - spatial), *shape[2:]))


def _steps(name: str, spatial: int, stride: Any, dilation: Any) -> tuple[Any, Any]:
    """(stride, dilation) of both axes of an image."""
    steps = ints(name, "stride", stride, spatial, 1)
    spread = ints(name, "dilation", dilation, spatial, 1)
    return (1,) * (2 - spatial) + steps, (1,) * (2 - spatial) + spread


def _same_dtypes(name: str, **tensors: Any) -> None:
    found = {k: t._array.dtype for k, t in tensors.items() if t is not None and floating(name, t, k) is t}
    if len(set(found.values())) > 1:
        given = ", ".join(f"{k} {dtype}" for k, dtype in found.items())
        raise RuntimeError(f"{name}: all tensors must have the same dtype, but got {given}: use .float() or .double()")


def _pairs(name: str, spatial: int, padding: Any, kernel: Any, stride: Any, dilation: Any) -> Any:
    """((top, bottom), (left, right)) from ints, "valid" or "same"."""
    if padding == "valid":
        return ((0, 0), (0, 0))
    if padding == "same":
        if any(s != 1 for s in stride):
            raise RuntimeError(f"{name}: padding='same' is not supported for strided convolutions")
        around = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        return tuple((n // 2, n - n // 2) for n in around)
    if isinstance(padding, str):
        raise RuntimeError(f"{name}: invalid padding string {padding!r}: use 'valid' or 'same'")
    return tuple((n, n) for n in (0,) * (2 - spatial) + padding)


def _with_bias(name: str, z: Any, bias: Any, outputs: int, spatial: int) -> Any:
    if bias is None:
        return z
    if bias._array.shape != (outputs,):
        raise RuntimeError(
            f"{name}: expected bias to be 1-dimensional with {outputs} elements, but got bias of size "
            f"{list(bias._array.shape)}"
        )
    return _add_channels(z, ops.reshape(bias, shape=(outputs, *(1,) * spatial)))


_add_channels = written_call(ops.add, ops.add, mixed=False, forward=kernels.add_channels)


def conv_transpose1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Any:
    """The adjoint of `conv1d`: (N, C, L), (C, O / groups, l), (O,) -> (N, O, L'); see `conv_transpose2d`."""
    settings = (stride, padding, output_padding, groups, dilation)
    return _conv_transpose("conv_transpose1d", 1, input, weight, bias, settings)


def conv_transpose2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Any:
    """Every entry times the weight, added up where they overlap: (N, C, H, W), (C, O / groups, h, w) -> (N, O, H', W').

    It is what `conv2d` with the same weight does to gradients.
    H' = (H - 1) stride - 2 padding + dilation (h - 1) + output_padding + 1.
    Raises RuntimeError when shapes, dtypes or arguments do not fit.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.conv_transpose2d(tg.tensor([[[1.0, 2.0]]]), tg.ones(1, 1, 1, 2))
    tensor([[[1., 3., 2.]]])
    """
    settings = (stride, padding, output_padding, groups, dilation)
    return _conv_transpose("conv_transpose2d", 2, input, weight, bias, settings)


def _conv_transpose(name: str, spatial: int, input: Any, weight: Any, bias: Any, settings: tuple[Any, ...]) -> Any:
    stride, padding, output_padding, groups, dilation = settings
    x, w = batched(name, input, spatial), _kernel(name, spatial, weight, groups)
    steps, spread = _steps(name, spatial, stride, dilation)
    if x._array.shape[1] != w._array.shape[0] or x._array.shape[1] % groups:
        raise RuntimeError(
            f"Given transposed=1, groups={groups}, weight of size {list(weight._array.shape)}, expected input"
            f"{list(input._array.shape)} to have {w._array.shape[0]} channels (a multiple of groups)"
        )
    _same_dtypes(name, input=input, weight=weight, bias=bias)
    lead = (0,) * (2 - spatial)
    around = lead + ints(name, "padding", padding, spatial, 0)
    more = lead + ints(name, "output_padding", output_padding, spatial, 0)
    if any(m >= max(s, d) for m, s, d in zip(more, steps, spread, strict=True)):
        raise RuntimeError(
            f"{name}: output padding must be smaller than either stride or dilation, but got output_padding="
            f"{output_padding}, stride={stride}, dilation={dilation}"
        )
    reach = [d * (k - 1) + 1 for d, k in zip(spread, w._array.shape[2:], strict=True)]
    axes = [_transposed(*v) for v in zip(x._array.shape[2:], steps, around, more, reach, strict=True)]
    if any(size + empty < 1 for size, _, empty in axes):
        sizes = [size + empty for size, _, empty in axes][-spatial:]
        raise RuntimeError(
            f"{name}: given input size per channel: {list(x._array.shape[-spatial:])}, calculated output size per "
            f"channel: {sizes}. Output size is too small: use less padding"
        )
    size, pairs = tuple(size for size, _, _ in axes), tuple(pair for _, pair, _ in axes)
    z = ops.conv2d_to_input(x, w, size=size, stride=steps, padding=pairs, dilation=spread, groups=groups)
    if any(empty for _, _, empty in axes):
        z = ops.pad(z, pads=((0, 0), (0, 0), *((0, empty) for _, _, empty in axes)))
    return _with_bias(name, unbatched(z, input, spatial), bias, w._array.shape[1] * groups, spatial)


def _transposed(size: int, stride: int, padding: int, more: int, reach: int) -> tuple[int, tuple[int, int], int]:
    """(output size, padding at both ends, zeros after that) along one axis.

    Output padding below the stride is rows that no window of the convolution reached; what goes beyond lies outside
    of all windows: there is less padding at the end then, and when that is used up, zeros.
    """
    beyond = max(more - (stride - 1), 0)
    end = max(padding - beyond, 0)
    empty = max(beyond - padding, 0)
    return (size - 1) * stride + reach + more - 2 * padding - empty, (padding, end), empty
