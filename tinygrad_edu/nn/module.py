"""`Module`: parameters, buffers and other modules under the names of the attributes they were assigned to."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Self

import numpy as np

from tinygrad_edu.engine.mode import Mode, current
from tinygrad_edu.nn import hooks, state
from tinygrad_edu.nn.parameter import Parameter
from tinygrad_edu.tensor import RemovableHandle, Tensor

_KINDS = ("_parameters", "_buffers", "_modules")


class Module:
    """The base of all layers and networks.

    Assign parameters and modules to attributes in `__init__` (after `super().__init__()`), compute in `forward`, call
    the module itself.

    >>> import tinygrad_edu as tg
    >>> class Net(tg.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.hidden = tg.nn.Linear(2, 3)
    ...         self.out = tg.nn.Linear(3, 1)
    ...     def forward(self, x):
    ...         return self.out(self.hidden(x).relu())
    >>> net = Net()
    >>> [name for name, _ in net.named_parameters()]
    ['hidden.weight', 'hidden.bias', 'out.weight', 'out.bias']
    >>> net
    Net(
      (hidden): Linear(in_features=2, out_features=3, bias=True)
      (out): Linear(in_features=3, out_features=1, bias=True)
    )
    """

    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]
    _non_persistent: set[str]
    _forward_hooks: dict[int, Any]
    _forward_pre_hooks: dict[int, Any]
    _backward_hooks: dict[int, Any]

    # the name its parent knows it by, and the mode its forward last ran in
    _known_as: str | None = None
    _scoped: tuple[Mode | None, Mode | None] = (None, None)

    def __init__(self) -> None:
        self.__dict__.update(training=True, _non_persistent=set())
        self.__dict__.update({kind: {} for kind in _KINDS})
        self.__dict__.update(_forward_hooks={}, _forward_pre_hooks={}, _backward_hooks={})

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the result; every subclass has its own."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        outer = current.get()
        known, inner = self._scoped
        if known is not outer or inner is None:
            inner = self._enter(outer)
        token = current.set(inner)
        try:
            if self._forward_pre_hooks or self._forward_hooks or self._backward_hooks:
                return hooks.call(self, args, kwargs)
            return self.forward(*args, **kwargs)
        finally:
            current.reset(token)

    def _enter(self, outer: Mode) -> Mode:
        """The mode of the caller with this module's name added to its scope; found once per caller."""
        scope = (*outer.scope, self._known_as or self._get_name())
        inner = replace(outer, scope=scope)
        # a recorder must not outlive its program
        if outer.recorder is None:
            self.__dict__["_scoped"] = (outer, inner)
        return inner

    def _rename(self, name: str) -> None:
        """Remember the name a parent gives."""
        self.__dict__.update(_known_as=name, _scoped=(None, None))

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_scoped"}

    # attributes

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Parameter):
            self._make_room(name, "parameters")
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            self._make_room(name, "modules")
            self.register_module(name, value)
        else:
            for kind, wanted in zip(_KINDS, (Parameter, Tensor, Module), strict=True):
                held = self.__dict__.get(kind, {})
                if name in held:
                    if value is not None and not (kind == "_buffers" and isinstance(value, Tensor)):
                        raise TypeError(
                            f"cannot assign '{type(value).__name__}' as {kind[1:-1]} '{name}' ({wanted.__name__} or "
                            "None expected)"
                        )
                    held[name] = value
                    return
            object.__setattr__(self, name, value)

    def _make_room(self, name: str, what: str) -> None:
        """Forget what the name stood for."""
        if "_modules" not in self.__dict__:
            raise AttributeError(f"cannot assign {what} before Module.__init__() call: call super().__init__() first")
        self.__dict__.pop(name, None)
        for kind in _KINDS:
            if kind != f"_{what}":
                self.__dict__[kind].pop(name, None)
        self._non_persistent.discard(name)

    def __getattr__(self, name: str) -> Any:
        known = self.__dict__
        for kind in _KINDS:
            if kind in known and name in known[kind]:
                return known[kind][name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'", name=name, obj=self)

    def __delattr__(self, name: str) -> None:
        for kind in _KINDS:
            if name in self.__dict__[kind]:
                del self.__dict__[kind][name]
                self._non_persistent.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        names = {*object.__dir__(self), *(name for kind in _KINDS for name in self.__dict__[kind])}
        return sorted(name for name in names if name.isidentifier())

    def _check_name(self, name: str, kind: str) -> None:
        """Names are strings without dots that are not taken."""
        what = kind[1:-1]
        if kind not in self.__dict__:
            raise AttributeError(f"cannot assign {what} before Module.__init__() call: call super().__init__() first")
        if not isinstance(name, str):
            raise TypeError(f"{what} name should be a string. Got {type(name).__name__}")
        if "." in name or name == "":
            raise KeyError(f"{what} name must not be empty and not contain a dot, got: {name}")
        if hasattr(self, name) and name not in self.__dict__[kind]:
            raise KeyError(f"attribute {name} already exists")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter; None keeps the name without one."""
        self._check_name(name, "_parameters")
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"cannot assign '{type(param).__name__}' object to parameter '{name}' (Parameter or None)")
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is not trained; it is in the state_dict unless `persistent` is False."""
        self._check_name(name, "_buffers")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{type(tensor).__name__}' object to buffer '{name}' (Tensor or None required)"
            )
        self._buffers[name] = tensor
        (self._non_persistent.discard if persistent else self._non_persistent.add)(name)

    def register_module(self, name: str, module: Module | None) -> None:
        """Add a module under a name."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        self._check_name(name, "_modules")
        self._modules[name] = module
        if module is not None:
            module._rename(name)

    add_module = register_module

    # looking around

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """(path, module) of this module and all below it, each once."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """(name, module) of the modules directly below this one, each once."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """The modules directly below this one, each once."""
        return (module for _, module in self.named_children())

    def _members(self, kind: str, prefix: str, recurse: bool, remove_duplicate: bool) -> Iterator[tuple[str, Any]]:
        seen: set[Any] = set()
        below = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for path, module in below:
            for name, value in module.__dict__[kind].items():
                if value is None or value in seen:
                    continue
                if remove_duplicate:
                    seen.add(value)
                yield (f"{path}.{name}" if path else name), value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """(path, parameter) of this module and all below it; a shared parameter comes once."""
        return self._members("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters of this module and all below it; a shared one comes once."""
        return (value for _, value in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """(path, buffer) of this module and all below it."""
        return self._members("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers of this module and all below it."""
        return (value for _, value in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> Module:
        """The module at a path like "layers.0"."""
        module = self
        for name in target.split(".") if target else ():
            if name not in module._modules:
                raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
            module = module._modules[name]
            if module is None:
                raise AttributeError(f"`{name}` is not a module")
        return module

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a path like "layers.0.weight"."""
        path, _, name = target.rpartition(".")
        found = self.get_submodule(path)._parameters.get(name)
        if found is None:
            raise AttributeError(f"{self._get_name()} has no parameter `{target}`")
        return found

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a path like "norm.running_mean"."""
        path, _, name = target.rpartition(".")
        found = self.get_submodule(path)._buffers.get(name)
        if found is None:
            raise AttributeError(f"{self._get_name()} has no buffer `{target}`")
        return found

    # state

    def state_dict(
        self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False
    ) -> OrderedDict[str, Any]:
        """All parameters and persistent buffers by path, detached (but sharing memory) unless `keep_vars`."""
        return state.collect(self, OrderedDict() if destination is None else destination, prefix, keep_vars)

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> state.IncompatibleKeys:
        """Take the numbers of a state_dict; with `assign`, its tensors themselves.

        Returns (missing_keys, unexpected_keys), both empty when `strict`.  Raises RuntimeError that lists every key
        that is missing, unexpected or of another shape; nothing is changed then.
        """
        return state.load(self, state_dict, strict, assign)

    # all parameters at once

    def train(self, mode: bool = True) -> Self:
        """Set the mode of this module and all below it (dropout acts in training only)."""
        if not isinstance(mode, bool):
            raise ValueError(f"training mode is expected to be boolean, not {mode!r}")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """The opposite of `train()`."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Ask for gradients of all parameters, or stop asking."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or make them zeros."""
        for parameter in self.parameters():
            state.forget_grad(parameter, set_to_none)

    def _apply(self, fn: Callable[[Any], Any]) -> Self:
        """Replace the memory of all parameters, gradients and buffers by `fn` of it."""
        for parameter in self.parameters():
            state.replace(parameter, fn)
        for module in self.modules():
            for name, buffer in module._buffers.items():
                if buffer is not None:
                    module._buffers[name] = fn(buffer)
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Cast floating parameters and buffers to a dtype; the device can only be the CPU."""
        dtype = state.parsed_to(args, kwargs)
        return self if dtype is None else self._apply(lambda t: t.to(dtype) if t.is_floating_point() else t)

    def float(self) -> Self:
        """In float32."""
        return self.to(np.float32)

    def double(self) -> Self:
        """In float64."""
        return self.to(np.float64)

    def cpu(self) -> Self:
        """This module: it is on the CPU."""
        return self

    def cuda(self, device: Any = None) -> Self:
        """There is no GPU here: raises RuntimeError."""
        return self.to("cuda")

    def apply(self, fn: Callable[[Module], None]) -> Self:
        """Call `fn` on every module below this one, then on this one."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # hooks

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args)` before forward; what it returns takes the place of the arguments."""
        return hooks.attach(self._forward_pre_hooks, (hook, with_kwargs), prepend)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after forward; what it returns takes the place of the output."""
        return hooks.attach(self._forward_hooks, (hook, with_kwargs), prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` in backward; what it returns takes the place of grad_input."""
        return hooks.attach(self._backward_hooks, hook, prepend)

    # repr

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What the repr says between the parentheses, before the modules below."""
        return ""

    def __repr__(self) -> str:
        return state.describe(self._get_name(), self.extra_repr(), self._children_repr())

    def _children_repr(self) -> list[tuple[str, str]]:
        """(name, repr) of the modules below."""
        return [(name, repr(module)) for name, module in self._modules.items()]
