"""Transposes become part of matrix products, which read their operands either way: no transpose is ever copied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tinygrad_edu.program.body import Body, rewritten
from tinygrad_edu.program.instruction import Instruction, Line


def transposes(body: Body) -> Body:
    """(x.T).T is x, and (a @ b).T is b.T @ a.T, where nothing else reads the product.

    So the gradient of a weight that lies as (out, in), (x.T @ g).T, becomes g.T @ x: row-major like the weight.
    """
    readers, turned = body.readers(), dict[str, str]()
    products = {line.outputs[0]: line for line in body.lines if isinstance(line, Instruction) and line.op == "matmul"}
    shapes = {i.name: i.shape for i in body.inputs}
    fresh = body.fresh()

    def rule(line: Instruction) -> Sequence[Line] | str:
        shapes.update(zip(line.outputs, line.shapes, strict=True))
        if line.op in products and line.op == "matmul":
            products[line.outputs[0]] = line
        if line.op != "mT":
            return [line]
        (x,) = line.inputs
        if x in turned:
            return turned[x]
        product = products.get(x)
        if product is None or readers[x] > 1:
            turned[line.outputs[0]] = x
            return [line]
        new: list[Line] = []
        operands = [transposed(operand, product, new) for operand in reversed(product.inputs)]
        return [*new, replace(line, op="matmul", inputs=tuple(operands), static={})]

    def transposed(value: str, product: Instruction, new: list[Line]) -> str:
        """The name of the transpose of an operand; a line that makes it, if there is none yet."""
        if value in turned:
            return turned[value]
        name = fresh(f"{value}_T")
        shape = (*shapes[value][:-2], shapes[value][-1], shapes[value][-2])
        new.append(replace(product, op="mT", inputs=(value,), static={}, outputs=(name,), shapes=(shape,)))
        shapes[name] = shape
        turned[name] = value
        return name

    return rewritten(body, rule)
