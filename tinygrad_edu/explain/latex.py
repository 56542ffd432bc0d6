"""LaTeX: symbols written out as mathematics."""

from __future__ import annotations

import re
import unicodedata
from string import Formatter
from typing import Any

import numpy as np

from tinygrad_edu.engine.primitive import Primitive
from tinygrad_edu.explain.text import (
    ATOM,
    COMPARE,
    LOOSE,
    POWER,
    PRODUCT,
    SIGN,
    SUM,
    People,
    Piece,
    Pieces,
    number_text,
    settings,
)

RELATIONS = {"==": "=", "!=": r"\ne", "<": "<", "<=": r"\le", ">": ">", ">=": r"\ge"}
WORDS = {"&": r"\wedge", "|": r"\vee", "^": r"\oplus", "%": r"\bmod", "<<": r"\ll", ">>": r"\gg"}
GREEK = {
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi",
    "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega",
    "Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Phi", "Psi", "Omega",
}  # fmt: skip
ACCENTS = {"hat": "\N{COMBINING CIRCUMFLEX ACCENT}", "bar": "\N{COMBINING MACRON}", "tilde": "\N{COMBINING TILDE}"}


class Latex(People):
    """For typesetting: fractions, exponents, products without a sign."""

    def template(self, op: Primitive) -> str | None:
        return op.latex

    def name(self, name: str) -> Piece:
        return Piece(latex_name(name))

    def static_text(self, value: Any) -> str:
        text = super().static_text(value)
        return rf"\mathrm{{{escaped(text)}}}" if re.search("[a-z]{2}", text) else escaped(text)

    def number(self, value: Any) -> Piece:
        return latex_number(value, None)

    def function(self, name: str, given: list[str]) -> Piece:
        return Piece(rf"\operatorname{{{escaped(name)}}}{in_brackets(', '.join(given))}")

    def slot(self, piece: Piece, slot: int) -> Piece:
        return Piece(f"{{{self.wrap(piece, ATOM).text}}}_{{{slot}}}", POWER, "_")

    def call(self, op: Primitive, inputs: list[Piece], static: dict[str, Any]) -> Piece:
        shown = [rf"\mathrm{{{escaped(text)}}}" for text in settings(op, static)]
        return self.function(op.name, [*(p.text for p in inputs), *shown])

    def wrap(self, piece: Piece, level: int) -> Piece:
        return piece if piece.level >= level else Piece(in_brackets(piece.text))

    def unary(self, operator: str, level: int, x: Piece) -> Piece:
        if operator == "~":
            return Piece(rf"\lnot {self.wrap(x, SIGN).text}", SIGN, "~")
        return super().unary(operator, level, x)

    def binary(self, operator: str, level: int, x: Piece, y: Piece) -> Piece:
        if operator == "**":
            return Piece(f"{{{self.wrap(x, ATOM).text}}}^{{{y.text}}}", POWER, operator)
        if level == COMPARE:
            sides = self.wrap(x, COMPARE + 1).text, self.wrap(y, COMPARE + 1).text
            return Piece(f"{sides[0]} {RELATIONS[operator]} {sides[1]}", level, operator)
        if operator in WORDS:
            return Piece(
                f"{self.wrap(x, level).text} {WORDS[operator]} {self.wrap(y, level + 1).text}", level, operator
            )
        if operator == "//":
            return Piece(rf"\left\lfloor \frac{{{x.text}}}{{{y.text}}} \right\rfloor")
        return super().binary(operator, level, x, y)

    def times(self, operator: str, x: Piece, y: Piece) -> Piece:
        if operator == "/":
            return Piece(rf"\frac{{{x.text}}}{{{y.text}}}", SIGN, "frac")
        alike = "*" if operator == "*" else "@"
        x = self.wrap(x, ATOM if x.operator == "prefix" else PRODUCT if x.operator in (alike, "") else SIGN)
        y = self.wrap(y, PRODUCT if y.operator in (alike, "") else SIGN)
        dot = r" \cdot " if y.text[0].isdigit() or y.text.startswith((r"\frac{1}", "(-")) else r" \, "
        return Piece(f"{x.text}{dot}{y.text}", PRODUCT, operator)

    def filled(self, template: str, pieces: Pieces) -> Piece:
        if template.startswith("{") and template[1:-1] in pieces:
            return pieces[template[1:-1]]
        parts = list(Formatter().parse(template))
        level, operator = notation(template)
        text = ""
        for k, (before, name, _, _) in enumerate(parts):
            text += before
            if name is None:
                continue
            after = parts[k + 1][0] if k + 1 < len(parts) else ""
            piece = pieces[name]
            piece = self.listed(piece) if isinstance(piece, list) else piece
            if text.rstrip().endswith("+") and piece.inner is not None:
                text, piece = f"{text.rstrip()[:-1]}- ", piece.inner
            if text.endswith("(") and after.startswith(")") and is_tall(piece.text):
                text = rf"{text[:-1]}\left("
                parts[k + 1] = (rf"\right{after}", *parts[k + 1][1:])
            text += self.wrap(piece, needed(text, after, operator)).text
        return Piece(text, level, operator)


def is_tall(text: str) -> bool:
    """Whether brackets around it must grow."""
    return any(word in text for word in (r"\frac", r"\begin", r"\sum"))


def in_brackets(text: str) -> str:
    """(text), as tall as it is."""
    return rf"\left({text}\right)" if is_tall(text) else f"({text})"


def outside_brackets(template: str) -> str:
    """A template without what stands in braces or brackets: what is left decides how tightly it holds."""
    text = "".join(before + ("x" if name else "") for before, name, _, _ in Formatter().parse(template))
    while True:
        shorter = re.sub(r"\\left\W|\\right\W|\{[^{}]*\}|\([^()]*\)|\[[^\[\]]*\]", "", text)
        if shorter == text:
            return text
        text = shorter


def notation(template: str) -> tuple[int, str]:
    """(level, operator) of what a LaTeX template writes."""
    left = outside_brackets(template)
    parts = list(Formatter().parse(template))
    starts, ends = parts[0][0] == "" and parts[0][1] is not None, parts[-1][1] is not None
    if left.startswith(r"\lnot"):
        return SIGN, "~"
    if r"\begin" in left or re.search(r"[=<>]|\\(wedge|vee|in|le|ge|ne)\b", left):
        return LOOSE, "relation"
    if re.search(r" [+-] |^-", left):
        return SUM, "+"
    if starts and ends and len(parts) == 1:
        return LOOSE, ""
    if starts and ends:
        return (PRODUCT, "@") if re.fullmatch(r"x\s*(\\,|\s)\s*x", left) else (LOOSE, "infix")
    if "^" in left:
        return POWER, "^"
    return (SIGN, "prefix") if ends else (POWER, "^") if starts else (ATOM, "")


def needed(before: str, after: str, operator: str) -> int:
    """How tightly a piece must hold between these two pieces of a template."""
    left, right = before.replace(r"\,", " ").rstrip(), after.replace(r"\,", " ").lstrip()
    if operator == "@" or (not left and not right and not before + after):
        return PRODUCT
    if left.endswith(("(", "[", "{", "|", ",", "&", "}", r"\left", r"\lfloor")) and right.startswith(
        (")", "]", "}", "|", ",", "&", "\\\\", r"\right", r"\rfloor", r"\end")
    ):
        return LOOSE
    if left.endswith("&") or right.startswith(("&", "\\\\")):
        return LOOSE
    if left.endswith("+") or right.startswith("+"):
        return SUM
    if left.endswith("-") or right.startswith("-"):
        return PRODUCT
    return SIGN if operator == "relation" else ATOM


def escaped(text: str) -> str:
    """Text that may stand in a formula."""
    return text.replace("_", r"\_").replace("%", r"\%").replace("#", r"\#")


def latex_name(name: str) -> str:
    """`w5` is w with index 5, `delta` a Greek letter, `yhat` wears a hat, `dC/dw` is a derivative."""
    derivative = re.fullmatch(r"d(.+)/d(.+)", name)
    if derivative:
        return rf"\frac{{\partial {latex_name(derivative[1])}}}{{\partial {latex_name(derivative[2])}}}"
    index = re.fullmatch(r"(.+?)_?(\d+|\[.*\])", name)
    if index:
        return f"{latex_name(index[1])}_{{{escaped(index[2].strip('[]'))}}}"
    if name in GREEK:
        return rf"\{name}"
    for accent, mark in ACCENTS.items():
        bare = unicodedata.normalize("NFD", name).removesuffix(mark).removesuffix(accent)
        if bare != name and 1 <= len(bare) <= 2:
            return rf"\{accent}{{{bare}}}"
    if len(name) == 1 or not name.isidentifier() or not name.isascii():
        return escaped(name)
    return rf"\mathrm{{{escaped(name)}}}"


def latex_number(value: Any, digits: int | None) -> Piece:
    """A number, or a vector as a column, a matrix in rows."""
    array = np.asarray(value)
    if array.ndim in (1, 2):
        rows = array.reshape(len(array), -1)
        lines = (" & ".join(latex_number(entry, digits).text for entry in row) for row in rows)
        return Piece(r"\begin{bmatrix} " + r" \\ ".join(lines) + r" \end{bmatrix}")
    if array.ndim > 2:
        return Piece(r"[\ldots]")
    text = number_text(value, digits).replace("inf", r"\infty")
    e = re.fullmatch(r"(-?[\d.]+)e([-+]\d+)", text)
    if e:
        text = rf"{e[1]} \cdot 10^{{{int(e[2])}}}"
    if text.startswith("-"):
        return Piece(text, SIGN, "-", Piece(text[1:], PRODUCT if e else ATOM, "*" if e else ""))
    return Piece(text, PRODUCT if e else ATOM, "*" if e else "")


latex = Latex()
