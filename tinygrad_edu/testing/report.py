"""What a check says: a `Report` when all is right, a `GradientError` that names the smallest failing case when not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from tinygrad_edu.testing.cases import Case, shown
from tinygrad_edu.testing.diagnosis import causes
from tinygrad_edu.testing.properties import PROPERTIES
from tinygrad_edu.testing.wrong import Wrong


@dataclass
class Report:
    """What was checked.

    cases       -- how many calls
    properties  -- how often each property was proved
    oracles     -- how often each oracle was the one that worked
    error       -- the largest measured error of an oracle
    kinks       -- how many slopes were different from the left and from the right
    unknown     -- how many slopes do not exist (jumps, infinite values) and were not compared
    """

    name: str
    cases: int = 0
    properties: Counter[str] = field(default_factory=Counter)
    oracles: Counter[str] = field(default_factory=Counter)
    error: float = 0.0
    kinks: int = 0
    unknown: int = 0

    def add(self, case: Case, proved: list[str]) -> None:
        """Count a case whose properties all hold."""
        self.cases += 1
        self.properties.update(proved)
        if not case.finite:
            self.oracles["none: not finite"] += 1
        elif case.xs:
            found = case.slopes
            self.oracles[found.method] += 1
            self.error = max(self.error, float(np.max(found.error, where=found.known, initial=0.0)))
            self.kinks += int(np.sum(found.kinked & found.known))
            self.unknown += int(np.sum(~found.known))

    def __str__(self) -> str:
        oracles = ", ".join(f"{name} ({count})" for name, count in self.oracles.most_common())
        lines = [f"{self.name}: all gradients right in {self.cases} case{'s' * (self.cases != 1)}"]
        lines.append(f"  oracle      {oracles or 'none: no input has a gradient'}")
        lines.append(f"  error       {self.error:.1e} at most, measured")
        if self.kinks or self.unknown:
            lines.append(f"  kinks       {self.kinks} slopes with two sides, {self.unknown} that do not exist")
        return "\n".join([*lines, f"  properties  {', '.join(self.properties)}"])

    __repr__ = __str__


class GradientError(AssertionError):
    """A gradient is wrong; the message is the diagnosis.

    case      -- the smallest failing case
    property  -- the name of the property that does not hold
    wrong     -- found, expected, tolerance and which entries differ
    causes    -- likely causes, in words
    """

    def __init__(self, case: Case, name: str, wrong: Wrong, known: list[str] | None = None) -> None:
        self.case, self.property, self.wrong = case, name, wrong
        self.causes = causes(case, name, wrong) if known is None else known
        super().__init__("\n".join(_lines(case, name, wrong, self.causes)))


def _lines(case: Case, name: str, wrong: Wrong, causes: list[str]) -> list[str]:
    of = f" for {case.name(wrong.input)}" if wrong.input is not None else ""
    lines = [f"the gradient of {case.subject.name} is wrong{of}", f"  property  {name}: {wrong.message}"]
    lines.append(f"  case      {case!r}")
    lines.append(f"  upstream  g = {', '.join(shown(u) for u in case.us())}")
    if wrong.found is not None and wrong.expected is not None:
        lines += _difference(case, wrong, np.asarray(wrong.found), np.asarray(wrong.expected))
    doc = (PROPERTIES[name].__doc__ or "").strip().splitlines()
    lines += [f"  likely    {cause}" for cause in causes] or [f"  rule      {doc[0]}"]
    return lines


def _difference(case: Case, wrong: Wrong, found: np.ndarray, expected: np.ndarray) -> list[str]:
    """The entry that differs most, and how many do."""
    bad = np.broadcast_to(wrong.bad if wrong.bad is not None else found != expected, found.shape)
    if not bad.any():
        return []
    with np.errstate(invalid="ignore"):
        gap = np.where(bad, np.nan_to_num(np.abs(found - expected), nan=np.inf), -1.0)
    at = np.unravel_index(int(np.argmax(gap)), found.shape)
    tolerance = np.broadcast_to(0.0 if wrong.tolerance is None else wrong.tolerance, found.shape)[at]
    name = case.name(wrong.input) if wrong.input is not None else "g"
    index = f"[{', '.join(map(str, at))}]" if at else ""
    by = f" by {wrong.oracle}" if wrong.oracle else ""
    return [
        f"  entry     {name}{index}: found {found[at]:.9g}, expected {expected[at]:.9g}{by} (error at most "
        f"{float(tolerance):.1e}); {int(bad.sum())} of {bad.size} entries differ",
        f"  found     {shown(found)}",
        f"  expected  {shown(expected)}",
    ]
