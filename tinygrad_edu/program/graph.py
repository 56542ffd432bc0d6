"""A program after the fact: the nodes behind a loss are computed again under a recorder, then walked."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.engine.backward import walk
from tinygrad_edu.engine.mode import literal, switched, unrecordable
from tinygrad_edu.engine.node import Node, Output, ancestors, producer
from tinygrad_edu.engine.replay import changed
from tinygrad_edu.engine.storage import written_since
from tinygrad_edu.engine.value import Const, Leaf, Value, make
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
            results = results if node.outputs else (results,)
            for again in filter(None, (producer(r._edge) for r in results)):
                again.code, again.instruction, again.scope = node.code, node.instruction, node.scope
            slots = [Output(node, k) for k in range(len(node.outputs))] or [node]
            tensors.update(zip(slots, results, strict=True))
        name_by_edges(recorder, tensors)
        root = tensors.get(loss._edge, loss)
        recorder.replaying(None)
        if root is not loss:
            recorder.walking(producer(root._edge))
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


def name_by_edges(recorder: Recorder, tensors: dict[Any, Any]) -> None:
    """Variables hold the tensors of the graph, not those computed again: find their values by the edges."""
    for frame in recorder.frames.frames.values():
        for name, value in list(frame.f_locals.items()):
            if isinstance(value, Value) and value._edge in tensors:
                recorder.frames.name_tensor(recorder.frames.rank(frame), name, tensors[value._edge])
    nodes = [edge for edge in tensors if isinstance(edge, Node)]
    for i, node in enumerate(nodes):
        if node.name is not None and (i + 1 == len(nodes) or nodes[i + 1].where != node.where):
            recorder.frames.name_tensor(2, node.name, tensors[node])
