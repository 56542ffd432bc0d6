"""Code for convolution, pooling, normalisation and padding: one call for each, on images that lie channels-last.

What they read in another order is copied first; their results stay channels-last, and loops over those go along.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.kernels.conv import loop_for
from tinygrad_edu.kernels.tile import row_width
from tinygrad_edu.ops.pad import sources
from tinygrad_edu.ops.pool import adaptive_windows, windows
from tinygrad_edu.program.emit_moves import zeros
from tinygrad_edu.program.emitter import Emitter, emits
from tinygrad_edu.program.instruction import Instruction
from tinygrad_edu.program.places import Place, channels_last, cut, fixed, moved, seen, typed

IMAGES = channels_last(4)
MODULE = "tinygrad_edu.kernels.into"
Padding = Sequence[tuple[int, int]]


def call(writer: Emitter, name: str, *arguments: Any) -> None:
    """One call."""
    writer.line(f"{writer.use(name, MODULE)}({', '.join(map(str, arguments))})")


def floats_only(writer: Emitter, line: Instruction, *places: Place) -> None:
    """The loops are compiled for float32 and float64."""
    for place in places:
        if place.dtype not in (np.float32, np.float64):
            raise writer.unsupported(line, f"dtype {place.dtype}")


def images(writer: Emitter, line: Instruction, place: Place) -> str | None:
    """The source of (N, H, W, C) in C order."""
    return writer.solid(place, line, IMAGES).laid_out(IMAGES)


def vector(writer: Emitter, line: Instruction, place: Place) -> str:
    """The source of all entries in one row, row-major."""
    return seen(str(writer.solid(place, line).array), (math.prod(place.shape),))


# convolution


@emits("conv2d")
def emit_conv2d(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """A call of the loop for this geometry."""
    x, w = given
    image, weight = images(writer, line, x), writer.solid(w, line).array
    y = writer.result(line, IMAGES)
    convolution(writer, line, "forward", w.shape, image, weight, y.memory)
    return y


@emits("conv2d_to_weight")
def emit_conv2d_to_weight(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """The same; the weight is row-major."""
    x, y = given
    image, output = images(writer, line, x), images(writer, line, y)
    w = writer.result(line)
    convolution(writer, line, "weight", w.shape, image, output, w.memory)
    return w


@emits("conv2d_to_input")
def emit_conv2d_to_input(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """The same."""
    y, w = given
    output, weight = images(writer, line, y), writer.solid(w, line).array
    x = writer.result(line, IMAGES)
    convolution(writer, line, "input", w.shape, output, weight, x.memory)
    return x


def convolution(writer: Emitter, line: Instruction, kind: str, weight: tuple[int, ...], *arrays: Any) -> None:
    """A call of the loop that the kernels choose for a weight of this shape."""
    dtype = line.dtypes[0]
    if dtype not in (np.float32, np.float64):
        raise writer.unsupported(line, f"dtype {dtype}")
    stride, padding, dilation, groups = (line.static[name] for name in ("stride", "padding", "dilation", "groups"))
    loop, width = loop_for(kind, weight, stride, padding, dilation, groups, dtype.itemsize)
    given = ", ".join(map(str, (*arrays, stride, padding, dilation, groups, width)))
    writer.line(f"{writer.use(loop.__name__, loop.__module__)}({given})")


def copy_into(writer: Emitter, out: Place, starts: Sequence[int], x: Place) -> None:
    """Put the entries of x into a larger array, from `starts` on."""
    indices, depth = writer.loops(x.shape, order=out.order)
    there = [moved(i, start) for i, start in zip(indices, starts, strict=True)]
    writer.put(out, there, x.at(indices), depth)


# pooling


@emits("max_pool2d")
def emit_max_pool2d(writer: Emitter, line: Instruction, given: list[Place]) -> list[Place]:
    """A call that fills values and places."""
    (x,) = given
    floats_only(writer, line, x)
    image = images(writer, line, x)
    values, places = (writer.result(line, IMAGES, k) for k in (0, 1))
    settings = (line.static[name] for name in ("kernel_size", "stride", "padding", "dilation"))
    call(writer, "max_pool2d_into", image, values.memory, places.memory, *settings, row_width_of(x))
    return [values, places]


@emits("pool_gather")
def emit_pool_gather(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """Checked unless the places are those of max pooling."""
    x, places = given
    image, at = images(writer, line, x), checked_places(writer, line, places, x.shape)
    out = writer.result(line, IMAGES)
    call(writer, "pool_gather_into", image, at, out.memory)
    return out


@emits("pool_scatter")
def emit_pool_scatter(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """Checked unless the places are those of max pooling."""
    y, places = given
    output, at = images(writer, line, y), checked_places(writer, line, places, line.shapes[0])
    x = writer.result(line, IMAGES)
    call(writer, "pool_scatter_into", output, at, x.memory)
    return x


def checked_places(writer: Emitter, line: Instruction, places: Place, shape: tuple[int, ...]) -> str | None:
    """The source of places, with a check in front if they come from elsewhere."""
    at = images(writer, line, places)
    if writer.makers.get(line.names[-1]) != "max_pool2d":
        call(writer, "check_places", at, shape[2] * shape[3])
    return at


@emits("avg_pool2d", "adaptive_avg_pool2d")
def emit_average(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """A call with the windows as constants."""
    (x,) = given
    floats_only(writer, line, x)
    image = images(writer, line, x)
    out = writer.result(line, IMAGES)
    call(
        writer,
        "average_windows_into",
        image,
        out.memory,
        *windows_of(writer, line, x.shape, out.shape),
        row_width_of(x),
    )
    return out


@emits("avg_pool2d_to_input", "adaptive_avg_pool2d_to_input")
def emit_spread(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """A call with the windows as constants."""
    (y,) = given
    floats_only(writer, line, y)
    output = images(writer, line, y)
    x = writer.result(line, IMAGES)
    call(writer, "spread_windows_into", output, x.memory, *windows_of(writer, line, x.shape, y.shape), row_width_of(y))
    return x


def row_width_of(x: Place) -> tuple[int, ...]:
    """How many channels the loop keeps in registers."""
    return row_width(x.shape[1], x.dtype.itemsize)


def windows_of(writer: Emitter, line: Instruction, image: tuple[int, ...], pooled: tuple[int, ...]) -> list[str]:
    """Constants: the first row and the end of every window, the same for columns, and what sums are divided by."""
    dtype = line.dtypes[0]
    if line.op.startswith("adaptive"):
        found = adaptive_windows(image[2:], pooled[2:], dtype)
    else:
        found = windows(image[2:], *(v for name, v in line.static.items() if name != "size"), dtype)
    name = writer.name(line.outputs[0])
    return [
        writer.constant(f"_{name}_{what}", written(array))
        for what, array in zip(("rows", "columns", "divisor"), found, strict=True)
    ]


def written(array: np.ndarray) -> str:
    """The source of an array."""
    dtype = f", np.{array.dtype}"
    if array.size and (array == array.flat[0]).all():
        return f"np.full({array.shape}, {array.flat[0].item()}{dtype})"
    return f"np.array({array.tolist()}{dtype})"


# normalisation


@emits("batch_norm")
def emit_batch_norm(writer: Emitter, line: Instruction, given: list[Place]) -> list[Place]:
    """A call on rows of channels."""
    x, weight, bias = given
    floats_only(writer, line, x)
    order = channels_last(len(x.shape))
    shape = (x.shape[0] * math.prod(x.shape[2:]), x.shape[1])
    image = writer.solid(x, line, order).laid_out(order)
    vectors = [writer.solid(v, line).array for v in (weight, bias)]
    z, mean, var = (writer.result(line, order if k == 0 else (), k) for k in (0, 1, 2))
    outputs = (seen(str(z.memory), shape), mean.memory, var.memory)
    call(writer, "batch_norm_into", seen(str(image), shape), *vectors, *outputs, float(line.static["eps"]))
    return [z, mean, var]


@emits("batch_norm_grad")
def emit_batch_norm_grad(writer: Emitter, line: Instruction, given: list[Place]) -> list[Place]:
    """A call on rows of channels."""
    g, x, weight, mean, var = given
    order = channels_last(len(x.shape))
    shape = (x.shape[0] * math.prod(x.shape[2:]), x.shape[1])
    g, x = (seen(str(writer.solid(p, line, order).laid_out(order)), shape) for p in (g, x))
    vectors = [writer.solid(v, line).array for v in (weight, mean, var)]
    dx, dweight, dbias = (writer.result(line, order if k == 0 else (), k) for k in (0, 1, 2))
    outputs = (seen(str(dx.memory), shape), dweight.memory, dbias.memory)
    call(writer, "batch_norm_grad_into", g, x, *vectors, *outputs, float(line.static["eps"]))
    return [dx, dweight, dbias]


@emits("layer_norm_grad")
def emit_layer_norm_grad(writer: Emitter, line: Instruction, given: list[Place]) -> list[Place]:
    """A call on rows, row-major; sums over rows are float64 there."""
    g, x, weight, mean, var = given
    rows = (math.prod(mean.shape), math.prod(weight.shape))
    g, x = (seen(str(writer.solid(p, line).array), rows) for p in (g, x))
    vectors = [vector(writer, line, p if p.shape else single_row(writer, line, p)) for p in (weight, mean, var)]
    dx, dweight, dbias = (writer.result(line, number=k) for k in (0, 1, 2))
    outputs = (seen(str(v.memory), (rows[1],)) for v in (dweight, dbias))
    call(
        writer, "layer_norm_grad_into", g, x, *vectors, seen(str(dx.memory), rows), *outputs, float(line.static["eps"])
    )
    return [dx, dweight, dbias]


def single_row(writer: Emitter, line: Instruction, number: Place) -> Place:
    """A number in an array."""
    return writer.copy(Place((1,), number.dtype, lambda _: number.at(())), writer.temporary(line.outputs[0], "row"))


@emits("layer_norm")
def emit_layer_norm(writer: Emitter, line: Instruction, given: list[Place]) -> list[Place]:
    """A call on rows, row-major."""
    x, weight, bias = given
    floats_only(writer, line, x)
    rows = (math.prod(line.shapes[1]), math.prod(weight.shape))
    image, *vectors = writer.solid(x, line).array, vector(writer, line, weight), vector(writer, line, bias)
    z, mean, var = writer.result(line), *(row_results(writer, line, k) for k in (1, 2))
    outputs = (seen(str(z.memory), rows), *(seen(str(v.memory), rows[:1]) for v in (mean, var)))
    call(writer, "layer_norm_into", seen(str(image), rows), *vectors, *outputs, float(line.static["eps"]))
    return [z, *(v if line.shapes[1] else fixed(v, 0, 0) for v in (mean, var))]


def row_results(writer: Emitter, line: Instruction, number: int) -> Place:
    """Memory for one number for each row; an array also when there is one row and no axis."""
    if line.shapes[number]:
        return writer.result(line, number=number)
    return writer.allocate(writer.temporary(line.outputs[0], "row"), (1,), line.dtypes[number])


# padding


@emits("pad")
def emit_pad(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """The value everywhere, then what is kept of x."""
    (x,) = given
    pads: Padding = line.static["pads"]
    out = writer.result(line, x.order)
    value = typed(np.asarray(line.static["value"], x.dtype)[()], x.dtype)
    if not x.shape:
        writer.put(out, (), x.at(()), 0)
        return out
    writer.line(f"{out.memory}[:] = {value}")
    starts = [max(-before, 0) for before, _ in pads]
    ends = [n - max(-after, 0) for n, (_, after) in zip(x.shape, pads, strict=True)]
    kept = cut(x, starts, [1] * len(pads), tuple(max(b - a, 0) for a, b in zip(starts, ends, strict=True)))
    copy_into(writer, out, [max(before, 0) for before, _ in pads], kept)
    return out


@emits("pad_repeating")
def emit_pad_repeating(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """Every entry is read where it comes from."""
    (x,) = given
    out = writer.result(line, x.order)
    indices, depth = writer.loops(out.shape, order=out.order)
    writer.put(out, indices, x.at(repeated(writer, line, x.shape, indices)), depth)
    return out


@emits("pad_repeating_to_input")
def emit_pad_repeating_to_input(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """Every entry is added where it came from."""
    (y,) = given
    x = zeros(writer, line, y.order)
    indices, depth = writer.loops(y.shape, order=x.order)
    writer.line(f"{x.at(repeated(writer, line, x.shape, indices))} += {y.at(indices)}", depth)
    return x


def repeated(writer: Emitter, line: Instruction, shape: tuple[int, ...], indices: list[str]) -> list[str]:
    """Where in the inner array an entry of the padded one comes from: by a table for each padded axis."""
    found = list(indices)
    for axis, (before, after) in enumerate(line.static["pads"]):
        if before or after:
            table = written(sources(shape[axis], before, after, line.static["mode"]))
            name = writer.constant(f"_{writer.name(line.outputs[0])}_axis{axis}", table)
            found[axis] = f"{name}[{indices[axis]}]"
    return found
