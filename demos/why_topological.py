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


def sent(node: Node, g: Any) -> Iterator[tuple[Any, Any]]:
    """(input, its share of the gradient) for each arrow out of a node, by the engine's own rules."""
    for place, rule, bound in node.plan.pulls:
        answer = bound(g, node.saved, node)
        yield node.inputs[place], times(g, answer) if rule.kind == "slope" else answer


def passing_on_everything(root: Any) -> tuple[float, list[str]]:
    """The gradient of the leaf, and the visits, by recursion that passes on all that has been collected."""
    collected, visits = defaultdict(float, {root: 1.0}), []

    def visit(edge: Any) -> None:
        visits.append(f"{named(edge)}: {collected[edge]:g}")
        if isinstance(edge, Node):
            for source, share in sent(edge, collected[edge]):
                collected[source] += float(share)
                visit(source)

    visit(root)
    return collected[leaf_of(root)], visits


def way_by_way(root: Any) -> tuple[float, list[str]]:
    """The same by recursion that passes on only what has just arrived."""
    collected, visits = defaultdict(float), []

    def visit(edge: Any, g: float) -> None:
        visits.append(f"{named(edge)}: {g:g}")
        collected[edge] += g
        if isinstance(edge, Node):
            for source, share in sent(edge, g):
                visit(source, float(share))

    visit(root, 1.0)
    return collected[leaf_of(root)], visits


def topological(root: Any) -> tuple[float, list[str]]:
    """The same in reverse order of creation: each value once, when its gradient is complete."""
    collected, visits = defaultdict(float, {root: 1.0}), []
    for node in reversed(ancestors([root])):
        visits.append(f"{named(node)}: {collected[node]:g}")
        for source, share in sent(node, collected[node]):
            collected[source] += float(share)
    leaf = leaf_of(root)
    return collected[leaf], [*visits, f"{named(leaf)}: {collected[leaf]:g}"]


WALKS = {
    "recursion, passing on everything": passing_on_everything,
    "recursion, way by way": way_by_way,
    "topological order": topological,
}


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
        answer, visits = walk(edge_of(c))
        rows.append([name, "\n".join(visits), len(visits), f"{answer:g}"])
        report.number(name, {"dc/da": answer, "visits": visits})
    report.table(["walk", "visits, and the gradient each had", "number", "dc/da"], rows, marked=[0])
    report.text(EXPLAINED)
    c.backward()
    report.bar("dc/da by the engine", a.grad.item(), at_least=4, at_most=4)
    report.figure("why_topological", viz.graph(c), "Two arrows where a value is used twice.", fit=False)

    report.heading("Longer chains")
    depths = (1, 2, 5, 10) if report.fast else (1, 2, 5, 10, 15)
    rows = []
    for depth in depths:
        x = tg.tensor(1.0, dtype=tg.float64, requires_grad=True)
        for _ in range(depth):
            x = x + x
        found = [walk(edge_of(x)) for walk in WALKS.values()]
        rows.append([depth, 2**depth, *(f"{answer:g} in {len(visits):,} visits" for answer, visits in found)])
    report.table(["doublings", "right", *WALKS], rows)
    report.number("chains", rows)

    deep, x = 100_000, (start := tg.tensor(1.0, requires_grad=True))
    for _ in range(deep):
        x = -x
    try:
        way_by_way(edge_of(x))
    except RecursionError as error:
        report.text(f"A chain of {deep:,} operations: recursion ends with RecursionError ({error}).")
    x.backward()
    report.text(f"The engine's walk gives {start.grad.item():g}.")
    report.number("deep", start.grad.item())
