"""Matrix multiplication."""

from __future__ import annotations

from tinygrad_edu import kernels
from tinygrad_edu.engine.calls import primitive
from tinygrad_edu.engine.domain import matmul_shapes
from tinygrad_edu.ops.shape import mT

__all__ = ["matmul"]


@primitive(domain=matmul_shapes, text="{a} @ {b}", latex=r"{a}\,{b}", broadcasts=True)
def matmul(a, b):
    """a @ b for matrices (..., n, k) and (..., k, m); leading axes broadcast."""
    return kernels.matmul(a, b)


matmul.pullback(a=lambda g, b: matmul(g, mT(b)), b=lambda g, a: matmul(mT(a), g))
