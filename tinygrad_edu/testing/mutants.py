"""Wrong versions of gradient rules, each a mistake somebody could make: what good tests must notice.

for mutant in mutants(tinygrad_edu.ops.matmul):
    with mutant.installed():
        ...                     # here matmul has a wrong gradient
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from tinygrad_edu.autograd import Function
from tinygrad_edu.engine.plan import times
from tinygrad_edu.engine.primitive import Primitive
from tinygrad_edu.engine.rule import Rule, slot_of
from tinygrad_edu.testing.calls import calls, kinked_calls
from tinygrad_edu.testing.edits import EDITS
from tinygrad_edu.testing.mistakes import MISTAKES, WITH_SAVED, WITH_STATE, Edit
from tinygrad_edu.testing.trace import Change, Tracer, follow

SAMPLES = 12


@dataclass(frozen=True)
class Mutant:
    """One wrong version: `installed()` is a context manager in which it is in force, for all threads.

    of     -- the name of the operation ("walk" for the engine itself)
    input  -- whose gradient is wrong; "" when it is not one input's
    what   -- the mistake in words
    """

    of: str
    input: str
    what: str
    patch: Callable[[], Any]

    @property
    def name(self) -> str:
        """For instance `matmul.a: transpose omitted`."""
        return f"{self.of}{'.' * bool(self.input)}{self.input}: {self.what}"

    def __repr__(self) -> str:
        return f"<mutant {self.name}>"

    @contextmanager
    def installed(self) -> Iterator[Mutant]:
        """Make the operation wrong in this way inside the block."""
        with self.patch():
            yield self


def mutants(op: Any) -> list[Mutant]:
    """All wrong versions of the gradients of a primitive, or of an `autograd.Function`.

    >>> import tinygrad_edu as tg
    >>> wrong = mutants(tg.ops.tanh)
    >>> [m.what for m in wrong][:3]
    ['g forgotten', 'g used twice', 'the sign of g lost']
    >>> with wrong[0].installed():
    ...     x = tg.tensor(0.0, requires_grad=True)
    ...     (tg.tanh(x) * 5).backward()
    >>> x.grad
    tensor(1.)
    """
    if isinstance(op, type) and issubclass(op, Function):
        return list(function_mutants(op))
    if not isinstance(op, Primitive):
        raise TypeError(
            f"mutants() takes a primitive (tinygrad_edu.ops.mul) or an autograd.Function, not {type(op).__name__}: a "
            "Python function has no rule of its own that could be wrong"
        )
    found = []
    for name, rule in op.rules.items():
        found += [*of_answer(op, name, rule), *of_arguments(op, name, rule), *of_steps(op, name, rule)]
    return [*found, *exchanged(op), *of_kernels(op)]


@contextmanager
def with_rules(op: Primitive, **rules: Rule) -> Iterator[None]:
    """Other rules for some inputs of a primitive, in force on arrays too: its fused kernel is not used."""
    before, fused = dict(op.rules), op.fused
    op.rules.update(rules)
    op.fused = None
    op.plans.clear()
    try:
        yield
    finally:
        op.rules.clear()
        op.rules.update(before)
        op.fused = fused
        op.plans.clear()


def mutant(op: Primitive, name: str, what: str, rule: Callable[[], Rule]) -> Mutant:
    """A primitive with a wrong rule for one input."""
    return Mutant(op.name, name, what, lambda: with_rules(op, **{name: rule()}))


def rewritten(rule: Rule, names: list[str], kind: str, fn: Callable[..., Any]) -> Rule:
    """A rule that asks for these names."""
    parameters = [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in names]
    fn.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return replace(rule, kind=kind, fn=fn, into=None, constant=None, _bound={})


def of_answer(op: Primitive, name: str, rule: Rule) -> Iterator[Mutant]:
    """Mistakes about the gradient as a whole."""
    names = list(rule.reads())
    found: dict[str, Callable[[], Edit]] = {what: (lambda e=edit: e) for what, edit in MISTAKES.items()}
    if any(_carries_values(op, n) for n in names):
        found |= {what: (lambda e=edit: e) for what, edit in WITH_SAVED.items()}
    if rule.constant == 0:
        found = {"1 instead of 0": lambda: lambda answer, g, saved: answer(g, saved) + g}
    for what, edit in {**found, **(WITH_STATE if rule.constant != 0 else {})}.items():
        yield mutant(op, name, what, lambda edit=edit: _edited(rule, names, edit()))


def _carries_values(op: Primitive, name: str) -> bool:
    """Whether a name means numbers with a gradient: an input or an output, not a shape, an index or g."""
    if name in op.inputs:
        return name not in op.constant and name != "g"
    slot = slot_of(op, name)
    return name == "z" or (slot is not None and slot not in op.auxiliary)


def _edited(rule: Rule, names: list[str], edit: Edit) -> Rule:
    wanted = names if "g" in names else ["g", *names]

    def fn(*given: Any) -> Any:
        known = dict(zip(wanted, given, strict=True))

        def answer(g: Any, saved: dict[str, Any]) -> Any:
            r = rule.fn(*(g if n == "g" else saved[n] for n in names))
            return times(g, r) if rule.kind == "slope" else r

        return edit(answer, known.pop("g"), known)

    return rewritten(rule, wanted, "pullback", fn)


def of_arguments(op: Primitive, name: str, rule: Rule) -> Iterator[Mutant]:
    """One value taken for another: the output for an input, one input for the other."""
    if not isinstance(op.domain, tuple):
        return
    values = [*op.inputs, "z"]
    names = list(rule.reads())
    for used in names:
        for other in values:
            if used in values and other not in names and not _boolean(op, used) and not _boolean(op, other):
                swapped = [other if n == used else n for n in names]
                yield mutant(op, name, f"{other} taken for {used}", lambda s=swapped: _renamed(rule, s))
    pair = [n for n in names if n in values]
    if len(pair) == 2:
        swapped = [{pair[0]: pair[1], pair[1]: pair[0]}.get(n, n) for n in names]
        yield mutant(op, name, f"{pair[0]} and {pair[1]} exchanged", lambda: _renamed(rule, swapped))


def _boolean(op: Primitive, name: str) -> bool:
    return name in op.inputs and op.domain[op.inputs.index(name)].boolean


def _renamed(rule: Rule, names: list[str]) -> Rule:
    return rewritten(rule, names, rule.kind, lambda *given: rule.fn(*given))


def of_steps(op: Primitive, name: str, rule: Rule) -> Iterator[Mutant]:
    """Mistakes in one step of the rule."""
    for site in sites(op, name):
        for what, change in EDITS.get(site[0], ()):
            step = site[0] if site[1] == 0 else f"{site[0]} number {site[1] + 1}"
            yield mutant(op, name, f"{what} ({step})", lambda s=site, c=change: _stepped(rule, s, c))


def _stepped(rule: Rule, site: tuple[str, int], change: Change) -> Rule:
    def fn(*given: Any) -> Any:
        return follow(Tracer(site, change), rule.fn, given)

    return rewritten(rule, list(rule.reads()), rule.kind, fn)


def sites(op: Primitive, name: str) -> list[tuple[str, int]]:
    """The steps of a rule on sampled calls, in the order they are met."""
    found: dict[tuple[str, int], None] = {}
    rule = op.rules[name]
    if rule.constant is not None:
        return []

    def fn(*given: Any) -> Any:
        tracer = Tracer()
        answer = follow(tracer, rule.fn, given)
        found.update(dict.fromkeys(tracer.sites))
        return answer

    spy = rewritten(rule, list(rule.reads()), rule.kind, fn)
    with with_rules(op, **{name: spy}):
        from tinygrad_edu.testing.cases import Case, Subject

        for seed in range(SAMPLES):
            draw = kinked_calls if seed % 3 == 2 else calls
            case = Case(Subject(op), draw(op).sample((seed, 2)))
            if case.xs:
                case.walk(case.us(), record=True)
    return list(found)


def exchanged(op: Primitive) -> Iterator[Mutant]:
    """The rules of two inputs exchanged."""
    names = list(op.rules)
    for a, b in pairwise(names):
        first, second = op.rules[a], op.rules[b]
        if first.constant is not None and first.constant == second.constant:
            continue

        def patch(a: str = a, b: str = b, first: Rule = first, second: Rule = second) -> Any:
            return with_rules(op, **{a: replace(second, input=a, _bound={}), b: replace(first, input=b, _bound={})})

        yield Mutant(op.name, "", f"the rules of {a} and {b} exchanged", patch)


def of_kernels(op: Primitive) -> Iterator[Mutant]:
    """Mistakes in the kernels that are used on arrays: those that add into a buffer, and the fused ones."""
    for name, rule in op.rules.items():
        if rule.into is not None:
            yield mutant(op, name, "kernel overwrites the buffer", lambda r=rule: _into(r, _overwriting))
            yield mutant(op, name, "kernel adds twice", lambda r=rule: _into(r, _twice))
    if op.fused:
        names, fast = op.fused
        for k, name in enumerate(names):
            for what, f in (("sign flipped", lambda r: -r), ("doubled", lambda r: 2 * r)):
                yield Mutant(op.name, name, f"fused kernel: {what}", lambda k=k, f=f: _with_fused(op, fast, k, f))


def _into(rule: Rule, how: Callable[..., Any]) -> Rule:
    into = rule.into
    assert into is not None
    names = list(rule.reads(into))

    def fn(*given: Any) -> None:
        how(into, given, names.index("buffer"))

    fn.__signature__ = inspect.signature(into)  # type: ignore[attr-defined]
    return replace(rule, into=fn, _bound={})


def _overwriting(into: Callable[..., Any], given: tuple[Any, ...], at: int) -> None:
    fresh = np.zeros_like(given[at])
    into(*given[:at], fresh, *given[at + 1 :])
    given[at][...] = fresh


def _twice(into: Callable[..., Any], given: tuple[Any, ...], at: int) -> None:
    into(*given)
    into(*given)


@contextmanager
def _with_fused(op: Primitive, fast: Callable[..., Any], k: int, f: Callable[[Any], Any]) -> Iterator[None]:
    """One result of a fused kernel changed."""

    def wrong(*given: Any) -> Any:
        found = fast(*given)
        if not isinstance(found, tuple):
            return f(found)
        return tuple(f(r) if i == k and r is not None else r for i, r in enumerate(found))

    wrong.__signature__ = inspect.signature(fast)  # type: ignore[attr-defined]
    before = op.fused
    assert before is not None
    op.fused = (before[0], wrong)
    op.plans.clear()
    try:
        yield
    finally:
        op.fused = before
        op.plans.clear()


def function_mutants(cls: type[Function]) -> Iterator[Mutant]:
    """Wrong versions of the backward of an `autograd.Function`."""
    backward = cls.backward
    names = list(inspect.signature(cls.forward).parameters)[1:]
    found: dict[str, Callable[[], Edit]] = {what: (lambda e=edit: e) for what, edit in MISTAKES.items()}
    for k, name in enumerate(names):
        for what, edit in {**found, **WITH_STATE}.items():
            yield Mutant(
                cls.__name__, name, what, lambda k=k, e=edit: _with_backward(cls, _one_edited(backward, k, e()))
            )
    for k in range(len(names) - 1):
        what = f"the gradients of {names[k]} and {names[k + 1]} exchanged"
        yield Mutant(cls.__name__, "", what, lambda k=k: _with_backward(cls, _two_exchanged(backward, k)))


def _one_edited(backward: Callable[..., Any], k: int, edit: Edit) -> Callable[..., Any]:
    def wrong(ctx: Any, *gs: Any) -> Any:
        def parts(g: Any) -> tuple[Any, ...]:
            found = backward(ctx, *g)
            return found if isinstance(found, tuple) else (found,)

        right = parts(gs)
        if k >= len(right) or right[k] is None:
            return right
        return (*right[:k], edit(lambda g, saved: parts(g)[k], gs, {}), *right[k + 1 :])

    return wrong


def _two_exchanged(backward: Callable[..., Any], k: int) -> Callable[..., Any]:
    def wrong(ctx: Any, *gs: Any) -> Any:
        found = backward(ctx, *gs)
        found = found if isinstance(found, tuple) else (found,)
        return (*found[:k], found[k + 1], found[k], *found[k + 2 :]) if len(found) > k + 1 else found

    return wrong


@contextmanager
def _with_backward(cls: type[Function], wrong: Callable[..., Any]) -> Iterator[None]:
    before = cls.__dict__.get("backward")
    cls.backward = staticmethod(wrong)  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        if before is None:
            del cls.backward
        else:
            cls.backward = before
