"""How to draw a call for each named family of primitives: inputs and static parameters together."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.engine.domain import Domain, positive, real
from tinygrad_edu.testing.calls import Call
from tinygrad_edu.testing.choices import Choices, strategy
from tinygrad_edu.testing.spatial_families import SPATIAL
from tinygrad_edu.testing.strategies import (
    arrays,
    axes_of,
    axis_of,
    distinct,
    indices,
    laid_out,
    narrowed,
    shapes,
    values,
)

LONG = np.dtype(np.int64)
APART = ("C", "F", "every other", "reversed", "transposed")


@strategy
def expand(choices: Choices, op: Any) -> Call:
    full = choices.draw(shapes())
    return Call([choices.draw(arrays(narrowed(full), real))], {"shape": full})


@strategy
def sum_to(choices: Choices, op: Any) -> Call:
    full = choices.draw(shapes())
    return Call([choices.draw(arrays(full, real))], {"shape": choices.draw(narrowed(full))})


@strategy
def cast(choices: Choices, op: Any) -> Call:
    kinds, domain = (("f8",), real) if op.name == "cast" else (("i8", "?", "u1"), positive)
    return Call([choices.draw(arrays(shapes(), domain))], {"dtype": np.dtype(choices.pick(kinds))})


@strategy
def pair(choices: Choices, op: Any) -> Call:
    shape = choices.draw(shapes())
    return Call([choices.draw(arrays(shape, real)) for _ in range(2)])


@strategy
def reduction(choices: Choices, op: Any) -> Call:
    shape = choices.draw(shapes())
    return Call([choices.draw(arrays(shape, real))], {"dim": choices.draw(axes_of(len(shape)))})


@strategy
def distinct_reduction(choices: Choices, op: Any) -> Call:
    shape = choices.draw(shapes(min_side=1))
    x = choices.draw(laid_out(distinct(shape), APART))
    if op.name in ("argmax", "argmin"):
        return Call([x], {"dim": choices.draw(axis_of(len(shape))) if shape and choices.boolean() else None})
    return Call([x], {"dim": choices.draw(axes_of(len(shape)))})


@strategy
def axis(choices: Choices, op: Any) -> Call:
    shape = choices.draw(shapes(min_dims=1, min_side=1 if op.name == "unbind" else 0))
    return Call([choices.draw(arrays(shape, real))], {"dim": choices.draw(axis_of(len(shape)))})


@strategy
def reshape(choices: Choices, op: Any) -> Call:
    shape = choices.draw(shapes())
    size = int(np.prod(shape, dtype=int))
    options = [shape[::-1], (size,), (1, size), (size, 1), (*shape, 1), (1, *shape)]
    if size % 2 == 0:
        options += [(2, size // 2), (size // 2, 2)]
    return Call([choices.draw(arrays(shape, real))], {"shape": choices.pick(options)})


@strategy
def permute(choices: Choices, op: Any) -> Call:
    shape = choices.draw(shapes(max_dims=4))
    dims = choices.order(len(shape))
    return Call([choices.draw(arrays(shape, real))], {"dims": tuple(d - len(shape) * choices.boolean() for d in dims)})


@strategy
def matrix(choices: Choices, op: Any) -> Call:
    return Call([choices.draw(arrays(shapes(min_dims=2), real))])


@strategy
def matmul(choices: Choices, op: Any) -> Call:
    n, k, m = (choices.pick([2, 3, 1, 0]) for _ in range(3))
    batch = choices.draw(shapes(max_dims=2))
    left, right = batch, choices.draw(narrowed(batch))
    if choices.boolean():
        left, right = right, left
    return Call([choices.draw(arrays((*left, n, k), real)), choices.draw(arrays((*right, k, m), real))])


@strategy
def linear(choices: Choices, op: Any) -> Call:
    m, k, n = (choices.pick([2, 3, 1, 0]) for _ in range(3))
    return Call([choices.draw(arrays(shape, real)) for shape in ((m, k), (n, k), (n,))])


@strategy
def cat(choices: Choices, op: Any) -> Call:
    shape = choices.draw(shapes(min_dims=1))
    dim = choices.draw(axis_of(len(shape)))
    parts = []
    for _ in range(choices.integer(1, 4)):
        part = list(shape)
        part[dim] = choices.integer(0, 3)
        parts.append(choices.draw(arrays(tuple(part), real)))
    return Call(parts, {"dim": dim})


@strategy
def narrow(choices: Choices, op: Any) -> Call:
    shape = choices.draw(shapes(min_dims=1))
    dim = choices.draw(axis_of(len(shape)))
    start = choices.integer(0, shape[dim])
    length = choices.integer(0, shape[dim] - start)
    return Call([choices.draw(arrays(shape, real))], {"dim": dim, "start": start, "length": length})


@strategy
def embed(choices: Choices, op: Any) -> Call:
    shape = choices.draw(shapes(min_dims=1))
    dim = choices.integer(0, len(shape) - 1)
    start = choices.integer(0, 2)
    size = start + shape[dim] + choices.integer(0, 2)
    return Call([choices.draw(arrays(shape, real))], {"dim": dim, "start": start, "size": size})


@strategy
def split(choices: Choices, op: Any) -> Call:
    sizes = tuple(choices.integer(0, 3) for _ in range(choices.integer(1, 4)))
    shape = list(choices.draw(shapes(min_dims=1)))
    dim = choices.draw(axis_of(len(shape)))
    shape[dim] = sum(sizes)
    return Call([choices.draw(arrays(tuple(shape), real))], {"sizes": sizes, "dim": dim})


@strategy
def logits(choices: Choices, op: Any) -> Call:
    rows, classes = choices.integer(0, 4), choices.integer(1, 4)
    target = choices.array(range(classes), (rows,))
    return Call([choices.draw(arrays((rows, classes), real)), target.astype(LONG)])


@strategy
def classes(choices: Choices, op: Any) -> Call:
    count = choices.integer(1, 4)
    target = choices.array(range(count), (choices.integer(0, 4),))
    return Call([target.astype(LONG)], {"classes": count, "dtype": np.dtype(np.float64)})


@strategy
def key(choices: Choices, op: Any) -> Call:
    parts = [choices.integer(0, 2**32 - 1) for _ in range(2)]
    return Call([np.array(parts[0] << 32 | parts[1], np.uint64)], {"shape": choices.draw(shapes())})


@strategy
def cuts(choices: Choices, n: int) -> Any:
    """A slice of an axis, or an int."""
    if n and choices.boolean():
        return choices.integer(-n, n - 1)
    start, stop = (choices.pick([None, *range(-n - 1, n + 2)]) for _ in range(2))
    return ops.Cut(start, stop, choices.pick([None, 1, 2, 3]))


@strategy
def positions(choices: Choices, n: int, shape: tuple[int, ...]) -> np.ndarray:
    """Integer indices into an axis of size n, from either end; half of the time some are repeated on purpose."""
    if choices.boolean():
        return choices.draw(indices(n, shape))
    return choices.draw(values(shape, Domain("at", -n, n - 1, integer=True)))


@strategy
def templates(choices: Choices, shape: tuple[int, ...]) -> tuple[tuple[Any, ...], list[np.ndarray]]:
    """An index of an array of this shape: cuts, ints, None, an ellipsis, index arrays, or a mask."""
    kind = choices.pick(["basic", "arrays", "mask"])
    if kind == "mask":
        covered = choices.integer(0, len(shape))
        return (ops.HOLE,), [choices.draw(values(shape[:covered], Domain("mask", boolean=True)))]
    template: list[Any] = []
    at: list[np.ndarray] = []
    together = choices.draw(shapes(max_dims=2, min_dims=choices.integer(0, 1), min_side=1))
    fewest = min(len(shape), 1) if kind == "arrays" else 0
    for n in shape[: choices.integer(fewest, len(shape))]:
        if choices.integer(0, 5) == 5:
            template.append(None)
        if kind == "arrays" and n and (not at or choices.boolean()):
            template.append(ops.HOLE)
            at.append(choices.draw(positions(n, together if choices.boolean() else choices.draw(narrowed(together)))))
        else:
            template.append(choices.draw(cuts(n)))
    if choices.boolean():
        template.append(Ellipsis)
    return tuple(template), at


@strategy
def index(choices: Choices, op: Any) -> Call:
    shape = choices.draw(shapes())
    template, at = choices.draw(templates(shape))
    return Call([choices.draw(arrays(shape, real)), *at], {"template": template})


@strategy
def index_add(choices: Choices, op: Any) -> Call:
    shape = choices.draw(shapes())
    template, at = choices.draw(templates(shape))
    picked = ops.index(np.zeros(shape), *at, template=template)
    return Call([choices.draw(arrays(picked.shape, real)), *at], {"template": template, "shape": shape})


@strategy
def index_put(choices: Choices, op: Any) -> Call:
    """No index twice: which of two values wins is nobody's business."""
    shape = choices.draw(shapes())
    template, at = choices.draw(templates(shape))
    counts = np.zeros(shape)
    view, where = ops.placed(counts, template, tuple(at))
    np.add.at(view, where, 1)
    if counts.size and counts.max() > 1:
        template, at = (Ellipsis,), []
    picked = ops.index(np.zeros(shape), *at, template=template)
    v = choices.draw(arrays(narrowed(picked.shape), real))
    return Call([choices.draw(arrays(shape, real)), v, *at], {"template": template})


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
    "linear": linear,
    "logits": logits,
    "matmul": matmul,
    "matrix": matrix,
    "narrow": narrow,
    "pair": pair,
    "permute": permute,
    "reduction": reduction,
    "reshape": reshape,
    "split": split,
    "sum_to": sum_to,
}
"""Name of a family -> a function of the primitive that gives a strategy of its calls."""
