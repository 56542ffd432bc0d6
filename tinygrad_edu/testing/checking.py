"""`check` and `given_op`: draw cases of an operation, prove every property of each, shrink what fails."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tinygrad_edu.testing.calls import Call, calls, kinked_calls
from tinygrad_edu.testing.cases import Case, Subject
from tinygrad_edu.testing.choices import Choices, Strategy, hypothesis_is_installed
from tinygrad_edu.testing.properties import PROPERTIES
from tinygrad_edu.testing.report import GradientError, Report
from tinygrad_edu.testing.wrong import Wrong

CASES = 25

_shrinks: ContextVar[bool] = ContextVar("shrinks", default=True)


@contextmanager
def without_shrinking() -> Iterator[None]:
    """Inside, `check` reports the first failing case it meets: for when only failing matters."""
    token = _shrinks.set(False)
    try:
        yield
    finally:
        _shrinks.reset(token)


def check(fn: Any, *arguments: Any, orders: int = 2, **static: Any) -> Report:
    """Prove the gradients of an operation: every property, on drawn cases.

    fn         -- a primitive (`tinygrad_edu.ops.mul`), an `autograd.Function`, or a function of tensors
    arguments  -- strategies (`positive((3, 4))`), tensors, arrays, or anything else fn takes; a strategy of a `Call`
                  stands for all of them.  None, for a primitive: calls are drawn from its domain, kinks included
    orders     -- 1: leave out the second order
    static     -- keyword arguments of fn

    Raises GradientError (an AssertionError) with the smallest failing case and the likely cause.

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.testing import check, positive, real
    >>> print(check(lambda x, w: tg.log(x) * w, positive((2, 3)), real((3,))))
    <lambda>: all gradients right in 25 cases
      oracle      central differences (25)
      error       ...
    """
    drawn = cases(fn, *arguments, orders=orders, **static)
    report = Report(Subject(fn).name)
    for seed in range(CASES if _varies(fn, arguments) else 3):
        case = drawn.sample((seed, 1))
        try:
            report.add(case, proved(case))
        except GradientError as error:
            raise smallest(drawn, error) from None
    return report


def cases(fn: Any, *arguments: Any, orders: int = 2, **static: Any) -> Strategy[Case]:
    """A strategy of cases of an operation; the parameters are those of `check`."""
    subject = Subject(fn)

    def build(choices: Choices) -> Case:
        if arguments or subject.op is None:
            call = _given(choices, arguments, static)
        else:
            assert subject.op is not None
            kinks = choices.integer(0, 2) == 2
            call = choices.draw((kinked_calls if kinks and subject.op.rules else calls)(subject.op))
            call.static |= static
        return Case(subject, call, choices.integer(0, 99), orders)

    return Strategy(build, f"cases({subject.name})")


def _given(choices: Choices, arguments: tuple[Any, ...], static: dict[str, Any]) -> Call:
    """The arguments as given, with a value for each strategy."""
    inputs: list[Any] = []
    settings = dict(static)
    for argument in arguments:
        value = choices.draw(argument)
        if isinstance(value, Call):
            inputs += value.inputs
            settings = {**value.static, **settings}
        else:
            inputs.append(value)
    return Call(inputs, {name: choices.draw(value) for name, value in settings.items()})


def _varies(fn: Any, arguments: tuple[Any, ...]) -> bool:
    return not arguments or any(isinstance(a, Strategy) for a in arguments)


def proved(case: Case, names: Iterable[str] = ()) -> list[str]:
    """Check a case; the names of the properties that hold (all of them, or those named).

    Raises GradientError for the first one that does not; ValueError where there is nothing to differentiate, or nothing
    to differentiate by.
    """
    if not case.wanted and case.subject.op is None:
        raise ValueError(
            f"check: no argument of {case.subject.name} is a floating array: pass a strategy, real((2, 3)), or a tensor"
        )
    if case.subject.op is None and not case.outputs:
        raise ValueError(f"check: {case.subject.name} returns no floating tensor: there is no gradient to check")
    chosen = list(names) or list(PROPERTIES)
    for name in chosen:
        wrong = broken(case, name)
        if wrong is not None:
            raise GradientError(case, name, wrong)
    return chosen


def verify(case: Case) -> None:
    """Check a case; GradientError says what is wrong."""
    proved(case)


def broken(case: Case, name: str) -> Wrong | None:
    """What is wrong with one property of a case; None when it holds.

    An error that the backward pass raises is a wrong gradient too; one of the forward is not, and passes on.
    """
    case.outputs  # noqa: B018  the forward, alone
    try:
        PROPERTIES[name](case)
    except Wrong as wrong:
        return wrong
    except Exception as error:
        return Wrong(f"the backward pass raised {type(error).__name__}: {error}")
    return None


def smallest(drawn: Strategy[Case], error: GradientError) -> GradientError:
    """The same failure on the smallest case hypothesis finds; the one given where hypothesis is not installed.

    The causes stay those of the case that failed first: more numbers leave less to coincidence.
    """
    if not (_shrinks.get() and hypothesis_is_installed()):
        return error
    import hypothesis
    from hypothesis.errors import NoSuchExample

    def fails(case: Case) -> bool:
        return broken(case, error.property) is not None

    quiet = hypothesis.settings(
        max_examples=100,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),  # type: ignore[arg-type]
    )
    try:
        case = hypothesis.find(drawn.strategy(), fails, settings=quiet)
    except NoSuchExample:
        return error
    wrong = broken(case, error.property)
    return GradientError(case, error.property, wrong, error.causes) if wrong is not None else error


def given_op(fn: Any, *arguments: Any, orders: int = 2, **static: Any) -> Callable[[Any], Any]:
    """Decorator: run a test on cases of an operation, drawn as by `check`; the test's last parameter is the case.

    With hypothesis installed its profile says how many, and failures shrink; else there are 25 seeded cases.

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.testing import given_op
    >>> @given_op(tg.ops.sigmoid)
    ... def test_sigmoid(case):
    ...     case.verify()
    >>> test_sigmoid()
    """
    drawn = cases(fn, *arguments, orders=orders, **static)

    def decorate(test: Callable[..., Any]) -> Callable[..., Any]:
        if hypothesis_is_installed():
            import hypothesis

            made = hypothesis.given(drawn.strategy())(test)
            profile: Any = hypothesis.settings.default
            if profile.deadline is not None and not hasattr(test, "_hypothesis_internal_use_settings"):
                # the first run compiles kernels; @settings above this decorator still has the last word
                made._hypothesis_internal_use_settings = hypothesis.settings(deadline=None)  # type: ignore[attr-defined]
            made.checks_gradients = True  # type: ignore[attr-defined]
            return made

        @functools.wraps(test)
        def run(*args: Any, **kwargs: Any) -> None:
            for seed in range(CASES):
                test(*args, drawn.sample((seed, 1)), **kwargs)

        # pytest looks at the signature for fixtures: the case is none
        found = inspect.signature(test)
        run.__signature__ = found.replace(parameters=list(found.parameters.values())[:-1])  # type: ignore[attr-defined]
        del run.__wrapped__
        run.checks_gradients = True  # type: ignore[attr-defined]
        return run

    return decorate
