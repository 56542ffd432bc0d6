"""`backward` and `grad`: where a walk starts, and where its gradients go."""

from __future__ import annotations

from collections.abc import Sequence
from sys import getrefcount
from typing import Any

import numpy as np

from tinygrad_edu.engine.backward import hooked, walk
from tinygrad_edu.engine.basis import cast, copy
from tinygrad_edu.engine.mode import current, literal, switched
from tinygrad_edu.engine.node import Edge
from tinygrad_edu.engine.quiet import ignore, restore, silence
from tinygrad_edu.engine.storage import wrote
from tinygrad_edu.engine.value import Cell, Leaf, Value, array_of, make, notes


def backward(
    outputs: Sequence[Value],
    gradients: Sequence[Value | None],
    *,
    retain_graph: bool = False,
    create_graph: bool = False,
    inputs: Sequence[Value] | None = None,
) -> None:
    """Add the gradients of the outputs to `.grad` of the leaves (of `inputs` only, when given)."""
    roots = starts(outputs, gradients, create_graph)
    targets = None if inputs is None else [input_edge(v, i) for i, v in enumerate(inputs)]
    found = walk(roots, targets=targets, keep=retain_graph, record=create_graph)
    passed_on = {id(array_of(g)) for _, g in roots}
    recorder = current.get().recorder
    token = silence(ignore)
    try:
        for edge, g in found.items():
            if isinstance(edge, Leaf):
                accumulate(edge, g, create_graph, passed_on)
                if recorder is not None and edge.cell.grad is not None:
                    recorder.gradient(edge.cell.grad._array, edge)
            else:
                noted = notes(next(v for v in inputs or () if v._edge is edge))
                if noted.kept is None:
                    noted.cell = noted.cell or Cell()
                    noted.cell.add(own(g, passed_on, create_graph))
    finally:
        restore(token)


def grad(
    outputs: Sequence[Value],
    inputs: Sequence[Value],
    gradients: Sequence[Value | None],
    *,
    retain_graph: bool = False,
    create_graph: bool = False,
) -> list[Any]:
    """The gradients of the outputs with respect to `inputs`; None for one that was not used."""
    targets = [input_edge(v, i) for i, v in enumerate(inputs)]
    roots = starts(outputs, gradients, create_graph)
    found = walk(roots, targets=targets, keep=retain_graph, record=create_graph)
    results: list[Any] = []
    passed_on = {id(array_of(g)) for _, g in roots}
    for edge in targets:
        g = found.get(edge)
        if g is not None and isinstance(edge, Leaf):
            g = through_hooks(edge, g)
        results.append(None if g is None else own(g, passed_on, create_graph))
    return results


def starts(outputs: Sequence[Value], gradients: Sequence[Value | None], record: bool) -> list[tuple[Edge, Value]]:
    """(edge, gradient) of each output; a scalar needs no gradient given, it is 1."""
    roots = []
    recorder = current.get().recorder
    for i, (output, g) in enumerate(zip(outputs, gradients, strict=True)):
        if output._edge is None:
            raise RuntimeError(
                f"element {i} of the outputs (shape {output._array.shape}) does not require grad and has no grad_fn: "
                "nothing it was computed from requires grad (was requires_grad=True forgotten, or the graph left by "
                "detach(), no_grad() or numpy()?)"
            )
        if g is None:
            if output._array.size != 1:
                raise RuntimeError(
                    f"grad can be implicitly created only for scalar outputs, and this one has shape "
                    f"{output._array.shape}: reduce it with sum() or mean(), or pass gradient="
                )
            array = output._array
            g = make(literal(np.array(1, array.dtype) if not array.ndim else np.ones_like(array), 1.0))
        elif not isinstance(g, Value):
            raise TypeError(f"gradients can be tensors or None, not {type(g).__name__}: use tinygrad_edu.tensor(...)")
        elif g._array.shape != output._array.shape:
            raise RuntimeError(
                f"the gradient given has shape {g._array.shape}, the output has shape {output._array.shape}: "
                "they must be equal"
            )
        if g._array.dtype != output._array.dtype:
            g = cast(g, dtype=output._array.dtype)
        if recorder is not None:
            recorder.gradient(g._array, output._edge)
        roots.append((output._edge, g if record or recorder is not None else make(g._array)))
    return roots


def input_edge(value: Value, position: int) -> Edge:
    """The edge of a tensor a gradient is asked for."""
    if value._edge is None:
        raise RuntimeError(
            f"input {position} (shape {value._array.shape}) does not require grad: call requires_grad_() on it before "
            "it is used"
        )
    return value._edge


def through_hooks(leaf: Leaf, g: Any) -> Any:
    """The gradient of a leaf after its hooks."""
    for hook in tuple(leaf.cell.hooks.values()):
        g = hooked(hook, g, isinstance(g, Value))
    return g


def own(g: Any, passed_on: set[int], record: bool = False) -> Any:
    """The gradient as a tensor: a fresh array as it is, one that something else may hold (a view, say) copied.

    In row-major order, so that `.grad.view(-1)` works and an optimizer meets it in the order of the parameter.
    """
    array = array_of(g)
    key = id(array)
    fresh = array.__class__ is np.ndarray and array.flags.c_contiguous and key not in passed_on
    fresh = fresh and (array.base is None or only_seen_by(array))
    passed_on.add(key)
    if isinstance(g, Value):
        return g if fresh or record else copy(g)
    return make(array if fresh else np.array(array, order="C"))


def only_seen_by(view: np.ndarray) -> bool:
    """Whether a view shows all of an array that nothing else refers to, as after two transposes."""
    memory: Any = view.base
    if memory.__class__ is not np.ndarray or memory.base is not None or memory.size != view.size:
        return False
    del memory
    return references_to_base(view) <= ONE_VIEW


def references_to_base(view: np.ndarray) -> int:
    """How many references there are to the array behind a view, those of this call included."""
    memory = view.base
    return getrefcount(memory)


# measured, because a call counts its own references differently from one Python to the next
ONE_VIEW = references_to_base(np.empty((1, 1)).T)


def accumulate(leaf: Leaf, g: Any, record: bool, passed_on: set[int]) -> None:
    """Add a gradient to a leaf's `.grad`: in place when there is one already and no graph is recorded."""
    cell = leaf.cell
    if cell.hooks:
        g = through_hooks(leaf, g)
    with cell.lock:
        if cell.grad is None:
            cell.grad = own(g, passed_on, record)
        elif isinstance(g, Value):
            with switched(grad=record):
                if record:
                    cell.grad = cell.grad + g  # type: ignore[operator]
                else:
                    cell.grad.add_(g)  # type: ignore[attr-defined]
        else:
            held = cell.grad
            np.add(held._array, g, out=held._array)
            wrote(held._array, None)
