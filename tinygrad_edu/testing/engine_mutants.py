"""Wrong versions of the walk itself: what an engine gets wrong although every rule is right."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.autograd import Function
from tinygrad_edu.engine import backward, gradients, node, plan
from tinygrad_edu.engine.primitive import registry
from tinygrad_edu.engine.value import array_of, make
from tinygrad_edu.testing.cases import Case, Subject
from tinygrad_edu.testing.checking import cases
from tinygrad_edu.testing.mutants import Mutant
from tinygrad_edu.testing.situations import graph_case, run_graph
from tinygrad_edu.testing.strategies import real

Patch = tuple[Any, str, Any]
"""(module or class, name, what takes the place of its value)"""

GRAPHS = 40

_reached, _useful, _gathered = backward.reached, backward.useful, backward.gathered
_starts, _write_pull, _fit, _saved, _walk = (
    gradients.starts,
    plan.write_pull,
    plan.fit,
    backward.tensors_saved,
    backward.walk,
)


def first_slices(g: Any, shape: tuple[int, ...]) -> Any:
    """One slice of what should be summed."""
    if g.ndim < len(shape):
        return _fit(g, shape)
    for axis in range(g.ndim - len(shape)):
        g = ops.narrow(g, dim=axis, start=0, length=min(1, g.shape[axis]))
    lead = g.ndim - len(shape)
    for axis, n in enumerate(shape):
        if n == 1:
            g = ops.narrow(g, dim=lead + axis, start=0, length=min(1, g.shape[lead + axis]))
    return ops.reshape(g, shape=shape) if math.prod(g.shape) == math.prod(shape) else _fit(g, shape)


def means(g: Any, shape: tuple[int, ...]) -> Any:
    """The mean over what was broadcast."""
    return _fit(g, shape) / float(max(math.prod(g.shape) // max(math.prod(shape), 1), 1))


def leading_only(g: Any, shape: tuple[int, ...]) -> Any:
    """Axes of size 1 are not summed over, one slice is taken."""
    lead = g.ndim - len(shape)
    summed = _fit(g, g.shape[lead:]) if lead > 0 else g
    return first_slices(summed, shape)


def in_source(old: str, new: str) -> Callable[..., list[str]]:
    """`write_pull` with one phrase replaced in the lines it writes."""
    return lambda *args: [line.replace(old, new) for line in _write_pull(*args)]


def overwriting(table: Any, edge: Any, g: Any) -> None:
    table[edge] = g


def keeping_the_first(table: Any, edge: Any, g: Any) -> None:
    table.setdefault(edge, g)


def anybodys_buffer(table: Any, owned: Any, edge: Any) -> np.ndarray:
    """A slice's gradient is added into whatever array is on the table."""
    if edge not in table:
        table[edge] = np.zeros(edge.shape, edge.dtype)
    return table[edge]


def depth_first(roots: Any) -> Any:
    """In the order of a search, without looking at when a node was made."""
    found, stack = [], [n for n in map(node.producer, roots) if n is not None]
    while stack:
        n = stack.pop()
        if n not in found:
            found.append(n)
            stack += [p for p in map(node.producer, n.inputs) if p is not None]
    return found


def ones_for_g(outputs: Any, given: Any, record: bool) -> Any:
    return [(e, make(np.ones_like(array_of(g)))) for e, g in _starts(outputs, given, record)]


def slots_exchanged(n: Any, table: Any, tensors: bool) -> Any:
    g = _gathered(n, table, tensors)
    return g[::-1] if isinstance(g, tuple) else g


def ones_for_unused(n: Any, table: Any, tensors: bool) -> Any:
    g = _gathered(n, table, tensors)
    if not isinstance(g, tuple) or n.op.auxiliary:
        return g
    return tuple(v + 1.0 if not np.any(array_of(v)) else v for v in g)


def first_output_for_all(n: Any, table: Any, tensors: bool) -> Any:
    g = _gathered(n, table, tensors)
    return tuple(g[0] if v.shape == g[0].shape else v for v in g) if isinstance(g, tuple) else g


def first_input_only(n: Any, wanted: Any) -> Any:
    for i, _, _ in n.plan.pulls:
        if n.inputs[i] in wanted:
            return n.op.plan(1 << i, len(n.inputs))
    return None


def direct_only(nodes: Any, targets: Any) -> Any:
    """Only what uses a target itself is useful."""
    found = set(targets)
    for n in nodes:
        if any(e in targets for e in n.inputs):
            found.add(n)
            found.update(node.Output(n, k) for k in range(len(n.outputs)))
    return found


def without_history(n: Any) -> Any:
    strip = lambda v: make(v._array) if hasattr(v, "_array") else v  # noqa: E731
    return tuple(tuple(map(strip, v)) if isinstance(v, tuple) else strip(v) for v in _saved(n))


def outputs_without_history(n: Any) -> Any:
    *saved, z = _saved(n)
    return (*saved, make(z._array) if hasattr(z, "_array") else z)


def unrecorded(roots: Any, **options: Any) -> Any:
    found = _walk(roots, **options)
    return {e: make(array_of(g)) if hasattr(g, "_array") else g for e, g in found.items()}


def as_it_is(g: Any, passed_on: Any, record: bool = False) -> Any:
    return g if hasattr(g, "_array") else make(np.asarray(g))


def replacing(leaf: Any, g: Any, record: bool, passed_on: Any) -> None:
    leaf.cell.grad = gradients.own(g, passed_on, record)


def without_cast(r: Any, edge: Any, n: Any, broadcasts: bool) -> Any:
    r = np.asarray(r) if not hasattr(r, "shape") else r
    return plan.fit(r, edge.shape) if r.shape != edge.shape else r


ACCUMULATES = "table[e] = table[e] + r if e in table else r"

IN_PLACE = "table[e].__iadd__(r) if table[e].__class__ is ndarray else table[e] + r"

WALK: dict[str, list[Patch]] = {
    "broadcast sum forgotten, one slice taken": [(plan, "fit", first_slices)],
    "mean instead of the broadcast sum": [(plan, "fit", means)],
    "not summed over axes of size 1": [(plan, "fit", leading_only)],
    "contributions overwrite each other": [(plan, "write_pull", in_source(ACCUMULATES, "table[e] = r"))],
    "recorded contributions overwrite each other": [(backward, "add", overwriting)],
    "only the first contribution counts": [(plan, "write_pull", in_source(ACCUMULATES, "table.setdefault(e, r)"))],
    "only the first recorded contribution counts": [(backward, "add", keeping_the_first)],
    "contributions are added in place": [
        (plan, "write_pull", in_source(ACCUMULATES, f"table[e] = ({IN_PLACE}) if e in table else r"))
    ],
    "upstream dropped where a slope is an input": [(plan, "write_pull", in_source("r = g * s[", "r = 0 * g + s["))],
    "upstream dropped where a slope is computed": [(plan, "write_pull", in_source("r = g * k if", "r = 0 * g + k if"))],
    "slope -1 taken for 1": [(plan, "write_pull", in_source("r = -g", "r = g"))],
    "upstream dropped in the recorded walk": [(backward, "times", lambda g, k: g * 0 + plan.times(g * 0 + 1, k))],
    "a slice is added into anybody's array": [(plan, "buffer_for", anybodys_buffer)],
    "nodes visited in the order they were made": [(backward, "reached", lambda roots: _reached(roots)[::-1])],
    "nodes visited depth first": [(backward, "reached", depth_first)],
    "upstream taken for ones": [(gradients, "starts", ones_for_g)],
    "only the first output counts": [(gradients, "starts", lambda *given: _starts(*given)[:1])],
    "gradients of several outputs exchanged": [(backward, "gathered", slots_exchanged)],
    "an output nobody used gets 1, not 0": [(backward, "gathered", ones_for_unused)],
    "the first output's gradient given to all": [(backward, "gathered", first_output_for_all)],
    "only the first input of a node is asked": [(backward, "narrowed", first_input_only)],
    "what leads to a target through others is left out": [(backward, "useful", direct_only)],
    "saved values lose their history": [(backward, "tensors_saved", without_history)],
    "saved outputs lose their history": [(backward, "tensors_saved", outputs_without_history)],
    "the recorded walk is not recorded": [(gradients, "walk", unrecorded)],
    "gradients share memory": [(gradients, "own", as_it_is)],
    "a second backward replaces .grad": [(gradients, "accumulate", replacing)],
    "gradients keep the dtype of g": [(plan, "checked", without_cast), (backward, "checked", without_cast)],
}
"""What is wrong -> what to put in place of the engine's own functions."""


def engine_mutants() -> list[Mutant]:
    """Wrong versions of the walk, for all operations at once; `walk_cases` has what notices them.

    >>> "contributions overwrite each other" in [m.what for m in engine_mutants()]
    True
    """
    return [Mutant("walk", "", what, lambda patches=patches: patched(patches)) for what, patches in WALK.items()]


@contextmanager
def patched(patches: list[Patch]) -> Iterator[None]:
    """Other functions in the engine, and plans made anew with them."""
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in patches]
    for owner, name, value in patches:
        setattr(owner, name, value)
    for op in registry.values():
        op.plans.clear()
    try:
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)
        for op in registry.values():
            op.plans.clear()


class Widening(Function):
    """x, with a backward that returns float64 whatever it is given."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x * 1

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g.to(np.dtype(np.float64))


def walk_cases(count: int = GRAPHS) -> list[Case]:
    """Random graphs with reuse, broadcasting, slices and several outputs, and a few calls of single primitives."""
    found = [Case(Subject(run_graph), graph_case().sample((seed, 3)), seed) for seed in range(count)]
    for op in (ops.add, ops.unbind, ops.split, ops.narrow, ops.mul):
        found += [cases(op).sample((seed, 3)) for seed in range(4)]
    return [*found, cases(Widening, real((2,))).sample(0)]
