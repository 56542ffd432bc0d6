"""Elementwise primitives: forward and slope side by side.

A slope is dz/dx; the engine multiplies it by the upstream gradient g and sums over broadcast axes.  Boolean slopes
select.  The conventions at kinks are PyTorch's: relu'(0) = 0, abs'(0) = 0, a tie of `maximum` is shared evenly.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu import kernels
from tinygrad_edu.engine.basis import cast, where
from tinygrad_edu.engine.calls import primitive
from tinygrad_edu.engine.domain import Domain, nonzero, positive, real

__all__ = [
    "abs",
    "add",
    "bce_with_logits",
    "cast",
    "cos",
    "div",
    "erf",
    "exp",
    "expm1",
    "log",
    "log1p",
    "maximum",
    "minimum",
    "mul",
    "neg",
    "pow",
    "relu",
    "sigmoid",
    "sign",
    "sin",
    "sqrt",
    "sub",
    "tanh",
    "where",
]  # fmt: skip


@primitive(domain=(real, real))
def add(x, y):
    """x + y."""
    return x + y


@primitive(domain=(real, real))
def sub(x, y):
    """x - y."""
    return x - y


@primitive(domain=(real, real))
def mul(x, y):
    """x * y."""
    return x * y


@primitive(domain=(real, nonzero))
def div(x, y):
    """x / y."""
    return x / y


@primitive(domain=(real,))
def neg(x):
    """-x."""
    return -x


def inverse(y: Any) -> Any:
    """1 / y; of the number 0 as of a 0 in an array, where Python would raise."""
    return 1 / y if y.__class__ not in (int, float) or y else math.copysign(math.inf, y)


add.slope(x=1, y=1)
sub.slope(x=1, y=-1)
mul.slope(x=lambda y: y, y=lambda x: x)
div.slope(x=lambda y: inverse(y), y=lambda y, z: -z / y)
neg.slope(x=-1)


@primitive(domain=(Domain("base", low=0.125, apart=(0.0,)), real))
def pow(x, y):
    """x ** y."""
    return x**y


def pow_slope_base(x: Any, y: Any) -> Any:
    """y x^(y-1), and 0 where y is 0 (also at base 0 and NaN)."""
    if isinstance(y, (int, float)):
        return 0 if y == 0 else y * x if y == 2 else y * x ** (y - 1)
    # y = 0 alone is no reason to select: the slope still changes with y there
    return where((y == 0) & ((x == 0) | (x != x)), 0.0, y * x ** (y - 1))


def pow_slope_exponent(x: Any, y: Any, z: Any) -> Any:
    """x^y log x, and 0 at base 0 where y >= 0: the limit, as in PyTorch."""
    if isinstance(x, (int, float)):
        return where(y >= 0, 0.0, -math.inf) if x == 0 else z * float(log(x))
    # the logarithm of 1, not of 0: what is not selected must not be infinite, or the second order is 0 * inf
    return where(x == 0, where(y >= 0, 0.0, -math.inf), z * log(where(x == 0, 1.0, x)))


pow.slope(x=pow_slope_base, y=pow_slope_exponent)


@primitive(domain=(real,), latex=r"e^{{ {x} }}")
def exp(x):
    """e ** x."""
    return kernels.exp(x)


@primitive(domain=(positive,), latex=r"\ln {x}")
def log(x):
    """The natural logarithm."""
    return np.log(x)


@primitive(domain=(positive,), latex=r"\sqrt{{ {x} }}")
def sqrt(x):
    """The square root; its slope at 0 is infinite."""
    return np.sqrt(x)


@primitive(domain=(Domain("above_minus_one", low=-0.75),), latex=r"\ln(1 + {x})")
def log1p(x):
    """log(1 + x), exact for small x."""
    return np.log1p(x)


@primitive(domain=(real,), latex=r"e^{{ {x} }} - 1")
def expm1(x):
    """exp(x) - 1, exact for small x."""
    return np.expm1(x)


@primitive(domain=(real,), latex=r"\mathrm{{erf}}({x})")
def erf(x):
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    return kernels.erf(x)


@primitive(domain=(real,), latex=r"\sin {x}")
def sin(x):
    """The sine; x in radians."""
    return np.sin(x)


@primitive(domain=(real,), latex=r"\cos {x}")
def cos(x):
    """The cosine; x in radians."""
    return np.cos(x)


exp.slope(x=lambda z: z)
log.slope(x=lambda x: 1 / x)
sqrt.slope(x=lambda z: 1 / (2 * z))
log1p.slope(x=lambda x: 1 / (1 + x))
expm1.slope(x=lambda z: z + 1)
erf.slope(x=lambda x: (2 / math.sqrt(math.pi)) * exp(-(x * x)))
sin.slope(x=lambda x: cos(x))
cos.slope(x=lambda x: -sin(x))


@primitive(domain=(real,), text="σ({x})", latex=r"\sigma({x})")
def sigmoid(x):
    """1 / (1 + exp(-x))."""
    return kernels.sigmoid(x)


@primitive(domain=(real,), latex=r"\tanh {x}")
def tanh(x):
    """The hyperbolic tangent."""
    return kernels.tanh(x)


@primitive(domain=(nonzero,), latex=r"\mathrm{{relu}}({x})")
def relu(x):
    """max(x, 0); NaN passes."""
    return kernels.relu(x)


@primitive(domain=(nonzero,), text="|{x}|", latex=r"\left|{x}\right|")
def abs(x):
    """|x|."""
    return np.abs(x)


@primitive(domain=(nonzero,), latex=r"\mathrm{{sign}}({x})")
def sign(x):
    """-1, 0 or 1."""
    return np.sign(x)


sigmoid.slope(x=lambda z: z * (1 - z), fast=lambda g, z: kernels.sigmoid_grad(g, z))
tanh.slope(x=lambda z: 1 - z * z, fast=lambda g, z: kernels.tanh_grad(g, z))
relu.slope(x=lambda z: ~(z <= 0), fast=lambda g, z: kernels.relu_grad(g, z))
abs.slope(x=lambda x: sign(x))
sign.slope(x=0)


@primitive(domain=(real, real), latex=r"\max({x}, {y})")
def maximum(x, y):
    """The larger of two; a tie gives half of the gradient to each."""
    return np.maximum(x, y)


@primitive(domain=(real, real), latex=r"\min({x}, {y})")
def minimum(x, y):
    """The smaller of two; a tie gives half of the gradient to each."""
    return np.minimum(x, y)


maximum.pullback(
    x=lambda g, x, y: where(x == y, 0.5 * g, where(x < y, 0, g)),
    y=lambda g, x, y: where(x == y, 0.5 * g, where(y < x, 0, g)),
)
minimum.pullback(
    x=lambda g, x, y: where(x == y, 0.5 * g, where(x > y, 0, g)),
    y=lambda g, x, y: where(x == y, 0.5 * g, where(y > x, 0, g)),
)


@primitive(domain=(real, Domain("unit", low=0.0, high=1.0)))
def bce_with_logits(x, y):
    """-(y log σ(x) + (1 - y) log(1 - σ(x))), stable for any logit x."""
    return kernels.logistic_loss(x, y)


bce_with_logits.slope(x=lambda x, y: sigmoid(x) - y, y=lambda x: -x)
