"""Plans: what a node with a given pattern of inputs keeps, and how the walk pulls gradients through it.

The pull on arrays is written out as source, once per plan, because it runs once per node and step; print it:

    >>> from tinygrad_edu import ops
    >>> print(ops.mul.plan(1, 2).source)
    def pull(node, g, table, owned):
        s, edges = node.saved, node.inputs
        e = edges[0]
        r = g * s[1]
        if e.shape != node.shape or r.dtype is not e.dtype:
            r = checked(r, e, node, True)
        table[e] = table[e] + r if e in table else r
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.engine.errors import wrong_gradient
from tinygrad_edu.engine.rule import Bound, Rule, fetch, slot_of
from tinygrad_edu.engine.value import Leaf, Value

if TYPE_CHECKING:
    from tinygrad_edu.engine.node import Edge, Node
    from tinygrad_edu.engine.primitive import Primitive

Table = dict[Any, Any]
"""Gradients waiting to be used, by edge."""

Pull = Callable[[Any, Any, Table, Table], None]
"""(node, g, table, owned): `owned` holds the buffers of the table that the walk made itself and may write into."""


class Plan:
    """What one pattern of inputs that need a gradient asks for.

    op      -- the primitive
    keep    -- which inputs, and (last) whether the output z, the rules name; `keeps`: whether there is any
    slots   -- which of several outputs, when the rules name those alone; None: all
    pulls   -- (input position, rule, bound rule): asked when the gradients are tensors
    pull    -- adds the gradients of all inputs into a table when they are arrays, with the kernels of rules that
               have them; `source` is its text
    """

    __slots__ = ("keep", "keeps", "op", "pull", "pulls", "slots", "source")

    def __init__(self, op: Primitive, needs: tuple[int, ...], count: int) -> None:
        self.op = op
        self.pulls: list[tuple[int, Rule, Bound]] = []
        first = len(op.inputs) - (op.variadic is not None)
        names: set[str] = set()
        body: list[str] = []
        scope: dict[str, Any] = {
            "ndarray": np.ndarray,
            "mask": np.dtype(bool),
            "times": times,
            "checked": checked,
        }
        scope.update(buffer_for=buffer_for, Leaf=Leaf)
        fused = op.fused if op.fused and any(op.input_name(i) in op.fused[0] for i in needs) else None
        if fused:
            names.update(inspect.signature(fused[1]).parameters)
            scope["fused"] = fused[1]
            body += self.write_fused(op, fused, needs)
        for i in needs:
            rule = op.rules[op.input_name(i)]
            self.pulls.append((i, rule, rule.bound(i - first)))
            names.update(rule.reads())
            if fused is None or rule.input not in fused[0]:
                fn = rule.into or rule.fn
                names.update(rule.reads(fn))
                scope[f"rule_{i}"] = fn
                body += write_pull(op, rule, i, i - first)
        self.slots = None if "z" in names else {k for k in (slot_of(op, name) for name in names) if k is not None}
        self.keep = (*(op.input_name(i) in names for i in range(count)), "z" in names or bool(self.slots))
        self.keeps = any(self.keep)
        head = ["def pull(node, g, table, owned):", "    s, edges = node.saved, node.inputs"]
        self.source = "\n".join(head + ["    " + line for line in body])
        exec(compile(self.source, f"<pull of {op.name}>", "exec"), scope)
        self.pull: Pull = scope["pull"]

    def kept(self, outputs: tuple[Any, ...]) -> Any:
        """What is saved of several outputs: all of them, or those the rules name and None for the others."""
        if not self.keep[-1]:
            return None
        return outputs if self.slots is None else tuple(z if k in self.slots else None for k, z in enumerate(outputs))

    @staticmethod
    def write_fused(op: Primitive, fused: Any, needs: tuple[int, ...]) -> list[str]:
        """One call of a kernel that gives several gradients at once."""
        inputs, fn = fused
        parts = [f"r_{op.inputs.index(n)}" for n in inputs]
        asked = repr(tuple(op.inputs.index(n) in needs for n in inputs))
        names = inspect.signature(fn).parameters
        arguments = ", ".join(asked if name == "needs" else fetch(op, name) for name in names)
        lines = [f"{', '.join(parts)} = fused({arguments})"]
        for i in (op.inputs.index(n) for n in inputs):
            if i in needs:
                lines += [
                    f"e, r = edges[{i}], r_{i}",
                    "if r.shape != e.shape or r.dtype is not e.dtype:",
                    f"    r = checked(r, e, node, {op.broadcasts})",
                    "table[e] = table[e] + r if e in table else r",
                ]
        return lines


def write_pull(op: Primitive, rule: Rule, i: int, position: int) -> list[str]:
    """The lines that ask one rule and add its answer to the table."""
    fn = rule.into or rule.fn
    arguments = ", ".join(fetch(op, name, position) for name in rule.reads(fn))
    if rule.into:
        lines = [f"rule_{i}({arguments.replace('buffer', 'buffer_for(table, owned, e)')})"]
    else:
        if rule.constant == 1:
            lines = ["r = g"]
        elif rule.constant is not None:
            lines = ["r = -g" if rule.constant == -1 else f"r = g * {rule.constant!r}"]
        elif rule.kind == "slope":
            if rule.returns_its_argument() and not masks(op):
                lines = [f"r = g * {arguments}"]
            else:
                lines = [
                    f"k = rule_{i}({arguments})",
                    "r = g * k if k.__class__ is ndarray and k.dtype is not mask else times(g, k)",
                ]
        else:
            lines = [f"r = rule_{i}({arguments})"]
        if rule.kind == "slope":
            test = "e.shape != node.shape" + ("" if rule.constant is not None else " or r.dtype is not e.dtype")
        else:
            test = "r.shape != e.shape or r.dtype is not e.dtype"
        lines += [
            f"if {test}:",
            f"    r = checked(r, e, node, {rule.kind == 'slope' or op.broadcasts})",
            "table[e] = table[e] + r if e in table else r",
        ]
    return [f"e = edges[{i}]", *lines]


def masks(op: Primitive) -> bool:
    """Whether an input of an elementwise primitive is boolean (or could be: its domain does not say)."""
    return not isinstance(op.domain, tuple) or any(domain.boolean for domain in op.domain)


def times(g: Any, slope: Any) -> Any:
    """g * slope; a boolean slope selects, so that an infinite g at a masked place gives 0, as in PyTorch."""
    from tinygrad_edu.engine.basis import where

    if getattr(slope, "dtype", None) == np.bool_:
        return np.where(slope, g, 0) if g.__class__ is np.ndarray is slope.__class__ else where(slope, g, 0)
    if isinstance(slope, (int, float)):
        return g if slope == 1 else -g if slope == -1 else g * slope
    return g * slope


def fit(g: Any, shape: tuple[int, ...]) -> Any:
    """Bring a gradient to the shape of its input: sum over what was broadcast, spread what was constant."""
    from tinygrad_edu.engine.basis import expand, sum_to

    op = sum_to if g.ndim >= len(shape) else expand
    # within a walk on arrays there is nothing to record, and silence already
    return op.forward(g, shape=shape) if g.__class__ is np.ndarray else op(g, shape=shape)


def checked(r: Any, edge: Edge, node: Node, broadcasts: bool) -> Any:
    """The gradient in the shape and the dtype of its input: summed if broadcast, refused if it is something else."""
    from tinygrad_edu.engine.basis import cast

    if not isinstance(r, (np.ndarray, Value)):
        r = np.asarray(r)
    if r.shape != edge.shape:
        if not broadcasts:
            raise wrong_gradient(node, r.shape, edge.shape)
        r = fit(r, edge.shape)
    return r if r.dtype == edge.dtype else cast(r, dtype=edge.dtype)


def add(table: Table, edge: Edge, g: Any) -> None:
    """Add one contribution to the gradient of an edge; never writes into `g` or into what it is added to."""
    table[edge] = table[edge] + g if edge in table else g


def buffer_for(table: Table, owned: Table, edge: Edge) -> np.ndarray:
    """The buffer an `into` rule adds to: one per edge, instead of an array of zeros per slice."""
    old = table.get(edge)
    buffer = owned.get(edge)
    if buffer is None or buffer is not old:
        buffer = np.zeros(edge.shape, edge.dtype)
        if old is not None:
            buffer += old
        owned[edge] = table[edge] = buffer
    return buffer
