"""The local derivative on each arrow: the rules of an operation, run on symbols that have the drawing's names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.engine.node import Edge, Node
from tinygrad_edu.engine.primitive import registry
from tinygrad_edu.engine.value import Const, Leaf


def local_rules(node: Node, names: Sequence[str | None], result: str | None) -> dict[int, str]:
    """Input position -> `dC/dW1 = g @ xᵀ`, for the inputs a gradient flows to; g is the gradient of the result.

    names, result -- of the inputs and of the result, None where there is none: if an input has none, all are called
                     as in the primitive's own signature
    Nothing for a user's own Function, whose backward is not made of rules, nor for an operation of several results.
    """
    from tinygrad_edu.explain.chain import pull
    from tinygrad_edu.explain.simplify import simplify
    from tinygrad_edu.explain.symbol import Symbol, apply

    if registry.get(node.op.name) is not node.op or node.outputs:
        return {}
    numbers = [isinstance(e, Const) and not isinstance(e.array, np.ndarray) for e in node.inputs]
    named = all(name or number for name, number in zip(names, numbers, strict=True))
    called = names if named else [own_name(node, place) for place in range(len(node.inputs))]
    inputs = [
        Symbol(None if number else name, example(edge))
        for edge, name, number in zip(node.inputs, called, numbers, strict=True)
    ]
    z = apply(node.op, tuple(inputs), node.static, (np.zeros(node.shape, node.dtype),))
    call, g = z.call, Symbol("g", z.value)
    wanted = {position for position, _, _ in node.plan.pulls}
    texts: dict[int, str] = {}
    for source, r in pull(call, g, z.named((result if named else None) or "z")):
        position = next(i for i, symbol in enumerate(inputs) if symbol is source)
        if position in wanted:
            texts[position] = f"dC/d{source.name} = {simplify(r).text()}"
    return texts


def own_name(node: Node, place: int) -> str:
    """What the primitive calls an input: `tensors[1]` for the second of `*tensors`."""
    name = node.op.input_name(place)
    return f"{name}[{place - len(node.op.inputs) + 1}]" if name == node.op.variadic else name


def example(edge: Edge) -> Any:
    """An array of the right shape and dtype: a leaf's or constant's own, else zeros."""
    return edge.array if isinstance(edge, (Leaf, Const)) else np.zeros(edge.shape, edge.dtype)
