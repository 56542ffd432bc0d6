"""Simplifying symbols just enough that a derivative reads as on paper.

Sums and products of floating symbols become sums of products with counted exponents: numbers fold, like terms merge,
common factors cancel.  Each part is then read in several ways (as it is, multiplied out, with a common factor pulled
out) and the shortest stays.  Everything else (functions, comparisons, shapes) is left as it is.  The result equals the
original wherever that is finite, in the same shape and dtype.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.explain.named import plain
from tinygrad_edu.explain.symbol import Symbol, apply, fold, is_leaf, symbol_of

LARGEST_POWER = 8
MOST_TERMS = 48

Number = Fraction | float
Factors = dict[Any, tuple["Form", int]]


@dataclass(frozen=True)
class Product:
    """coefficient * base ** exponent * ...; the bases by key, in the order they were met."""

    coefficient: Number
    factors: Factors = field(default_factory=dict)

    @property
    def key(self) -> frozenset[Any]:
        """Equal for like terms."""
        return frozenset((k, exponent) for k, (_, exponent) in self.factors.items())

    def __mul__(self, other: Product) -> Product:
        coefficient, factors = self.coefficient * other.coefficient, dict(self.factors)
        for k, (base, exponent) in other.factors.items():
            if k not in factors and base.opposite in factors:
                k, coefficient = base.opposite, -coefficient if exponent % 2 else coefficient
            base, old = factors.get(k, (base, 0))
            factors[k] = (base, old + exponent)
            if old + exponent == 0:
                del factors[k]
        return Product(coefficient, factors)

    def __pow__(self, n: int) -> Product:
        return Product(self.coefficient**n, {k: (base, e * n) for k, (base, e) in self.factors.items()})


@dataclass(frozen=True, eq=False)
class Form:
    """A simplified symbol, and the sum of products it is.

    key, opposite  -- equal for equal forms; the key of its negative
    spread         -- for a repeated value: the form before it was repeated, which broadcasting repeats anyway
    """

    symbol: Symbol
    terms: tuple[Product, ...]
    key: Any
    opposite: Any
    spread: Form | None = None

    @property
    def product(self) -> Product:
        """As one product; a sum of several terms is a factor of its own."""
        if len(self.terms) == 1:
            return self.terms[0]
        return Product(Fraction(1 if self.terms else 0), {self.key: (self, 1)} if self.terms else {})


def simplify(root: Symbol) -> Symbol:
    """The symbol in its shortest form, of equal value.

    >>> from tinygrad_edu import explain
    >>> x, y = explain.symbol("x"), explain.symbol("y")
    >>> explain.simplify(y * x * (1 / x) - (y - 2 * x) * 1.0)
    2 * x
    """
    return form(root, Keys()).symbol


def form(root: Symbol, keys: Keys) -> Form:
    """The simplified form of a symbol."""
    return fold(root, lambda symbol, inputs: simplified(symbol, inputs, keys))


class Keys:
    """One whole number for each different atom: a name, a constant, or a call."""

    def __init__(self) -> None:
        self.numbers: dict[Any, int] = {}
        self.alive: list[Any] = []

    def atom(self, symbol: Symbol, inputs: list[Form]) -> int:
        """The number of an atom, given the forms of what it was computed from."""
        if symbol.name is not None:
            what: Any = ("name", symbol.name)
        elif symbol.call is None:
            self.alive.append(symbol.value)
            what = ("constant", id(symbol.value))
        else:
            static = tuple(sorted((k, repr(plain(v))) for k, v in symbol.call.static.items()))
            what = (symbol.call.op.name, symbol.slot, static, tuple(i.key for i in inputs))
        return self.numbers.setdefault(what, len(self.numbers))


def simplified(symbol: Symbol, inputs: list[Form], keys: Keys) -> Form:
    """The form of a symbol whose inputs have theirs."""
    if symbol.is_number and np.asarray(symbol.value).dtype.kind in "iuf" and np.isfinite(symbol.value):
        return form_of(symbol, [Product(as_number(symbol.value))])
    if symbol.call is None or symbol.name is not None:
        return atom(symbol, [], keys)
    op = symbol.call.op
    if symbol.dtype.kind == "f" and op in ARITHMETIC:
        unspread = [i.spread or i for i in inputs]
        for given in (unspread, inputs) if unspread != inputs else (inputs,):
            found = shortest(ARITHMETIC[op](given, symbol), symbol)
            if found is not None:
                as_it_was = again(symbol, inputs)
                return form_of(as_it_was, found.terms) if as_it_was.size < found.symbol.size else found
    if op is ops.where:
        chosen = branch(inputs)
        if chosen is not None and chosen.symbol.shape == symbol.shape and chosen.symbol.dtype == symbol.dtype:
            return chosen
    symbol = again(symbol, inputs)
    if op is ops.mT:
        shorter = transposed(inputs[0].symbol)
        if shorter is not None and shorter.size < symbol.size:
            return form(shorter, keys)
    if symbol.dtype.kind == "b" and all(i.symbol.is_number for i in inputs):
        return atom(Symbol(value=bool(symbol.value)), [], keys)
    return atom(symbol, inputs, keys)


def transposed(symbol: Symbol) -> Symbol | None:
    """The transpose of a transpose, or of a matrix product, without one around it."""
    if is_leaf(symbol) or symbol.call is None:
        return None
    if symbol.call.op is ops.mT:
        return symbol.call.inputs[0]
    if symbol.call.op is not ops.matmul:
        return None
    a, b = symbol.call.inputs
    return ops.matmul(*(flip(s) for s in (b, a)))


def flip(symbol: Symbol) -> Symbol:
    """The transpose of a factor."""
    call = symbol.call if not is_leaf(symbol) else None
    return call.inputs[0] if call is not None and call.op is ops.mT else ops.mT(symbol)


def branch(inputs: list[Form]) -> Form | None:
    """The branch of a `where` that is always taken, if that is known."""
    condition, chosen, other = inputs
    if condition.symbol.is_number:
        return chosen if condition.symbol.value else other
    return chosen if chosen.key == other.key else None


def again(symbol: Symbol, inputs: list[Form]) -> Symbol:
    """The same call with its inputs simplified."""
    assert symbol.call is not None
    given = [i.symbol for i in inputs]
    if all(new is old for new, old in zip(given, symbol.call.inputs, strict=True)):
        return symbol
    outputs = apply(symbol.call.op, tuple(map(as_input, given)), symbol.call.static)
    return outputs[symbol.slot] if symbol.call.op.outputs != 1 else outputs


def as_input(symbol: Symbol) -> Any:
    """A folded number goes into a primitive as a number."""
    return symbol.value if symbol.is_number and not isinstance(symbol.value, np.ndarray) else symbol


def atom(symbol: Symbol, inputs: list[Form], keys: Keys) -> Form:
    """The form of what is not taken apart."""
    key = keys.atom(symbol, inputs)
    op = symbol.call.op if symbol.call is not None and symbol.name is None else None
    repeats = op is ops.expand or (op is ops.reshape and np.size(symbol.value) == 1)
    spread = (inputs[0].spread or inputs[0]) if repeats else None
    base = Form(symbol, (), key, ("minus", key))
    return Form(symbol, (Product(Fraction(1), {key: (base, 1)}),), key, ("minus", key), spread)


def form_of(symbol: Symbol, terms: Iterable[Product]) -> Form:
    """The form of a sum; equal sums have equal keys, whatever their order."""
    terms = tuple(terms)
    if len(terms) == 1 and terms[0].coefficient == 1 and len(terms[0].factors) == 1:
        ((base, exponent),) = terms[0].factors.values()
        if exponent == 1:
            return Form(symbol, terms, base.key, base.opposite)
    key = frozenset((t.coefficient, t.key) for t in terms)
    return Form(symbol, terms, key, frozenset((-t.coefficient, t.key) for t in terms))


def as_number(value: Any) -> Number:
    """A whole number, a half, the float nearest to 1/3 ... as a fraction; 0.1 and others as they are."""
    number = value.item() if isinstance(value, (np.generic, np.ndarray)) else value
    short = Fraction(number).limit_denominator(64)
    is_short = short == number or (float(short) == number and len(repr(number)) > 8)
    return short if is_short else float(number)


def merged(terms: Iterable[Product]) -> list[Product]:
    """Like terms added up."""
    found: dict[Any, Product] = {}
    for term in terms:
        old = found.get(term.key)
        found[term.key] = term if old is None else Product(old.coefficient + term.coefficient, old.factors)
    return [term for term in found.values() if term.coefficient != 0]


def multiplied_out(product: Product) -> list[Product]:
    """The product as a sum of products without a sum among their (positive) factors.

    Sums with denominators go first: their terms may cancel against the other factors.
    """
    sums = [base for base, exponent in product.factors.values() if exponent > 0 and len(base.terms) > 1]
    if not sums or product.coefficient == 0:
        return [product]
    base = max(sums, key=lambda b: any(e < 0 for t in b.terms for _, e in t.factors.values()))
    exponent = product.factors[base.key][1]
    rest = dict(product.factors)
    rest[base.key] = (base, exponent - 1)
    if exponent == 1:
        del rest[base.key]
    found: list[Product] = []
    for term in base.terms:
        found += multiplied_out(Product(product.coefficient, rest) * term)
        if len(found) > MOST_TERMS:
            raise TooLong
    return merged(found)


class TooLong(Exception):
    """Multiplying out would give more terms than anyone reads."""


def readings(terms: list[Product]) -> Iterable[list[Product]]:
    """Equal sums: as it is, and multiplied out."""
    yield merged(terms)
    if any(len(base.terms) > 1 and e > 0 for t in terms for base, e in t.factors.values()):
        try:
            yield merged([part for term in merged(terms) for part in multiplied_out(term)])
        except TooLong:
            return


def shortest(terms: list[Product] | None, original: Symbol) -> Form | None:
    """The shortest reading of a sum that has the shape and the dtype of the original."""
    best: Form | None = None
    for reading in readings(terms) if terms is not None else ():
        for equal in (reading, *with_common_factor(reading)):
            symbol = written_sum(equal)
            if best is not None and symbol.size >= best.symbol.size:
                continue
            if symbol.is_number and not original.shape:
                symbol = symbol_of(as_like(symbol.value, original))
            if tuple(symbol.shape) == tuple(original.shape) and symbol.dtype == original.dtype:
                best = form_of(symbol, equal)
    return best


def as_like(number: Any, original: Symbol) -> Any:
    """A folded number: a Python number for Python's, an array's dtype otherwise."""
    value = original.value
    return value.dtype.type(number) if isinstance(value, (np.ndarray, np.generic)) else number


def written_sum(terms: list[Product]) -> Symbol:
    """Write a sum, a positive term in front."""
    first = next((t for t in terms if t.coefficient > 0), None)
    ordered = terms if first is None else [first, *(t for t in terms if t is not first)]
    total: Any = None
    for term in ordered:
        if total is None:
            total = written(term)
        elif term.coefficient > 0:
            total = total + written(term)
        else:
            total = total - written(Product(-term.coefficient, term.factors))
    return symbol_of(0 if total is None else total)


def with_common_factor(terms: list[Product]) -> Iterable[list[Product]]:
    """The sum as (what all terms share) * (the rest), if they share something."""
    if len(terms) < 2:
        return
    shared = dict(terms[0].factors)
    for term in terms[1:]:
        shared = {k: (b, e) for k, (b, e) in shared.items() if term.factors.get(k, (b, 0))[1] == e}
    if not shared:
        return
    parts = [Product(t.coefficient, {k: f for k, f in t.factors.items() if k not in shared}) for t in terms]
    try:
        rest = merged(term for part in parts for term in multiplied_out(part))
    except TooLong:
        return
    base = form_of(written_sum(rest), rest)
    yield [Product(Fraction(1), {**shared, base.key: (base, 1)})]


def written(product: Product) -> Symbol:
    """Write a product: numbers in front, negative exponents below the line."""
    coefficient = product.coefficient
    above = [power(base, e) for base, e in product.factors.values() if e > 0]
    below = [power(base, -e) for base, e in product.factors.values() if e < 0]
    top, bottom = coefficient, Fraction(1)
    if isinstance(coefficient, Fraction):
        top, bottom = Fraction(coefficient.numerator), Fraction(coefficient.denominator)
    negated = top == -1 and bool(above)
    if not above or (top != 1 and not negated):
        above = [as_python(top), *above]
    if bottom != 1:
        below = [as_python(bottom), *below]
    whole = chained(above) / chained(below) if below else chained(above)
    return symbol_of(-whole if negated else whole)


def as_python(number: Number) -> int | float:
    """A coefficient as an operand."""
    return int(number) if isinstance(number, Fraction) else number


def chained(factors: list[Any]) -> Any:
    """a * b * c."""
    total = factors[0] if factors else 1
    for factor in factors[1:]:
        total = total * factor
    return total


def power(base: Form, exponent: int) -> Any:
    """base ** exponent."""
    return base.symbol if exponent == 1 else base.symbol**exponent


def added(inputs: list[Form], _: Symbol) -> list[Product]:
    return [*inputs[0].terms, *inputs[1].terms]


def subtracted(inputs: list[Form], _: Symbol) -> list[Product]:
    return [*inputs[0].terms, *(Product(-t.coefficient, t.factors) for t in inputs[1].terms)]


def negated(inputs: list[Form], _: Symbol) -> list[Product]:
    return [Product(-t.coefficient, t.factors) for t in inputs[0].terms]


def multiplied(inputs: list[Form], _: Symbol) -> list[Product]:
    return [inputs[0].product * inputs[1].product]


def divided(inputs: list[Form], _: Symbol) -> list[Product] | None:
    below = inputs[1].product
    return None if below.coefficient == 0 else [inputs[0].product * below**-1]


def raised(inputs: list[Form], symbol: Symbol) -> list[Product] | None:
    """Whole-number powers only."""
    assert symbol.call is not None
    exponent = symbol.call.inputs[1]
    base = inputs[0].product
    if not exponent.is_number or exponent.value != int(exponent.value) or abs(exponent.value) > LARGEST_POWER:
        return None
    n = int(exponent.value)
    return None if n <= 0 and base.coefficient == 0 else [base**n]


ARITHMETIC: dict[Any, Any] = {
    ops.add: added,
    ops.sub: subtracted,
    ops.neg: negated,
    ops.mul: multiplied,
    ops.div: divided,
    ops.pow: raised,
}
