"""What benchmarks found, as JSON and as one chart."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

from benchmarks.timing import describe, optional

Records = list[dict[str, Any]]


def write(records: Records, folder: str) -> None:
    """benchmarks.json with all records, and benchmarks.png with the steps, where matplotlib is installed."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    about = {"date": datetime.date.today().isoformat(), **describe(1)}
    text = json.dumps({"about": about, "records": records}, indent=1)
    (place / "benchmarks.json").write_text(text + "\n")
    print(f"\nwritten: {place / 'benchmarks.json'}")
    steps = [r for r in records if r["benchmark"] == "steps"]
    if steps and optional("matplotlib") is not None:
        chart(steps, about, place / "benchmarks.png")
        print(f"written: {place / 'benchmarks.png'}")


def chart(steps: Records, about: dict[str, str], path: Path) -> None:
    """Bars: the time of a training step in units of ours, for every peer."""
    from matplotlib.figure import Figure

    lines = list(dict.fromkeys(r["line"] for r in steps))
    names = list(dict.fromkeys(r["name"] for r in steps))
    figure = Figure(figsize=(11, 5), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(names)
    for i, name in enumerate(names):
        found = [(lines.index(r["line"]), r["ratio"]) for r in steps if r["name"] == name]
        places = [line + (i - (len(names) - 1) / 2) * width for line, _ in found]
        axes.bar(places, [ratio for _, ratio in found], width, label=name)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xticks(range(len(lines)), lines)
    axes.set_ylabel("time of a training step / ours")
    axes.set_title(f"{about['date']}; {about['machine']}", fontsize=9)
    axes.legend(ncols=4, fontsize=8)
    figure.savefig(path, dpi=120)
