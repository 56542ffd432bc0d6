"""What benchmarks found, as JSON and as one chart."""

from __future__ import annotations

import datetime
import json
import re
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

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


class Panel(NamedTuple):
    """What stands together in the chart."""

    benchmark: str
    title: str
    bars: list[Bar]


def panels(records: Records) -> list[Panel]:
    """A panel for every training step, chain and peak of memory, and one for every peer of the kernels."""
    found: dict[tuple[str, str], list[Bar]] = {}
    groups: dict[tuple[str, str], list[float]] = {}
    for r in records:
        if "ratio" not in r or r["name"] == "ours":
            continue
        ratio = r["ratio"]
        if r["benchmark"] == "kernels":
            groups.setdefault((r["name"], kind(r["line"])), []).append(ratio)
            found.setdefault(("kernels", r["name"]), [])
        else:
            off = r["spread"] if r["benchmark"] != "memory" else 0.0
            bars = found.setdefault((r["benchmark"], f"{r['title']}; ours {ours(records, r)}"), [])
            bars.append((r["name"], ratio, ratio * (1 - off), ratio * (1 + off)))
    for (peer, group), ratios in groups.items():
        bar = (f"{group} ({len(ratios)})", geometric_mean(ratios), min(ratios), max(ratios))
        found["kernels", peer].append(bar)
    named = {"kernels": "kernels, {} (geometric means, least to most)", "memory": "memory, {}"}
    return [Panel(each, named.get(each, "{}").format(title), bars) for (each, title), bars in found.items()]


def kind(line: str) -> str:
    """What a kernel does, without the sizes it does it on: "conv (64, 1, 28, 8, 5, 1, 0) forward" is "conv forward"."""
    return re.sub(r"\s*\(.*?\)", "", re.sub(r"^\d+x\d+x\d+", "matmul", line))


def ours(records: Records, record: dict[str, Any]) -> str:
    """What we took on the same line."""
    same = (r for r in records if r["name"] == "ours" and r["benchmark"] == record["benchmark"])
    found = next(r for r in same if r["line"] == record["line"])
    if "MiB" in found:
        return f"{found['MiB']:.1f} MiB"
    seconds = found["seconds"]
    return f"{1e3 * seconds:.3g} ms" if seconds >= 1e-3 else f"{1e6 * seconds:.3g} us"


def chart(found: list[Panel], about: dict[str, str], path: Path) -> None:
    """Ratios on logarithmic axes, the same in all panels of a benchmark, with a line at 1; to be read without colours.

    A bar starts at 1, where both are equally fast. Filled dots to the right of it are where we are faster, empty ones
    to the left where the other is.
    """
    from matplotlib.figure import Figure

    benchmarks = list(dict.fromkeys(each.benchmark for each in found))
    together = {name: [each for each in found if each.benchmark == name] for name in benchmarks}
    rows = [group[i : i + COLUMNS] for group in together.values() for i in range(0, len(group), COLUMNS)]
    heights = [1.8 + max(len(each.bars) for each in row) for row in rows]
    columns = max(len(row) for row in rows)
    figure = Figure(figsize=(5.2 * columns, 0.23 * sum(heights) + 1.8), layout="constrained")
    grid = figure.add_gridspec(len(rows), columns, height_ratios=heights)
    limits = {name: reach(group) for name, group in together.items()}
    for i, row in enumerate(rows):
        for j, each in enumerate(row):
            panel(figure.add_subplot(grid[i, j]), each, limits[each.benchmark])
    heading = "Their time (or memory) divided by ours\n● we need less   ○ we need more   — middle half of the rounds"
    figure.suptitle(heading, fontsize=11)
    notes = [f"{name}: {text}" for name, text in about.items()]
    figure.supxlabel("\n".join(wrapped(notes, 70 * columns)), fontsize=7, x=0.01, ha="left")
    figure.savefig(path, dpi=110)


def reach(group: list[Panel]) -> tuple[float, float]:
    """The ends of the axis: all that is drawn, 1, and room for numbers."""
    ends = [end for each in group for _, *numbers in each.bars for end in numbers]
    least, most = min(0.6, *ends), max(1.8, *ends)
    room = (most / least) ** 0.06
    return least / room, most * room**3


def panel(axes: Any, drawn: Panel, limits: tuple[float, float]) -> None:
    """One panel: a line for every bar, the first on top."""
    bars = drawn.bars
    places = range(len(bars))
    for y, (_, ratio, low, high) in zip(places, bars, strict=True):
        axes.plot([1, ratio], [y, y], color="0.6", linewidth=3, solid_capstyle="butt", zorder=1)
        axes.plot([low, high], [y, y], color="black", linewidth=1, zorder=2)
        axes.plot([ratio], [y], "o", markersize=6, color="black", mfc="black" if ratio >= 1 else "white", zorder=3)
        number = f"{ratio:.2g}" if ratio < 0.1 else f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"
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
    axes.set_title("\n".join(textwrap.wrap(drawn.title, 60)), fontsize=9, loc="left")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def wrapped(lines: Iterable[str], width: int) -> list[str]:
    """The lines, none longer than so many characters."""
    return [part for line in lines for part in textwrap.wrap(line, width, subsequent_indent="    ")]
