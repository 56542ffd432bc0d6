"""`python -m demos`: run the experiments, and put what they show on one page."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from demos.report import Report
from tinygrad_edu import viz

READING = """
How to read the drawings: an ellipse is an operation, a box is a value. Thick blue boxes are parameters, green ones
other leaves that want a gradient, dashed grey ones constants; the result has a double border. Below the name and the
shape stand the entries of what is small and, in red, the gradient of the result with respect to them. Dotted arrows
join a view to the memory it shares. Rest on an operation to see the line of code that called it.
"""

DEMOS = ("worked_example", "mlp_digits", "cnn_digits")


def title(name: str) -> str:
    """The first line of a demo's docstring."""
    return str(importlib.import_module(f"demos.{name}").__doc__).split("\n")[0].rstrip(".")


def listing() -> str:
    """All demos, each with one line and the time it takes on two cores."""
    lines = [
        f"  {name:16} {title(name)} (about {importlib.import_module(f'demos.{name}').SECONDS} s)" for name in DEMOS
    ]
    return "\n".join(["python -m demos [NAME ...] runs", *lines])


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m demos", description="With no name: all of them, on one page.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="which demos to run, or `list` to see what there is")
    parser.add_argument("--out", type=Path, default=Path("out"), metavar="DIR", help="where results go (out)")
    parser.add_argument("--fast", action="store_true", help="do less, for a quick look; bars are lower")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of everything random (0)")
    options = parser.parse_args(given)
    unknown = [name for name in options.names if name not in (*DEMOS, "list")]
    if unknown:
        parser.error(f"there is no demo {unknown[0]!r}: choose from {', '.join(DEMOS)}, or list")
    return options


def run(names: Sequence[str], options: argparse.Namespace) -> list[Report]:
    """Run the demos one after the other; after each, the page holds all that is finished."""
    page = viz.Page("tinygrad_edu: the demos")
    page.text(READING)
    path = options.out / ("index.html" if len(names) > 1 else f"{names[0]}.html")
    reports = []
    for name in names:
        started = time.perf_counter()
        report = Report(name, page, options.out, options.fast, options.seed)
        report.heading(title(name), 2)
        importlib.import_module(f"demos.{name}").run(report)
        report.save()
        page.save(path)
        reports.append(report)
        print(f"\n{name} took {time.perf_counter() - started:.1f} s")
    print(f"\nEverything on one page: {path}")
    for file in sorted({file.parent / f"{file.stem}.*" for report in reports for file in report.files}):
        print(f"  {file}")
    return reports


def main(given: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code: 1 when a bar was missed, 130 after Ctrl-C."""
    options = arguments(given)
    if "list" in options.names:
        print(listing())
        return 0
    try:
        reports = run(options.names or DEMOS, options)
    except KeyboardInterrupt:
        print(f"\ndemos: stopped; what was finished is in {options.out}", file=sys.stderr)
        return 130
    except ImportError as error:
        if "pip install" not in str(error):
            raise
        print(f"demos: {error}", file=sys.stderr)
        return 1
    missed = [f"{report.name}: {bar['what']}" for report in reports for bar in report.bars if not bar["met"]]
    for what in missed:
        print(f"demos: MISSED {what}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
