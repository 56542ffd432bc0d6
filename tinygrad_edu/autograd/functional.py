"""Jacobians, Hessians and their products, spelled like `torch.autograd.functional`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.autograd.grad import grad
from tinygrad_edu.autograd.modes import enable_grad
from tinygrad_edu.engine.value import make
from tinygrad_edu.functions import shapes
from tinygrad_edu.tensor import Tensor


def _call(func: Callable[..., Any], inputs: Any, history: bool) -> tuple[Any, list[Any]]:
    """func's output, and the inputs it was really called with: fresh leaves, unless their history must stay."""
    xs = list(inputs) if isinstance(inputs, tuple) else [inputs]
    if history:
        xs = [x if x.requires_grad else x.detach().clone().requires_grad_() for x in xs]
    else:
        xs = [x.detach().clone().requires_grad_() for x in xs]
    return func(*xs), xs


def _gradients(y: Any, xs: list[Any], v: Any = None, **options: Any) -> tuple[Any, ...]:
    """The gradients; zeros where y does not depend on an input, or on any."""
    if not y.requires_grad:
        return tuple(make(np.zeros_like(x._array)) for x in xs)
    return grad(y, xs, v, materialize_grads=True, **options)


def _like(parts: Any, inputs: Any) -> Any:
    """A tuple when the inputs were one."""
    return tuple(parts) if isinstance(inputs, tuple) else parts[0]


def vjp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False) -> tuple[Any, Any]:
    """(func(x), v^T J): the vector-Jacobian product, one walk.

    >>> import tinygrad_edu as tg
    >>> tg.autograd.functional.vjp(lambda x: x * x, tg.tensor([1.0, 2.0]), tg.tensor([1.0, 10.0]))[1]
    tensor([ 2., 40.])
    """
    with enable_grad():
        y, xs = _call(func, inputs, create_graph)
        g = _gradients(y, xs, v, create_graph=create_graph)
    return (y if create_graph else y.detach()), _like(g, inputs)


def jvp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False) -> tuple[Any, Any]:
    """(func(x), J v): the Jacobian-vector product, as the vjp of a vjp: u -> J^T u is linear, its adjoint is J."""
    with enable_grad():
        y, xs = _call(func, inputs, create_graph)
        vs = [make(np.ones_like(x._array)) for x in xs] if v is None else list(v) if isinstance(v, tuple) else [v]
        u = make(np.zeros_like(y._array)).requires_grad_()
        back = _gradients(y, xs, u, create_graph=True)
        live = [(b, w) for b, w in zip(back, vs, strict=True) if b.requires_grad]
        if not live:
            return y.detach(), make(np.zeros_like(y._array))
        (out,) = grad([b for b, _ in live], u, [w for _, w in live], create_graph=create_graph)
    return (y if create_graph else y.detach()), out


def jacobian(func: Callable[..., Any], inputs: Any, create_graph: bool = False) -> Any:
    """dy/dx of shape (*y, *x); a tuple of them when the inputs are a tuple.

    >>> import tinygrad_edu as tg
    >>> tg.autograd.functional.jacobian(lambda x: x * x, tg.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    with enable_grad():
        y, xs = _call(func, inputs, create_graph)
        rows: list[list[Any]] = [[] for _ in xs]
        for k in range(y._array.size):
            one = np.zeros_like(y._array)
            one.flat[k] = 1
            parts = _gradients(y, xs, make(one), retain_graph=True, create_graph=create_graph)
            for row, part in zip(rows, parts, strict=True):
                row.append(part)
    shape = tuple(y.shape)
    return _like(
        [
            shapes.reshape(shapes.stack(r), (*shape, *x.shape)) if r else x.new_zeros(*shape, *x.shape)
            for r, x in zip(rows, xs, strict=True)
        ],
        inputs,
    )


def hessian(func: Callable[..., Any], inputs: Any, create_graph: bool = False) -> Any:
    """The second derivatives of a scalar function: shape (*x, *x); a tuple of tuples when the inputs are a tuple."""

    def first(k: int) -> Callable[..., Any]:
        def derivative(*xs: Tensor) -> Any:
            y = func(*xs)
            if y._array.size != 1:
                raise RuntimeError(f"hessian: the function must return a single value, got shape {tuple(y.shape)}")
            return _gradients(y, list(xs), create_graph=True)[k]

        return derivative

    if not isinstance(inputs, tuple):
        return jacobian(first(0), inputs, create_graph)
    return tuple(jacobian(first(k), inputs, create_graph) for k in range(len(inputs)))


def hvp(func: Callable[..., Any], inputs: Tensor, v: Tensor) -> tuple[Any, Any]:
    """(func(x), H v): the Hessian-vector product, without the Hessian."""
    with enable_grad():
        y, (x,) = _call(func, inputs, False)
        (first,) = _gradients(y, [x], create_graph=True)
        if not first.requires_grad:
            return y.detach(), make(np.zeros_like(x._array))
        (out,) = grad(first, x, v, materialize_grads=True)
    return y.detach(), out


vhp = hvp
