"""What a demo has to say: printed as it goes, and put on the page, in picture files and in a JSON of numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu import viz
from tinygrad_edu.viz.rendering import write_whole

# The end of a sentence: not the point in a number.
SENTENCE = re.compile(r"[^.?!][.?!](?= [A-Z0-9]|$)")


class Report:
    """One demo's results, written below `out`.

    fast -- do less, for a quick look; bars are lower then
    seed -- of everything random
    """

    def __init__(self, name: str, page: viz.Page, out: Path, fast: bool = False, seed: int = 0) -> None:
        self.name, self.page, self.out, self.fast, self.seed = name, page, out, fast, seed
        self.numbers: dict[str, Any] = {}
        self.bars: list[dict[str, Any]] = []
        self.tables: list[dict[str, Any]] = []
        self.figures: list[dict[str, str]] = []
        self.files: list[Path] = []

    def heading(self, text: str, level: int = 3) -> None:
        """A heading, in the terminal and on the page."""
        print(f"\n{text}\n{'-' * len(text)}")
        self.page.heading(text, level)

    def text(self, text: str) -> None:
        """Paragraphs."""
        print(text.strip())
        self.page.text(text)

    def pre(self, text: str) -> None:
        """Text as it is, in a fixed-width font."""
        print(text)
        self.page.pre(text)

    def table(
        self, header: Sequence[str], rows: Sequence[Sequence[Any]], *, caption: str = "", marked: Collection[int] = ()
    ) -> None:
        """A table; rows at the positions in `marked` are set off (by a * in the terminal)."""
        cells = [[*map(str, header)], *([*map(str, row)] for row in rows)]
        widths = [max(len(line) for row in cells for line in row[k].split("\n")) for k in range(len(header))]
        for place, row in enumerate(cells, -1):
            for number, line in enumerate(_lines(row)):
                sign = "*" if place in marked and number == 0 else " "
                print(sign, "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
        print(caption)
        self.tables.append({"header": cells[0], "rows": cells[1:], "caption": caption, "marked": sorted(marked)})
        self.page.table(header, rows, caption=caption, marked=marked)

    def compare(self, ours: Mapping[str, Any], table: Mapping[str, tuple[str, str, str]]) -> None:
        """A table of what we find and (exact digits, what the course report printed, its slip), and a bar on it."""
        rows, errors = [], []
        for name, (exact, reported, slip) in table.items():
            found = np.ravel(np.asarray(ours[name], float))
            written = "\n".join(f"{v:.10g}" for v in found)
            rows.append([name, written, exact.replace(" ", "\n"), reported.replace(" ", "\n"), slip])
            errors.append(_distance(found, np.array(exact.split(), float)))
            self.number(name, found.tolist())
        marked = [i for i, row in enumerate(rows) if row[-1]]
        header = ["quantity", "ours", "exact", "in the report", "its slip"]
        self.table(header, rows, marked=marked, caption="Set off: where the report slipped.")
        self.bar("largest relative error against the exact digits", max(errors), at_most=1e-9)

    def figure(self, name: str, picture: Any, caption: str, *, fit: bool = True) -> None:
        """A drawing or plot: saved as SVG and PNG, and put on the page.

        The caption says in two sentences (or more) what is shown and what to see in it; ValueError for fewer.
        """
        if len(SENTENCE.findall(caption)) < 2:
            raise ValueError(f"the figure {name!r} needs two sentences, what it shows and what to see: {caption!r}")
        for kind in ("svg", "png"):
            self.files.append(viz.save(picture, self.out / f"{name}.{kind}"))
        self.figures.append({"name": name, "caption": caption})
        print(f"[{self.files[-2]}] {caption}")
        self.page.figure(picture, caption, fit=fit)

    def number(self, name: str, value: Any) -> None:
        """A number (or nested lists of them) for the JSON file."""
        self.numbers[name] = value

    def bar(self, what: str, value: float, *, at_least: float | None = None, at_most: float | None = None) -> None:
        """What must come out; a bar that is missed makes the run fail, when all else is done."""
        met = (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
        wanted = f"at least {at_least:g}" if at_least is not None else f"at most {at_most:g}"
        self.bars.append({"what": what, "value": value, "wanted": wanted, "met": met})
        self.text(f"{'Met' if met else 'MISSED'}: {what} is {value:.4g}, wanted {wanted}.")

    def save(self) -> Path:
        """Write the numbers, tables and captions to NAME.json and return its path."""
        found = {"demo": self.name, "fast": self.fast, "seed": self.seed, "bars": self.bars, "numbers": self.numbers}
        found |= {"tables": self.tables, "figures": self.figures}
        path = self.out / f"{self.name}.json"
        self.files.append(write_whole(path, (json.dumps(found, indent=1) + "\n").encode()))
        return path


def _distance(found: np.ndarray, exact: np.ndarray) -> float:
    """The largest relative error; 0 is to be met exactly."""
    return float(np.max(abs(found - exact) / np.where(exact == 0, 1e-300, abs(exact))))


def _lines(row: list[str]) -> list[list[str]]:
    """The printed lines of a row whose cells may have several."""
    split = [cell.split("\n") for cell in row]
    return [[cell[i] if i < len(cell) else "" for cell in split] for i in range(max(map(len, split)))]
