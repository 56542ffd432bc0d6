"""`Optimizer`: groups of parameters with their settings, and the state kept for each parameter."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinygrad_edu.engine.inplace import assign
from tinygrad_edu.engine.mode import switched
from tinygrad_edu.engine.value import Value, make
from tinygrad_edu.nn.state import forget_grad


class Optimizer:
    """The base of all optimizers; a subclass says how to `step`.

    params    -- an iterable of tensors, of (name, tensor), or of dicts: groups with settings of their own
    defaults  -- the settings of groups that have none of their own

    param_groups  -- dicts of settings, with the tensors under "params"
    state         -- what is kept for each parameter, by parameter
    """

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        if isinstance(params, Value):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got a Tensor: "
                "put it in a list"
            )
        if not hasattr(params, "__iter__"):
            hint = ": pass model.parameters()" if hasattr(params, "parameters") else ""
            raise TypeError(f"an optimizer takes an iterable of Tensors or dicts, not {type(params).__name__}{hint}")
        self.defaults = defaults
        self.state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        self._stepped = False
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(dict(group))

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Train more parameters, with settings of their own."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params: Any = param_group["params"]
        if isinstance(params, set):
            raise TypeError("optimizer parameters need to be organized in ordered collections, but a set has no order")
        params = [params] if isinstance(params, Value) else list(params)
        if params and all(isinstance(p, tuple) for p in params):
            param_group["param_names"] = [name for name, _ in params]
            params = [p for _, p in params]
        for p in params:
            if not isinstance(p, Value):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type(p).__name__}")
            if not p.is_leaf:  # type: ignore[attr-defined]
                raise ValueError("can't optimize a non-leaf Tensor: it was computed, detach() it first")
        param_group["params"] = params
        if len({id(p) for p in params}) != len(params):
            warnings.warn("optimizer contains a parameter group with duplicate parameters", stacklevel=3)
        for name, default in self.defaults.items():
            param_group.setdefault(name, default)
        known = {id(p) for group in self.param_groups for p in group["params"]}
        if any(id(p) in known for p in params):
            raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append(param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or make them zeros."""
        for group in self.param_groups:
            for p in group["params"]:
                forget_grad(p, set_to_none)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change the parameters once; a closure computes the loss again, which is returned."""
        raise NotImplementedError(f"{type(self).__name__} needs a method step()")

    def state_dict(self) -> dict[str, Any]:
        """`{"state": {number: {...}}, "param_groups": [...]}`: parameters are numbered in order."""
        numbers: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            for p in group["params"]:
                numbers.setdefault(id(p), len(numbers))
            groups.append({**group, "params": [numbers[id(p)] for p in group["params"]]})
        state = {numbers[id(p)]: dict(held) for p, held in self.state.items() if id(p) in numbers}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what `state_dict` gave.

        Raises ValueError when there are other groups, or groups of other sizes, than in this optimizer.
        """
        saved = state_dict["param_groups"]
        if len(saved) != len(self.param_groups):
            raise ValueError(
                f"loaded state dict has a different number of parameter groups: {len(saved)}, the optimizer has "
                f"{len(self.param_groups)}"
            )
        for ours, theirs in zip(self.param_groups, saved, strict=True):
            if len(ours["params"]) != len(theirs["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of optimizer's group: "
                    f"{len(theirs['params'])} parameters, not {len(ours['params'])}"
                )
        parameters = {}
        for ours, theirs in zip(self.param_groups, saved, strict=True):
            parameters.update(zip(theirs["params"], ours["params"], strict=True))
            # the dict stays the same one: recorded programs read its lr
            ours.update({k: _copied(v) for k, v in theirs.items() if k != "params"})
        for key, values in state_dict["state"].items():
            if key in parameters:
                p = parameters[key]
                for name, value in values.items():
                    self._take_up(p, name, value)

    def _take_up(self, p: Any, name: str, value: Any) -> None:
        """One loaded value of a parameter's state: into the tensor that is there, which programs may know."""
        held = self.state[p]
        if not isinstance(value, Value):
            held[name] = _copied(value)
            return
        old = held.get(name)
        if isinstance(old, Value) and old._array.shape == value._array.shape:
            with switched(grad=False):
                assign(old, value)
        else:
            dtype = value._array.dtype if name == "step" or value._array.dtype.kind != "f" else p._array.dtype
            held[name] = make(np.array(value._array, dtype))

    def __repr__(self) -> str:
        groups = []
        for i, group in enumerate(self.param_groups):
            settings = [f"    {name}: {group[name]}" for name in sorted(group) if name not in ("params", "param_names")]
            groups.append("\n".join([f"Parameter Group {i}", *settings]))
        return f"{type(self).__name__} (\n" + "\n\n".join(groups) + "\n)"


def _copied(value: Any) -> Any:
    """Lists and dicts of settings must not be shared with the caller."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(_copied, value))
    return {k: _copied(v) for k, v in value.items()} if isinstance(value, dict) else value


def check(name: str, value: Any, fine: bool) -> None:
    """Raise PyTorch's ValueError for a setting that makes no sense."""
    if not fine:
        raise ValueError(f"Invalid {name}: {value}")


def unsupported(**flags: Any) -> None:
    """Raise for PyTorch's flags that would change results, and are not offered here."""
    for name, value in flags.items():
        if value:
            raise RuntimeError(f"{name}=True is not supported: the update runs on plain arrays, or is recorded")
