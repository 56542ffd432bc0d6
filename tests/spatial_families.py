"""How to draw convolutions, pooling, padding and normalisation: small, with every static parameter drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from strategies import Call, arrays, distinct, laid_out, shapes, values

from tinygrad_edu.engine.domain import integers, positive, real
from tinygrad_edu.kernels import conv_size, pool_size

Pair = tuple[int, int]


@st.composite
def images(draw: Any, shape: tuple[int, ...]) -> np.ndarray:
    """An array (N, C, H, W) of values, channels-last now and then."""
    if draw(st.booleans()):
        return draw(arrays(shape, real))
    return channels_last(draw(values(shape, real)))


def channels_last(x: np.ndarray) -> np.ndarray:
    """The same values with the channels next to each other in memory."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


@st.composite
def geometry(draw: Any, largest_kernel: int, largest_stride: int, dilations: int) -> dict[str, Any]:
    """One axis of a convolution: its size, kernel, stride, padding (a pair), dilation and number of outputs."""
    kernel, stride, dilation = (draw(st.integers(1, n)) for n in (largest_kernel, largest_stride, dilations))
    padding = (draw(st.integers(0, 2)), draw(st.integers(0, 1)))
    count, rest = draw(st.integers(1, 2)), draw(st.integers(0, stride - 1))
    size = max((count - 1) * stride + dilation * (kernel - 1) + 1 + rest - sum(padding), 1)
    return {
        "size": size,
        "kernel": kernel,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "out": conv_size(size, kernel, stride, padding, dilation),
    }


@st.composite
def conv2d(draw: Any, op: Any) -> Call:
    rows, columns = draw(geometry(3, 3, 2)), draw(geometry(2, 2, 1))
    groups, per_group, per_output = draw(st.sampled_from([(1, 1, 1), (1, 2, 1), (1, 1, 2), (2, 1, 1), (2, 1, 2)]))
    n = draw(st.sampled_from([1, 2, 0]))
    both = {name: (rows[name], columns[name]) for name in rows}
    x = draw(images((n, groups * per_group, *both["size"])))
    w = draw(arrays((groups * per_output, per_group, *both["kernel"]), real))
    y = draw(images((n, groups * per_output, *both["out"])))
    static = {name: both[name] for name in ("stride", "padding", "dilation")} | {"groups": groups}
    if op.name == "conv2d":
        return Call([x, w], static)
    if op.name == "conv2d_to_input":
        return Call([y, w], {"size": both["size"], **static})
    return Call([x, y], {"size": both["kernel"], **static})


@st.composite
def pooling(draw: Any, dilations: int = 1) -> tuple[tuple[int, ...], dict[str, Any], Pair]:
    """(shape of images, static parameters of pooling, size of the result)."""
    axes = []
    ceil_mode = draw(st.booleans())
    for _ in range(2):
        kernel, stride, dilation = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, dilations))
        reach = dilation * (kernel - 1) + 1
        # dilated windows that see nothing but padding have the value -inf
        padding = draw(st.integers(0, min(kernel // 2, 1))) if dilation == 1 else 0
        size = max(reach - 2 * padding, 1) + draw(st.integers(0, 2))
        axes.append((size, kernel, stride, padding, dilation))
    size, kernel, stride, padding, dilation = ((a, b) for a, b in zip(*axes, strict=True))
    out = tuple(pool_size(*axis, ceil_mode) for axis in axes)
    shape = (draw(st.sampled_from([1, 2, 0])), draw(st.integers(1, 2)), *size)
    static = {"kernel_size": kernel, "stride": stride, "padding": padding, "ceil_mode": ceil_mode}
    return shape, static | ({"dilation": dilation} if dilations > 1 else {}), (out[0], out[1])


@st.composite
def max_pool2d(draw: Any, op: Any) -> Call:
    shape, static, _ = draw(pooling(2))
    return Call([draw(laid_out(draw(distinct(shape)), ("C", "F", "reversed", "transposed")))], static)


@st.composite
def avg_pool2d(draw: Any, op: Any) -> Call:
    shape, static, out = draw(pooling())
    static |= draw(st.sampled_from([{}, {"count_include_pad": False}, {"divisor_override": 3}]))
    if op.name == "avg_pool2d":
        return Call([draw(images(shape))], static)
    return Call([draw(images((*shape[:2], *out)))], {"size": shape[2:], **static})


@st.composite
def adaptive_avg_pool2d(draw: Any, op: Any) -> Call:
    small = st.integers(1, 4)
    lead, size, out = (draw(st.integers(0, 2)), draw(st.integers(1, 2))), (draw(small), draw(small)), (draw(small), 3)
    if op.name == "adaptive_avg_pool2d":
        return Call([draw(images((*lead, *size)))], {"output_size": out})
    return Call([draw(images((*lead, *out)))], {"size": size})


@st.composite
def places(draw: Any, op: Any) -> Call:
    lead = (draw(st.integers(0, 2)), draw(st.integers(1, 2)))
    size, out = ((draw(st.integers(1, 3)), draw(st.integers(1, 3))) for _ in range(2))
    at = draw(values((*lead, *out), type(integers)("places", -1, size[0] * size[1] - 1, integer=True)))
    if op.name == "pool_gather":
        return Call([draw(images((*lead, *size))), at])
    return Call([draw(images((*lead, *out))), at], {"size": size})


@st.composite
def pad(draw: Any, op: Any) -> Call:
    shape = draw(shapes())
    pads = tuple((draw(st.integers(-(n // 2), 2)), draw(st.integers(-(n - n // 2), 2))) for n in shape)
    return Call([draw(arrays(shape, real))], {"pads": pads, "value": draw(st.sampled_from([0.0, 1.5]))})


@st.composite
def pad_repeating(draw: Any, op: Any) -> Call:
    shape = draw(shapes(min_dims=1, min_side=1))
    mode = draw(st.sampled_from(["reflect", "replicate", "circular"]))
    most = [{"reflect": n - 1, "replicate": 2, "circular": n}[mode] for n in shape]
    pads = tuple((draw(st.integers(0, min(m, 2))), draw(st.integers(0, min(m, 2)))) for m in most)
    if op.name == "pad_repeating_to_input":
        shape = tuple(before + n + after for n, (before, after) in zip(shape, pads, strict=True))
    return Call([draw(arrays(shape, real))], {"pads": pads, "mode": mode})


@st.composite
def batch_norm(draw: Any, op: Any) -> Call:
    """With a large eps: where all entries are equal, finite differences see the kink of a small one."""
    shape = draw(shapes(min_dims=2, max_dims=4, min_side=1, max_side=3).filter(lambda s: np.prod(s) <= 24))
    channels = shape[1:2]
    x = draw(arrays(shape, real))
    x = channels_last(x) if draw(st.booleans()) else x
    return Call([x, draw(arrays(channels, positive)), draw(arrays(channels, real))], {"eps": 0.5})


@st.composite
def layer_norm(draw: Any, op: Any) -> Call:
    shape = draw(shapes(min_dims=1, min_side=1, max_side=3))
    row = shape[draw(st.integers(0, len(shape) - 1)) :]
    return Call(
        [draw(arrays(shape, real)), draw(arrays(row, positive)), draw(arrays(row, real))],
        {"eps": 0.5},
    )


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
