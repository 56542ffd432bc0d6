"""`graph`: the graph of a tensor as a drawing, values and operations as distinct nodes, edges in order.

Graphviz does the layout.  Nothing recurses, node ids follow the creation order and are the same in every run.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.engine import replay
from tinygrad_edu.engine.node import Edge, Node, Output, ancestors, producer
from tinygrad_edu.engine.value import Const, Leaf, Value, array_of
from tinygrad_edu.engine.where import assigned_name, describe
from tinygrad_edu.viz import labels
from tinygrad_edu.viz.rules import local_rules

if TYPE_CHECKING:
    from tinygrad_edu.viz.digraph import Drawing

STYLES: dict[str, dict[str, str]] = {
    "operation": {"shape": "ellipse", "style": "filled", "fillcolor": "#e3dcf5", "color": "#5b3fa0", "width": "0.4"},
    "parameter": {"style": "filled,bold", "fillcolor": "#cfe4ff", "color": "#1b5fb0"},
    "input": {"style": "filled", "fillcolor": "#e6f4e1", "color": "#3d7a2a"},
    "constant": {"style": "filled,dashed", "fillcolor": "#f2f2f2", "color": "#777777"},
    "number": {"style": "filled", "fillcolor": "#f2f2f2", "color": "#bbbbbb", "width": "0.3"},
    "result": {"style": "rounded,filled", "fillcolor": "#ffffff", "color": "#444444"},
    "root": {"style": "rounded,filled", "fillcolor": "#fff0c4", "color": "#8a6100", "peripheries": "2"},
    "earlier": {"style": "filled,dashed", "fillcolor": "#ffffff", "color": "#777777"},
}
DIRECTIONS = ("LR", "RL", "TB", "BT")
FONT = "Helvetica,Arial,sans-serif"
WHOLE = {"bgcolor": "white", "fontname": FONT, "fontsize": "11", "nodesep": "0.18", "ranksep": "0.28"}
NODES = {"shape": "box", "fontname": FONT, "fontsize": "11", "margin": "0.06,0.03", "height": "0.25"}
ARROWS = {"arrowsize": "0.6", "color": "#555555", "fontname": FONT, "fontsize": "9"}


def graph(
    tensors: Any,
    *,
    names: Mapping[str, Any] | None = None,
    values: bool = True,
    gradients: bool = True,
    derivatives: bool = False,
    unnamed: bool = True,
    params: Any = None,
    max_nodes: int | None = 200,
    direction: str = "LR",
) -> Drawing:
    """Draw how a tensor (or several) was computed; works before and after `backward()`.

    names -- variable names: `names=locals()` in a function; else the variables assigned to are used
    params -- a Module, or a dict of parameters by name: their names win, and only they are coloured as parameters; the
        boxes of a Module's parts say what they are
    values, gradients -- write the entries of small arrays in the nodes, and d(result)/d(each value) where the result is
        one scalar; a leaf that has `.grad` shows that.  Both are computed again from the leaves: nothing is freed or
        accumulated, no hook is called.
    derivatives -- write the local derivative on each arrow into an operation: g is the gradient of its result, ① and ②
        are inputs without a name
    unnamed -- draw also the results that no variable was assigned to; without them the picture is smaller
    max_nodes -- of more operations, the earliest are drawn as one box that says how many; None draws all
    direction -- "LR" from left to right, "TB" from top to bottom ("RL", "BT")

    Returns a `graphviz.Digraph`: `.source` is its text, `viz.save(drawing, "graph.svg")` draws it.
    Raises TypeError for what is not a tensor, RuntimeError for a tensor without a graph, ValueError for a wrong option.

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu import viz
    >>> a = tg.tensor(3.0, requires_grad=True)
    >>> b = a + a
    >>> print(viz.graph(b, values=False, gradients=False).source.count("leaf1 -> op1"))
    2
    """
    from tinygrad_edu.viz.digraph import Drawing

    if direction not in DIRECTIONS:
        raise ValueError(f"viz.graph: direction must be one of {', '.join(DIRECTIONS)}, not {direction!r}")
    if max_nodes is not None and max_nodes < 1:
        raise ValueError(f"viz.graph: max_nodes must be at least 1, or None for all, not {max_nodes}")
    roots = edges_of(tensors)
    nodes = ancestors(roots)
    first = max(0, len(nodes) - max_nodes) if max_nodes is not None else 0
    picture = Picture(nodes[first:], roots)
    picture.names, picture.parameters = names_by_key(names, params)
    picture.kinds = kinds_of(params)
    picture.derivatives, picture.unnamed = derivatives, unnamed
    picture.compute(values, gradients)
    whole = {"rankdir": direction, **WHOLE}
    drawing = Drawing("graph", graph_attr=whole, node_attr=NODES, edge_attr=ARROWS)
    picture.draw(drawing, first)
    if picture.problem:
        drawing.attr(label=labels.plain(f"Values and gradients are not shown:\n{picture.problem}"))
    return drawing


def edges_of(tensors: Any) -> list[Edge]:
    """The edges to draw from; refuses what has no graph."""
    given = [tensors] if isinstance(tensors, Value) else list(tensors) if isinstance(tensors, Iterable) else []
    if not given or not all(isinstance(t, Value) for t in given):
        raise TypeError(f"viz.graph draws a tensor or several, not {type(tensors).__name__}")
    for tensor in given:
        if tensor._edge is None:
            raise RuntimeError(
                f"viz.graph: this tensor (shape {tensor._array.shape}, {tensor._array.dtype}) has no graph: nothing it "
                "was computed from requires grad (was requires_grad=True forgotten, or the graph left by detach(), "
                "no_grad() or numpy()?)"
            )
    return [tensor._edge for tensor in given]


def key(edge: Edge) -> Any:
    """What identifies a value however it is reached: leaves by their gradient cell, constants by their array."""
    if isinstance(edge, Leaf):
        return id(edge.cell)
    return id(edge.array) if isinstance(edge, Const) and not isinstance(edge.array, (int, float)) else edge


def names_by_key(names: Mapping[str, Any] | None, params: Any) -> tuple[dict[Any, str], set[Any] | None]:
    """The names given by the user, `params` over `names`; and which values are parameters (None: all leaves)."""
    if is_module(params):
        params = dict(params.named_parameters())
    if params is not None and not isinstance(params, Mapping):
        raise TypeError(f"viz.graph: params must be a Module or a dict of name: tensor, not {type(params).__name__}")
    given = by_key(params or {})
    return {**by_key(names or {}), **given}, None if params is None else set(given)


def kinds_of(model: Any) -> dict[str, str]:
    """The class of each part of a Module, by its name."""
    return {name: type(part).__name__ for name, part in model.named_modules()} if is_module(model) else {}


def is_module(value: Any) -> bool:
    """Whether it has parts and parameters with names."""
    return hasattr(value, "named_modules") and hasattr(value, "named_parameters")


def by_key(names: Mapping[str, Any]) -> dict[Any, str]:
    """key -> name of the tensors among these; `locals()` has more than tensors."""
    tensors = {name: tensor for name, tensor in names.items() if isinstance(tensor, Value)}
    return {id(t._array) if t._edge is None else key(t._edge): name for name, t in tensors.items()}


class Picture:
    """One drawing in the making: the ids given so far, and what belongs into each module's box."""

    def __init__(self, nodes: list[Node], roots: list[Edge]) -> None:
        self.nodes, self.roots = nodes, roots
        self.names: dict[Any, str] = {}
        self.parameters: set[Any] | None = None
        self.kinds: dict[str, str] = {}
        self.root_keys = {key(root) for root in roots}
        self.derivatives = self.unnamed = False
        self.values: dict[Any, Any] = {}
        self.gradients: dict[Any, Any] = {}
        self.problem = ""
        self.ids: dict[Any, str] = {}
        self.counts: Counter[str] = Counter()
        self.boxes: dict[tuple[str, ...], list[tuple[str, dict[str, str]]]] = {(): []}
        self.arrows: list[tuple[str, str, dict[str, str]]] = []
        self.inner = composites(nodes)
        self.made = count_made(nodes)

    def compute(self, values: bool, gradients: bool) -> None:
        """Find the values and gradients to show; where they cannot be computed again, note why."""
        try:
            known: dict[Any, Any] = {}
            for root in self.roots if values or gradients else ():
                known |= replay.values(root)
            scalar = len(self.roots) == 1 and math.prod(self.roots[0].shape) == 1
            if gradients and scalar:
                self.gradients = replay.gradients(self.roots[0], known=known)
            self.values = known if values else {}
        except (RuntimeError, NotImplementedError) as error:
            self.problem = str(error)
        for edge in {e for node in self.nodes for e in node.inputs if isinstance(e, Leaf)} if gradients else ():
            if edge.cell.grad is not None:
                self.gradients[edge] = array_of(edge.cell.grad)

    def draw(self, drawing: Drawing, earlier: int) -> None:
        """Add everything to the drawing; `earlier`: how many operations are not drawn."""
        if earlier:
            text = (
                f"{earlier:,} earlier operation{'s' if earlier > 1 else ''}, not drawn\n(max_nodes={len(self.nodes)})"
            )
            self.boxes[()].append(("earlier", {"label": labels.plain(text), **STYLES["earlier"]}))
        for place, node in enumerate(self.nodes, 1):
            self.add_operation(node, f"op{place}", place)
        for root in self.roots:
            if key(root) not in self.ids:
                self.source(root, ())
        self.write(drawing)
        for tail, head, style in self.arrows:
            drawing.edge(tail, head, **style)

    def add_operation(self, node: Node, name: str, place: int) -> None:
        """An operation, its inputs (those not drawn yet), its results, and the arrows between, in order."""
        label = labels.operation_label(node.op.name, node.static, node.op.defaults)
        style = {"label": label, "tooltip": tooltip(node), **STYLES["operation"]}
        if len(node.inputs) > 1:
            style["ordering"] = "in"
        dotted = {"style": "dotted"} if self.is_view(node) else {}
        sources = [self.source(edge, node.scope) for edge in node.inputs]
        self.boxes.setdefault(node.scope, []).append((name, style))
        names = [self.name(edge) for edge in node.inputs]
        rules = local_rules(node, names, self.name(node)) if self.derivatives else {}
        for position, source in enumerate(sources):
            text = {"label": labels.arrow_label(rules[position])} if position in rules else {}
            self.arrows.append((source, name, {**dotted, **text}))
        slots: list[Any] = [Output(node, k) for k in range(len(node.outputs))] or [node]
        for slot, edge in enumerate(slots):
            if not self.unnamed and key(edge) not in self.root_keys and self.name(edge) is None:
                self.ids[key(edge)] = name
                continue
            value = f"value{place}" + (f"_{slot}" if len(slots) > 1 else "")
            self.add_value(edge, value, node.scope)
            self.arrows.append((name, value, dotted))

    def source(self, edge: Edge, scope: tuple[str, ...]) -> str:
        """The id of an input, drawn when first met: parameters and numbers in the box that uses them."""
        known = self.ids.get(key(edge))
        if known is not None:
            return known
        kind = "leaf" if isinstance(edge, Leaf) else "const" if isinstance(edge, Const) else "early"
        self.counts[kind] += 1
        name = f"{kind}{self.counts[kind]}"
        inside = (isinstance(edge, Leaf) and self.role(edge) == "parameter") or is_number(edge)
        self.add_value(edge, name, scope if inside else ())
        if kind == "early":
            self.arrows.append(("earlier", name, {}))
        return name

    def add_value(self, edge: Edge, name: str, scope: tuple[str, ...]) -> None:
        """A value with its name, dtype and shape, entries and gradient."""
        self.ids[key(edge)] = name
        style = STYLES[self.role(edge)]
        if is_number(edge):
            style = STYLES["number"]
            label = labels.plain(labels.number(edge.array))  # type: ignore[union-attr]
        else:
            array, g = self.values.get(edge), self.gradients.get(edge)
            label = labels.value_label(self.name(edge), edge.shape, edge.dtype, array, g)
        self.boxes.setdefault(scope, []).append((name, {"label": label, **style}))

    def is_view(self, node: Node) -> bool:
        """Whether the result shares memory with the first input."""
        result, base = self.values.get(node), self.values.get(node.inputs[0])
        return isinstance(base, np.ndarray) and result is not None and np.may_share_memory(result, base)

    def role(self, edge: Edge) -> str:
        """Which style a value is drawn in."""
        if key(edge) in self.root_keys:
            return "root"
        if isinstance(edge, Leaf):
            return "parameter" if self.parameters is None or key(edge) in self.parameters else "input"
        return "constant" if isinstance(edge, Const) else "result"

    def name(self, edge: Edge) -> str | None:
        """The name given by the user, else the variable the value was assigned to."""
        given = self.names.get(key(edge))
        if given is not None:
            return given
        if isinstance(edge, (Leaf, Const)):
            alone = edge.made is not None and len(self.made.get(edge.made, ())) < 2
            return assigned_name(edge.made) if edge.made is not None and alone else None
        node = producer(edge)
        return node.name if isinstance(edge, Node) and node is not None and node not in self.inner else None

    def write(self, drawing: Drawing) -> None:
        """The nodes, in the boxes of the modules they belong to, innermost boxes first."""
        for scope in tuple(self.boxes):
            for depth in range(len(scope)):
                self.boxes.setdefault(scope[:depth], [])
        order = {scope: i for i, scope in enumerate(self.boxes)}
        inner: dict[tuple[str, ...], list[Drawing]] = {scope: [] for scope in self.boxes}
        for scope in sorted(self.boxes, key=len, reverse=True):
            box = drawing if not scope else type(drawing)(f"cluster_{order[scope]}")
            for name, style in self.boxes[scope]:
                box.node(name, **style)
            for part in inner[scope]:
                box.subgraph(part)
            if scope:
                box.attr(
                    label=labels.plain(self.box_label(scope)), style="rounded", color="#999999", fontcolor=labels.GREY
                )
                inner[scope[:-1]].append(box)

    def box_label(self, scope: tuple[str, ...]) -> str:
        """The name of a module, and its class where it is known and not the name."""
        kind = self.kinds.get(".".join(scope[1:]))
        return scope[-1] if kind in (None, scope[-1]) else f"{scope[-1]}: {kind}"


def is_number(edge: Edge) -> bool:
    """Whether this is a Python number in the user's expression."""
    return isinstance(edge, Const) and isinstance(edge.array, (bool, int, float))


def tooltip(node: Node) -> str:
    """The user's line, shown when the mouse rests on the operation."""
    return labels.escape(f"{node.op.name} at {describe(node.where)}")


def composites(nodes: list[Node]) -> set[Node]:
    """Inner steps of a function called on one line: of `m = x.mean()` only the last operation is called m.

    A step is inner when another operation of the same call uses it; the same operation is a loop coming round again.
    """
    return {
        step
        for node in nodes
        for step in map(producer, node.inputs)
        if step is not None and step.where == node.where and step.op is not node.op
    }


def count_made(nodes: list[Node]) -> dict[Any, set[Any]]:
    """Leaves and constants by the line that made them: several of one line (a Module's) have no name of their own."""
    found: dict[Any, set[Any]] = {}
    for node in nodes:
        for edge in node.inputs:
            if isinstance(edge, (Leaf, Const)) and edge.made:
                found.setdefault(edge.made, set()).add(key(edge))
    return found
