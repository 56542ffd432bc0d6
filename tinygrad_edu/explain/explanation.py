"""One value explained: what computed it, on which line, and the local derivative of each of its inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.engine.node import Node, edge_of
from tinygrad_edu.engine.replay import edges_of
from tinygrad_edu.engine.value import Const, Leaf, Value
from tinygrad_edu.engine.where import assigned_name, describe
from tinygrad_edu.explain.chain import pull
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
    """What computed a tensor, on which line, and the local derivative of each input.

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
    edge = edge_of(tensor)
    array = tensor._array
    if isinstance(edge, (Leaf, Const)):
        name = assigned_name(edge.made) if edge.made is not None else None
        what = "leaf" if isinstance(edge, Leaf) else "constant"
        return Explanation(name or "x", what, array.shape, array.dtype, "", describe(edge.made), {})
    node = edge if isinstance(edge, Node) else edge.node
    result, found = local(node)
    z = result if isinstance(edge, Node) else Symbol(value=array, call=result.call, slot=edge.slot)
    formula = people.read(z, opened=True).text
    derivatives = {name: s.text() for name, s in found.items()}
    return Explanation(
        result.name or "z", "computed", array.shape, array.dtype, formula, describe(node.where), derivatives
    )


def local_derivative(node: Node, position: int) -> str:
    """The local derivative of one input of a node as text, with g for the gradient of its result; empty without one."""
    _, found = local(node, position)
    return next((s.text() for s in found.values()), "")


def local(node: Node, position: int | None = None) -> tuple[Symbol, dict[str, Symbol]]:
    """(the result as a symbol, the gradient of each input, or of the one at `position`, by the name of the input)."""
    known = variables([node], {})
    edges = edges_of(node)
    names: dict[Any, str] = {}
    for place, edge in enumerate(node.inputs):
        own = known.get(edge) or (variable(edge.name) if isinstance(edge, Node) else None)
        if edge in names or (isinstance(edge, Const) and not isinstance(edge.array, np.ndarray)):
            continue
        names[edge] = own if own and own not in names.values() else _label(node, place)
    inputs = tuple(Symbol(names.get(edge), _example(edge)) for edge in node.inputs)
    arrays = tuple(np.zeros(edge.shape, edge.dtype) for edge in edges)
    made = apply(node.op, inputs, node.static, arrays)
    results = made if isinstance(made, tuple) else (made,)
    label = known.get(edges[0]) or "z"
    label = "z" if label in names.values() else label
    for slot, result in enumerate(results):
        result.named(label if len(results) == 1 else f"{label}[{slot}]")
    g = tuple(Symbol("g" if len(results) == 1 else f"g[{k}]", r.value) for k, r in enumerate(results))
    carried = tuple(part for k, part in enumerate(g) if k not in node.op.auxiliary)
    several = node.op.outputs != 1
    call = results[0].call
    found: dict[str, Symbol] = {}
    wanted = None if position is None else {("name", inputs[position].name)}
    for given, r in pull(call, carried if several else carried[0], made, wanted):
        if given.name is not None:
            found[given.name] = simplify(found[given.name] + r if given.name in found else r)
    return results[0], found


def _label(node: Node, place: int) -> str:
    """The name of an input in the primitive itself."""
    name = node.op.input_name(place)
    return f"{name}[{place - len(node.op.inputs) + 1}]" if name == node.op.variadic else name


def _example(edge: Any) -> Any:
    """An array of the right shape and dtype: the true one where it is at hand."""
    return edge.array if isinstance(edge, (Leaf, Const)) else np.zeros(edge.shape, edge.dtype)
