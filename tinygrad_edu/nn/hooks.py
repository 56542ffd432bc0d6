"""Functions a module calls before and after its forward, and when gradients have passed through it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tinygrad_edu.autograd.function import Function
from tinygrad_edu.engine.mode import current
from tinygrad_edu.tensor import RemovableHandle, Tensor

if TYPE_CHECKING:
    from tinygrad_edu.nn.module import Module

_numbers = itertools.count()


def attach(hooks: dict[int, Any], hook: Any, prepend: bool) -> RemovableHandle:
    """Add a hook at the end (or the front) of those there are; the handle takes it away again."""
    key = next(_numbers)
    before = dict(hooks)
    if prepend:
        hooks.clear()
    hooks[key] = hook
    if prepend:
        hooks.update(before)

    def remove() -> None:
        hooks.pop(key, None)

    return RemovableHandle(remove)


def call(module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`module.forward` with all hooks around it."""
    for hook, with_kwargs in tuple(module._forward_pre_hooks.values()):
        if with_kwargs:
            changed = hook(module, args, kwargs)
            if changed is not None:
                if not (isinstance(changed, tuple) and len(changed) == 2):
                    raise RuntimeError(
                        f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {changed!r}"
                    )
                args, kwargs = changed
        else:
            changed = hook(module, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
    watch = Watch(module) if module._backward_hooks else None
    if watch is not None:
        args = watch.inputs(args)
    result = module.forward(*args, **kwargs)
    for hook, with_kwargs in tuple(module._forward_hooks.values()):
        changed = hook(module, args, kwargs, result) if with_kwargs else hook(module, args, result)
        if changed is not None:
            result = changed
    return result if watch is None else watch.outputs(result)


class Watch:
    """The backward hooks of one call: two identities in the graph, one before and one after the module."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.places: list[int] = []
        self.count = 0
        self.grad_output: tuple[Any, ...] = ()

    def inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments, those that require grad behind an identity."""
        self.count = len(args)
        self.places = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad]
        if not self.places or not current.get().grad:
            self.places = []
            return args
        given = list(args)
        for i, value in zip(self.places, through(self.entered, [args[i] for i in self.places]), strict=True):
            given[i] = value
        return tuple(given)

    def outputs(self, result: Any) -> Any:
        """The result, a tensor or a tuple of tensors, behind an identity."""
        if isinstance(result, Tensor) and result.requires_grad:
            return through(self.left, [result])[0]
        if isinstance(result, tuple) and all(isinstance(r, Tensor) and r.requires_grad for r in result):
            return tuple(through(self.left, list(result)))
        return result

    def left(self, gradients: tuple[Any, ...]) -> None:
        """The walk has reached the outputs."""
        self.grad_output = gradients
        if not self.places:
            self.run((None,) * self.count)

    def entered(self, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        """The walk has come out at the inputs; what a hook returns takes the place of their gradients."""
        grad_input: list[Any] = [None] * self.count
        for i, g in zip(self.places, gradients, strict=True):
            grad_input[i] = g
        changed = self.run(tuple(grad_input))
        return tuple(changed[i] for i in self.places)

    def run(self, grad_input: tuple[Any, ...]) -> tuple[Any, ...]:
        """Call all hooks, each with what the one before it left."""
        for hook in tuple(self.module._backward_hooks.values()):
            answer = hook(self.module, grad_input, self.grad_output)
            if answer is not None:
                answer = answer if isinstance(answer, tuple) else (answer,)
                if len(answer) != len(grad_input):
                    raise RuntimeError(
                        f"Backward hook returned an invalid number of grad_input, got {len(answer)}, but expected "
                        f"{len(grad_input)}"
                    )
                grad_input = answer
        return grad_input


def through(seen: Callable[[tuple[Any, ...]], Any], tensors: list[Any]) -> list[Any]:
    """The same tensors further on in the graph; `seen` gets their gradients, and may give others back."""

    class Seen(Function):
        @staticmethod
        def forward(ctx: Any, *xs: Any) -> Any:
            return xs

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> Any:
            return seen(gradients) or gradients

    return list(Seen.apply(*tensors))
