"""docs/museum.md, made from the exhibits: `python tests/museum/page.py` writes it."""

from __future__ import annotations

import inspect
import re
import textwrap
from pathlib import Path
from typing import Any

import caught
import shapes_and_places
import ties_and_poles
import walks
from museum import EXHIBITS, Exhibit

from tinygrad_edu.testing.properties import PROPERTIES

PAGE = Path(__file__).parents[2] / "docs" / "museum.md"
ROOMS = {
    "Ties, poles and tolerances": ties_and_poles,
    "Shapes and places": shapes_and_places,
    "The walk": walks,
}
HEAD = """\
# The museum of wrong gradients

Gradients that were wrong in libraries and courses that people trust. Each exhibit is the defect, written with this
library; a test of the usual kind; and the line of `tinygrad_edu.testing` that catches it, with what it says. In
{engine} of them the rules are right and the walk over the graph is wrong.

The exhibits are code in `tests/museum/`, from which this page is made, and they run: the kit catches all {count}, and
the usual tests miss {missed}. Those were chosen to show how such a thing gets through; one usual test for all of them,
at a random point of the very shape in which the kit found the defect, still misses {random}.

"DeZero 0.0.13" means that the gradient was computed with that version and found wrong; "reported in" means that the
report was read. `agrees_at(f, x)` is the test that most projects have: the gradients of `f(x).sum()` against central
differences, at one point.
"""
REST = """\
## What is not here

* **Conventions.** At a kink an engine must choose, and any slope between those of both sides is right: relu has the
  slope 0 at 0 in most libraries and 1 in a few; whether relu6 passes at exactly 6 differs too. The kit accepts all of
  them. What this library chose is in [conventions.md](conventions.md).
* **A backward pass that follows every path.** The gradient is right. But after 18 times `x = x + x` there are 2¹⁸
  paths, and SmallPebble 3.0.5 takes each of them. Count how often a rule is called to see it.
* **A gradient checker that does not check.** `check_grad` of SmallPebble 3.0.5 computes the error of the forward, and
  compares that number again where the error of the gradient belongs: it accepts 12345 as the slope of x². Checkers are
  tested with wrong gradients, as the one here is.
* **Tests that hide it.** NaN replaced by 0 on both sides of a comparison; two tests of the same name in one file, of
  which only the second runs; a sign that is wrong in the test.
* **Training loops that leak.** Gradients that are not set to zero, or a loss of exactly 0 taken for "nothing to do".
"""


def text() -> str:
    """The page."""
    missed = sum(not caught.by_the_naive_test(e) for e in EXHIBITS)
    engine = sum(e.mutant != "" for e in EXHIBITS)
    random = sum(not caught.at_a_random_point(e) for e in EXHIBITS)
    parts = [HEAD.format(count=len(EXHIBITS), missed=missed, engine=engine, random=random)]
    for title, room in ROOMS.items():
        parts.append(f"## {title}\n")
        parts += [shown(e) for e in EXHIBITS if e.__module__ == room.__name__]
    return "\n".join([*parts, REST])


def shown(exhibit: type[Exhibit]) -> str:
    """One exhibit."""
    title, _, defect = inspect.getdoc(exhibit).partition("\n\n")
    return "\n".join(
        [
            f"### {title}\n",
            f"{defect.replace('.  ', '. ')}\n",
            f"Seen: {exhibit.seen}.\n",
            f"{code(wrong(exhibit))}\n",
            f"A test that is often written. {verdict(exhibit)}\n",
            f"{code(body(exhibit, 'naive'))}\n",
            f"The kit, `{kit(exhibit)}`, catches it.\n",
            f"{said(exhibit)}\n",
        ]
    )


def code(lines: str) -> str:
    return f"```py\n{lines}\n```"


def wrong(exhibit: type[Exhibit]) -> str:
    """The source of the wrong operation."""
    if exhibit.mutant:
        return f"# the walk: {exhibit.mutant}\n{member(exhibit, 'right').replace('right = ', 'f = ', 1)}"
    return member(exhibit, "wrong")


def member(exhibit: type[Exhibit], name: str) -> str:
    """The source of a class, method or one-line lambda in an exhibit."""
    found: Any = vars(exhibit)[name]
    found = found.__func__ if isinstance(found, staticmethod) else found
    source = textwrap.dedent(inspect.getsource(found)).strip()
    return source.replace("staticmethod(", "", 1).removesuffix(")") if "= staticmethod(" in source else source


def body(exhibit: type[Exhibit], name: str) -> str:
    """The statements of a test."""
    lines = member(exhibit, name).splitlines()
    return textwrap.dedent("\n".join(lines[2:])).strip()


def kit(exhibit: type[Exhibit]) -> str:
    return " ".join(body(exhibit, "kit").split())


def verdict(exhibit: type[Exhibit]) -> str:
    """What the naive test does with the wrong gradient."""
    return "It notices." if caught.by_the_naive_test(exhibit) else "It passes."


def said(exhibit: type[Exhibit]) -> str:
    """What does not hold and why; without the numbers, which depend on the case."""
    error = caught.by_the_kit(exhibit)
    assert error is not None
    doc = (PROPERTIES[error.property].__doc__ or "").splitlines()[0]
    because = [f"* {cause}" for cause in error.causes if re.search(exhibit.cause, cause, re.DOTALL)][:1]
    return "\n".join([f"Does not hold: *{error.property}*. {doc}\n", *because])


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
