"""Newton's method with the engine's own second derivatives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.autograd.functional import hessian, vjp


def newton(f: Callable[[tg.Tensor], tg.Tensor], start: tg.Tensor, enough: float, limit: int = 20) -> list[tg.Tensor]:
    """The points on the way to a minimum of f, a number for a vector, until a step would gain no more than `enough`.

    A step solves H d = g with the Hessian H and the gradient g. Where an eigenvalue of H is negative it would climb:
    the eigenvalues lose their signs, and a step that does not help is halved.
    """
    points = [start.detach()]
    while len(points) <= limit:
        v = points[-1]
        g = vjp(f, v)[1].numpy()
        values, vectors = np.linalg.eigh(hessian(f, v).numpy())
        step = vectors @ ((vectors.T @ g) / np.maximum(abs(values), 1e-6))
        if g @ step / 2 <= enough:
            break
        d = tg.tensor(step)
        while f(v - d) > f(v):
            d = d / 2
        points.append(v - d)
    return points
