"""What happens to all parameters of a module at once: saving and loading, casting, and how it is shown."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.autograd.modes import no_grad
from tinygrad_edu.engine.value import Value
from tinygrad_edu.functions import creation
from tinygrad_edu.functions.memory import device
from tinygrad_edu.nn.parameter import Parameter

if TYPE_CHECKING:
    from tinygrad_edu.nn.module import Module


class IncompatibleKeys(namedtuple("IncompatibleKeys", ("missing_keys", "unexpected_keys"))):
    """What `load_state_dict` returns."""

    __slots__ = ()

    def __repr__(self) -> str:
        return super().__repr__() if self.missing_keys or self.unexpected_keys else "<All keys matched successfully>"

    __str__ = __repr__


def held(module: Module) -> list[tuple[str, Any]]:
    """(name, tensor) of the module's own parameters and persistent buffers."""
    tensors = [*module._parameters.items(), *module._buffers.items()]
    return [(n, t) for n, t in tensors if t is not None and n not in module._non_persistent]


def collect(module: Module, destination: Any, prefix: str, keep_vars: bool) -> Any:
    """Put the module's tensors, and those of the modules below it, into `destination`."""
    for name, tensor in held(module):
        destination[prefix + name] = tensor if keep_vars else tensor.detach()
    for name, child in module._modules.items():
        if child is not None:
            child.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
    return destination


def load(module: Module, state_dict: Any, strict: bool, assign: bool) -> IncompatibleKeys:
    """Check everything, then copy (or put in place) everything."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
    places = {
        (f"{path}.{name}" if path else name): (below, name, tensor)
        for path, below in module.named_modules(remove_duplicate=False)
        for name, tensor in held(below)
    }
    missing = [key for key in places if key not in state_dict]
    unexpected = [key for key in state_dict if key not in places]
    wrong = []
    if strict:
        wrong += [f'missing key: "{key}", of shape {places[key][2]._array.shape}' for key in missing]
        wrong += [f'unexpected key: "{key}"' for key in unexpected]
    for key, (_, _, tensor) in places.items():
        if key in state_dict:
            wrong += unfit(key, tensor, state_dict[key])
    if wrong:
        lines = "\n\t".join(wrong)
        raise RuntimeError(f"Error(s) in loading state_dict for {module._get_name()}:\n\t{lines}")
    with no_grad():
        for key, (below, name, tensor) in places.items():
            if key in state_dict and assign:
                put(below, name, tensor, state_dict[key])
            elif key in state_dict:
                tensor.copy_(state_dict[key])
    return IncompatibleKeys(missing, unexpected)


def unfit(key: str, tensor: Any, value: Any) -> list[str]:
    """Why a value cannot be loaded, in one line; nothing when it can."""
    if not isinstance(value, Value):
        return [f'not a tensor: "{key}" is {type(value).__name__}: use tinygrad_edu.tensor(...) or from_numpy(...)']
    if value._array.shape != tensor._array.shape:
        return [
            f'size mismatch: "{key}" has shape {value._array.shape} in the state_dict, {tensor._array.shape} in '
            "the model"
        ]
    return []


def put(module: Module, name: str, old: Any, new: Any) -> None:
    """Let the module hold the loaded tensor itself."""
    if name not in module._parameters:
        module._buffers[name] = new
    else:
        same = isinstance(new, Parameter)
        module._parameters[name] = new if same else Parameter(new, requires_grad=old.requires_grad)


def replace(parameter: Parameter, fn: Callable[[Any], Any]) -> None:
    """Give a parameter and its gradient other memory; whoever holds the parameter still holds it."""
    gradient = parameter.grad
    parameter.grad = None
    parameter.data = fn(parameter.data)
    if gradient is not None:
        parameter.grad = fn(gradient.detach())


def forget_grad(parameter: Any, set_to_none: bool) -> None:
    """Forget a gradient, or make it zeros in place."""
    cell = parameter._cell
    if cell is None or cell.grad is None:
        return
    if set_to_none:
        cell.grad = None
    else:
        cell.grad.detach_()
        cell.grad.zero_()


def parsed_to(args: tuple[Any, ...], kwargs: dict[str, Any]) -> np.dtype | None:
    """The dtype in the arguments of `Module.to`, if there is one."""
    dtype = None
    for value in (*args, *(kwargs[k] for k in ("device", "dtype", "tensor") if k in kwargs)):
        if isinstance(value, Value):
            dtype = value._array.dtype
        elif isinstance(value, (str, device)):
            creation.check_device(value)
        elif value is not None and not isinstance(value, bool):
            dtype = np.dtype(value)
    if dtype is not None and dtype.kind != "f":
        raise TypeError(f"nn.Module.to only accepts floating point dtypes, but got desired dtype={dtype}")
    return dtype


def describe(name: str, extra: str, children: list[tuple[str, str]]) -> str:
    """PyTorch's nested layout."""
    lines = extra.split("\n") if extra else []
    if not children and len(lines) <= 1:
        return f"{name}({extra})"
    lines += [f"({label}): {text}" for label, text in children]
    indented = "\n".join(lines).replace("\n", "\n  ")
    return f"{name}(\n  {indented}\n)"
