"""`Parameter`: a tensor that a module finds by itself when it is assigned to an attribute."""

from __future__ import annotations

from typing import Any

from tinygrad_edu.engine.layout import relay
from tinygrad_edu.engine.value import notes
from tinygrad_edu.engine.where import outside
from tinygrad_edu.functions import creation
from tinygrad_edu.functions.promotion import require_tensor
from tinygrad_edu.tensor import Tensor


class Parameter(Tensor):
    """A leaf that requires grad; it shares the memory of `data`.

    >>> import tinygrad_edu as tg
    >>> tg.nn.Parameter(tg.zeros(2))
    Parameter containing:
    tensor([0., 0.], requires_grad=True)
    """

    __slots__ = ()

    def __new__(cls, data: Any = None, requires_grad: bool = True) -> Parameter:
        """Raises TypeError unless `data` is a tensor, RuntimeError when it is not floating and must require grad."""
        if data is None:
            data = creation.empty(0)
        require_tensor("Parameter", data, "data")
        parameter = object.__new__(cls)
        parameter._array = relay(data)._array
        parameter._edge = None
        parameter._notes = None
        notes(parameter).made = outside(2)
        if requires_grad:
            creation.require_grad(parameter)
        return parameter

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        """`__new__` has made it."""

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"
