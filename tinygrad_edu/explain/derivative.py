"""Reading (iii) of a rule: the local derivative of a primitive, or of a whole function, as an expression."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.engine.primitive import Primitive, registry
from tinygrad_edu.explain.chain import differentiate, pull
from tinygrad_edu.explain.examples import example
from tinygrad_edu.explain.latex import escaped, latex, latex_name
from tinygrad_edu.explain.named import static_named
from tinygrad_edu.explain.simplify import simplify
from tinygrad_edu.explain.symbol import Symbol, apply, symbol, symbol_of
from tinygrad_edu.explain.text import people


@dataclass(frozen=True, eq=False)
class Derivative:
    """The derivative of z = name(inputs), as expressions in the inputs, the output z and its gradient g = dC/dz.

    gradients  -- input -> dC/d(input), None for an input without a gradient
    """

    name: str
    formula: Symbol
    result: str
    gradients: dict[str, Symbol | None]

    @property
    def text(self) -> dict[str, str]:
        """Input -> its gradient as people write it."""
        return {name: "no gradient" if s is None else s.text() for name, s in self.gradients.items()}

    @property
    def latex(self) -> dict[str, str]:
        """Input -> its gradient as LaTeX."""
        return {name: r"\text{no gradient}" if s is None else s.latex() for name, s in self.gradients.items()}

    def __str__(self) -> str:
        head = f"{self.name}: {self.result} = {people.read(self.formula, opened=True).text}"
        if all(s is None for s in self.gradients.values()):
            return f"{head}\n    no gradient"
        lines = [f"    {self.of(name)} = {s}" for name, s in self.gradients.items() if s is not None]
        without = [name for name, s in self.gradients.items() if s is None]
        return "\n".join([head, *lines, *(f"    no gradient for {name}" for name in without)])

    __repr__ = __str__

    def of(self, name: str) -> str:
        """What a gradient is called: `dC/dx` for the input of a primitive, `df/dx` for the parameter of a function."""
        return f"d{'C' if self.result == 'z' else self.result}/d{name}"

    def _repr_latex_(self) -> str:
        lines = [f"{self.result} &= {latex.read(self.formula, opened=True).text}"]
        lines += [f"{latex_name(self.of(name))} &= {s.latex()}" for name, s in self.gradients.items() if s is not None]
        return r"\begin{align*}" + "\n" + " \\\\\n".join(lines) + "\n" + r"\end{align*}"


def derivative(what: Any, *, shapes: Mapping[str, tuple[int, ...]] | None = None) -> Derivative:
    """The derivative of a primitive (or its name), or of a function of symbols.

    For a primitive the gradients are written in its inputs, its output z, and g, the gradient of z.  A function is
    written with operators and `tinygrad_edu.ops`; its parameters stand for single numbers unless `shapes` are given.

    >>> from tinygrad_edu import explain, ops
    >>> explain.derivative("mul")
    mul: z = x * y
        dC/dx = g * y
        dC/dy = g * x
    >>> explain.derivative(ops.sigmoid).text["x"]
    'g * z * (1 - z)'
    >>> def f(x, y):
    ...     return (ops.sigmoid(x) - y) ** 2
    >>> explain.derivative(f)
    f: f = (σ(x) - y) ** 2
        df/dx = 2 * (σ(x) - y) * σ(x) * (1 - σ(x))
        df/dy = -2 * (σ(x) - y)
    """
    if isinstance(what, str):
        what = primitive_named(what)
    if isinstance(what, Primitive):
        return of_primitive(what)
    if not callable(what):
        raise TypeError(
            f"derivative() takes a primitive, its name, or a function of symbols, not {type(what).__name__}"
        )
    value, parameters = called(what, shapes)
    found = gradients_of(value, parameters)
    name = getattr(what, "__name__", "f")
    name = name if name.isidentifier() else "f"
    return Derivative(name, value, name, {p.name or "": g for p, g in zip(parameters, found, strict=True)})


def gradient(
    f: Callable[..., Any], *wrt: str, shapes: Mapping[str, tuple[int, ...]] | None = None, simplified: bool = True
) -> Any:
    """df/d(parameter) as a symbol: one for each name in `wrt` (all parameters when there is none), a tuple if several.

    The parameters of `f` stand for single numbers unless `shapes` gives them a shape; where f is not a single number,
    the gradient is that of sum(g * f).  Name an intermediate value with `.named("ŷ")` and the result is written in it.

    >>> from tinygrad_edu import explain, ops
    >>> def loss(x, y):
    ...     yhat = ops.sigmoid(x).named("yhat")
    ...     return -(y * ops.log(yhat) + (1 - y) * ops.log(1 - yhat))
    >>> explain.gradient(loss, "x")
    yhat - y
    >>> explain.gradient(lambda x: ops.tanh(3 * x))
    3 * (1 - tanh(3 * x) ** 2)
    """
    value, parameters = called(f, shapes)
    known = [p.name for p in parameters]
    unknown = [name for name in wrt if name not in known]
    if unknown:
        raise ValueError(f"gradient: the function has no parameter {unknown[0]!r}, only {', '.join(map(str, known))}")
    chosen = [parameters[known.index(name)] for name in wrt] if wrt else parameters
    found = gradients_of(value, chosen, simplified)
    return found[0] if len(found) == 1 else tuple(found)


def table(format: str = "markdown") -> str:
    """All registered primitives with their derivatives, as a Markdown (or LaTeX) table.

    >>> from tinygrad_edu import explain
    >>> print(next(row for row in explain.table().splitlines() if "`add`" in row))
    | `add` | `z = x + y` | `dC/dx = g`, `dC/dy = g` |
    """
    if format not in ("markdown", "latex"):
        raise ValueError(f"table: the format must be 'markdown' or 'latex', not {format!r}")
    read = [of_primitive(op) for _, op in sorted(registry.items())]
    if format == "markdown":
        rows = [f"| `{d.name}` | `{_escaped(f'z = {d.formula}')}` | {_cell(d)} |" for d in read]
        return "\n".join(["| primitive | forward | gradients (g = dC/dz) |", "| --- | --- | --- |", *rows])
    rows = [rf"{escaped(d.name)} & $z = {latex.read(d.formula, opened=True).text}$ & {_latex_cell(d)} \\" for d in read]
    return "\n".join([r"\begin{tabular}{lll}", *rows, r"\end{tabular}"])


def _cell(d: Derivative) -> str:
    shown = [f"`{d.of(name)} = {text}`" for name, text in d.text.items() if d.gradients[name] is not None]
    return _escaped(", ".join(shown)) or "none"


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


def _latex_cell(d: Derivative) -> str:
    shown = [f"${latex_name(d.of(name))} = {t}$" for name, t in d.latex.items() if d.gradients[name] is not None]
    return ", ".join(shown) or "none"


def primitive_named(name: str) -> Primitive:
    """The registered primitive of that name."""
    if name not in registry:
        near = difflib.get_close_matches(name, registry, 3)
        hint = f": did you mean {' or '.join(near)}?" if near else ", see tinygrad_edu.explain.table()"
        raise ValueError(f"there is no primitive {name!r}{hint}")
    return registry[name]


def of_primitive(op: Primitive) -> Derivative:
    """The derivative of one primitive: its rules, run on symbols."""
    arrays, static = example(op)
    inputs = tuple(Symbol(name, array) for name, array in arrays.items())
    outputs = apply(op, inputs, {name: static_named(name, value) for name, value in static.items()})
    several = op.outputs != 1
    first = outputs[0] if several else outputs
    written = Symbol(value=first.value, call=first.call, slot=None)
    names = [f"z[{k}]" for k in range(len(outputs))] if several else ["z"]
    zs = [o.named(name) for o, name in zip(outputs if several else (outputs,), names, strict=True)]
    upstream = [upstream_of(z) for k, z in enumerate(zs) if k not in op.auxiliary]
    found: dict[str, Symbol | None] = dict.fromkeys(arrays)
    g: Any = tuple(upstream) if several else upstream[0]
    for given, r in pull(first.call, g, tuple(zs) if several else zs[0]):
        found[str(given.name)] = simplify(r)
    return Derivative(op.name, written, "z", found)


def upstream_of(z: Symbol) -> Symbol:
    """g, or g[1] for the second of several outputs."""
    return Symbol(str(z.name).replace("z", "g", 1), z.value)


def called(f: Callable[..., Any], shapes: Mapping[str, tuple[int, ...]] | None) -> tuple[Symbol, list[Symbol]]:
    """(what f computes, the symbols it was called with)."""
    shapes = shapes or {}
    names = [p.name for p in inspect.signature(f).parameters.values() if p.default is p.empty]
    wrong = [name for name in shapes if name not in names]
    if wrong:
        raise ValueError(f"shapes: the function has no parameter {wrong[0]!r}, only {', '.join(names)}")
    parameters = [symbol(name, shapes.get(name, ())) for name in names]
    try:
        value = f(*parameters)
    except TypeError as error:
        if "must be Tensor" not in str(error):
            raise
        raise TypeError(
            f"{error}; a function that is to be read uses operators and tinygrad_edu.ops, which take symbols"
        ) from error
    return symbol_of(value), parameters


def gradients_of(value: Symbol, wrt: list[Symbol], simplified: bool = True) -> list[Symbol]:
    """d(value)/d(each); 0 where value does not depend on it."""
    upstream = Symbol("g", value.value) if value.ndim else Symbol(value=np.ones((), value.dtype))
    found = [symbol_of(0) if g is None else g for g in differentiate(value, upstream, wrt)]
    return [simplify(g) for g in found] if simplified else found
