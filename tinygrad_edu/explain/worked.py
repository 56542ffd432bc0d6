"""Reading (iv): a graph worked out on paper, every step with its formula, its numbers and its result.

The values are replayed from the leaves, then every value people would name becomes a symbol with its number, and the
rules are run on these symbols: what is printed is what the rules say, and the numbers are what they give.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.engine.node import Edge, Node, ancestors
from tinygrad_edu.engine.replay import edges_of, values
from tinygrad_edu.engine.value import Const, Leaf, Value
from tinygrad_edu.explain.chain import Key, differentiate, key, leaves
from tinygrad_edu.explain.names import Fresh, given_names, sources_of, variables
from tinygrad_edu.explain.paper import Paper, Step
from tinygrad_edu.explain.simplify import simplify
from tinygrad_edu.explain.symbol import Symbol, apply

HIDDEN = ("reshape", "cast", "expand", "copy")
"""What moves numbers without changing them; it is not written unless it has a line of its own."""

REPEATABLE = 3
"""From so many operations on, an expression gets a name if a derivative is written in it."""


class Worked:
    """The worked derivation: `print` it, `.latex()` it, or take `.steps` (by name: `worked["dC/dw5"].value`)."""

    def __init__(self, steps: list[Step], paper: Paper) -> None:
        self.steps = steps
        self.paper = paper

    def __getitem__(self, name: str) -> Step:
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(f"no step is called {name!r}: {', '.join(step.name for step in self.steps)}")

    def __str__(self) -> str:
        return self.paper.text(self.steps)

    __repr__ = __str__

    def latex(self) -> str:
        """An `align*` environment, one line for each step."""
        lines = [step.latex for step in self.steps]
        return r"\begin{align*}" + "\n" + " \\\\\n".join(lines) + "\n" + r"\end{align*}"

    def _repr_latex_(self) -> str:
        return self.latex()


def worked(loss: Any, names: Any = None, *, digits: int = 4, longest: int = 16) -> Worked:
    """Work out a scalar on paper: its value step by step, then its gradients step by step, by the chain rule.

    Works before and after `backward()`, until a leaf is changed in place.  Values are called by the variables they were
    assigned to; others are written out where they are used, or called z1, z2, ... when they are used more than once,
    when a derivative is written in them, or when the line would get too long.

    names   -- other names: a dict of tensors by name (`locals()`), or a Module
    digits  -- significant digits of the numbers shown
    longest -- the most operations in one line

    Raises RuntimeError when loss is not a single number that requires grad, or when what it was computed from has been
    changed since; NotImplementedError for an `autograd.Function`, whose backward is Python and not a rule.

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu import explain
    >>> w = tg.tensor(0.4, requires_grad=True)
    >>> x = tg.tensor(3.0)
    >>> z = w * x + 1
    >>> y = tg.sigmoid(z)
    >>> print(explain.worked(y))
    given
      w = 0.4
      x = 3   (constant)
    forward
      z = w * x + 1 = 0.4 * 3 + 1 = 2.2
      y = σ(z) = σ(2.2) = 0.9002
    backward
      dy/dy = 1
      dy/dz = y * (1 - y) = 0.9002 * (1 - 0.9002) = 0.0898
      dy/dw = dy/dz * x = 0.0898 * 3 = 0.2694
    """
    root = root_of(loss)
    nodes = ancestors([root])
    given = given_names(names)
    known = values(root)
    called = variables(nodes, given)
    called = {**called, **made_up(nodes, root, called, longest)}
    symbols = symbols_of(nodes, known, called)
    paper = Paper(digits, HIDDEN)
    steps = [*given_steps(nodes, symbols, paper), *forward_steps(nodes, symbols, paper)]
    steps += backward_steps(symbols[root], nodes, symbols, paper)
    return Worked(steps, paper)


def root_of(loss: Any) -> Edge:
    """The edge of a single number that requires grad."""
    if not isinstance(loss, Value):
        raise TypeError(f"worked() takes a tensor, not {type(loss).__name__}")
    if loss._edge is None or isinstance(loss._edge, Leaf):
        raise RuntimeError(
            "worked(): this tensor was not computed from anything that requires grad, so there is nothing to work out: "
            "give the loss, and requires_grad=True to what its gradient is wanted for"
        )
    if loss._array.size != 1:
        raise RuntimeError(
            f"worked(): the derivation starts from a single number, and this tensor has shape {loss._array.shape}: "
            "reduce it with sum() or mean()"
        )
    return loss._edge


def made_up(nodes: list[Node], root: Edge, called: dict[Edge, str], longest: int) -> dict[Edge, str]:
    """Names for values without one that need a line of their own, and for leaves and arrays without one."""
    fresh = Fresh(called.values())
    found: dict[Edge, str] = {}
    for edge in sources_of(nodes):
        if edge not in called and (isinstance(edge, Leaf) or np.ndim(edge.array)):
            found[edge] = fresh("w" if isinstance(edge, Leaf) else "c")
    if root not in called:
        found[root] = "C" if "C" not in fresh.taken else fresh("C")
    lines = own_lines(nodes, {**called, **found}, longest)
    return {**found, **{edge: fresh("z") for edge in lines}}


def own_lines(nodes: list[Node], named: dict[Edge, str], longest: int) -> list[Edge]:
    """The values without a name that are not written out where they are used, in order."""
    uses = Counter(edge for node in nodes for edge in node.inputs)
    length: dict[Edge, int] = {}
    chosen: set[Edge] = set()
    for node in nodes:
        parts = {edge: length[edge] for edge in node.inputs if edge in length and edge not in named}
        hidden = node.op.name in HIDDEN
        repeated = {edge for edge, kept in zip(node.inputs, node.plan.keep, strict=False) if kept}
        for edge in sorted(parts, key=lambda edge: parts[edge], reverse=True):
            too_long = sum(parts.values()) >= longest or (edge in repeated and parts[edge] >= REPEATABLE)
            if too_long and parts[edge] and not hidden:
                chosen.add(edge)
                parts[edge] = 0
        keeps_output = node.plan.keep[-1] and not node.outputs
        for edge in edges_of(node):
            length[edge] = sum(parts.values()) + (not hidden)
            if edge not in named and not hidden and (uses[edge] > 1 or keeps_output):
                chosen.add(edge)
            if edge in chosen:
                length[edge] = 0
    return [edge for node in nodes for edge in edges_of(node) if edge in chosen]


def symbols_of(nodes: list[Node], known: dict[Edge, Any], called: dict[Edge, str]) -> dict[Edge, Symbol]:
    """A symbol for every edge, with its number, named where it has a line of its own."""
    found: dict[Edge, Symbol] = {}
    for node in nodes:
        for edge in node.inputs:
            if isinstance(edge, (Leaf, Const)) and edge not in found:
                found[edge] = Symbol(called.get(edge), edge.array)
        edges = edges_of(node)
        arrays = tuple(known[edge] for edge in edges)
        results = apply(node.op, tuple(found[edge] for edge in node.inputs), node.static, arrays)
        for edge, symbol in zip(edges, results if isinstance(results, tuple) else (results,), strict=True):
            found[edge] = symbol.named(called[edge]) if edge in called else symbol
    return found


def given_steps(nodes: list[Node], symbols: dict[Edge, Symbol], paper: Paper) -> Iterator[Step]:
    """One for each leaf and constant with a name."""
    for edge in sources_of(nodes):
        symbol = symbols[edge]
        if symbol.name is not None:
            note = "constant" if isinstance(edge, Const) else ""
            yield paper.step("given", symbol.name, None, symbol.value, note)


def forward_steps(nodes: list[Node], symbols: dict[Edge, Symbol], paper: Paper) -> Iterator[Step]:
    """One for each computed value with a name."""
    for node in nodes:
        for edge in edges_of(node):
            symbol = symbols[edge]
            if symbol.name is not None:
                yield paper.step("forward", symbol.name, symbol, symbol.value)


def backward_steps(root: Symbol, nodes: list[Node], symbols: dict[Edge, Symbol], paper: Paper) -> Iterator[Step]:
    """The gradient of each value with a name, latest first; a leaf right after the last line that needs it."""
    needs = {key(symbols[e]) for node in nodes for e in (*node.inputs, *edges_of(node)) if not isinstance(e, Const)}
    lines = [s for node in nodes for s in map(symbols.__getitem__, edges_of(node)) if s.name is not None]
    parts: dict[Key, list[Symbol]] = {key(root): [Symbol(value=np.ones_like(root.value))]}
    waiting = Counter(key(leaf) for line in lines for leaf in leaves(line) if key(leaf) in needs)
    for line in reversed(lines):
        upstream: Any = None
        if key(line) in parts:
            step = gradient_step(root, line, parts[key(line)], paper)
            yield step
            upstream = Symbol(step.name, step.value) if line is not root else parts[key(root)][0]
        wrt = [leaf for leaf in leaves(line) if key(leaf) in needs]
        found = differentiate(line, upstream, wrt) if upstream is not None else [None] * len(wrt)
        for leaf, g in zip(wrt, found, strict=True):
            if g is not None:
                parts.setdefault(key(leaf), []).append(simplify(g))
            waiting[key(leaf)] -= 1
            if not waiting[key(leaf)] and leaf.call is None and key(leaf) in parts:
                yield gradient_step(root, leaf, parts[key(leaf)], paper)


def gradient_step(root: Symbol, of: Symbol, parts: list[Symbol], paper: Paper) -> Step:
    """dC/d(of): the sum of what came back along every way it was used."""
    total: Any = parts[0]
    for part in parts[1:]:
        total = total + part
    return paper.step("backward", f"d{root.name}/d{of.name}", total, total.value, summed_over(total))


def summed_over(total: Symbol) -> str:
    """In words: along which axes broadcasting repeated a value, so that its gradient is a sum."""
    axes: set[int] = set()
    stack = [total]
    while stack:
        symbol = stack.pop()
        if symbol.call is None or symbol.name is not None:
            continue
        stack += symbol.call.inputs
        if symbol.call.op is ops.sum_to:
            before, after = symbol.call.inputs[0].shape, symbol.shape
            lead = len(before) - len(after)
            axes |= {i for i, n in enumerate(before) if i < lead or (n != 1 and after[i - lead] == 1)}
    if not axes:
        return ""
    where = f"axis {min(axes)}" if len(axes) == 1 else f"axes {', '.join(map(str, sorted(axes)))}"
    return f"summed over {where}, which broadcasting repeated"
