"""Nodes of the graph: one per recorded call, holding what its rules named and nothing else.

Edges are frozen when the call is made: a `Node` (its only output), an `Output` (one of several), a `Leaf` or a
`Const`.  A node points at what it was computed from, never at its own output tensor, so there are no cycles and a
graph is freed by reference counting alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.engine import where as places
from tinygrad_edu.engine.value import Const, Leaf, Value, constant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import CodeType

    from tinygrad_edu.engine.primitive import Plan, Primitive


class Node:
    """One recorded call.

    plan                  -- the primitive, and which of its rules will be asked: for the inputs that need a gradient
    static, inputs        -- its static parameters, the edges of its inputs
    saved                 -- arrays its rules named, one place per input and one for the output z; None once freed
    shape, dtype          -- of the output; of the first one when there are several
    seq                   -- creation order, which is a topological order
    code, instruction     -- the user's line
    scope                 -- the modules this happened in
    special               -- what few nodes have: several outputs, hooks on a gradient; None for all others
    """

    __slots__ = (
        "code",
        "dtype",
        "inputs",
        "instruction",
        "plan",
        "saved",
        "scope",
        "seq",
        "shape",
        "special",
        "static",
    )

    static: dict[str, Any]
    inputs: tuple[Any, ...]
    saved: tuple[Any, ...] | None
    plan: Plan
    shape: tuple[int, ...]
    dtype: np.dtype
    seq: int
    code: CodeType
    instruction: int
    scope: tuple[str, ...]
    special: Special | None

    @property
    def outputs(self) -> tuple[tuple[tuple[int, ...], np.dtype], ...]:
        """(shape, dtype) of each output of a node that has several; () for one that has one."""
        return self.special.outputs if self.special is not None else ()

    @property
    def op(self) -> Primitive:
        """The primitive that was called."""
        return self.plan.op

    @property
    def where(self) -> places.Where:
        """(code, instruction) of the user's line."""
        return (self.code, self.instruction)

    @property
    def name(self) -> str | None:
        """The variable the user assigned this result to."""
        return places.assigned_name(self.where)

    def __repr__(self) -> str:
        return f"<{self.op.name} {self.shape} from {places.describe(self.where)}>"


class Special:
    """What few nodes have: the (shape, dtype) of several outputs, and hooks (slot, function).

    keepers -- hooks that keep a gradient: they see it last, as the other hooks have left it
    """

    __slots__ = ("hooks", "keepers", "outputs")

    def __init__(self, outputs: tuple[tuple[tuple[int, ...], np.dtype], ...] = ()) -> None:
        self.outputs = outputs
        self.hooks: list[tuple[int, Any]] = []
        self.keepers: list[tuple[int, Any]] = []


class Output:
    """The edge of one output of a node that has several."""

    __slots__ = ("dtype", "node", "shape", "slot")

    def __init__(self, node: Node, slot: int) -> None:
        self.node = node
        self.slot = slot
        self.shape, self.dtype = node.outputs[slot]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Output) and other.node is self.node and other.slot == self.slot

    def __hash__(self) -> int:
        return hash((self.node.seq, self.slot))


Edge = Node | Output | Leaf | Const


def edge_of(value: Any) -> Edge:
    """The edge to remember for an input: where it came from, or the constant itself."""
    if isinstance(value, Value) and value._edge is not None:
        return value._edge
    return constant(value)


def tap(edge: Node | Output, hook: Any, keeper: bool = False) -> Callable[[], None]:
    """Let the walk show the gradient at an edge to `hook`; call the result to end that, once or more often."""
    node, slot = (edge.node, edge.slot) if isinstance(edge, Output) else (edge, 0)
    node.special = node.special or Special()
    hooks, entry = node.special.keepers if keeper else node.special.hooks, (slot, hook)
    hooks.append(entry)

    def remove() -> None:
        hooks[:] = [held for held in hooks if held is not entry]

    return remove


def producer(edge: Edge) -> Node | None:
    """The node behind an edge, if it was computed."""
    if isinstance(edge, Node):
        return edge
    return edge.node if isinstance(edge, Output) else None


def ancestors(roots: Iterable[Edge]) -> list[Node]:
    """All nodes the roots were computed from, in creation order (which is a topological order)."""
    found: dict[int, Node] = {}
    stack = [node for node in map(producer, roots) if node is not None]
    while stack:
        node = stack.pop()
        if node.seq in found:
            continue
        found[node.seq] = node
        stack += [n for n in map(producer, node.inputs) if n is not None and n.seq not in found]
    return [found[seq] for seq in sorted(found)]
