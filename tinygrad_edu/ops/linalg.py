"""Matrix multiplication, and the linear layer made of it."""

from __future__ import annotations

from typing import Any

from tinygrad_edu import kernels
from tinygrad_edu.engine.calls import primitive
from tinygrad_edu.engine.domain import Family, matmul_shapes
from tinygrad_edu.ops.reduce import sum
from tinygrad_edu.ops.shape import mT

__all__ = ["linear", "matmul"]


@primitive(domain=matmul_shapes, text="{a} @ {b}", latex=r"{a}\,{b}", broadcasts=True)
def matmul(a, b):
    """a @ b for matrices (..., n, k) and (..., k, m); leading axes broadcast."""
    return kernels.matmul(a, b)


def to_right(g: Any, a: Any, b_leaf: bool) -> Any:
    """aᵀ @ g of arrays, or the same as (gᵀ @ a)ᵀ.

    The first is row-major, as the gradient of a leaf b has to be; the second is so once more after it is transposed, as
    it will be for the weight of a linear layer. Either saves a copy.
    """
    if b_leaf:
        return kernels.matmul(a.swapaxes(-1, -2), g)
    return kernels.matmul(g.swapaxes(-1, -2), a).swapaxes(-1, -2)


matmul.pullback(a=lambda g, b: matmul(g, mT(b)))
matmul.pullback(b=lambda g, a: matmul(mT(a), g), fast=to_right)


@primitive(
    domain=Family("linear", data={"example": ({"x": (2, 3), "weight": (4, 3), "bias": (4,)}, {})}),
    text="{x} @ {weight}^T + {bias}",
    latex=r"{x}\,{weight}^{{\top}} + {bias}",
)
def linear(x, weight, bias):
    """x @ weightᵀ + bias: (M, K), (N, K), (N,) -> (M, N)."""
    return kernels.linear(x, weight, bias)


linear.pullback(
    x=lambda g, weight: matmul(g, weight),
    weight=lambda g, x: matmul(mT(g), x),
    bias=lambda g: sum(g, dim=(0,)),
    fast=lambda g, x, weight, needs: kernels.linear_grad(g, x, weight, needs),
)
