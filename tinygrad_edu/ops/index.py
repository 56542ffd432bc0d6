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

__all__ = ["HOLE", "Cut", "filled", "index", "index_add", "index_put", "one_hot", "placed"]


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


def no_arrays(where: tuple[Any, ...]) -> bool:
    """Whether there are only slices and the like."""
    return not any(isinstance(w, np.ndarray) for w in where)


def placed(x: np.ndarray, template: tuple[Any, ...], at: tuple[Any, ...]) -> tuple[np.ndarray, tuple[Any, ...]]:
    """A view of x and an index into it.  Ints pick before index arrays do, as in PyTorch.

    NumPy would count an int as one more index array: `x[0, :, i]` would bring the axis of i to the front.
    """
    where = filled(template, at)
    if no_arrays(where):
        return x[where if Ellipsis in where else (*where, ...)], (...,)
    if not any(isinstance(w, int) or (isinstance(w, np.ndarray) and w.shape == ()) for w in where):
        return x, where
    first: list[Any] = []
    then: list[Any] = []
    for w in where:
        if isinstance(w, np.ndarray) and (w.ndim or w.dtype == bool):
            first += [slice(None)] * (w.ndim if w.dtype == bool else 1)
            then.append(w)
        elif isinstance(w, (int, np.ndarray)):
            first.append(int(w))
        else:
            first.append(w)
            then.append(w if w is Ellipsis else slice(None))
    whole = any(w is Ellipsis for w in then)
    return x[tuple(first) if whole else (*first, ...)], tuple(then)


@primitive(domain=Family("index"), text="{x}[{template}]", latex="{x}_{{[{template}]}}")
def index(x, *at, template):
    """x[...]: a view when the template has no holes and no step backwards."""
    view, where = placed(x, template, at)
    fresh = any(isinstance(t, Cut) and (t.step or 1) < 0 for t in template) or (at and no_arrays(where))
    return view[where].copy() if fresh else view[where]


@primitive(
    domain=Family("index_add"), text="index_add({g} at [{template}])", latex=r"\mathrm{{add}}_{{[{template}]}}({g})"
)
def index_add(g, *at, template, shape):
    """Zeros of `shape`, with g added at the index; where an index repeats, everything is added."""
    out = np.zeros(shape, g.dtype)
    add_at(out, g, at, template)
    return out


def add_at(buffer: np.ndarray, g: np.ndarray, at: tuple[Any, ...], template: tuple[Any, ...]) -> None:
    """Add g into a buffer at the index, counting repeated indices every time."""
    view, where = placed(buffer, template, at)
    if any(isinstance(w, np.ndarray) and w.dtype != bool for w in where):
        np.add.at(view, where, g)
    else:
        view[where] += g


@primitive(
    domain=Family("index_put"), text="{x}.index_put([{template}], {v})", latex=r"{x}_{{[{template}] \leftarrow {v}}}"
)
def index_put(x, v, *at, template):
    """A copy of x with the entries at the index replaced by v (broadcast)."""
    out = np.array(x)
    view, where = placed(out, template, at)
    view[where] = v
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
