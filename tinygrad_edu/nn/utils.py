"""Gradient clipping, and all parameters as one vector."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from tinygrad_edu.autograd.modes import no_grad
from tinygrad_edu.engine.value import Value
from tinygrad_edu.functions import arithmetic, creation, reductions, shapes
from tinygrad_edu.functions.promotion import require_tensor


def _gradients(parameters: Any) -> list[Any]:
    """The gradients there are, of one tensor or of many."""
    tensors = [parameters] if isinstance(parameters, Value) else list(parameters)
    return [p.grad for p in tensors if p.grad is not None]


@no_grad()
def clip_grad_norm_(
    parameters: Any,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Any:
    """Scale all gradients in place so that their norm, as one vector, is at most max_norm.

    Returns the norm before.  Raises RuntimeError for a norm that is not finite when `error_if_nonfinite`.

    >>> import tinygrad_edu as tg
    >>> w = tg.zeros(2, requires_grad=True)
    >>> w.grad = tg.tensor([3.0, 4.0])
    >>> tg.nn.utils.clip_grad_norm_(w, max_norm=1.0)
    tensor(5.)
    >>> w.grad
    tensor([0.6000, 0.8000])
    """
    gradients = _gradients(parameters)
    if not gradients:
        return creation.tensor(0.0)
    sizes = [reductions.norm(g.detach(), float(norm_type)) for g in gradients]
    total = reductions.norm(shapes.stack(sizes), float(norm_type))
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, so it cannot be "
            "clipped: leave out error_if_nonfinite to scale the gradients by it anyway"
        )
    # multiplied even when it is 1, so that a program needs no branch
    factor = arithmetic.clamp(float(max_norm) / (total + 1e-6), max=1.0)
    for g in gradients:
        g.mul_(factor)
    return total


@no_grad()
def clip_grad_value_(parameters: Any, clip_value: float, foreach: bool | None = None) -> None:
    """Limit every entry of the gradients to [-clip_value, clip_value], in place."""
    for g in _gradients(parameters):
        g.clamp_(-float(clip_value), float(clip_value))


def parameters_to_vector(parameters: Iterable[Any]) -> Any:
    """All parameters flattened and joined: one vector, in the graph."""
    return shapes.cat([shapes.reshape(p, -1) for p in parameters])


def vector_to_parameters(vec: Any, parameters: Iterable[Any]) -> None:
    """Let the parameters be parts of a vector (they share its memory); the reverse of `parameters_to_vector`."""
    require_tensor("vector_to_parameters", vec, "vec")
    start = 0
    for parameter in parameters:
        count = parameter.numel()
        parameter.data = shapes.reshape(vec[start : start + count], parameter.shape).detach()
        start += count
