"""Comparisons, logic and rounding: no gradient, or one that is 0 almost everywhere."""

from __future__ import annotations

import numpy as np

from tinygrad_edu.engine.calls import primitive
from tinygrad_edu.engine.domain import Domain, Family, mask, nonzero, real

__all__ = [
    "astype",
    "eq",
    "floor",
    "floor_divide",
    "ge",
    "gt",
    "le",
    "logical_and",
    "logical_not",
    "logical_or",
    "lt",
    "ne",
    "remainder",
]


@primitive(domain=(real, real))
def eq(x, y):
    """x == y."""
    return x == y


@primitive(domain=(real, real))
def ne(x, y):
    """x != y."""
    return x != y


@primitive(domain=(real, real))
def lt(x, y):
    """x < y."""
    return x < y


@primitive(domain=(real, real))
def le(x, y):
    """x <= y."""
    return x <= y


@primitive(domain=(real, real))
def gt(x, y):
    """x > y."""
    return x > y


@primitive(domain=(real, real))
def ge(x, y):
    """x >= y."""
    return x >= y


@primitive(domain=(mask,), latex=r"\lnot {x}")
def logical_not(x):
    """~x, for booleans (and bitwise for integers)."""
    return ~x


@primitive(domain=(mask, mask), latex=r"{x} \wedge {y}")
def logical_and(x, y):
    """x & y, for booleans (and bitwise for integers)."""
    return x & y


@primitive(domain=(mask, mask), latex=r"{x} \vee {y}")
def logical_or(x, y):
    """x | y, for booleans (and bitwise for integers)."""
    return x | y


@primitive(domain=(Domain("no_integer", apart=tuple(map(float, range(-4, 5)))),), latex=r"\lfloor {x} \rfloor")
def floor(x):
    """The largest whole number not above x."""
    return np.floor(x)


@primitive(domain=(nonzero, Domain("larger", low=4.5, high=8.0)))
def remainder(x, y):
    """x modulo y, with the sign of y."""
    return x % y


@primitive(domain=(nonzero, Domain("larger", low=4.5, high=8.0)), latex=r"\lfloor {x} / {y} \rfloor")
def floor_divide(x, y):
    """x / y, rounded down."""
    return x // y


floor.slope(x=0)
floor_divide.slope(x=0, y=0)
remainder.slope(x=1, y=lambda x, y: -floor_divide(x, y))


@primitive(domain=Family("astype"), text="{x}.to({dtype})", latex="{x}")
def astype(x, *, dtype):
    """Change to a dtype that carries no gradient (integer or boolean)."""
    return x.astype(dtype)


for _op in (eq, ne, lt, le, gt, ge, logical_not, logical_and, logical_or, astype):
    _op.no_gradient()
