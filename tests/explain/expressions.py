"""Random expressions over symbols, and what their text means."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tinygrad_edu import explain, ops
from tinygrad_edu.explain.symbol import Symbol

NAMES = ("x", "y", "w")
FUNCTIONS = {"σ": ops.sigmoid, "exp": np.exp, "log": np.log, "sin": np.sin, "maximum": np.maximum, "where": np.where}


@st.composite
def arithmetic(draw: Any, depth: int = 4, shapes: Any = None) -> Symbol:
    """+ - * / ** and signs over names and numbers; some functions."""
    shapes = shapes or {}
    if depth == 0 or draw(st.integers(0, 9)) == 0:
        if draw(st.booleans()):
            name = draw(st.sampled_from(NAMES))
            return explain.symbol(name, shapes.get(name, ()))
        return draw(st.sampled_from([1, 2, 3, -1, -2, 0.5, 1.5, 0]))
    a = draw(arithmetic(depth - 1, shapes))
    kind = draw(st.sampled_from(["+", "-", "*", "/", "+", "-", "*", "/", "**", "neg", "call"]))
    if kind == "neg":
        return -a
    if kind == "**":
        return a ** draw(st.sampled_from([2, 3, 1, -1])) if isinstance(a, Symbol) else a
    if kind == "call":
        return ops.sin(a) if isinstance(a, Symbol) else a
    b = draw(arithmetic(depth - 1, shapes))
    if not isinstance(a, Symbol) and not isinstance(b, Symbol):
        return a
    return {"+": ops.add, "-": ops.sub, "*": ops.mul, "/": ops.div}[kind](a, b)


@st.composite
def conditions(draw: Any, depth: int = 3) -> Symbol:
    """Comparisons, and their combinations."""
    if depth == 0 or draw(st.integers(0, 4)) == 0:
        a, b = explain.symbol("x") + draw(arithmetic(1)), draw(arithmetic(1))
        compare = draw(st.sampled_from([ops.lt, ops.le, ops.gt, ops.ge, ops.eq, ops.ne]))
        return compare(a, b)
    a = draw(conditions(depth - 1))
    kind = draw(st.sampled_from(["not", "and", "or"]))
    if kind == "not":
        return ~a
    b = draw(conditions(depth - 1))
    return a & b if kind == "and" else a | b


POINTS = st.sampled_from([0.25, 0.75, 1.25, 1.75, 2.5, 3.25])


@st.composite
def points(draw: Any, shapes: Any = None) -> dict[str, np.ndarray]:
    """A value for each name, positive, no two the same number by chance too often."""
    found = {}
    for k, name in enumerate(NAMES):
        shape = (shapes or {}).get(name, ())
        drawn = [draw(POINTS) + k / 16 for _ in range(int(np.prod(shape)))]
        found[name] = np.array(drawn).reshape(shape)
    return found


def run(text: str, values: dict[str, Any]) -> Any:
    """What a text means as Python."""
    with np.errstate(all="ignore"):
        return eval(text, {"np": np, "ops": ops, "float": float, **FUNCTIONS}, dict(values))


def assert_close(actual: Any, expected: Any) -> None:
    """Equal up to the rounding of another order; where the expected is infinite or no number, nothing is asked."""
    actual, expected = np.broadcast_arrays(np.asarray(actual, float), np.asarray(expected, float))
    fine = np.isfinite(expected) & (np.abs(expected) < 1e8)
    np.testing.assert_allclose(actual[fine], expected[fine], rtol=1e-6, atol=1e-6)


def latex_as_python(text: str) -> str:
    r"""LaTeX of arithmetic as Python: \frac{a}{b} is ((a)/(b)), {a}^{b} is (a)**(b), a space between factors is *."""
    text = re.sub(r"\\left|\\right", "", text)
    text = re.sub(r"\\sin (\w+)", r"sin(\1)", text).replace(r"\sin ", "sin")
    while r"\frac" in text:
        at = text.rindex(r"\frac")
        a, rest = group(text[at + len(r"\frac") :])
        b, rest = group(rest)
        text = f"{text[:at]}(({a})/({b})){rest}"
    text = text.replace("}^{", ")**(").replace("{", "(").replace("}", ")")
    return text.replace(r"\,", "*").replace(r"\cdot", "*")


def group(text: str) -> tuple[str, str]:
    """The content of the braces a text begins with, and the rest."""
    depth = 0
    for k, char in enumerate(text):
        depth += {"{": 1, "}": -1}.get(char, 0)
        if depth == 0:
            return text[1:k], text[k + 1 :]
    raise AssertionError(f"unbalanced: {text}")
