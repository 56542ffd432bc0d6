"""A program after the fact: the nodes behind a loss are computed again under a recorder, then walked."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.engine.backward import walk
from tinygrad_edu.engine.mode import literal, switched, unrecordable
from tinygrad_edu.engine.node import Node, Output, ancestors
from tinygrad_edu.engine.storage import Storage, written_since
from tinygrad_edu.engine.value import Const, Leaf, Value, make
from tinygrad_edu.engine.where import assigned_name, describe
from tinygrad_edu.program.finish import finished
from tinygrad_edu.program.recorder import Recorder, user_frame


def recorded(loss: Any) -> Any:
    """The inputs, instructions and outputs of the forward and backward pass behind a scalar."""
    unrecordable("the graph of a loss", "ask outside of the recorded block")
    if not isinstance(loss, Value) or loss._edge is None:
        raise RuntimeError("no graph is behind this: from_graph needs a tensor computed from one that requires grad")
    if loss._array.size != 1:
        raise RuntimeError(f"from_graph needs a scalar, this tensor has shape {loss._array.shape}: reduce it first")
    recorder = Recorder(user_frame())
    tensors: dict[Any, Any] = {}
    with switched(grad=True, recorder=recorder):
        for node in ancestors([loss._edge]):
            recorder.replaying(node)
            results = node.op(*(tensor_of(e, node, i, tensors) for i, e in enumerate(node.inputs)), **node.static)
            slots = [Output(node, k) for k in range(len(node.outputs))] or [node]
            tensors.update(zip(slots, results if node.outputs else (results,), strict=True))
        recorder.replaying(None)
        name_by_edges(recorder, tensors)
        root = tensors.get(loss._edge, loss)
        g = make(literal(np.ones_like(root._array), 1.0))
        recorder.gradient(g._array, root._edge)
        for edge, grad in walk([(root._edge, g)]).items():
            recorder.gradient(grad._array, edge)
    return finished(recorder)


def tensor_of(edge: Any, node: Node, place: int, tensors: dict[Any, Any]) -> Any:
    """The input of a node, computed again or as it was; refused when it was written since."""
    if not isinstance(edge, (Leaf, Const)):
        return tensors[edge]
    storage = written_since(edge.array, node.seq)
    if storage is not None:
        raise changed(node, edge, place, storage)
    if isinstance(edge, Leaf):
        return make(edge.array, edge)
    return make(edge.array) if isinstance(edge.array, np.ndarray) else edge.array


def changed(node: Node, edge: Leaf | Const, place: int, storage: Storage) -> RuntimeError:
    """The graph can not be computed again, because what it was computed from is no longer the same."""
    name = None if edge.made is None else assigned_name(edge.made)
    who = f"{name} (shape {edge.shape})" if name else f"a tensor of shape {edge.shape}"
    return RuntimeError(
        f"{who}, input {node.op.input_name(place)!r} of {node.op.name} at {describe(node.where)}, was written in place "
        f"since, at {describe(storage.writer)}: the graph cannot be computed again; ask before the write, or compute "
        "the loss again"
    )


def name_by_edges(recorder: Recorder, tensors: dict[Any, Any]) -> None:
    """Variables hold the tensors of the graph, not those computed again: find their values by the edges."""
    for frame in recorder.frames.frames.values():
        for name, value in list(frame.f_locals.items()):
            if isinstance(value, Value) and value._edge in tensors:
                recorder.frames.name_tensor(recorder.frames.rank(frame), name, tensors[value._edge])
    nodes = [edge for edge in tensors if isinstance(edge, Node)]
    for node, following in zip(nodes, [*nodes[1:], None], strict=True):
        if node.name is not None and (following is None or following.where != node.where):
            recorder.frames.name_tensor(2, node.name, tensors[node])
