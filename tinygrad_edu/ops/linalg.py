"""Matrix multiplication."""

from __future__ import annotations

from typing import Any

from tinygrad_edu import kernels
from tinygrad_edu.engine.calls import primitive
from tinygrad_edu.engine.domain import matmul_shapes
from tinygrad_edu.ops.shape import mT

__all__ = ["matmul"]


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
