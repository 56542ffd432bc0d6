"""`Page`: headings, text, tables and figures collected into one self-contained HTML file.

Everything is escaped, pictures are part of the file, and the page asks the network for nothing (its own policy forbids
it), so it can be mailed, printed and opened from a disk in ten years.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Collection, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from tinygrad_edu.viz.rendering import render, write_whole
from tinygrad_edu.viz.svg import inline

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


class Page:
    """One HTML page in the making.

    >>> page = Page("Results")
    >>> page.heading("Losses < 1")
    >>> page.table(["epoch", "loss"], [[1, "0.51"], [2, "0.38"]])
    >>> "<h2 id=\\"losses-1\\">Losses &lt; 1</h2>" in page.html()
    True
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self._parts: list[str] = []
        self._contents: list[tuple[int, str, str]] = []
        self._figures = 0

    def heading(self, text: str, level: int = 2) -> None:
        """A heading of level 2 or 3; it also goes into the table of contents."""
        if level not in (2, 3):
            raise ValueError(f"Page.heading: level must be 2 or 3 (1 is the title), not {level}")
        slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "section"
        taken = {known for _, known, _ in self._contents}
        anchor = next(s for s in (slug, *(f"{slug}-{n}" for n in range(2, len(taken) + 3))) if s not in taken)
        self._contents.append((level, anchor, text))
        self._parts.append(f'<h{level} id="{anchor}">{escape(text)}</h{level}>')

    def text(self, text: str) -> None:
        """Paragraphs; an empty line ends one."""
        self._parts += [f"<p>{escape(p)}</p>" for p in re.split(r"\n\s*\n", text.strip()) if p]

    def pre(self, text: str) -> None:
        """Text as it is, in a fixed-width font."""
        self._parts.append(f'<pre tabindex="0">{escape(text)}</pre>')

    def table(
        self,
        header: Sequence[Any],
        rows: Sequence[Sequence[Any]],
        *,
        caption: str = "",
        marked: Collection[int] = (),
    ) -> None:
        """A table; the rows at the positions in `marked` are set off. Numbers are aligned to the right."""
        for row in rows:
            if len(row) != len(header):
                raise ValueError(f"Page.table: a row has {len(row)} cells, the header has {len(header)}: {row!r}")
        columns = [[_is_number(row[k]) for row in rows] for k in range(len(header))]
        right = [" class=number" if any(column) else "" for column in columns]
        head = "".join(f"<th{side}>{escape(str(cell))}</th>" for side, cell in zip(right, header, strict=True))
        lines = [
            f"<tr{' class=marked' if i in marked else ''}>{''.join(map(_cell, row))}</tr>" for i, row in enumerate(rows)
        ]
        below = f"<caption>{escape(caption)}</caption>" if caption else ""
        table = f"<table>{below}<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
        self._parts.append(f'<div class="table" tabindex="0">{table}</div>')

    def figure(self, picture: Any, caption: str, *, fit: bool = True) -> None:
        """A drawing of `viz.graph`, a matplotlib Figure, the text of an SVG or the bytes of a PNG.

        fit -- shrink to the width of the page; else the reader scrolls sideways
        """
        self._figures += 1
        if isinstance(picture, bytes) and picture.startswith(b"\x89PNG"):
            data = base64.b64encode(picture).decode()
            inside = f'<img alt="{escape(caption)}" src="data:image/png;base64,{data}">'
        else:
            inside = inline(_svg(picture), f"figure{self._figures}", caption)
        frame = f'<div class="{"picture fit" if fit else "picture"}" tabindex="0">{inside}</div>'
        self._parts.append(f"<figure>{frame}<figcaption>{escape(caption)}</figcaption></figure>")

    def html(self) -> str:
        """The whole page."""
        style = files("tinygrad_edu.viz").joinpath("page.css").read_text(encoding="utf-8")
        return "\n".join(
            [
                '<!doctype html><html lang="en"><head><meta charset="utf-8">',
                '<meta name="viewport" content="width=device-width, initial-scale=1">',
                f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
                f"<title>{escape(self.title)}</title>",
                f"<style>\n{style}</style></head><body>",
                f"<h1>{escape(self.title)}</h1>",
                self._table_of_contents(),
                *self._parts,
                "</body></html>\n",
            ]
        )

    def _table_of_contents(self) -> str:
        """Links to the headings, those of level 3 set in."""
        items: list[str] = []
        for level, anchor, text in self._contents:
            link = f'<a href="#{anchor}">{escape(text)}</a>'
            if level == 2 or not items:
                items.append(link)
            else:
                items[-1] += f"<ul><li>{link}</li></ul>"
        lines = "".join(f"<li>{item}</li>" for item in items).replace("</ul><ul>", "")
        return f'<nav aria-label="Contents"><ul>{lines}</ul></nav>' if items else ""

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page to a file, whole or not at all, and return its path."""
        return write_whole(Path(path), self.html().encode())


def _is_number(value: Any) -> bool:
    """Whether a cell holds a number, or one on each line."""
    text = str(value)
    return all(re.fullmatch(r"[-+−]?[\d.,]+(e[-+]?\d+)?( ?%)?", line) for line in text.split("\n"))


def _cell(value: Any) -> str:
    """One table cell."""
    return f"<td{' class=number' if _is_number(value) else ''}>{escape(str(value))}</td>"


def _svg(picture: Any) -> str | bytes:
    """The SVG text of whatever can be drawn."""
    if isinstance(picture, (str, bytes)):
        return picture
    if hasattr(picture, "savefig"):
        from tinygrad_edu.viz.plots import picture as draw

        return draw(picture, "svg")
    if hasattr(picture, "source"):
        return render(picture, "svg")
    raise TypeError(
        f"Page.figure takes a drawing, a matplotlib Figure, SVG text or PNG bytes, not {type(picture).__name__}"
    )
