"""Which mutants the kit notices, and by which property: the kill table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tinygrad_edu.engine.primitive import registry
from tinygrad_edu.testing.cases import Case
from tinygrad_edu.testing.checking import broken, cases
from tinygrad_edu.testing.engine_mutants import engine_mutants, walk_cases
from tinygrad_edu.testing.equivalent import EQUIVALENT, is_equivalent
from tinygrad_edu.testing.mutants import Mutant, mutants
from tinygrad_edu.testing.properties import PROPERTIES

SAMPLES = 75


@dataclass
class Kills:
    """What became of the mutants of one operation.

    found       -- (mutant, the property that noticed it; None if none did)
    equivalent  -- mutants that are right after all
    """

    of: str
    found: list[tuple[Mutant, str | None]] = field(default_factory=list)
    equivalent: list[Mutant] = field(default_factory=list)

    @property
    def survivors(self) -> list[Mutant]:
        """Those that nothing noticed although they are wrong."""
        return [m for m, by in self.found if by is None]

    @property
    def by(self) -> Counter[str]:
        """How many each property noticed first."""
        return Counter(by for _, by in self.found if by is not None)

    def __str__(self) -> str:
        by = ", ".join(f"{name} {count}" for name, count in self.by.most_common())
        return f"{self.of:28} {len(self.found):5} {len(self.survivors):9} {len(self.equivalent):10}   {by}"


def kills(op: Any, wrong: Iterable[Mutant] | None = None, count: int = SAMPLES) -> Kills:
    """Run all properties on seeded cases of an operation, for each of its mutants.

    wrong  -- the mutants; None: all of the operation
    count  -- how many cases there are to notice a mutant
    """
    drawn = cases(op)
    samples = [drawn.sample((seed, 1)) for seed in range(count)]
    return _kills(samples[0].subject.name, mutants(op) if wrong is None else wrong, samples)


def walk_kills(count: int = SAMPLES) -> Kills:
    """The same for the walk, on random graphs."""
    return _kills("walk", engine_mutants(), walk_cases(count))


def _kills(name: str, wrong: Iterable[Mutant], samples: list[Case]) -> Kills:
    result = Kills(name)
    for mutant in wrong:
        if is_equivalent(mutant):
            result.equivalent.append(mutant)
        else:
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


def all_kills(names: Iterable[str] = ()) -> Iterator[Kills]:
    """The kills of every primitive of the package that has a rule (or those named), and of the walk."""
    chosen = set(names)
    for name, op in registry.items():
        if op.rules and op.__module__.startswith("tinygrad_edu.") and (not chosen or name in chosen):
            yield kills(op)
    if not chosen or "walk" in chosen:
        yield walk_kills()


HEAD = f"{'operation':28} {'wrong':>5} {'survivors':>9} {'equivalent':>10}   noticed first by"


def summary(found: list[Kills]) -> str:
    """The last lines of the table: totals, survivors, and why the equivalent ones are."""
    total = sum((k.by for k in found), Counter[str]())
    survivors = [m for k in found for m in k.survivors]
    equivalent = [m for k in found for m in k.equivalent]
    wrong = sum(len(k.found) for k in found)
    lines = [f"{wrong - len(survivors)} of {wrong} mutants noticed, {len(equivalent)} are equivalent"]
    lines += [f"  {name:18} {count:5}" for name, count in total.most_common()]
    lines += [f"survivor: {m.name}" for m in survivors]
    return "\n".join([*lines, *(f"equivalent: {m.name}\n    {EQUIVALENT[m.name]}" for m in equivalent)])
