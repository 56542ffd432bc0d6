"""`grad` and `backward` as functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_edu.engine import gradients
from tinygrad_edu.functions.promotion import require_tensor
from tinygrad_edu.tensor import Tensor


def _list(name: str, values: Any) -> list[Any]:
    values = list(values) if isinstance(values, (list, tuple)) else [values]
    for value in values:
        require_tensor("grad", value, name)
    return values


def _upstream(grad_outputs: Any, count: int) -> list[Any]:
    given = list(grad_outputs) if isinstance(grad_outputs, (list, tuple)) else [grad_outputs] * count
    if grad_outputs is not None and not isinstance(grad_outputs, (list, tuple)) and count != 1:
        raise RuntimeError(f"got 1 grad_output for {count} outputs: pass one gradient (or None) for each")
    if len(given) != count:
        raise RuntimeError(f"got {len(given)} grad_outputs for {count} outputs: pass one gradient (or None) for each")
    return given


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """The gradients of the outputs (summed) with respect to the inputs, as a tuple; `.grad` is left alone.

    create_graph -- record the backward pass, so that the gradients can be differentiated again.
    allow_unused -- None for an input the outputs do not depend on, instead of an error.

    >>> import tinygrad_edu as tg
    >>> x = tg.tensor(3.0, requires_grad=True)
    >>> (first,) = tg.autograd.grad(x**3, x, create_graph=True)
    >>> tg.autograd.grad(first, x)
    (tensor(18.),)
    """
    ys, xs = _list("outputs", outputs), _list("inputs", inputs)
    keep = create_graph if retain_graph is None else retain_graph
    upstream = _upstream(grad_outputs, len(ys))
    found = gradients.grad(ys, xs, upstream, retain_graph=keep, create_graph=create_graph)
    if materialize_grads:
        found = [Tensor.new_zeros(x, x.shape) if g is None else g for g, x in zip(found, xs, strict=True)]
    elif not allow_unused and any(g is None for g in found):
        missing = [i for i, g in enumerate(found) if g is None]
        raise RuntimeError(
            f"inputs {missing} appear not to have been used in the graph: set allow_unused=True if this is intended"
        )
    return tuple(found)


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Add the gradients of several outputs to `.grad` of the leaves, in one walk."""
    ys = _list("tensors", tensors)
    keep = create_graph if retain_graph is None else retain_graph
    xs = None if inputs is None else _list("inputs", inputs)
    upstream = _upstream(grad_tensors, len(ys))
    gradients.backward(ys, upstream, retain_graph=keep, create_graph=create_graph, inputs=xs)
