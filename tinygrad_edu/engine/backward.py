"""The walk: gradients from the outputs back to the leaves.

Creation order is a topological order, so the walk visits the nodes that were reached in reverse order of creation:
each exactly once, after everything that uses it.  The gradients of computed values live in one table, local to the
walk; only leaves keep theirs.  On arrays nothing is recorded; on tensors (second order, or while recording a
program) the very same rules build the graph of the backward pass.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import numpy as np

from tinygrad_edu.engine import errors
from tinygrad_edu.engine.mode import current, literal, regraded
from tinygrad_edu.engine.node import Edge, Node, Output, producer
from tinygrad_edu.engine.plan import Plan, Table, add, checked, times
from tinygrad_edu.engine.quiet import ignore, restore, silence
from tinygrad_edu.engine.storage import Writes, written_since
from tinygrad_edu.engine.value import Const, Value, array_of, make


def walk(
    roots: list[tuple[Edge, Any]],
    *,
    targets: list[Edge] | None = None,
    keep: bool = False,
    record: bool = False,
) -> dict[Any, Any]:
    """Carry gradients from `roots` (edge, gradient) to the leaves, or only to `targets`.

    keep      -- leave the saved values in the nodes for another walk
    record    -- the gradients are tensors with a graph of their own; else arrays (tensors while a program records)

    Returns the gradients by edge: of all leaves reached, or of the targets.
    """
    mode = current.get()
    tensors = record or mode.recorder is not None
    table: Table = {}
    owned: Table = {}
    for edge, g in roots:
        add(table, edge, g if tensors else array_of(g))
    nodes = reached([edge for edge, _ in roots])
    wanted = useful(nodes, targets) if targets is not None else None
    kept: dict[Any, Any] = {}
    waiting, anomaly = table.pop, mode.anomaly
    quiet, inside = silence(ignore), current.set(regraded(mode, record))
    try:
        for node in nodes:
            plan = node.plan
            g = waiting(node, None) if node.special is None else gathered(node, table, tensors)
            if g is None:
                continue
            if wanted is not None:
                collect(kept, node, g, targets or ())
                plan = narrowed(node, wanted)
                if plan is None:
                    continue
            if node.saved is None:
                raise errors.freed(node)
            if node.seq < Writes.last:
                check_versions(node)
            if tensors:
                pull_tensors(node, plan, g, table)
            else:
                plan.pull(node, g, table, owned)
            if anomaly:
                check_finite(node, table)
            if not keep and node.plan.keeps:
                node.saved = None
    finally:
        current.reset(inside)
        restore(quiet)
        if mode.recorder is not None:
            mode.recorder.walking(None)
    return {**kept, **table} if kept else table


def reached(roots: list[Edge]) -> list[Node]:
    """The nodes behind the roots, latest first."""
    stack = [node for node in map(producer, roots) if node is not None]
    seen = set(stack)
    while stack:
        for edge in stack.pop().inputs:
            kind = edge.__class__
            if kind is Node:
                if edge not in seen:
                    seen.add(edge)
                    stack.append(edge)
            elif kind is Output and edge.node not in seen:
                seen.add(edge.node)
                stack.append(edge.node)
    return sorted(seen, key=attrgetter("seq"), reverse=True)


def useful(nodes: list[Node], targets: list[Edge]) -> set[Any]:
    """The edges (and nodes) on the way to a target: the only ones worth a gradient."""
    wanted: set[Any] = set(targets)
    for node in reversed(nodes):
        if any(edge in wanted for edge in node.inputs):
            wanted.add(node)
            wanted.update(Output(node, k) for k in range(len(node.outputs)))
    return wanted


def collect(kept: dict[Any, Any], node: Node, g: Any, targets: Any) -> None:
    """Set aside the gradient of a computed value that was asked for."""
    for edge in targets:
        if edge is node:
            kept[edge] = g
        elif isinstance(edge, Output) and edge.node is node:
            kept[edge] = g[edge.slot - sum(a < edge.slot for a in node.op.auxiliary)]


def narrowed(node: Node, wanted: set[Any]) -> Plan | None:
    """The plan that asks only for inputs on the way to a target; None when no input is."""
    needs = sum(1 << i for i, _, _ in node.plan.pulls if node.inputs[i] in wanted)
    return node.op.plan(needs, len(node.inputs)) if needs else None


def pull_tensors(node: Node, plan: Plan, g: Any, table: Table) -> None:
    """Ask each rule of a node for its input's gradient, on tensors: the calls are recorded."""
    saved = tensors_saved(node)
    recorder = current.get().recorder
    if recorder is not None:
        recorder.walking(node)
    for i, rule, bound in plan.pulls:
        edge = node.inputs[i]
        r = bound(g, saved, node)
        r = checked(times(g, r) if rule.kind == "slope" else r, edge, node, rule.op.broadcasts or rule.kind == "slope")
        add(table, edge, r)
        if recorder is not None:
            recorder.gradient(r._array, edge)
            recorder.gradient(table[edge]._array, edge)


def tensors_saved(node: Node) -> tuple[Any, ...]:
    """The saved arrays as tensors again, each with the edge it had."""
    saved: list[Any] = []
    for edge, array in zip((*node.inputs, node), node.saved or (), strict=True):
        if array is None or not isinstance(array, (np.ndarray, tuple)):
            saved.append(array)
        elif isinstance(array, tuple):
            aux = node.op.auxiliary
            edges = [None if k in aux else Output(node, k) for k in range(len(array))]
            saved.append(tuple(a if a is None else make(a, e) for a, e in zip(array, edges, strict=True)))
        else:
            saved.append(make(array, None if isinstance(edge, Const) else edge))
    return tuple(saved)


def gathered(node: Node, table: Table, tensors: bool) -> Any:
    """The gradient of a node with several outputs or with hooks: zeros for outputs nobody used, hooks applied.

    A tuple, one gradient for each output that is not auxiliary, when there are several outputs.
    """
    edges: list[Any] = [Output(node, k) for k in range(len(node.outputs))] or [node]
    parts = [table.pop(edge, None) for edge in edges]
    if all(p is None for p in parts):
        return None
    for slot, edge in enumerate(edges):
        if parts[slot] is None:
            zeros = literal(np.zeros(edge.shape, edge.dtype), 0.0)
            parts[slot] = make(zeros) if tensors else zeros
    for slot, hook in (*node.special.hooks, *node.special.keepers) if node.special else ():
        parts[slot] = hooked(hook, parts[slot], tensors)
    if not node.outputs:
        return parts[0]
    return tuple(p for slot, p in enumerate(parts) if slot not in node.op.auxiliary)


def hooked(hook: Any, g: Any, tensors: bool) -> Any:
    """Call one hook with the gradient as a tensor; what it returns, if anything, takes its place."""
    given = g if tensors else make(np.asarray(g))
    answer = hook(given)
    if answer is None:
        answer = given
    if not isinstance(answer, Value):
        raise TypeError(f"a hook must return None or a tensor, not {type(answer).__name__}")
    if answer._array.shape != given._array.shape:
        raise RuntimeError(
            f"a hook must return a gradient of shape {given._array.shape}, not one of shape {answer._array.shape}"
        )
    # a view of it: nobody may write into an array that the hook's owner still holds
    return answer if tensors else answer._array[...]


def check_versions(node: Node) -> None:
    """Refuse to use a saved value whose memory was written to since."""
    for place, saved in enumerate(node.saved or ()):
        for array in saved if isinstance(saved, tuple) else (saved,):
            storage = written_since(array, node.seq)
            if storage is not None:
                raise errors.overwritten(node, storage, place)


def check_finite(node: Node, table: Table) -> None:
    """Anomaly mode: name the operation whose gradient has a NaN."""
    for edge in node.inputs:
        g = table.get(edge) if not isinstance(edge, Const) else None
        if g is not None and np.isnan(array_of(g)).any():
            raise RuntimeError(f"the gradient of an input of {node!r} has NaN values (anomaly detection is on)")
