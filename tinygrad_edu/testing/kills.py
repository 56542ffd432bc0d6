"""Which mutants the kit notices, and by which property: the kill table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tinygrad_edu.testing.cases import Case
from tinygrad_edu.testing.checking import CASES, broken, cases
from tinygrad_edu.testing.mutants import Mutant, mutants
from tinygrad_edu.testing.properties import PROPERTIES


@dataclass
class Kills:
    """What became of the mutants of one operation: (mutant, property that noticed it, None if none did)."""

    of: str
    found: list[tuple[Mutant, str | None]] = field(default_factory=list)

    @property
    def survivors(self) -> list[Mutant]:
        """Those nothing noticed."""
        return [m for m, by in self.found if by is None]

    @property
    def by(self) -> Counter[str]:
        """How many each property noticed first."""
        return Counter(by for _, by in self.found if by is not None)


def kills(op: Any, wrong: Iterable[Mutant] | None = None, count: int = CASES) -> Kills:
    """Run all properties on seeded cases of an operation, for each of its mutants."""
    drawn = cases(op)
    samples = [drawn.sample((seed, 1)) for seed in range(count)]
    result = Kills(samples[0].subject.name)
    for mutant in mutants(op) if wrong is None else wrong:
        result.found.append((mutant, killer(mutant, samples)))
    return result


def killer(mutant: Mutant, samples: Iterable[Case]) -> str | None:
    """The first property that does not hold with the mutant in force."""
    with mutant.installed():
        for case in samples:
            again = case.again()
            for name in PROPERTIES:
                if broken(again, name) is not None:
                    return name
    return None
