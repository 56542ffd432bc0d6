"""Steps of optimizers in one pass over the memory, where the rule on arrays takes one per operation.

Each writes into its parameter and its state: 1-d arrays of one float dtype, none of which share memory. The arithmetic
is that of the rule beside the optimizer, operation by operation and without fused multiply-adds, so both give the same
digits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .jit import jit
from .registry import FLOAT32, FLOAT64, Array, backend
from .vectors import wide_vectors


def flat_views(arrays: Sequence[Array]) -> list[Array] | None:
    """The arrays along one axis, for the functions here; None where the reference kernels are active, or one of the
    arrays is not contiguous, not writeable, or of another dtype."""
    dtype = arrays[0].dtype
    if backend() != "numba" or (dtype is not FLOAT32 and dtype is not FLOAT64):
        return None
    for a in arrays:
        if a.dtype is not dtype or not a.flags.carray:
            return None
    return [a.reshape(-1) for a in arrays]


@jit(fastmath=())
def sgd_update(p: Array, g: Array, lr: float, weight_decay: float, maximize: bool) -> None:
    """p -= lr * g."""
    rate, decay = p.dtype.type(lr), p.dtype.type(weight_decay)
    for i in range(p.size):
        slope = -g[i] if maximize else g[i]
        if weight_decay != 0:
            slope = slope + decay * p[i]
        p[i] = p[i] - rate * slope


@jit(fastmath=())
def momentum_update(
    p: Array,
    g: Array,
    v: Array,
    lr: float,
    momentum: float,
    keep: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool,
) -> None:
    """v = momentum * v + keep * g, p -= lr * v; with `nesterov` p -= lr * (g + momentum * v)."""
    rate, decay = p.dtype.type(lr), p.dtype.type(weight_decay)
    friction, share = p.dtype.type(momentum), p.dtype.type(keep)
    for i in range(p.size):
        slope = -g[i] if maximize else g[i]
        if weight_decay != 0:
            slope = slope + decay * p[i]
        velocity = friction * v[i] + share * slope
        v[i] = velocity
        p[i] = p[i] - rate * (slope + friction * velocity if nesterov else velocity)


@jit(fastmath=())
def adam_update(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    step_size: float,
    correction: float,
    fresh: float,
    decay: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """m += fresh * (g - m), v = beta2 * v + (1 - beta2) * g^2, p -= step_size * m / (sqrt(v) / correction + eps).

    p is multiplied by `decay` first.
    """
    wide_vectors()
    number = p.dtype.type
    rate, share, shrink, penalty = number(step_size), number(fresh), number(decay), number(weight_decay)
    old, new, unbias, small = number(beta2), number(1.0 - beta2), number(correction), number(eps)
    for i in range(p.size):
        slope = -g[i] if maximize else g[i]
        if weight_decay != 0:
            slope = slope + penalty * p[i]
        mean = m[i] + share * (slope - m[i])
        square = old * v[i] + new * (slope * slope)
        m[i] = mean
        v[i] = square
        p[i] = p[i] * shrink - rate * (mean / (number(math.sqrt(square)) / unbias + small))


def compile_updates() -> None:
    """Call each once, for `warmup`."""
    for dtype in (FLOAT32, FLOAT64):
        a, b, c, d = (np.ones(3, dtype) for _ in range(4))
        sgd_update(a, b, 0.1, 0.0, False)
        momentum_update(a, b, c, 0.1, 0.9, 1.0, 0.0, False, False)
        adam_update(a, b, c, d, 0.1, 1.0, 0.1, 1.0, 0.9, 1e-8, 0.0, False)
