"""Code for reductions, the softmax family and matrix products."""

from __future__ import annotations

import math

import numpy as np

from tinygrad_edu.ops.reduce import count
from tinygrad_edu.program.emit_moves import zeros
from tinygrad_edu.program.emitter import Emitter, emits
from tinygrad_edu.program.instruction import Instruction
from tinygrad_edu.program.places import Place, broadcast, reshaped, seen, short, typed

SOFTMAX = "tinygrad_edu.kernels.softmax"


@emits("sum")
def emit_sum(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """Sums over the axes `dim`."""
    (x,) = given
    n = len(x.shape)
    return sum_over(writer, line, x, {d % n for d in line.static["dim"]} if n else set(), line.static["keepdim"])


@emits("mean")
def emit_mean(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """Sums over the axes `dim`, each divided by how many entries it is of."""
    out = emit_sum(writer, line, given)
    writer.letters = 0
    indices, depth = writer.loops(out.shape, order=out.order)
    divisor = count(given[0].shape, line.static["dim"])
    writer.line(f"{out.at(indices)} /= {typed(divisor, out.dtype)}", depth)
    return out


@emits("mse")
def emit_mse(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """The sum of (x - y)^2 over all entries, added up in float64, divided by how many there are."""
    x, y = given
    out = writer.result(line)
    writer.line("total = 0.0")
    indices, depth = writer.loops(x.shape, order=x.order)
    writer.line(f"total += ({x.at(indices)} - {y.at(indices)}) ** 2", depth)
    writer.put(out, [], f"total / {typed(count(x.shape, range(len(x.shape))), np.dtype(np.float64))}", 0)
    return out


@emits("sum_to")
def emit_sum_to(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """Sums over what broadcasting repeats: leading axes vanish, others stay with size 1."""
    (x,) = given
    lead = len(x.shape) - len(line.shapes[0])
    axes = {i for i, n in enumerate(x.shape) if i < lead or (line.shapes[0][i - lead] == 1 and n != 1)}
    return sum_over(writer, line, x, axes, True, lead)


def sum_over(writer: Emitter, line: Instruction, x: Place, axes: set[int], keepdim: bool, lead: int = 0) -> Place:
    """Sums over some axes, float32 added up in float64."""
    order = x.order or tuple(range(len(x.shape)))
    rest = order[: len(order) - len(axes)]
    if axes and order[-1] not in axes:
        out = zeros(writer, line)
        kept = reshaped(out, tuple(1 if i in axes else n for i, n in enumerate(x.shape))) or out
        indices, depth = writer.loops(x.shape, order=x.order)
        writer.line(f"{broadcast(kept, x.shape).at(indices)} += {x.at(indices)}", depth)
        return out
    out = writer.result(line)
    if axes and axes.isdisjoint(rest) and x.memory is not None and x.dtype.kind == "f":
        indices, depth = writer.loops(tuple(1 if i in axes else n for i, n in enumerate(x.shape)), order=order)
        row = f"{x.memory}[{', '.join(indices[i] for i in rest)}]" if rest else x.memory
        row = row if len(axes) == 1 else seen(row, (math.prod(x.shape[i] for i in axes),))
        total = f"{writer.use('sum_of', 'tinygrad_edu.kernels.rows')}({row})"
        writer.put(out, kept_indices(indices, axes, keepdim, lead), total, depth)
        return out
    with_loops(writer, out, x, axes, keepdim, lead)
    return out


def with_loops(writer: Emitter, out: Place, x: Place, axes: set[int], keepdim: bool, lead: int) -> None:
    """An inner loop nest that adds up one entry of the result."""
    indices, depth = outer_loops(writer, x.shape, axes)
    zero = typed(0, np.dtype(np.float64) if out.dtype.kind == "f" else out.dtype)
    writer.line(f"total = {zero}", depth)
    inner, deeper = inner_loops(writer, indices, x.shape, axes, depth)
    writer.line(f"total += {x.at(inner)}", deeper)
    writer.put(out, kept_indices(indices, axes, keepdim, lead), "total", depth)


def outer_loops(writer: Emitter, shape: tuple[int, ...], axes: set[int]) -> tuple[list[str], int]:
    """Loops over the axes that stay; the indices, "0" for the others, and the depth inside."""
    letters, depth = writer.loops(tuple(1 if i in axes else n for i, n in enumerate(shape)))
    return letters, depth


def inner_loops(
    writer: Emitter, indices: list[str], shape: tuple[int, ...], axes: set[int], depth: int
) -> tuple[list[str], int]:
    """Loops over the axes that are reduced; all indices, and the depth inside."""
    letters, deeper = writer.loops(tuple(n if i in axes else 1 for i, n in enumerate(shape)), depth)
    return [letters[i] if i in axes else index for i, index in enumerate(indices)], deeper


def kept_indices(indices: list[str], axes: set[int], keepdim: bool, lead: int = 0) -> list[str]:
    """The indices of the result of a reduction."""
    if keepdim:
        return ["0" if i in axes else index for i, index in enumerate(indices)][lead:]
    return [index for i, index in enumerate(indices) if i not in axes]


@emits("amax", "amin")
def emit_extreme(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """The largest (smallest); NaN wins."""
    (x,) = given
    axes = {d % len(x.shape) for d in line.static["dim"]} if x.shape else set()
    out = writer.result(line)
    indices, depth = outer_loops(writer, x.shape, axes)
    running_extreme(writer, x, indices, axes, depth, ">" if line.op == "amax" else "<")
    writer.put(out, kept_indices(indices, axes, line.static["keepdim"]), "top", depth)
    return out


def running_extreme(writer: Emitter, x: Place, indices: list[str], axes: set[int], depth: int, sign: str) -> None:
    """`top` is the extreme entry over some axes, NaN if there is one."""
    writer.line(f"top = {x.at(indices)}", depth)
    inner, deeper = inner_loops(writer, indices, x.shape, axes, depth)
    entry = x.at(inner)
    nan = f" or {entry} != {entry}" if x.dtype.kind == "f" else ""
    writer.line(f"if {entry} {sign} top{nan}:", deeper)
    writer.line(f"top = {entry}", deeper + 1)


@emits("argmax", "argmin")
def emit_position(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """The first position of the extreme entry; of the first NaN if there is one."""
    (x,) = given
    dim = line.static["dim"]
    if not x.shape:
        out = writer.result(line)
        writer.put(out, (), "0", 0)
        return out
    axes = set(range(len(x.shape))) if dim is None else {dim % len(x.shape)}
    out = writer.result(line)
    indices, depth = outer_loops(writer, x.shape, axes)
    sign = ">" if line.op == "argmax" else "<"
    writer.line(f"top, best, at_ = {x.at(indices)}, 0, 0", depth)
    inner, deeper = inner_loops(writer, indices, x.shape, axes, depth)
    entry = x.at(inner)
    nan = f" or ({entry} != {entry} and top == top)" if x.dtype.kind == "f" else ""
    writer.line(f"if {entry} {sign} top{nan}:", deeper)
    writer.line(f"top, best = {entry}, at_", deeper + 1)
    writer.line("at_ += 1", deeper)
    kept = ["0"] * len(out.shape) if dim is None else kept_indices(indices, axes, line.static["keepdim"])
    writer.put(out, kept, "best", depth)
    return out


@emits("argsort")
def emit_argsort(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """Row by row, in memory where rows along the axis are contiguous."""
    (x,) = given
    last = line.static["dim"] % len(x.shape)
    order = (*(axis for axis in range(len(x.shape)) if axis != last), last)
    source = writer.solid(x, line, order).laid_out(order)
    out = writer.result(line, order)
    writer.letters = 0
    indices, depth = writer.loops(tuple(1 if axis == last else n for axis, n in enumerate(x.shape)), order=order)
    row = f"[{', '.join(indices[axis] for axis in order[:-1])}]" if len(order) > 1 else ""
    function = writer.use("argsort_row", "tinygrad_edu.kernels.rows")
    writer.line(f"{function}({source}{row}, {out.memory}{row}, {line.static['descending']})", depth)
    return out


@emits("cumsum")
def emit_cumsum(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """Running sums."""
    (x,) = given
    out = writer.result(line)
    axis = line.static["dim"] % len(x.shape)
    size = x.shape[axis]
    indices, depth = outer_loops(writer, x.shape, {axis})
    writer.line(f"total = {typed(0, out.dtype)}", depth)
    steps = f"{size - 1}, -1, -1" if line.static["reverse"] else f"{size}"
    writer.line(f"for n_ in range({steps}):", depth)
    indices[axis] = "n_"
    writer.line(f"total += {x.at(indices)}", depth + 1)
    writer.put(out, indices, "total", depth + 1)
    return out


@emits("log_softmax")
def emit_log_softmax(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """x - max - log(sum(exp(x - max))) along one axis."""
    (x,) = given
    out = writer.result(line)
    if 0 in x.shape:
        return out
    if len(x.shape) == 2 and line.static["dim"] % 2 == 1 and x.dtype in (np.float32, np.float64):
        writer.line(f"{writer.use('log_softmax_loop', SOFTMAX)}({writer.solid(x, line).array}, {out.memory})")
        return out
    axes = {line.static["dim"] % len(x.shape)} if x.shape else set()
    indices, depth = outer_loops(writer, x.shape, axes)
    log_sum(writer, x, indices, axes, depth)
    inner, deeper = inner_loops(writer, indices, x.shape, axes, depth)
    writer.put(out, inner, f"{x.at(inner)} - top - total", deeper)
    return out


def log_sum(writer: Emitter, x: Place, indices: list[str], axes: set[int], depth: int) -> None:
    """`top` is the largest entry over some axes, `total` the logarithm of the sum of exp(entry - top)."""
    running_extreme(writer, x, indices, axes, depth, ">")
    writer.line("total = 0.0", depth)
    inner, deeper = inner_loops(writer, indices, x.shape, axes, depth)
    writer.line(f"total += math.exp({x.at(inner)} - top)", deeper)
    writer.line(f"total = {short(x.dtype)}(math.log(total))", depth)


@emits("softmax_cross_entropy")
def emit_cross_entropy(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """-log softmax(x)[target] of each row."""
    x, target = (str(writer.solid(p, line).array) for p in given)
    out = writer.result(line)
    if 0 in given[0].shape:
        writer.line(f"{out.memory}[:] = {typed(0, out.dtype)}")
    else:
        checked(writer, f"{writer.use('cross_entropy_loop', SOFTMAX)}({x}, {target}, {out.memory})", given[0].shape[1])
    return out


def checked(writer: Emitter, call: str, classes: int) -> None:
    """A call that gives the number of a row whose target is no class, or -1."""
    writer.line(f"if {call} >= 0:")
    writer.line(f'raise IndexError("softmax_cross_entropy: a target is not one of the {classes} classes")', 1)


@emits("cross_entropy_grad")
def emit_cross_entropy_grad(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """g * (softmax(x) - one_hot(target))."""
    g, x, target = (str(writer.solid(p, line).array) for p in given)
    out = writer.result(line)
    function = writer.use("cross_entropy_grad_loop", SOFTMAX)
    checked(writer, f"{function}({g}, {x}, {target}, {out.memory})", given[1].shape[1])
    return out


@emits("log_softmax_grad")
def emit_log_softmax_grad(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """g - exp(z) * sum(g), row by row."""
    g, z = (writer.solid(p, line).array for p in given)
    out = writer.result(line)
    writer.line(f"{writer.use('log_softmax_grad_loop', SOFTMAX)}({g}, {z}, {out.memory})")
    return out


@emits("matmul")
def emit_matmul(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """The kernels' product of two matrices, for each pair; transposes are not copied."""
    a, b = (p if p.array or p.transposed else writer.solid(p, line) for p in given)
    if a.array is None and b.array is None:
        a = writer.solid(a, line)
    if line.dtypes[0].kind != "f":
        raise writer.unsupported(line, f"dtype {line.dtypes[0]}")
    writer.letters = 0
    out = writer.result(line)
    if a.array is not None and b.array is not None and len(b.shape) == 2 and len(a.shape) > 2:
        rows = math.prod(a.shape[:-1])
        left, there = seen(a.array, (rows, a.shape[-1])), seen(str(out.array), (rows, out.shape[-1]))
        writer.line(f"{writer.use('gemm')}({left}, {b.array}, {there})")
        return out
    indices, depth = writer.loops(out.shape[:-2])
    left, right, there = (matrix(p, indices) for p in (a, b, out))
    if b.array is None:
        writer.line(f"{writer.use('gemm_nt')}({left}, {right}, {there})", depth)
    else:
        writer.line(f"{writer.use('gemm')}({left}{'' if a.array else '.T'}, {right}, {there})", depth)
    return out


@emits("linear")
def emit_linear(writer: Emitter, line: Instruction, given: list[Place]) -> Place:
    """The kernels' product with the transposed weight, and the bias added to it."""
    if line.dtypes[0].kind != "f":
        raise writer.unsupported(line, f"dtype {line.dtypes[0]}")
    x, weight, bias = (writer.solid(place, line).array for place in given)
    out = writer.result(line)
    writer.line(f"{writer.use('linear_loop', 'tinygrad_edu.kernels.linear_layer')}({x}, {weight}, {bias}, {out.array})")
    return out


def matrix(place: Place, indices: list[str]) -> str:
    """The matrix of a stack (transposed, if it is kept so) at the indices of the result's leading axes."""
    lead = place.shape[:-2]
    own = indices[len(indices) - len(lead) :]
    at = ["0" if n == 1 else i for i, n in zip(own, lead, strict=True)]
    array = place.array or place.transposed
    return f"{array}[{', '.join(at)}]" if at else str(array)
