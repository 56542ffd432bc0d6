"""How to draw a call for each named family of primitives: inputs and static parameters together."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from spatial_families import SPATIAL
from strategies import (
    Call,
    arrays,
    axes_of,
    axis_of,
    distinct,
    laid_out,
    narrowed,
    shapes,
    values,
)

from tinygrad_edu import ops
from tinygrad_edu.engine.domain import integers, positive, real

LONG = np.dtype(np.int64)


@st.composite
def expand(draw: Any, op: Any) -> Call:
    full = draw(shapes())
    return Call([draw(arrays(draw(narrowed(full)), real))], {"shape": full})


@st.composite
def sum_to(draw: Any, op: Any) -> Call:
    full = draw(shapes())
    return Call([draw(arrays(full, real))], {"shape": draw(narrowed(full))})


@st.composite
def cast(draw: Any, op: Any) -> Call:
    kinds, domain = (("f8",), real) if op.name == "cast" else (("i8", "?", "u1"), positive)
    return Call([draw(arrays(draw(shapes()), domain))], {"dtype": np.dtype(draw(st.sampled_from(kinds)))})


@st.composite
def reduction(draw: Any, op: Any) -> Call:
    shape = draw(shapes())
    return Call([draw(arrays(shape, real))], {"dim": draw(axes_of(len(shape)))})


@st.composite
def distinct_reduction(draw: Any, op: Any) -> Call:
    shape = draw(shapes(min_side=1))
    x = draw(laid_out(draw(distinct(shape)), ("C", "F", "every other", "reversed", "transposed")))
    if op.name in ("argmax", "argmin"):
        return Call([x], {"dim": draw(st.one_of(st.none(), axis_of(len(shape)))) if shape else None})
    return Call([x], {"dim": draw(axes_of(len(shape)))})


@st.composite
def axis(draw: Any, op: Any) -> Call:
    shape = draw(shapes(min_dims=1, min_side=1 if op.name == "unbind" else 0))
    return Call([draw(arrays(shape, real))], {"dim": draw(axis_of(len(shape)))})


@st.composite
def reshape(draw: Any, op: Any) -> Call:
    shape = draw(shapes())
    size = int(np.prod(shape, dtype=int))
    options = [shape[::-1], (size,), (1, size), (size, 1), (*shape, 1), (1, *shape)]
    if size % 2 == 0:
        options += [(2, size // 2), (size // 2, 2)]
    return Call([draw(arrays(shape, real))], {"shape": draw(st.sampled_from(options))})


@st.composite
def permute(draw: Any, op: Any) -> Call:
    shape = draw(shapes(max_dims=4))
    dims = draw(st.permutations(range(len(shape))))
    return Call([draw(arrays(shape, real))], {"dims": tuple(d - len(shape) * draw(st.booleans()) for d in dims)})


@st.composite
def matrix(draw: Any, op: Any) -> Call:
    return Call([draw(arrays(draw(shapes(min_dims=2)), real))])


@st.composite
def matmul(draw: Any, op: Any) -> Call:
    n, k, m = (draw(st.sampled_from([2, 3, 1, 0])) for _ in range(3))
    batch = draw(shapes(max_dims=2))
    lead_a, lead_b = batch, draw(narrowed(batch))
    if draw(st.booleans()):
        lead_a, lead_b = lead_b, lead_a
    return Call([draw(arrays((*lead_a, n, k), real)), draw(arrays((*lead_b, k, m), real))])


@st.composite
def cat(draw: Any, op: Any) -> Call:
    shape = draw(shapes(min_dims=1))
    dim = draw(axis_of(len(shape)))
    parts = []
    for _ in range(draw(st.integers(1, 4))):
        part = list(shape)
        part[dim] = draw(st.integers(0, 3))
        parts.append(draw(arrays(part, real)))
    return Call(parts, {"dim": dim})


@st.composite
def narrow(draw: Any, op: Any) -> Call:
    shape = draw(shapes(min_dims=1))
    dim = draw(axis_of(len(shape)))
    start = draw(st.integers(0, shape[dim]))
    return Call(
        [draw(arrays(shape, real))],
        {"dim": dim, "start": start, "length": draw(st.integers(0, shape[dim] - start))},
    )


@st.composite
def embed(draw: Any, op: Any) -> Call:
    shape = draw(shapes(min_dims=1))
    dim = draw(st.integers(0, len(shape) - 1))
    start = draw(st.integers(0, 2))
    return Call(
        [draw(arrays(shape, real))],
        {"dim": dim, "start": start, "size": start + shape[dim] + draw(st.integers(0, 2))},
    )


@st.composite
def split(draw: Any, op: Any) -> Call:
    sizes = tuple(draw(st.lists(st.integers(0, 3), min_size=1, max_size=4)))
    shape = list(draw(shapes(min_dims=1)))
    dim = draw(axis_of(len(shape)))
    shape[dim] = sum(sizes)
    return Call([draw(arrays(shape, real))], {"sizes": sizes, "dim": dim})


@st.composite
def logits(draw: Any, op: Any) -> Call:
    rows, classes = draw(st.integers(0, 4)), draw(st.integers(1, 4))
    target = draw(st.lists(st.integers(0, classes - 1), min_size=rows, max_size=rows))
    return Call([draw(arrays((rows, classes), real)), np.array(target, LONG)])


@st.composite
def classes(draw: Any, op: Any) -> Call:
    count = draw(st.integers(1, 4))
    target = draw(st.lists(st.integers(0, count - 1), max_size=4))
    return Call([np.array(target, LONG)], {"classes": count, "dtype": np.dtype(np.float64)})


@st.composite
def key(draw: Any, op: Any) -> Call:
    return Call([np.array(draw(st.integers(0, 2**64 - 1)), np.uint64)], {"shape": draw(shapes())})


@st.composite
def cuts(draw: Any, n: int) -> Any:
    """A slice of an axis, or an int."""
    bound = st.one_of(st.none(), st.integers(-n - 1, n + 1))
    if n and draw(st.booleans()):
        return draw(st.integers(-n, n - 1))
    return ops.Cut(draw(bound), draw(bound), draw(st.sampled_from([None, 1, 2, 3])))


@st.composite
def positions(draw: Any, n: int, shape: tuple[int, ...]) -> np.ndarray:
    """Integer indices into an axis of size n, from either end; repeats are likely."""
    return draw(values(shape, type(integers)("at", -n, n - 1, integer=True)))


@st.composite
def templates(draw: Any, shape: tuple[int, ...]) -> tuple[tuple[Any, ...], list[np.ndarray]]:
    """An index of an array of this shape: cuts, ints, None, an ellipsis, index arrays, or a mask."""
    kind = draw(st.sampled_from(["basic", "arrays", "mask"]))
    if kind == "mask":
        covered = draw(st.integers(0, len(shape)))
        mask = draw(values(shape[:covered], type(integers)("mask", boolean=True)))
        return (ops.HOLE,), [mask]
    template: list[Any] = []
    at: list[np.ndarray] = []
    together = draw(shapes(max_dims=2, min_side=1))
    for n in shape[: draw(st.integers(0, len(shape)))]:
        if draw(st.integers(0, 5)) == 5:
            template.append(None)
        if kind == "arrays" and n and draw(st.booleans()):
            template.append(ops.HOLE)
            at.append(draw(positions(n, draw(st.one_of(st.just(together), narrowed(together))))))
        else:
            template.append(draw(cuts(n)))
    if draw(st.booleans()):
        template.insert(len(template), Ellipsis)
    return tuple(template), at


@st.composite
def index(draw: Any, op: Any) -> Call:
    shape = draw(shapes())
    template, at = draw(templates(shape))
    return Call([draw(arrays(shape, real)), *at], {"template": template})


@st.composite
def index_add(draw: Any, op: Any) -> Call:
    shape = draw(shapes())
    template, at = draw(templates(shape))
    picked = ops.index(np.zeros(shape), *at, template=template)
    return Call([draw(arrays(picked.shape, real)), *at], {"template": template, "shape": shape})


@st.composite
def index_put(draw: Any, op: Any) -> Call:
    """No index twice: which of two values wins is nobody's business."""
    shape = draw(shapes())
    template, at = draw(templates(shape))
    counts = np.zeros(shape)
    view, where = ops.placed(counts, template, tuple(at))
    np.add.at(view, where, 1)
    if counts.size and counts.max() > 1:
        template, at = (Ellipsis,), []
    picked = ops.index(np.zeros(shape), *at, template=template)
    v = draw(arrays(draw(narrowed(picked.shape)), real))
    return Call([draw(arrays(shape, real)), v, *at], {"template": template})


FAMILIES: dict[str, Any] = {
    **SPATIAL,
    "astype": cast,
    "axis": axis,
    "cast": cast,
    "cat": cat,
    "classes": classes,
    "distinct_reduction": distinct_reduction,
    "embed": embed,
    "expand": expand,
    "index": index,
    "index_add": index_add,
    "index_put": index_put,
    "key": key,
    "logits": logits,
    "matmul": matmul,
    "matrix": matrix,
    "narrow": narrow,
    "permute": permute,
    "reduction": reduction,
    "reshape": reshape,
    "split": split,
    "sum_to": sum_to,
}
