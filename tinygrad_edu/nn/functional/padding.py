"""Padding as a function of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_edu import ops
from tinygrad_edu.functions.promotion import require_tensor
from tinygrad_edu.nn.functional.arguments import ints

__all__ = ["pad"]

Pairs = list[tuple[int, int]]


def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """More entries around the last axes: pad is (left, right) of the last axis, (top, bottom) of the one before, ...

    mode -- "constant" (value, 0 if not given), or the input's own: "reflect" (mirrored), "replicate" (the last one),
            "circular" (from the other end), for the last 1, 2 or 3 axes of an input with one or two more
    Negative numbers cut entries off.

    Raises RuntimeError for pads that do not fit, NotImplementedError for a mode that there is not.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.pad(tg.tensor([[1.0, 2.0, 3.0]]), (1, 2), "reflect")
    tensor([[2., 1., 2., 3., 2., 1.]])
    """
    require_tensor("pad", input)
    pairs = _pairs(input._array.shape, pad)
    if mode == "constant":
        return ops.pad(input, pads=tuple(pairs), value=0.0 if value is None else float(value))
    if mode not in ("reflect", "replicate", "circular"):
        raise NotImplementedError(
            f"Unrecognised padding mode {mode}: use 'constant', 'reflect', 'replicate', 'circular'"
        )
    if value:
        raise RuntimeError(f"pad: padding mode {mode!r} doesn't take in value argument (value={value})")
    shape, axes = input._array.shape, len(pad) // 2
    if len(shape) not in (axes + 1, axes + 2) or axes > 3:
        raise NotImplementedError(f"Padding size {len(pad)} is not supported for {len(shape)}D input tensor")
    if 0 in shape[len(shape) - axes - 1 :]:
        raise RuntimeError(
            f"pad: expected a tensor with possibly 0 batch size and no other empty axis, got {list(shape)}"
        )
    cut = [(min(before, 0), min(after, 0)) for before, after in pairs]
    more = tuple((max(before, 0), max(after, 0)) for before, after in pairs)
    if mode == "circular":
        input = _cut(input, cut)
    _check_room(input._array.shape, more, cut, mode)
    result = ops.pad_repeating(input, pads=more, mode=mode)
    return result if mode == "circular" else _cut(result, cut)


def _cut(input: Any, pairs: Pairs) -> Any:
    return ops.pad(input, pads=tuple(pairs)) if any(pair != (0, 0) for pair in pairs) else input


def _pairs(shape: tuple[int, ...], pad: Sequence[int]) -> Pairs:
    """(before, after) of every axis, from numbers that begin at the last one."""
    if not isinstance(pad, (tuple, list)):
        raise TypeError(f"pad(): argument 'pad' must be tuple of ints, not {type(pad).__name__}")
    numbers = ints("pad", "pad", pad, len(pad)) if pad else ()
    if len(numbers) % 2:
        raise RuntimeError(f"pad: Padding length must be divisible by 2, but got {len(numbers)} numbers")
    if len(numbers) > 2 * len(shape):
        raise RuntimeError(
            f"pad: Padding length should be less than or equal to two times the input dimension, but got padding "
            f"length {len(numbers)} and input of dimension {len(shape)}"
        )
    last_first = list(zip(numbers[::2], numbers[1::2], strict=True))
    return [(0, 0)] * (len(shape) - len(last_first)) + last_first[::-1]


def _check_room(shape: tuple[int, ...], pairs: tuple[tuple[int, int], ...], cut: Pairs, mode: str) -> None:
    """Reflection needs more entries than it adds, going around at least as many; the others must leave some."""
    for axis, (size, pair) in enumerate(zip(shape, pairs, strict=True)):
        if (mode == "reflect" and max(pair) >= size > 0) or (mode == "circular" and max(pair) > size):
            raise RuntimeError(
                f"pad: Padding size should be less than the corresponding input dimension, but got padding {pair} at "
                f"dimension {axis} of input {list(shape)}"
            )
    sizes = [n + sum(pair) + sum(less) for n, pair, less in zip(shape, pairs, cut, strict=True)]
    if mode != "circular" and any(size < 1 and less != (0, 0) for size, less in zip(sizes, cut, strict=True)):
        raise RuntimeError(f"pad: input {list(shape)} is too small: the result would have the size {sizes}")
