"""After the fact: primitives are pure and constants are edges, so what was not kept is computed again.

Works before and after `backward()`.  The graph is only read: nothing is freed or accumulated, no hook is called.
"""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np

from tinygrad_edu.engine.node import Edge, Node, Output, ancestors
from tinygrad_edu.engine.plan import Table, add
from tinygrad_edu.engine.quiet import ignore, restore, silence
from tinygrad_edu.engine.storage import Storage, written_since
from tinygrad_edu.engine.value import Const, Leaf
from tinygrad_edu.engine.where import assigned_name, describe


def edges_of(node: Node) -> list[Edge]:
    """The edges of a node's outputs: the node itself when there is one, else an `Output` each."""
    return [Output(node, slot) for slot in range(len(node.outputs))] or [node]


def values(root: Edge) -> dict[Any, Any]:
    """edge -> array (or number) of everything `root` was computed from, and of `root`.

    Raises RuntimeError when a leaf or a constant was written to since it was used.
    """
    found: dict[Any, Any] = {root: root.array} if isinstance(root, (Leaf, Const)) else {}
    for node in ancestors([root]):
        for place, edge in enumerate(node.inputs):
            if isinstance(edge, (Leaf, Const)):
                storage = written_since(edge.array, node.seq)
                if storage is not None:
                    raise changed(node, edge, place, storage)
                found[edge] = edge.array
        arrays = node.op.compute([found[edge] for edge in node.inputs], node.static)
        found.update(zip(edges_of(node), arrays, strict=True))
    return found


def gradients(root: Edge, g: Any = None, known: dict[Any, Any] | None = None) -> dict[Any, np.ndarray]:
    """edge -> d(root)/d(edge), for every edge that carries a gradient: `g` (ones) carried back by the rules.

    known -- what `values(root)` gave, if it is at hand
    """
    known = values(root) if known is None else known
    table: Table = {}
    add(table, root, np.ones(root.shape, root.dtype) if g is None else g)
    token = silence(ignore)
    try:
        for node in reversed(ancestors([root])):
            edges = edges_of(node)
            parts = [table.get(edge) for edge in edges]
            if all(part is None for part in parts):
                continue
            parts = [np.zeros(e.shape, e.dtype) if p is None else p for e, p in zip(edges, parts, strict=True)]
            carried = tuple(p for slot, p in enumerate(parts) if slot not in node.op.auxiliary)
            node.plan.pull(with_saved(node, known), carried if node.outputs else parts[0], table, {})
    finally:
        restore(token)
    return dict(table)


def with_saved(node: Node, known: dict[Any, Any]) -> Node:
    """A copy of the node with the values its rules name, which the node itself may have let go of."""
    outputs = tuple(known[edge] for edge in edges_of(node))
    kept = [*(known[edge] for edge in node.inputs), outputs if node.outputs else outputs[0]]
    again = copy(node)
    again.saved = tuple(value if keep else None for value, keep in zip(kept, node.plan.keep, strict=True))
    return again


def changed(node: Node, edge: Leaf | Const, place: int, storage: Storage) -> RuntimeError:
    """A value can not be computed again, because what it was computed from is no longer the same."""
    name = assigned_name(edge.made) if edge.made is not None else None
    who = f"{name!r} (shape {edge.shape})" if name else f"a tensor of shape {edge.shape}"
    return RuntimeError(
        f"{who}, the input {node.op.input_name(place)!r} of {node.op.name} at {describe(node.where)}, was changed in "
        f"place at {describe(storage.writer)} since then, so this graph can not be computed again: ask before the "
        "change (before optimizer.step()), or compute the loss again"
    )
