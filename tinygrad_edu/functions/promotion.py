"""Dtype promotion by PyTorch's rules, and the spelling of elementwise functions on top of the primitives.

The public functions take tensors and Python numbers; a bare array raises TypeError, so nothing falls off the graph
silently.  Mixed dtypes are brought together by a recorded cast in front of the primitive.
Source: https://docs.pytorch.org/docs/stable/tensor_attributes.html#type-promotion-doc
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.engine.value import Value, make
from tinygrad_edu.engine.written import written_call

Dtype = np.dtype

_default = np.dtype(np.float32)
_INT = np.dtype(np.int64)
_KINDS = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}
_NUMBERS = (bool, int, float, np.bool_, np.integer, np.floating)


def get_default_dtype() -> np.dtype:
    """The dtype of new floating tensors: float32 unless changed."""
    return _default


def set_default_dtype(dtype: Any) -> None:
    """Change the dtype of new floating tensors (float32 or float64)."""
    global _default
    dtype = np.dtype(dtype)
    if dtype.kind != "f":
        raise TypeError(f"the default dtype must be a floating one, not {dtype}")
    _default = dtype


def category(value: Any) -> int:
    """0 boolean, 1 integer, 2 floating."""
    if isinstance(value, Value):
        return _KINDS[value._array.dtype.kind]
    return 0 if isinstance(value, (bool, np.bool_)) else 1 if isinstance(value, (int, np.integer)) else 2


def result_type(*values: Any) -> np.dtype:
    """The dtype an operation on these tensors and numbers computes in.

    Within the highest category (bool < integer < floating), tensors with dimensions decide before 0-d tensors, and
    those before Python numbers.
    """
    top = max(map(category, values))
    tensors = [v._array for v in values if isinstance(v, Value) and category(v) == top]
    solid = [a.dtype for a in tensors if a.ndim] or [a.dtype for a in tensors]
    if not solid:
        return (np.dtype(bool), _INT, _default)[top]
    found = solid[0]
    for dtype in solid[1:]:
        found = np.promote_types(found, dtype)
    return found


def to_dtype(value: Any, dtype: Any) -> Any:
    """The tensor in another dtype: a recorded cast; the same tensor when nothing changes."""
    dtype = np.dtype(dtype)
    if value._array.dtype == dtype:
        return value
    return ops.cast(value, dtype=dtype) if dtype.kind == "f" else ops.astype(value, dtype=dtype)


def require_tensor(name: str, value: Any, position: str = "input") -> None:
    """Raise PyTorch's TypeError for what is not a tensor."""
    if not isinstance(value, Value):
        kind = type(value)
        shown = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
        raise TypeError(
            f"{name}(): argument {position!r} must be Tensor, not {shown}: use tinygrad_edu.tensor(...) or from_numpy()"
        )


def require_numbers(name: str, *values: Any) -> None:
    """Raise PyTorch's TypeError for what is neither a tensor nor a number."""
    for position, value in zip(("input", "other"), values, strict=False):
        if not isinstance(value, (Value, *_NUMBERS)):
            require_tensor(name, value, position)


def promoted(name: str, *values: Any, floating: bool = False) -> list[Any]:
    """The operands in one dtype; Python numbers stay numbers."""
    if not any(isinstance(v, Value) for v in values):
        require_tensor(name, values[0])
    for i, value in enumerate(values):
        if not isinstance(value, (Value, *_NUMBERS)):
            require_tensor(name, value, ("input", "other", "third")[min(i, 2)])
    dtype = result_type(*values)
    if floating and dtype.kind != "f":
        dtype = _default
    out: list[Any] = []
    for value in values:
        if isinstance(value, Value):
            out.append(to_dtype(value, dtype))
        else:
            out.append(dtype.type(value).item() if dtype.kind == "f" else value)
    return out


def binary(op: Any, *, floating: bool = False, doc: str) -> Callable[..., Any]:
    """The public function of a primitive of two inputs.

    floating -- integers are computed in the default floating dtype (true division)
    """

    def promoting(input: Any, other: Any) -> Any:
        return op(*promoted(op.name, input, other, floating=floating))

    function = named(written_call(op, promoting, "f" if floating else None, mixed=False, numbers=True), op.name, doc)
    function.primitive, function.kinds = op, "f" if floating else None
    return function


def unary(op: Any, *, floating: bool = True, doc: str) -> Callable[..., Any]:
    """The public function of a primitive of one input; integers become floating where the result is."""

    def converting(input: Any) -> Any:
        require_tensor(op.name, input)
        return op(ops.cast(input, dtype=_default) if floating else input)

    return named(written_call(op, converting, "f" if floating else None), op.name, doc)


def operator(function: Callable[..., Any], *, swapped: bool = False) -> Callable[..., Any]:
    """The method behind an operator: like the function, but NotImplemented for what it cannot take."""

    def careful(self: Any, other: Any) -> Any:
        if not isinstance(other, (Value, *_NUMBERS)):
            # Python would answer `tensor == array` by comparing identities
            if op not in (ops.eq, ops.ne) or not isinstance(other, np.ndarray):
                return NotImplemented
            other = make(other)
        return function(other, self) if swapped else function(self, other)

    op = getattr(function, "primitive", None)
    kinds = getattr(function, "kinds", None)
    method = careful if op is None or swapped else written_call(op, careful, kinds, mixed=False, numbers=True)
    return named(method, function.__name__, function.__doc__ or "")


def named(function: Any, name: str, doc: str) -> Any:
    """Give a made function its name and docstring."""
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function
