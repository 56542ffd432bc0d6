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

    names, result -- of the inputs and of the result; where there is none, inputs are ①, ② ... and the result is `out`
    Nothing for a user's own Function, whose backward is not made of rules, nor for an operation of several results.
    """
    from tinygrad_edu.explain.chain import pull
    from tinygrad_edu.explain.simplify import simplify
    from tinygrad_edu.explain.symbol import Symbol, apply

    if registry.get(node.op.name) is not node.op or node.outputs:
        return {}
    numbers = [isinstance(e, Const) and not isinstance(e.array, np.ndarray) for e in node.inputs]
    called = [None if numbers[i] else name or ordinal(i) for i, name in enumerate(names)]
    inputs = [Symbol(name, example(edge)) for name, edge in zip(called, node.inputs, strict=True)]
    z = apply(node.op, tuple(inputs), node.static, (np.zeros(node.shape, node.dtype),))
    call, g = z.call, Symbol("g", z.value)
    wanted = {position for position, _, _ in node.plan.pulls}
    texts: dict[int, str] = {}
    for source, r in pull(call, g, z.named(result if result and result not in called else "out")):
        position = next(i for i, symbol in enumerate(inputs) if symbol is source)
        if position in wanted:
            texts[position] = f"dC/d{source.name} = {simplify(r).text()}"
    return texts


def ordinal(place: int) -> str:
    """① for the first input, ② for the second; plain numbers after ⑳."""
    return chr(ord("①") + place) if place < 20 else f"({place + 1})"


def example(edge: Edge) -> Any:
    """An array of the right shape and dtype: a leaf's or constant's own, else zeros."""
    return edge.array if isinstance(edge, (Leaf, Const)) else np.zeros(edge.shape, edge.dtype)
