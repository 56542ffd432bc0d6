"""What benchmarks found, as JSON and as one chart."""

from __future__ import annotations

import datetime
import json
import re
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.timing import geometric_mean, optional

Records = list[dict[str, Any]]
# Of a bar: its name, the ratio, and from where to where it varies
Bar = tuple[str, float, float, float]
COLUMNS = 3
TICKS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)


def write(records: Records, about: dict[str, str], folder: str) -> None:
    """benchmarks.json with all records, and benchmarks.png with the ratios, where matplotlib is installed."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    about = {"date": datetime.date.today().isoformat(), **about}
    (place / "benchmarks.json").write_text(json.dumps({"about": about, "records": records}, indent=1) + "\n")
    print(f"\nwritten: {place / 'benchmarks.json'}")
    found = panels(records)
    if found and optional("matplotlib") is not None:
        chart(found, about, place / "benchmarks.png")
        print(f"written: {place / 'benchmarks.png'}")


def panels(records: Records) -> dict[str, list[Bar]]:
    """The bars of each panel by its title: one for every training step and chain, one for every peer of the kernels."""
    found: dict[str, list[Bar]] = {}
    groups: dict[tuple[str, str], list[float]] = {}
    for r in records:
        if "ratio" not in r or r["name"] == "ours":
            continue
        ratio = r["ratio"]
        if r["benchmark"] == "kernels":
            groups.setdefault((r["name"], kind(r["line"])), []).append(ratio)
        elif r["benchmark"] == "memory":
            title = "memory: peak of training steps"
            found.setdefault(title, []).append((f"{r['line'].split()[0]} {r['name']}", ratio, ratio, ratio))
        else:
            unit = f"{r['title']}; ours {shown(ours(records, r))}"
            found.setdefault(unit, []).append((r["name"], ratio, ratio * (1 - r["spread"]), ratio * (1 + r["spread"])))
    for (peer, group), ratios in groups.items():
        bar = (f"{group} ({len(ratios)})", geometric_mean(ratios), min(ratios), max(ratios))
        found.setdefault(f"kernels: {peer}; geometric means, least to most", []).append(bar)
    return found


def kind(line: str) -> str:
    """What a kernel does, without the sizes it does it on: "conv (64, 1, 28, 8, 5, 1, 0) forward" is "conv forward"."""
    return re.sub(r"\s*\(.*?\)", "", re.sub(r"^\d+x\d+x\d+", "matmul", line))


def ours(records: Records, record: dict[str, Any]) -> float:
    """Our seconds on the same line."""
    same = (r for r in records if r["name"] == "ours" and r["benchmark"] == record["benchmark"])
    return next(r["seconds"] for r in same if r["line"] == record["line"])


def shown(seconds: float) -> str:
    """A time in a unit that suits it."""
    return f"{1e3 * seconds:.3g} ms" if seconds >= 1e-3 else f"{1e6 * seconds:.3g} us"


def chart(found: dict[str, list[Bar]], about: dict[str, str], path: Path) -> None:
    """Ratios on a logarithmic axis, in panels whose lines at 1 stand below each other.

    A bar starts at 1, where both are equally fast. Filled dots to the right of it are where we are faster, empty ones
    to the left where the other is: to be read without colours.
    """
    from matplotlib.figure import Figure

    titles = list(found)
    rows = [titles[i : i + COLUMNS] for i in range(0, len(titles), COLUMNS)]
    heights = [1.6 + max(len(found[title]) for title in row) for row in rows]
    columns = min(COLUMNS, len(titles))
    figure = Figure(figsize=(5.2 * columns, 0.24 * sum(heights) + 1.3), layout="constrained")
    grid = figure.add_gridspec(len(rows), columns, height_ratios=heights)
    ends = [end for bars in found.values() for _, ratio, low, high in bars for end in (ratio, low, high)]
    limits = (min(0.8, *ends) / 1.25, max(1.25, *ends) * 1.9)
    for i, row in enumerate(rows):
        for j, title in enumerate(row):
            panel(figure.add_subplot(grid[i, j]), title, found[title], limits)
    figure.suptitle("Their time (or memory) divided by ours: right of the line at 1 we are better", fontsize=13)
    notes = [f"{name}: {text}" for name, text in about.items()]
    figure.supxlabel("\n".join(wrapped(notes, 60 * columns)), fontsize=7, x=0.01, ha="left")
    figure.savefig(path, dpi=110)


def panel(axes: Any, title: str, bars: list[Bar], limits: tuple[float, float]) -> None:
    """One panel: a line for every bar, the first on top."""
    places = range(len(bars))
    for y, (_, ratio, low, high) in zip(places, bars, strict=True):
        axes.plot([1, ratio], [y, y], color="0.6", linewidth=3, solid_capstyle="butt", zorder=1)
        axes.plot([low, high], [y, y], color="black", linewidth=1, zorder=2)
        axes.plot([ratio], [y], "o", markersize=6, color="black", mfc="black" if ratio >= 1 else "white", zorder=3)
        number = f"{ratio:.2g}" if ratio < 10 else f"{ratio:.0f}"
        where: Any = {"xytext": (7, 0), "textcoords": "offset points", "va": "center"}
        axes.annotate(number, (max(ratio, high, 1), y), fontsize=8, **where)
    axes.axvline(1, color="black", linewidth=1.2, zorder=0)
    axes.set_xscale("log")
    axes.set_xlim(*limits)
    ticks = [tick for tick in TICKS if limits[0] <= tick <= limits[1]]
    axes.set_xticks(ticks if len(ticks) < 10 else [t for t in ticks if f"{t:g}".strip("0.") == "1"])
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.minorticks_off()
    axes.grid(axis="x", color="0.9", zorder=-1)
    axes.set_axisbelow(True)
    axes.set_yticks(places, [name for name, *_ in bars], fontsize=8)
    axes.set_ylim(len(bars) - 0.4, -0.6)
    axes.tick_params(axis="x", labelsize=7)
    axes.tick_params(axis="y", length=0)
    axes.set_title("\n".join(textwrap.wrap(title, 54)), fontsize=9, loc="left")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def wrapped(lines: Iterable[str], width: int) -> list[str]:
    """The lines, none longer than so many characters."""
    return [part for line in lines for part in textwrap.wrap(line, width, subsequent_indent="    ")]
