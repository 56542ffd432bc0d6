"""Primitives that stand for several others, taken apart: so that each part can join what is around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tinygrad_edu.ops.reduce import count
from tinygrad_edu.program.body import Body, rewritten
from tinygrad_edu.program.instruction import Instruction, Line


def lowered(body: Body) -> Body:
    """A linear layer is a product and a sum, a mean is a sum divided by how many entries it is of."""
    shapes = {i.name: i.shape for i in body.inputs}
    fresh = body.fresh()

    def rule(line: Instruction) -> Sequence[Line]:
        shapes.update(zip(line.outputs, line.shapes, strict=True))
        (value,) = line.outputs[:1]
        if line.op == "linear":
            x, weight, bias = line.inputs
            turned, product = fresh(f"{weight}_T"), fresh(f"{value}_product")
            return [
                replace(line, op="mT", inputs=(weight,), outputs=(turned,), shapes=(shapes[weight][::-1],)),
                replace(line, op="matmul", inputs=(x, turned), outputs=(product,)),
                replace(line, op="add", inputs=(product, bias)),
            ]
        if line.op == "mean" and isinstance(line.inputs[0], str):
            total = fresh(f"{value}_sum")
            divisor = count(shapes[line.inputs[0]], line.static["dim"])
            return [
                replace(line, op="sum", outputs=(total,)),
                replace(line, op="div", inputs=(total, divisor), static={}),
            ]
        return [line]

    return rewritten(body, rule)
