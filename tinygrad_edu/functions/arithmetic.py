"""Elementwise functions of tensors, spelled like PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.engine.value import Value, array_of
from tinygrad_edu.functions.promotion import (
    binary,
    promoted,
    require_numbers,
    require_tensor,
    result_type,
    to_dtype,
    unary,
)

__all__ = [
    "abs",
    "add",
    "allclose",
    "clamp",
    "cos",
    "div",
    "eq",
    "equal",
    "exp",
    "expm1",
    "floor",
    "floor_divide",
    "ge",
    "gt",
    "isfinite",
    "isinf",
    "isnan",
    "le",
    "log",
    "log1p",
    "logical_and",
    "logical_not",
    "logical_or",
    "lt",
    "maximum",
    "minimum",
    "mul",
    "ne",
    "neg",
    "pow",
    "reciprocal",
    "relu",
    "remainder",
    "rsqrt",
    "sigmoid",
    "sign",
    "sin",
    "sqrt",
    "square",
    "sub",
    "tanh",
    "where",
]

add_tensors = binary(ops.add, doc="input + other, elementwise with broadcasting.")
sub_tensors = binary(ops.sub, doc="input - other, elementwise with broadcasting.")
mul = binary(ops.mul, doc="input * other, elementwise with broadcasting; dz/dx = y, dz/dy = x.")
div_tensors = binary(ops.div, floating=True, doc="input / other; integers are divided as floating numbers.")
maximum = binary(ops.maximum, doc="The larger of two, elementwise; a tie gives half of the gradient to each.")
minimum = binary(ops.minimum, doc="The smaller of two, elementwise; a tie gives half of the gradient to each.")
eq = binary(ops.eq, doc="input == other, elementwise: a tensor of booleans.")
ne = binary(ops.ne, doc="input != other, elementwise.")
lt = binary(ops.lt, doc="input < other, elementwise.")
le = binary(ops.le, doc="input <= other, elementwise.")
gt = binary(ops.gt, doc="input > other, elementwise.")
ge = binary(ops.ge, doc="input >= other, elementwise.")
logical_and_bits = binary(ops.logical_and, doc="input & other, for booleans and integers.")
logical_or_bits = binary(ops.logical_or, doc="input | other, for booleans and integers.")
remainder_tensors = binary(ops.remainder, doc="input % other.")
floor_divide_tensors = binary(ops.floor_divide, doc="input // other.")

exp = unary(ops.exp, doc="e ** input; dz/dx = z.")
log = unary(ops.log, doc="The natural logarithm; dz/dx = 1 / x.")
log1p = unary(ops.log1p, doc="log(1 + input), exact for small input.")
expm1 = unary(ops.expm1, doc="exp(input) - 1, exact for small input.")
sqrt = unary(ops.sqrt, doc="The square root; dz/dx = 1 / (2 z), infinite at 0.")
sin = unary(ops.sin, doc="The sine (radians).")
cos = unary(ops.cos, doc="The cosine (radians).")
sigmoid = unary(ops.sigmoid, doc="1 / (1 + exp(-input)); dz/dx = z (1 - z).")
tanh = unary(ops.tanh, doc="The hyperbolic tangent; dz/dx = 1 - z^2.")
relu = unary(ops.relu, floating=False, doc="max(input, 0); the gradient at 0 is 0.")
neg = unary(ops.neg, floating=False, doc="-input.")
abs = unary(ops.abs, floating=False, doc="|input|; the gradient at 0 is 0.")
sign = unary(ops.sign, floating=False, doc="-1, 0 or 1; the gradient is 0.")
floor = unary(ops.floor, floating=False, doc="The largest whole number not above input.")
invert_bits = unary(ops.logical_not, floating=False, doc="~input, for booleans and integers.")


def add(input: Any, other: Any, *, alpha: float = 1) -> Any:
    """input + alpha * other, elementwise with broadcasting."""
    return add_tensors(input, other if alpha == 1 else _scaled(other, alpha))


def sub(input: Any, other: Any, *, alpha: float = 1) -> Any:
    """input - alpha * other, elementwise with broadcasting."""
    return sub_tensors(input, other if alpha == 1 else _scaled(other, alpha))


def _scaled(other: Any, alpha: float) -> Any:
    return mul(other, alpha) if isinstance(other, Value) or not isinstance(other, (int, float)) else other * alpha


def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Any:
    """input / other; `rounding_mode` "floor" or "trunc" rounds the quotient (gradient 0)."""
    if rounding_mode is None:
        return div_tensors(input, other)
    if rounding_mode not in ("floor", "trunc"):
        raise RuntimeError(f"div: rounding_mode must be None, 'floor' or 'trunc', not {rounding_mode!r}")
    x, y = promoted("div", input, other)
    if rounding_mode == "floor" or (x._array.dtype.kind if isinstance(x, Value) else "f") == "u":
        return floor_divide(x, y)
    q = floor_divide(x, y)
    down = logical_and_bits(lt(q, 0), ne(mul(q, y), x))
    if q._array.dtype.kind == "f":
        q = div_tensors(x, y)
        return where(lt(q, 0), neg(floor(neg(q))), floor(q))
    return where(down, add(q, 1), q)


def floor_divide(input: Any, other: Any) -> Any:
    """input // other: the quotient rounded down; gradient 0."""
    _no_zero("floor_divide", input, other)
    return floor_divide_tensors(input, other)


def remainder(input: Any, other: Any) -> Any:
    """input % other with the sign of other; the gradient is 1 for the input and -(input // other) for the other."""
    _no_zero("remainder", input, other)
    return remainder_tensors(input, other)


def _no_zero(name: str, input: Any, other: Any) -> None:
    """Integers cannot be divided by zero."""
    if result_type(input, other).kind != "f" and np.any(array_of(other) == 0):
        raise RuntimeError(f"{name}: division of integers by zero (use floating tensors to get inf and nan)")


def invert(input: Any) -> Any:
    """~input, for booleans and integers."""
    require_tensor("invert", input)
    if input._array.dtype.kind == "f":
        raise TypeError(f"~ is for booleans and integers, not {input._array.dtype}: use a comparison, or logical_not()")
    return invert_bits(input)


def pow(input: Any, exponent: Any) -> Any:
    """input ** exponent; d/dx = y x^(y-1), d/dy = x^y log x, both right at base 0."""
    if isinstance(input, Value) and isinstance(exponent, (int, float)) and not isinstance(exponent, bool):
        kind = input._array.dtype.kind
        if kind == "f" or (isinstance(exponent, int) and exponent >= 0 and kind != "b"):
            return ops.pow(input, exponent)
        if isinstance(exponent, int) and exponent < 0:
            raise RuntimeError("integers to negative integer powers are not allowed: use a floating tensor")
    return ops.pow(*promoted("pow", input, exponent))


def square(input: Any) -> Any:
    """input ** 2."""
    return pow(input, 2)


def reciprocal(input: Any) -> Any:
    """1 / input."""
    return div_tensors(1, input)


def rsqrt(input: Any) -> Any:
    """1 / sqrt(input)."""
    return reciprocal(sqrt(input))


def logical_not(input: Any) -> Any:
    """Whether each entry is zero."""
    return eq(input, 0)


def _truth(name: str, value: Any) -> Any:
    if isinstance(value, (bool, int, float)):
        return bool(value)
    require_tensor(name, value)
    return to_dtype(value, bool)


def logical_and(input: Any, other: Any) -> Any:
    """Whether both entries are nonzero."""
    return logical_and_bits(_truth("logical_and", input), _truth("logical_and", other))


def logical_or(input: Any, other: Any) -> Any:
    """Whether one of the entries is nonzero."""
    return logical_or_bits(_truth("logical_or", input), _truth("logical_or", other))


def isnan(input: Any) -> Any:
    """Whether each entry is NaN."""
    require_tensor("isnan", input)
    return ne(input, input)


def isinf(input: Any) -> Any:
    """Whether each entry is infinite."""
    require_tensor("isinf", input)
    return eq(abs(input), float("inf")) if input._array.dtype.kind == "f" else ne(input, input)


def isfinite(input: Any) -> Any:
    """Whether each entry is neither NaN nor infinite."""
    require_tensor("isfinite", input)
    return lt(abs(input), float("inf")) if input._array.dtype.kind == "f" else eq(input, input)


def where(condition: Any, input: Any, other: Any) -> Any:
    """input where the condition holds, else other; the gradient goes where the value came from."""
    require_tensor("where", condition, "condition")
    if condition._array.dtype.kind != "b":
        raise RuntimeError(f"where: the condition must be a boolean tensor, not {condition._array.dtype}")
    if not isinstance(input, Value) and not isinstance(other, Value):
        from tinygrad_edu.functions.creation import full

        require_numbers("where", input, other)
        input = full((), input, dtype=result_type(input, other))
    return ops.where(condition, *promoted("where", input, other))


def clamp(input: Any, min: Any = None, max: Any = None) -> Any:
    """input limited to [min, max]; the gradient passes inside and at the bounds, NaN passes."""
    require_tensor("clamp", input)
    if min is None and max is None:
        raise RuntimeError("clamp: at least one of min and max must be given")
    if min is not None:
        input, low = promoted("clamp", input, min)
        input = ops.where(ops.lt(input, low), low, input)
    if max is not None:
        input, high = promoted("clamp", input, max)
        input = ops.where(ops.gt(input, high), high, input)
    return input


def allclose(input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether |input - other| <= atol + rtol |other| everywhere."""
    require_tensor("allclose", input)
    require_tensor("allclose", other, "other")
    return bool(np.allclose(input._array, other._array, rtol, atol, equal_nan))


def equal(input: Any, other: Any) -> bool:
    """Whether two tensors have the same shape and entries."""
    require_tensor("equal", input)
    require_tensor("equal", other, "other")
    return bool(np.array_equal(input._array, other._array))
