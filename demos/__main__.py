"""`python -m demos`: the tour, or any of the experiments, with what they show on one page."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from demos.report import Report
from tinygrad_edu import viz
from tinygrad_edu.datasets.places import VARIABLE

READING = """
How to read the drawings: an ellipse is an operation, a box is a value. Thick blue boxes are parameters, green ones
other leaves that want a gradient, dashed grey ones constants; the result has a double border. Below the name and the
shape stand the entries of what is small and, in red, the gradient of the result with respect to them. Dotted arrows
join a view to the memory it shares. Rest on an operation to see the line of code that called it.
"""

TOUR = ("worked_example", "mlp_digits", "cnn_digits")
DEMOS = (
    *TOUR,
    "worked_values",
    "identities",
    "surfaces",
    "race",
    "xor",
    "line_cnn",
    "detection_cnn",
    "mnist_sigmoid",
    "nielsen",
    "three_costs",
    "regularisation",
    "cifar_cnn",
    "resnet",
    "why_topological",
    "micro",
    "second_order",
    "my_own_op",
    "kernel_ladder",
)


def title(name: str) -> str:
    """The first line of a demo's docstring."""
    return str(importlib.import_module(f"demos.{name}").__doc__).split("\n")[0].rstrip(".")


def heading(name: str) -> str:
    """The title, behind the row of the table of experiments that the demo reproduces, if it does."""
    row = getattr(importlib.import_module(f"demos.{name}"), "ROW", "")
    return f"{row}: {title(name)}" if row else title(name)


def listing() -> str:
    """All demos, each with one line and the time it takes on two cores."""
    lines = ["python -m demos runs the tour (the first three), python -m demos NAME ... these, python -m demos all:"]
    for name in DEMOS:
        seconds = importlib.import_module(f"demos.{name}").SECONDS
        lines.append(f"  {name:18} {heading(name)} (about {seconds} s)")
    return "\n".join(lines)


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m demos", description="With no name: the tour.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="which demos; `list` shows what there is, `all` runs it"
    )
    parser.add_argument("--out", type=Path, default=Path("out"), metavar="DIR", help="where results go (out)")
    parser.add_argument("--data", type=Path, metavar="DIR", help=f"where data sets are (else ${VARIABLE})")
    parser.add_argument("--fast", action="store_true", help="do less, for a quick look; bars are lower")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of everything random (0)")
    options = parser.parse_args(given)
    unknown = [name for name in options.names if name not in (*DEMOS, "list", "all")]
    if unknown:
        parser.error(f"there is no demo {unknown[0]!r}: choose from {', '.join(DEMOS)}, all, or list")
    if options.data is not None and not options.data.is_dir():
        parser.error(f"--data {options.data}: there is no such folder")
    if options.out.exists() and not options.out.is_dir():
        parser.error(f"--out {options.out}: that is a file, and results need a folder")
    if options.seed < 0:
        parser.error(f"--seed {options.seed}: a seed is 0 or more")
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
        report.heading(heading(name), 2)
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
    if options.data is not None:
        os.environ[VARIABLE] = str(options.data)
    try:
        reports = run(DEMOS if "all" in options.names else options.names or TOUR, options)
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
