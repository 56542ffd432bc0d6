"""Grading tests with mutants: a good test passes with the right gradient and fails with every wrong one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from tinygrad_edu.testing.checking import without_shrinking
from tinygrad_edu.testing.mutants import Mutant, mutants


@dataclass
class Grade:
    """Which mutants of an operation some tests noticed.

    killed    -- mutant -> names of the tests that failed with it in force
    survived  -- mutants that no test noticed
    wrong     -- test -> what it said about the right operation: such a test proves nothing, and is left out
    """

    of: str
    killed: dict[Mutant, list[str]] = field(default_factory=dict)
    survived: list[Mutant] = field(default_factory=list)
    wrong: dict[str, str] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """The share of mutants that were noticed, from 0 to 1."""
        count = len(self.killed) + len(self.survived)
        return len(self.killed) / count if count else 0.0

    def __str__(self) -> str:
        count = len(self.killed) + len(self.survived)
        lines = [f"{self.of}: {len(self.killed)} of {count} wrong gradients noticed ({self.score:.0%})"]
        lines += [f"  fails with the right gradient too   {name}: {said}" for name, said in self.wrong.items()]
        lines += [f"  noticed      {m.name}   by {', '.join(by)}" for m, by in self.killed.items()]
        lines += [f"  not noticed  {m.name}" for m in self.survived]
        return "\n".join(lines)

    __repr__ = __str__


def grade_tests(student_tests: Any, op: Any, wrong: Iterable[Mutant] | None = None) -> Grade:
    """Run tests against wrong versions of an operation, and say which ones they noticed.

    student_tests  -- a function, several, or a module or class with functions named `test_...`; a test with a parameter
                      is called with the operation.  It fails by raising
    op             -- a primitive or an `autograd.Function`
    wrong          -- the mutants to use; None: `mutants(op)`, without those known to be right after all

    >>> import tinygrad_edu as tg
    >>> def test_slope_at_2():
    ...     x = tg.tensor(2.0, requires_grad=True)
    ...     tg.ops.exp(x).backward()
    ...     assert abs(x.grad.item() - 7.389) < 1e-3
    >>> grade = grade_tests(test_slope_at_2, tg.ops.exp)
    >>> "exp.x: g forgotten" in [m.name for m in grade.survived]
    True
    >>> "exp.x: sign flipped" in [m.name for m in grade.killed]
    True
    """
    from tinygrad_edu.testing.equivalent import is_equivalent

    tests = collected(student_tests)
    if not tests:
        raise ValueError("grade_tests: there is no test: give functions, or a module with functions named test_...")
    chosen = [m for m in mutants(op) if not is_equivalent(m)] if wrong is None else list(wrong)
    grade = Grade(getattr(op, "__name__", str(op)))
    for name, test in dict(tests).items():
        said = failure(test, op)
        if said is not None:
            grade.wrong[name] = said
            del tests[name]
    for mutant in chosen:
        with mutant.installed():
            by = [name for name, test in tests.items() if failure(test, op) is not None]
        if by:
            grade.killed[mutant] = by
        else:
            grade.survived.append(mutant)
    return grade


def collected(given: Any) -> dict[str, Callable[..., Any]]:
    """The tests by name."""
    if isinstance(given, (ModuleType, type)):
        owner = given() if isinstance(given, type) else given
        found = [(name, getattr(owner, name)) for name in vars(given) if name.startswith("test")]
        return {name: test for name, test in found if callable(test)}
    tests = [given] if callable(given) else list(given)
    names: dict[str, Callable[..., Any]] = {}
    for k, test in enumerate(tests):
        name = getattr(test, "__name__", f"test {k}")
        names[name if name not in names else f"{name} ({k})"] = test
    return names


def failure(test: Callable[..., Any], op: Any) -> str | None:
    """What a test raises, in one line; None when it passes."""
    try:
        with without_shrinking():
            test(op) if _wants_the_operation(test) else test()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # pytest.fail() and exit() are not Exceptions
        lines = str(error).strip().splitlines()
        return f"{type(error).__name__}{': ' + lines[0] if lines else ''}"
    return None


def _wants_the_operation(test: Callable[..., Any]) -> bool:
    parameters = inspect.signature(test).parameters.values()
    return any(p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters)
