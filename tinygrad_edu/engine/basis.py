"""The primitives the walk itself needs: summing over what was broadcast, spreading, selecting, casting, copying.

`expand` and `sum_to` are adjoint to each other: each is the other's gradient.
"""

from __future__ import annotations

import numpy as np

from tinygrad_edu import kernels
from tinygrad_edu.engine.calls import primitive
from tinygrad_edu.engine.domain import Family, mask, real


@primitive(domain=Family("expand"), text="expand({x}, {shape})", latex=r"{x}")
def expand(x, *, shape):
    """Repeat along axes of size 1 and along new leading axes, without copying."""
    return np.broadcast_to(x, shape)


@primitive(domain=Family("sum_to"), text="sum({x} to {shape})", latex=r"\sum {x}")
def sum_to(x, *, shape):
    """Sum over the axes that broadcasting `shape` to the shape of x repeats."""
    lead = x.ndim - len(shape)
    if x.shape[lead:] == shape:
        return np.add.reduce(x, axis=tuple(range(lead)))
    axes = tuple(i for i, n in enumerate(x.shape) if i < lead or (shape[i - lead] == 1 and n != 1))
    if x.ndim == 4 and axes == (0, 2, 3):
        return kernels.channel_sums(x).reshape(shape)
    return np.add.reduce(x, axis=axes, keepdims=True).reshape(shape)


@primitive(domain=(mask, real, real), latex=r"\begin{{cases}} {x} & {c} \\ {y} & \text{{otherwise}} \end{{cases}}")
def where(c, x, y):
    """x where c holds, else y."""
    return np.where(c, x, y)


@primitive(domain=Family("cast"), text="{x}.to({dtype})", latex="{x}")
def cast(x, *, dtype):
    """Change to another floating dtype."""
    return x.astype(dtype, copy=False)


@primitive(domain=(real,), text="{x}", latex="{x}")
def copy(x):
    """The same numbers in memory of their own, in row-major order."""
    return np.array(x, order="C")


expand.pullback(x=lambda g, x_shape: sum_to(g, shape=x_shape))
sum_to.pullback(x=lambda g, x_shape: expand(g, shape=x_shape))
where.no_gradient("c")
where.slope(x=lambda c: c, y=lambda c: ~c)
cast.pullback(x=lambda g, x_dtype: cast(g, dtype=x_dtype))
copy.slope(x=1)
