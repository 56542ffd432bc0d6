"""Symbols: what a rule is fed with to be read instead of computed.

A symbol is a name, a number, or a primitive applied to symbols.  Running any rule on symbols builds the expression of
the local derivative.  Every symbol also carries a value (an example, or the true number of a worked step), so Python
code in a rule that looks at shapes and dtypes runs as always.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import count
from typing import Any, TypeVar

import numpy as np

from tinygrad_edu import kernels, ops
from tinygrad_edu.engine.primitive import Primitive
from tinygrad_edu.explain.named import dtype_named, plain, shape_named

T = TypeVar("T")

_clock = count(1)


class Call:
    """A primitive applied to symbols.  Rules find here what they find in a node: static, inputs, shape, dtype."""

    __slots__ = ("arrays", "inputs", "op", "seq", "static")

    def __init__(
        self, op: Primitive, inputs: tuple[Symbol, ...], static: dict[str, Any], arrays: tuple[Any, ...]
    ) -> None:
        self.op = op
        self.inputs = inputs
        self.static = static
        self.arrays = arrays
        self.seq = next(_clock)

    @property
    def shape(self) -> Any:
        """Of the (first) output."""
        return shape_named(np.shape(self.arrays[0]), lambda: "z")

    @property
    def dtype(self) -> np.dtype:
        """Of the (first) output."""
        return dtype_named(self.arrays[0].dtype, lambda: "z.dtype")


def _both(op: Primitive) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The methods behind `x + y` and `2 + y`."""
    return lambda self, other: op(self, other), lambda self, other: op(other, self)


class Symbol:
    """A name, a number, or one output of a primitive applied to symbols.

    name   -- what people read; a computed symbol may have one too, and then reads as its name
    call   -- what computed it, and which output (`slot`) this is; slot None stands for all outputs
    value  -- the number or array it stands for
    size   -- how many names, numbers and operations the written-out expression has
    """

    __slots__ = ("call", "name", "size", "slot", "value")
    __hash__ = object.__hash__
    __array_ufunc__ = None

    def __init__(
        self, name: str | None = None, value: Any = None, call: Call | None = None, slot: int | None = 0
    ) -> None:
        self.name = name
        self.value = value
        self.call = call
        self.slot = slot
        self.size = 1 + sum(i.size for i in call.inputs) if call is not None and name is None else 1

    def __apply__(self, primitive: Primitive, inputs: tuple[Any, ...], static: dict[str, Any]) -> Any:
        """The engine's hook: a primitive called with a symbol among its inputs."""
        return apply(primitive, inputs, static)

    def named(self, name: str) -> Symbol:
        """Give this symbol a name to read by; it stays what it was computed as."""
        self.name, self.size = name, 1
        return self

    @property
    def is_number(self) -> bool:
        """Whether it is a single constant number."""
        return self.call is None and self.name is None and np.ndim(self.value) == 0

    @property
    def shape(self) -> Any:
        """The sizes, which read as `x.shape[0]`."""
        return shape_named(np.shape(self.value), lambda: _owner(self))

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return np.ndim(self.value)

    @property
    def dtype(self) -> np.dtype:
        """The dtype, which reads as `x.dtype`; boolean for comparisons, so that the engine selects by them."""
        return dtype_named(np.asarray(self.value).dtype, lambda: f"{_owner(self)}.dtype")

    @property
    def mT(self) -> Any:
        """The transpose of each matrix."""
        return ops.mT(self)

    def text(self) -> str:
        """The expression as people write it."""
        from tinygrad_edu.explain.text import people

        return people.read(self).text

    def code(self) -> str:
        """The expression as exact Python over arrays, in terms of operators and `ops`."""
        from tinygrad_edu.explain.text import code_of

        return code_of(self)

    def latex(self) -> str:
        """The expression as LaTeX."""
        from tinygrad_edu.explain.latex import latex

        return latex.read(self).text

    def evaluate(self, **values: Any) -> np.ndarray:
        """Run the primitives on arrays, one for each name.

        Raises TypeError when a name has no value, ValueError when an array does not have the shape that a shape in the
        expression was read from.

        >>> from tinygrad_edu import explain
        >>> x = explain.symbol("x")
        >>> (x * (1 - x)).evaluate(x=0.25)
        array(0.1875)
        """
        return evaluate(self, values)

    __repr__ = __str__ = text

    def _repr_latex_(self) -> str:
        return f"${self.latex()}$"

    def __bool__(self) -> bool:
        raise TypeError(
            f"{self} is a symbol, it is neither true nor false: select with ops.where(c, x, y), not with if"
        )

    __add__, __radd__ = _both(ops.add)
    __sub__, __rsub__ = _both(ops.sub)
    __mul__, __rmul__ = _both(ops.mul)
    __truediv__, __rtruediv__ = _both(ops.div)
    __pow__, __rpow__ = _both(ops.pow)
    __mod__, __rmod__ = _both(ops.remainder)
    __and__, __rand__ = _both(ops.logical_and)
    __or__, __ror__ = _both(ops.logical_or)
    __eq__, __ne__ = _both(ops.eq)[0], _both(ops.ne)[0]  # type: ignore[assignment]
    __lt__, __gt__ = _both(ops.lt)[0], _both(ops.gt)[0]
    __le__, __ge__ = _both(ops.le)[0], _both(ops.ge)[0]

    def __neg__(self) -> Any:
        return ops.neg(self)

    def __abs__(self) -> Any:
        return ops.abs(self)

    def __invert__(self) -> Any:
        return ops.logical_not(self)

    def __matmul__(self, other: Any) -> Any:
        return matrix_product(self, symbol_of(other))

    def __rmatmul__(self, other: Any) -> Any:
        return matrix_product(symbol_of(other), self)


def _owner(symbol: Symbol) -> str:
    """How to write an attribute of a symbol: `x`, but `(x + y)`."""
    text = symbol.text()
    return text if symbol.name is not None or text.isidentifier() else f"({text})"


def symbol(name: str, shape: tuple[int, ...] = (), value: Any = None) -> Symbol:
    """A named symbol, for a single number unless a shape (or an example value) is given.

    >>> from tinygrad_edu import explain, ops
    >>> x, y = explain.symbol("x"), explain.symbol("y")
    >>> ops.sigmoid(x * (1 - y))
    σ(x * (1 - y))
    """
    if value is None:
        n = int(np.prod(shape))
        value = (np.arange(1, n + 1) / (n + 1)).reshape(shape)
    return Symbol(name, np.asarray(value))


def symbol_of(value: Any) -> Symbol:
    """A symbol for anything a primitive may be given: numbers and arrays are constants."""
    return value if isinstance(value, Symbol) else Symbol(value=value)


def apply(op: Primitive, inputs: tuple[Any, ...], static: dict[str, Any], arrays: Any = None) -> Any:
    """The symbol (or the tuple of them) of a call; `arrays` are its outputs, if they are known."""
    given = tuple(symbol_of(v) for v in inputs)
    if arrays is None:
        arrays = compute(op, [s.value for s in given], static)
    call = Call(op, given, static, arrays)
    results = tuple(Symbol(value=array, call=call, slot=slot) for slot, array in enumerate(arrays))
    return results if op.outputs != 1 else results[0]


def compute(op: Primitive, arrays: list[Any], static: dict[str, Any]) -> tuple[np.ndarray, ...]:
    """The forward on arrays; reading a formula compiles nothing, so kernels not in use yet stay the reference ones."""
    if "numba" in sys.modules:
        return op.compute(arrays, plain(static))
    with kernels.use("reference"):
        return op.compute(arrays, plain(static))


def matrix_product(a: Symbol, b: Symbol) -> Symbol:
    """a @ b; vectors become a row and a column on the way."""
    x = ops.reshape(a, shape=(1, *a.shape)) if a.ndim == 1 else a
    y = ops.reshape(b, shape=(*b.shape, 1)) if b.ndim == 1 else b
    if x.ndim < 2 or y.ndim < 2:
        raise TypeError(f"{a} @ {b}: both need a shape to be multiplied: give shapes={{'W': (2, 3), 'x': (3,)}}")
    z = ops.matmul(x, y)
    if a.ndim > 1 and b.ndim > 1:
        return z
    sizes = np.shape(z.value)
    kept = sizes[:-2] + (sizes[-2:-1] if a.ndim > 1 else ()) + (sizes[-1:] if b.ndim > 1 else ())
    return ops.reshape(z, shape=kept)


def is_leaf(symbol: Symbol) -> bool:
    """Whether people read it as a name or a number."""
    return symbol.call is None or symbol.name is not None


def fold(root: Symbol, visit: Callable[[Symbol, list[T]], T], leaf: Callable[[Symbol], bool] = is_leaf) -> T:
    """`visit(symbol, results of its inputs)` from the leaves up, once for each symbol; nothing recurses."""
    done: dict[int, T] = {}
    stack = [root]
    while stack:
        symbol = stack[-1]
        inputs = () if leaf(symbol) or symbol.call is None else symbol.call.inputs
        waiting = [i for i in inputs if id(i) not in done]
        if waiting and id(symbol) not in done:
            stack += waiting
            continue
        stack.pop()
        if id(symbol) not in done:
            done[id(symbol)] = visit(symbol, [done[id(i)] for i in inputs])
    return done[id(root)]


def evaluate(root: Symbol, values: dict[str, Any]) -> np.ndarray:
    """See `Symbol.evaluate`."""
    moved: list[str] = []

    def visit(symbol: Symbol, inputs: list[Any]) -> Any:
        if symbol.name is not None and symbol.name in values:
            array = np.asarray(values[symbol.name])
            if array.shape != np.shape(symbol.value):
                moved.append(f"{symbol.name} of shape {array.shape}, not {np.shape(symbol.value)}")
            return array
        if symbol.call is None:
            if symbol.name is not None:
                raise TypeError(f"evaluate: no value for {symbol.name!r}: give {symbol.name}=...")
            return symbol.value
        if symbol.call.static and moved:
            raise ValueError(f"evaluate: {symbol.call.op.name} was read for other shapes: got {', '.join(moved)}")
        return compute(symbol.call.op, inputs, symbol.call.static)[symbol.slot or 0]

    def leaf(symbol: Symbol) -> bool:
        return symbol.name in values

    return np.asarray(fold(root, visit, leaf))
