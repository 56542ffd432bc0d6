"""Why backward walks in topological order: b = a + a, c = b + b, walked three ways."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import tinygrad_edu as tg
from demos.report import Report
from tinygrad_edu import viz
from tinygrad_edu.engine.node import Node, ancestors, edge_of
from tinygrad_edu.engine.plan import times

SECONDS = 4

EXPLAINED = """
Both operands of c are the same b, and both operands of b the same a: four ways lead from c back to a, so dc/da = 4.

Recursion that passes on what has been collected so far: on the second arrival at b its gradient is 2 already, the 1 of
the first arrival included, and is passed on whole. What was sent before is sent again: the answer is wrong.
Recursion that passes on only what has just arrived: every way from c to a is walked by itself and the answer is right,
but the number of ways doubles with every line.
Topological order: a value is visited once, when everything that uses it has been. Creation order is such an order, so
the engine needs no sorting by dependencies, no recursion, and as many visits as there are operations.
"""
CAPTION = ("The graph of b = a + a and c = b + b, with the gradients of c in red. Two arrows leave a value that is "
           "used twice: what comes back over the four ways from c to a adds up to dc/da = 4.")  # fmt: skip


def sent(edge: Any, g: float) -> Iterator[tuple[Any, float]]:
    """(input, its share of the gradient) for each arrow out of a node, by the engine's own rules; none from a leaf."""
    for place, rule, bound in edge.plan.pulls if isinstance(edge, Node) else ():
        answer = bound(g, edge.saved, edge)
        yield edge.inputs[place], float(times(g, answer) if rule.kind == "slope" else answer)


def passing_on_everything(edge: Any, collected: dict[Any, float]) -> Iterator[tuple[Any, float]]:
    """Recursion that passes on all that has been collected. Yields each visit: where, and the gradient found there."""
    yield edge, collected[edge]
    for source, share in sent(edge, collected[edge]):
        collected[source] += share
        yield from passing_on_everything(source, collected)


def way_by_way(edge: Any, collected: dict[Any, float], arrived: float = 1.0) -> Iterator[tuple[Any, float]]:
    """The same by recursion that passes on only what has just arrived."""
    yield edge, arrived
    for source, share in sent(edge, arrived):
        collected[source] += share
        yield from way_by_way(source, collected, share)


def topological(root: Any, collected: dict[Any, float]) -> Iterator[tuple[Any, float]]:
    """The same in reverse order of creation: each value once, when its gradient is complete."""
    for edge in (*reversed(ancestors([root])), leaf_of(root)):
        yield edge, collected[edge]
        for source, share in sent(edge, collected[edge]):
            collected[source] += share


WALKS = {"recursion, passing on everything": passing_on_everything, "recursion, way by way": way_by_way,
         "topological order": topological}  # fmt: skip


def walked(walk: Any, root: Any) -> tuple[float, list[str]]:
    """The gradient of the leaf by one of the walks, and the visits it made."""
    collected = defaultdict(float, {root: 1.0})
    visits = [f"{named(edge)}: {g:g}" for edge, g in walk(root, collected)]
    return collected[leaf_of(root)], visits


def named(edge: Any) -> str:
    """The variable a value was assigned to; leaves are called a."""
    return (edge.name or "x") if isinstance(edge, Node) else "a"


def leaf_of(root: Any) -> Any:
    """The one leaf everything was computed from."""
    return ancestors([root])[0].inputs[0]


def run(report: Report) -> None:
    """The three walks over c, the same over longer chains, and a chain where only one is possible."""
    a = tg.tensor(1.0, requires_grad=True)
    b = a + a
    c = b + b
    rows = []
    for name, walk in WALKS.items():
        answer, visits = walked(walk, edge_of(c))
        rows.append([name, "\n".join(visits), len(visits), f"{answer:g}"])
        report.number(name, {"dc/da": answer, "visits": visits})
    report.table(["walk", "visits, and the gradient each had", "number", "dc/da"], rows, marked=[0])
    report.text(EXPLAINED)
    c.backward()
    report.bar("dc/da by the engine", a.grad.item(), at_least=4, at_most=4)
    report.figure("why_topological", viz.graph(c), CAPTION, fit=False)

    report.heading("Longer chains")
    rows = []
    for depth in (1, 2, 5, 10) if report.fast else (1, 2, 5, 10, 15):
        x = tg.tensor(1.0, dtype=tg.float64, requires_grad=True)
        for _ in range(depth):
            x = x + x
        found = [walked(walk, edge_of(x)) for walk in WALKS.values()]
        rows.append([depth, 2**depth, *(f"{answer:g} in {len(visits):,} visits" for answer, visits in found)])
    report.table(["doublings", "right", *WALKS], rows)
    report.number("chains", rows)

    deep, x = 100_000, (start := tg.tensor(1.0, requires_grad=True))
    for _ in range(deep):
        x = -x
    try:
        walked(way_by_way, edge_of(x))
    except RecursionError as error:
        report.text(f"A chain of {deep:,} operations: recursion ends with RecursionError ({error}).")
    x.backward()
    report.text(f"The engine's walk gives {start.grad.item():g}.")
    report.number("deep", start.grad.item())
