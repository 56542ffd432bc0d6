"""What stands in the nodes of a drawing: Graphviz's HTML-like labels, with everything from outside escaped."""

from __future__ import annotations

import html
from typing import Any

import numpy as np

ROWS, COLUMNS = 4, 6
GREY, RED = "#5a5a5a", "#a01c1c"

SIGNS = {
    "add": "+", "sub": "−", "mul": "×", "div": "÷", "neg": "−", "pow": "^", "matmul": "@", "sigmoid": "σ", "sum": "Σ",
    "abs": "|·|", "sqrt": "√", "mT": "transpose", "bce": "BCE",
    "eq": "=", "ne": "≠", "lt": "<", "le": "≤", "gt": ">", "ge": "≥",
    "logical_not": "¬", "logical_and": "∧", "logical_or": "∨", "softmax_cross_entropy": "cross entropy",
    "bce_with_logits": "BCE with logits",
}  # fmt: skip


def escape(text: object) -> str:
    """Text that a label or a tooltip shows as it is, on one line.

    Graphviz puts the node's name for a backslash followed by N: a zero-width space keeps the two apart, and two
    backslashes are read as one.
    """
    shown = "".join(c if c.isprintable() else " " for c in str(text))
    return html.escape(shown).replace("\\", "\\\\\u200b")


def number(value: Any) -> str:
    """One entry, floats to four digits, and no -0."""
    return f"{value + 0.0:.4g}" if isinstance(value, (float, np.floating)) else str(value)


def entries(array: Any) -> list[list[str]] | None:
    """The rows of a small array as text; None when it is too large to be written in a node."""
    array = np.asarray(array)
    if array.ndim > 2 or array.size == 0:
        return None
    rows = np.atleast_2d(array)
    if len(rows) > ROWS or rows.shape[1] > COLUMNS:
        return None
    return [[number(v) for v in row] for row in rows]


def font(text: str, color: str = GREY, size: int = 9) -> str:
    """Escaped text, smaller and in another colour."""
    return f'<FONT COLOR="{color}" POINT-SIZE="{size}">{escape(text)}</FONT>'


def rows(array: Any, color: str, label: str, width: int) -> list[str]:
    """The table rows of one small array, in `width` columns after a column for the label."""
    lines = []
    for i, row in enumerate(entries(array) or []):
        head = f'<TD ALIGN="LEFT">{font(label, color, 8)}</TD>' if label and i == 0 else "<TD></TD>"
        spans = [f' COLSPAN="{width - len(row) + 1}"' if len(row) < width else "", *[""] * (len(row) - 1)]
        texts = [f'<FONT COLOR="{color}">{escape(value)}</FONT>' for value in row]
        cells = [f'<TD ALIGN="RIGHT"{span}>{text}</TD>' for span, text in zip(spans, texts, strict=True)]
        lines.append(f"<TR>{head}{''.join(cells)}</TR>")
    return lines


def value_label(name: str | None, shape: tuple[int, ...], dtype: Any, array: Any = None, gradient: Any = None) -> str:
    """The label of a value: name, dtype and shape; below, the entries and the gradient where they are small."""
    small = [entries(a) for a in (array, gradient) if a is not None]
    width = max((len(r[0]) for r in small if r), default=1)
    title = f"<B>{escape(name)}</B>  " if name else ""
    head = f'<TR><TD COLSPAN="{width + 1}">{title}{font(f"{dtype} {tuple(shape)}")}</TD></TR>'
    body = rows(array, "#000000", "", width) if array is not None else []
    if gradient is not None and entries(gradient):
        body += [*(["<HR/>"] if body else []), *rows(gradient, RED, "grad", width)]
    table = '<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="2">'
    return f"<{table}{head}{''.join(body)}</TABLE>>"


def operation_label(name: str, static: dict[str, Any], defaults: dict[str, Any]) -> str:
    """The label of an operation: its sign or name; below, the static parameters that are not the defaults."""
    given = [f"{k}={v}" for k, v in static.items() if k not in defaults or defaults[k] != v]
    small = "".join(f"<BR/>{font(text if len(text) <= 28 else text[:27] + '…', '#333333')}" for text in given)
    return f"<<B>{escape(SIGNS.get(name, name))}</B>{small}>"


def arrow_label(text: str) -> str:
    """A label on an arrow, kept off the line by a margin."""
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLPADDING="3"><TR><TD>{font(text, "#222222", 9)}</TD></TR></TABLE>>'


def plain(text: str) -> str:
    """A label that is only text."""
    return f"<{'<BR/>'.join(escape(line) for line in text.splitlines())}>"
