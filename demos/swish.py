"""The operation of `my_own_op`, right and wrong, and two tests of it."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import ops
from tinygrad_edu.engine.domain import real


def define() -> Any:
    """Register swish."""

    @tg.primitive(domain=(real, real), text="swish({x}, {beta})", latex=r"\mathrm{{swish}}({x}, {beta})")
    def swish(x: Any, beta: Any) -> Any:
        """x σ(βx)."""
        return x / (1 + np.exp(-beta * x))

    swish.slope(x=lambda x, beta, z: ops.sigmoid(beta * x) + beta * z * (1 - ops.sigmoid(beta * x)))
    swish.slope(beta=lambda x, beta, z: x * z * (1 - ops.sigmoid(beta * x)))
    return swish


def flipped() -> Any:
    """The same with a sign flipped in the slope for β."""
    return define().slope(beta=lambda x, beta, z: -x * z * (1 - ops.sigmoid(beta * x)))


def at_zero(swish: Any) -> None:
    """The slope of swish at 0 is 1/2."""
    x = tg.zeros(3, requires_grad=True)
    swish(x, tg.tensor(1.0)).sum().backward()
    assert np.allclose(x.grad.numpy(), 0.5)


def by_differences(swish: Any) -> None:
    """Both slopes at one point, against central differences."""
    x, beta = (tg.tensor(v, dtype=tg.float64, requires_grad=True) for v in (0.7, 1.3))
    swish(x, beta).backward()
    for leaf, dx, dbeta in ((x, 1e-6, 0), (beta, 0, 1e-6)):
        slope = (swish(x + dx, beta + dbeta) - swish(x - dx, beta - dbeta)) / 2e-6
        assert abs(slope.item() - leaf.grad.item()) < 1e-8
