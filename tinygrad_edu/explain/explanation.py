"""One value explained: what computed it, on which line, and the local derivative of each of its inputs."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, count
from typing import Any

import numpy as np

from tinygrad_edu.engine.node import Edge, Node, edge_of, producer
from tinygrad_edu.engine.primitive import registry
from tinygrad_edu.engine.replay import edges_of
from tinygrad_edu.engine.value import Const, Leaf, Value
from tinygrad_edu.engine.where import assigned_name, describe
from tinygrad_edu.explain.chain import differentiate, key, leaves
from tinygrad_edu.explain.names import variable, variables
from tinygrad_edu.explain.simplify import simplify
from tinygrad_edu.explain.symbol import Symbol, apply
from tinygrad_edu.explain.text import people


@dataclass(frozen=True)
class Explanation:
    """What is known of a tensor.

    name         -- the variable it was assigned to, `z` if there is none
    what         -- "computed", "leaf" or "constant"
    formula      -- what computed it, in the names of its inputs; empty if it was made
    where        -- the line that computed or made it
    derivatives  -- input -> its gradient, where g is the gradient of this tensor
    """

    name: str
    what: str
    shape: tuple[int, ...]
    dtype: np.dtype
    formula: str
    where: str
    derivatives: dict[str, str]

    def __str__(self) -> str:
        kind = {"leaf": "a leaf that requires grad", "constant": "a constant: no gradient is computed for it"}
        head = f"{self.name} = {self.formula}" if self.formula else f"{self.name}: {kind[self.what]}"
        lines = [head, f"    {self.dtype} {tuple(self.shape)}, from {self.where}"]
        lines += [f"    dC/d{name} = {text}" for name, text in self.derivatives.items()]
        if self.derivatives:
            lines.append(f"    where g = dC/d{self.name}")
        return "\n".join(lines)

    __repr__ = __str__


def explain(tensor: Any) -> Explanation:
    """What computed a tensor, on which line, and the local derivative of each input that needs one.

    An `autograd.Function` has none to show: its backward is Python.

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu import explain
    >>> z = tg.tensor([0.5, -1.0], requires_grad=True)
    >>> h = tg.sigmoid(z)
    >>> print(explain.explain(h))
    h = σ(z)
        float32 (2,), from ...h = tg.sigmoid(z)
        dC/dz = g * h * (1 - h)
        where g = dC/dh
    """
    if not isinstance(tensor, Value):
        raise TypeError(f"explain() takes a tensor, not {type(tensor).__name__}")
    edge, array = edge_of(tensor), tensor._array
    if isinstance(edge, (Leaf, Const)):
        name = assigned_name(edge.made) if edge.made is not None else None
        what = "leaf" if isinstance(edge, Leaf) else "constant"
        return Explanation(name or "x", what, array.shape, array.dtype, "", describe(edge.made), {})
    node = edge if isinstance(edge, Node) else edge.node
    symbols = read(same_call(node))
    z = symbols[edge]
    is_rule = registry.get(node.op.name) is node.op
    needing = [key(s) for e, s in symbols.items() if is_rule and not isinstance(e, Const)]
    wrt = [s for s in leaves(z) if key(s) in needing]
    found = differentiate(z, Symbol("g", z.value), wrt)
    derivatives = {str(s.name): simplify(r).text() for s, r in zip(wrt, found, strict=True) if r is not None}
    formula = people.read(z, opened=True).text
    return Explanation(str(z.name), "computed", array.shape, array.dtype, formula, describe(node.where), derivatives)


def same_call(node: Node) -> list[Node]:
    """The node and the steps before it in the same call, as of `m = x.mean()`, in order."""
    found = {node}
    stack = [node]
    while stack:
        user = stack.pop()
        for step in map(producer, user.inputs):
            if step is not None and step not in found and inner(step, user):
                found.add(step)
                stack.append(step)
    return sorted(found, key=lambda step: step.seq)


def read(nodes: list[Node]) -> dict[Edge, Symbol]:
    """A symbol for every edge of these nodes; the inputs and the last result have names, what is not at hand is 0."""
    known = variables(nodes, {})
    results = edges_of(nodes[-1])
    called = {edge: known.get(edge, "z" if len(results) == 1 else f"z[{slot}]") for slot, edge in enumerate(results)}
    computed = {edge for node in nodes for edge in edges_of(node)}
    symbols: dict[Edge, Symbol] = {}
    taken = set(called.values())
    for node in nodes:
        for place, edge in enumerate(node.inputs):
            if edge in computed or edge in symbols:
                continue
            is_number = isinstance(edge, Const) and not isinstance(edge.array, np.ndarray)
            name = None if is_number else input_name(node, place, known.get(edge), taken)
            symbols[edge] = Symbol(name, example(edge))
        edges = edges_of(node)
        arrays = tuple(np.zeros(e.shape, e.dtype) for e in edges)
        made = apply(node.op, tuple(symbols[e] for e in node.inputs), node.static, arrays)
        symbols.update(zip(edges, made if isinstance(made, tuple) else (made,), strict=True))
    for edge, name in called.items():
        symbols[edge].named(name)
    return symbols


def input_name(node: Node, place: int, known: str | None, taken: set[str]) -> str:
    """The variable of an input, else its name in the primitive; all different."""
    edge = node.inputs[place]
    if known is None and isinstance(edge, Node) and not inner(edge, node):
        known = variable(edge.name)
    label = node.op.input_name(place)
    if label == node.op.variadic:
        label = f"{label}[{place - len(node.op.inputs) + 1}]"
    first = [known, f"{known}_1"] if known is not None else []
    name = next(n for n in chain(first, [label], map("x{}".format, count(1))) if n not in taken)
    taken.add(name)
    return name


def inner(step: Node, node: Node) -> bool:
    """Whether a step belongs to the same call as the node that uses it."""
    return step.where == node.where and step.op is not node.op


def example(edge: Any) -> Any:
    """An array of the right shape and dtype: the true one where it is at hand."""
    return edge.array if isinstance(edge, (Leaf, Const)) else np.zeros(edge.shape, edge.dtype)
