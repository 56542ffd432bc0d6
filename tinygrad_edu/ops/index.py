"""Indexing: reading at an index, and its adjoint, adding at an index.

An index is a static template with holes, and the index arrays that fill the holes are inputs: the call stays the
same program when the indices change.  `x[2:, idx]` is `index(x, idx, template=(Cut(2, None, None), HOLE))`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.engine.basis import sum_to
from tinygrad_edu.engine.calls import primitive
from tinygrad_edu.engine.domain import Family

__all__ = ["HOLE", "Cut", "filled", "index", "index_add", "index_put", "one_hot"]


@dataclass(frozen=True)
class Cut:
    """A slice (Python's own is not hashable before 3.12)."""

    start: int | None
    stop: int | None
    step: int | None


class _Hole:
    """The place of an index array in a template."""

    def __repr__(self) -> str:
        return "HOLE"


HOLE = _Hole()


def filled(template: tuple[Any, ...], at: tuple[Any, ...]) -> tuple[Any, ...]:
    """The NumPy index: slices for cuts, the arrays in the holes."""
    arrays = iter(at)
    return tuple(
        slice(t.start, t.stop, t.step) if isinstance(t, Cut) else np.asarray(next(arrays)) if t is HOLE else t
        for t in template
    )


@primitive(domain=Family("index"), text="{x}[{template}]", latex="{x}_{{[\\cdot]}}")
def index(x, *at, template):
    """x[...]: a view when the template has no holes."""
    return x[filled(template, at)]


@primitive(domain=Family("index_add"), text="index_add({g}, {template})", latex="{g}_{{[\\cdot]^{{\\top}}}}")
def index_add(g, *at, template, shape):
    """Zeros of `shape`, with g added at the index; where an index repeats, everything is added."""
    out = np.zeros(shape, g.dtype)
    add_at(out, g, at, template)
    return out


def add_at(buffer: np.ndarray, g: np.ndarray, at: tuple[Any, ...], template: tuple[Any, ...]) -> None:
    """Add g into a buffer at the index, counting repeated indices every time."""
    where = filled(template, at)
    if any(t is HOLE for t in template) and not all(a.dtype == bool for a in map(np.asarray, at)):
        np.add.at(buffer, where, g)
    else:
        buffer[where] += g


@primitive(domain=Family("index_put"), text="{x}.index_put({template}, {v})", latex="{x}")
def index_put(x, v, *at, template):
    """A copy of x with the entries at the index replaced by v (broadcast)."""
    out = np.array(x)
    out[filled(template, at)] = v
    return out


index.no_gradient("at")
index.pullback(x=lambda g, at, x_shape, template: index_add(g, *at, template=template, shape=x_shape), into=add_at)
index_add.no_gradient("at")
index_add.pullback(g=lambda g, at, template: index(g, *at, template=template))
index_put.no_gradient("at")
index_put.pullback(
    x=lambda g, at, template: index_put(g, 0, *at, template=template),
    v=lambda g, at, v_shape, template: sum_to(index(g, *at, template=template), shape=v_shape),
)


@primitive(domain=Family("classes"), text="one_hot({target})", latex=r"\mathbf{{1}}_{{ {target} }}")
def one_hot(target, *, classes, dtype):
    """Rows of zeros with a 1 at the class: (N,) -> (N, classes)."""
    return np.equal(np.asarray(target)[..., None], np.arange(classes)).astype(dtype)


one_hot.no_gradient()
