"""How to draw convolutions, pooling, padding and normalisation: small, with every static parameter drawn."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.engine.domain import Domain, positive, real
from tinygrad_edu.kernels import conv_size, pool_size
from tinygrad_edu.testing.calls import Call
from tinygrad_edu.testing.choices import Choices, strategy
from tinygrad_edu.testing.strategies import arrays, distinct, laid_out, shapes, values

Pair = tuple[int, int]


@strategy
def images(choices: Choices, shape: tuple[int, ...]) -> np.ndarray:
    """An array (N, C, H, W) of values, channels-last now and then."""
    if choices.boolean():
        return choices.draw(arrays(shape, real))
    return channels_last(choices.draw(values(shape, real)))


def channels_last(x: np.ndarray) -> np.ndarray:
    """The same values with the channels next to each other in memory."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


@strategy
def geometry(choices: Choices, largest_kernel: int, largest_stride: int, dilations: int) -> dict[str, Any]:
    """One axis of a convolution: its size, kernel, stride, padding (a pair), dilation and number of outputs."""
    kernel, stride, dilation = (choices.integer(1, n) for n in (largest_kernel, largest_stride, dilations))
    padding = (choices.integer(0, 2), choices.integer(0, 1))
    count, rest = choices.integer(1, 2), choices.integer(0, stride - 1)
    size = max((count - 1) * stride + dilation * (kernel - 1) + 1 + rest - sum(padding), 1)
    return {
        "size": size,
        "kernel": kernel,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "out": conv_size(size, kernel, stride, padding, dilation),
    }


@strategy
def conv2d(choices: Choices, op: Any) -> Call:
    rows, columns = choices.draw(geometry(3, 3, 2)), choices.draw(geometry(2, 2, 1))
    groups, per_group, per_output = choices.pick([(1, 1, 1), (1, 2, 1), (1, 1, 2), (2, 1, 1), (2, 1, 2)])
    n = choices.pick([1, 2, 0])
    both = {name: (rows[name], columns[name]) for name in rows}
    x = choices.draw(images((n, groups * per_group, *both["size"])))
    w = choices.draw(arrays((groups * per_output, per_group, *both["kernel"]), real))
    y = choices.draw(images((n, groups * per_output, *both["out"])))
    static = {name: both[name] for name in ("stride", "padding", "dilation")} | {"groups": groups}
    if op.name == "conv2d":
        return Call([x, w], static)
    if op.name == "conv2d_to_input":
        return Call([y, w], {"size": both["size"], **static})
    return Call([x, y], {"size": both["kernel"], **static})


@strategy
def pooling(choices: Choices, dilations: int = 1) -> tuple[tuple[int, ...], dict[str, Any], Pair]:
    """(shape of images, static parameters of pooling, size of the result)."""
    axes = []
    ceil_mode = choices.boolean()
    for _ in range(2):
        kernel, stride, dilation = choices.integer(1, 3), choices.integer(1, 3), choices.integer(1, dilations)
        reach = dilation * (kernel - 1) + 1
        # dilated windows that see nothing but padding have the value -inf
        padding = choices.integer(0, min(kernel // 2, 1)) if dilation == 1 else 0
        size = max(reach - 2 * padding, 1) + choices.integer(0, 2)
        axes.append((size, kernel, stride, padding, dilation))
    size, kernel, stride, padding, dilation = ((a, b) for a, b in zip(*axes, strict=True))
    out = tuple(pool_size(*axis, ceil_mode) for axis in axes)  # pyright: ignore[reportCallIssue]
    shape = (choices.pick([1, 2, 0]), choices.integer(1, 2), *size)
    static = {"kernel_size": kernel, "stride": stride, "padding": padding, "ceil_mode": ceil_mode}
    return shape, static | ({"dilation": dilation} if dilations > 1 else {}), (out[0], out[1])


@strategy
def max_pool2d(choices: Choices, op: Any) -> Call:
    shape, static, _ = choices.draw(pooling(2))
    return Call([choices.draw(laid_out(distinct(shape), ("C", "F", "reversed", "transposed")))], static)


@strategy
def avg_pool2d(choices: Choices, op: Any) -> Call:
    shape, static, out = choices.draw(pooling())
    static |= choices.pick([{}, {"count_include_pad": False}, {"divisor_override": 3}])
    if op.name == "avg_pool2d":
        return Call([choices.draw(images(shape))], static)
    return Call([choices.draw(images((*shape[:2], *out)))], {"size": shape[2:], **static})


@strategy
def adaptive_avg_pool2d(choices: Choices, op: Any) -> Call:
    lead = (choices.integer(0, 2), choices.integer(1, 2))
    size, out = (choices.integer(1, 4), choices.integer(1, 4)), (choices.integer(1, 4), 3)
    if op.name == "adaptive_avg_pool2d":
        return Call([choices.draw(images((*lead, *size)))], {"output_size": out})
    return Call([choices.draw(images((*lead, *out)))], {"size": size})


@strategy
def places(choices: Choices, op: Any) -> Call:
    lead = (choices.integer(0, 2), choices.integer(1, 2))
    size, out = ((choices.integer(1, 3), choices.integer(1, 3)) for _ in range(2))
    at = choices.draw(values((*lead, *out), Domain("places", -1, size[0] * size[1] - 1, integer=True)))
    if op.name == "pool_gather":
        return Call([choices.draw(images((*lead, *size))), at])
    return Call([choices.draw(images((*lead, *out))), at], {"size": size})


@strategy
def pad(choices: Choices, op: Any) -> Call:
    shape = choices.draw(shapes())
    pads = tuple((choices.integer(-(n // 2), 2), choices.integer(-(n - n // 2), 2)) for n in shape)
    return Call([choices.draw(arrays(shape, real))], {"pads": pads, "value": choices.pick([0.0, 1.5])})


@strategy
def pad_repeating(choices: Choices, op: Any) -> Call:
    shape = choices.draw(shapes(min_dims=1, min_side=1))
    mode = choices.pick(["reflect", "replicate", "circular"])
    most = [{"reflect": n - 1, "replicate": 2, "circular": n}[mode] for n in shape]
    pads = tuple((choices.integer(0, min(m, 2)), choices.integer(0, min(m, 2))) for m in most)
    if op.name == "pad_repeating_to_input":
        shape = tuple(before + n + after for n, (before, after) in zip(shape, pads, strict=True))
    return Call([choices.draw(arrays(shape, real))], {"pads": pads, "mode": mode})


@strategy
def batch_norm(choices: Choices, op: Any) -> Call:
    """With a large eps: where all entries are equal, finite differences see the kink of a small one."""
    small = shapes(min_dims=2, max_dims=4, min_side=1, max_side=3).filter(lambda s: bool(np.prod(s) <= 24))
    shape = choices.draw(small)
    channels = shape[1:2]
    x = choices.draw(arrays(shape, real))
    x = channels_last(x) if choices.boolean() else x
    weight, bias = choices.draw(arrays(channels, positive)), choices.draw(arrays(channels, real))
    return Call([x, weight, bias], {"eps": 0.5})


@strategy
def layer_norm(choices: Choices, op: Any) -> Call:
    shape = choices.draw(shapes(min_dims=1, min_side=1, max_side=3))
    row = shape[choices.integer(0, len(shape) - 1) :]
    x = choices.draw(arrays(shape, real))
    return Call([x, choices.draw(arrays(row, positive)), choices.draw(arrays(row, real))], {"eps": 0.5})


SPATIAL: dict[str, Any] = {
    "adaptive_avg_pool2d": adaptive_avg_pool2d,
    "avg_pool2d": avg_pool2d,
    "batch_norm": batch_norm,
    "conv2d": conv2d,
    "layer_norm": layer_norm,
    "max_pool2d": max_pool2d,
    "pad": pad,
    "pad_repeating": pad_repeating,
    "pool_gather": places,
    "pool_scatter": places,
}
