"""Modules that hold modules: `Sequential` runs them, the lists and dicts only keep them."""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Self

from tinygrad_edu.engine.value import Value
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.parameter import Parameter

__all__ = ["ModuleDict", "ModuleList", "ParameterList", "Sequential"]


class _Numbered(Module):
    """Modules under the names "0", "1", ..., used like a list."""

    def _position(self, index: Any) -> int:
        """An index counted from the front, checked."""
        index, count = operator.index(index), len(self)
        if not -count <= index < count:
            raise IndexError(f"index {index} is out of range: there are {count} modules")
        return index % count

    def _set(self, modules: Iterable[Any]) -> None:
        """Hold exactly these modules, numbered anew."""
        modules = list(modules)
        self._modules.clear()
        for i, module in enumerate(modules):
            self.add_module(str(i), module)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            part = _like(self)
            held = list(self._modules.items())[index]
            # a part of a ModuleList counts from 0 again; neither renames the modules, which stay where they are, too
            part._modules.update(held if isinstance(self, Sequential) else {str(i): m for i, (_, m) in enumerate(held)})
            return part
        return list(self._modules.values())[self._position(index)]

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, list(self._modules)[self._position(index)], module)

    def __delitem__(self, index: Any) -> None:
        modules = list(self._modules.values())
        if not isinstance(index, slice):
            index = self._position(index)
        del modules[index]
        self._set(modules)

    def append(self, module: Module) -> Self:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add modules at the end."""
        for module in modules:
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Add a module before the one at `index`."""
        if not -len(self) <= index <= len(self):
            raise IndexError(f"index {index} is out of range: there are {len(self)} modules")
        if not isinstance(module, Module):
            raise AssertionError(f"module should be of type {Module}, not {type(module).__name__}")
        modules = list(self._modules.values())
        modules.insert(index, module)
        self._set(modules)
        return self

    def pop(self, key: int) -> Module:
        """Take a module out."""
        module = self[key]
        del self[key]
        return module


def _like(container: Any) -> Any:
    """An empty container of the same class, made without its own __init__."""
    part = object.__new__(type(container))
    Module.__init__(part)
    part.__dict__["training"] = container.training
    return part


class Sequential(_Numbered):
    """Run modules one after the other; given as arguments, or as an OrderedDict with their names.

    >>> import tinygrad_edu as tg
    >>> net = tg.nn.Sequential(tg.nn.Linear(4, 3), tg.nn.ReLU(), tg.nn.Linear(3, 2))
    >>> net
    Sequential(
      (0): Linear(in_features=4, out_features=3, bias=True)
      (1): ReLU()
      (2): Linear(in_features=3, out_features=2, bias=True)
    )
    >>> net[:2](tg.zeros(5, 4)).shape
    Size([5, 3])
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        if len(args) == 1 and isinstance(args[0], OrderedDict):
            for name, module in args[0].items():
                self.add_module(name, module)
        else:
            self._set(args)

    def forward(self, input: Any) -> Any:
        """The output of the last module."""
        for module in self._modules.values():
            input = module(input)  # type: ignore[misc]
        return input


class _Passive:
    """Part of a path, without a forward: the modules inside are called "layers.0", not "0"."""

    _modules: dict[str, Any]
    _known_as: str | None

    def _rename(self, name: str) -> None:
        self.__dict__["_known_as"] = name
        for key, module in self._modules.items():
            if module is not None:
                module._rename(f"{name}.{key}")

    def register_module(self, name: str, module: Any) -> None:
        """Add a module under a name."""
        super().register_module(name, module)  # type: ignore[misc]
        if module is not None and self._known_as is not None:
            module._rename(f"{self._known_as}.{name}")

    add_module = register_module


class ModuleList(_Passive, _Numbered):
    """A list of modules whose parameters are found."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(modules or ())

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList(chain(self, other))

    def __iadd__(self, modules: Iterable[Module]) -> Self:
        return self.extend(modules)

    def _children_repr(self) -> list[tuple[str, str]]:
        """Neighbours that look the same share one entry: `(0-2): 3 x Linear(...)`."""
        runs: list[list[Any]] = []
        for i, module in enumerate(self):
            text = repr(module)
            if runs and runs[-1][2] == text:
                runs[-1][1] = i
            else:
                runs.append([i, i, text])
        return [(str(a), text) if a == b else (f"{a}-{b}", f"{b - a + 1} x {text}") for a, b, text in runs]


class ModuleDict(_Passive, Module):
    """A dict of modules whose parameters are found."""

    def __init__(self, modules: Any = None) -> None:
        super().__init__()
        self.update(modules or {})

    def __getitem__(self, key: str) -> Any:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: object) -> bool:
        return key in self._modules

    def clear(self) -> None:
        """Take all modules out."""
        self._modules.clear()

    def pop(self, key: str) -> Any:
        """Take a module out."""
        return self._modules.pop(key)

    def keys(self) -> Any:
        """The names."""
        return self._modules.keys()

    def items(self) -> Any:
        """(name, module)."""
        return self._modules.items()

    def values(self) -> Any:
        """The modules."""
        return self._modules.values()

    def update(self, modules: Any) -> None:
        """Add modules from a mapping or from (name, module) pairs."""
        for key, module in modules.items() if isinstance(modules, (Mapping, ModuleDict)) else modules:
            self[key] = module


class ParameterList(Module):
    """A list of parameters that are found; tensors become parameters."""

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self.extend(values or ())

    def append(self, value: Any) -> Self:
        """Add a parameter at the end."""
        parameter = value if isinstance(value, Parameter) or not isinstance(value, Value) else Parameter(value)
        self.register_parameter(str(len(self)), parameter)
        return self

    def extend(self, values: Iterable[Any]) -> Self:
        """Add parameters at the end."""
        for value in values:
            self.append(value)
        return self

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._parameters.values())

    def __getitem__(self, index: Any) -> Any:
        values = list(self._parameters.values())
        return ParameterList(values[index]) if isinstance(index, slice) else values[operator.index(index)]

    def __setitem__(self, index: int, value: Any) -> None:
        name = list(self._parameters)[operator.index(index)]
        setattr(self, name, value if isinstance(value, Parameter) else Parameter(value))

    def extra_repr(self) -> str:
        """One line per parameter."""
        return "\n".join(f"({i}): Parameter of shape {p._array.shape}, {p._array.dtype}" for i, p in enumerate(self))
