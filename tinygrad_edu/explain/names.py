"""What the values of a graph are called: by the user's variables, else w1, c1, z1 ..."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tinygrad_edu.engine.node import Edge, Node, edge_of, producer
from tinygrad_edu.engine.replay import edges_of
from tinygrad_edu.engine.value import Const, Leaf, Value
from tinygrad_edu.engine.where import assigned_name


def given_names(names: Any) -> dict[Edge, str]:
    """The names a user gave: name -> tensor (as in `locals()`), tensor -> name, or a Module with parameters."""
    if names is None:
        return {}
    if hasattr(names, "named_parameters"):
        names = dict(names.named_parameters())
    if not isinstance(names, Mapping):
        raise TypeError(
            f"names must be a dict of tensors by name (locals(), say) or a Module, not {type(names).__name__}"
        )
    pairs = [(b, a) if isinstance(b, Value) else (a, b) for a, b in names.items()]
    return {edge_of(tensor): str(name) for tensor, name in pairs if isinstance(tensor, Value)}


def inner_steps(nodes: Sequence[Node]) -> set[Node]:
    """Steps inside of one call, as of `m = x.mean()`: another operation of the same call uses their result.

    The same operation using it is a loop that came round again.
    """
    return {
        step
        for node in nodes
        for step in map(producer, node.inputs)
        if step is not None and step.where == node.where and step.op is not node.op
    }


def variables(nodes: Sequence[Node], given: Mapping[Edge, str]) -> dict[Edge, str]:
    """The names users know: given ones, and variables that results were assigned to; all different.

    Of several values of one variable the last keeps the name, the earlier ones are numbered.
    """
    sources = sources_of(nodes)
    shared = Counter(edge.made for edge in sources if edge.made is not None)
    found: dict[Edge, str] = {}
    for edge in sources:
        made = edge.made if edge.made is not None and shared[edge.made] == 1 else None
        name = given.get(edge) or (variable(assigned_name(made)) if made is not None else None)
        if name:
            found[edge] = name
    inner = inner_steps(nodes)
    for node in nodes:
        own = variable(node.name) if not node.outputs and node not in inner else None
        for edge in edges_of(node):
            name = given.get(edge) or own
            if name:
                found[edge] = name
    return numbered(found, set(given.values()))


def variable(name: str | None) -> str | None:
    """The name, unless a tool that rewrites code made it up."""
    return name if name is not None and name.isidentifier() else None


def sources_of(nodes: Sequence[Node]) -> list[Leaf | Const]:
    """The leaves and constants (numbers aside), in the order they are used."""
    found: dict[Any, None] = {}
    for node in nodes:
        for edge in node.inputs:
            if isinstance(edge, Leaf) or (isinstance(edge, Const) and not isinstance(edge.array, (int, float))):
                found.setdefault(edge)
    return list(found)


def numbered(names: dict[Edge, str], fixed: set[str]) -> dict[Edge, str]:
    """All different: h_1, h_2, ..., and h for the last."""
    groups: dict[str, list[Edge]] = {}
    for edge, name in names.items():
        groups.setdefault(name, []).append(edge)
    fresh = Fresh({*groups, *fixed})
    for name, edges in groups.items():
        for edge in edges[:-1]:
            names[edge] = fresh(f"{name}_")
    return names


class Fresh:
    """Gives stem1, stem2, ..., leaving out the names that are taken."""

    def __init__(self, taken: Iterable[str]) -> None:
        self.taken = set(taken)
        self.used: Counter[str] = Counter()

    def __call__(self, stem: str) -> str:
        while True:
            self.used[stem] += 1
            name = f"{stem}{self.used[stem]}"
            if name not in self.taken:
                self.taken.add(name)
                return name
