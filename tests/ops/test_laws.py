"""The four laws of every registered primitive: its rules are pure, linear in g, closed, and it can be sampled."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature, signature
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.engine.domain import Domain, Family
from tinygrad_edu.engine.node import producer
from tinygrad_edu.engine.plan import fit, times
from tinygrad_edu.engine.primitive import Primitive, registry
from tinygrad_edu.engine.value import make
from tinygrad_edu.testing import Call, calls, upstream
from tinygrad_edu.testing.cases import Subject
from tinygrad_edu.testing.families import FAMILIES
from tinygrad_edu.testing.trace import Traced

BUILT_IN = {name: op for name, op in registry.items() if op.__module__.startswith("tinygrad_edu.")}
WITH_RULES = [op for op in BUILT_IN.values() if op.rules]

every = pytest.mark.parametrize("op", BUILT_IN.values(), ids=list(BUILT_IN))
every_rule = pytest.mark.parametrize("op", WITH_RULES, ids=lambda op: op.name)


class Recorded:
    """One recorded call with everything a rule may ask for."""

    def __init__(self, op: Primitive, call: Call) -> None:
        self.op, self.call = op, call
        self.wanted = [
            i
            for i, v in enumerate(call.inputs)
            if isinstance(v, np.ndarray) and v.dtype.kind == "f" and op.input_name(i) in op.rules
        ]
        given = [make(v) if isinstance(v, np.ndarray) else v for v in call.inputs]
        for i in self.wanted:
            given[i].requires_grad_()
        out = op(*given, **call.static)
        results = out if isinstance(out, tuple) else (out,)
        self.node = producer(next(r._edge for r in results if r._edge is not None)) if self.wanted else None
        self.z: Any = tuple(r._array for r in results) if isinstance(out, tuple) else out._array
        self.shapes = [r.shape for k, r in enumerate(results) if k not in op.auxiliary]

    def rules(self) -> list[tuple[int, Any, Any]]:
        """(position, rule, bound) for each input that has one."""
        first = len(self.op.inputs) - (self.op.variadic is not None)
        found = []
        for i in self.wanted:
            rule = self.op.rules[self.op.input_name(i)]
            found.append((i, rule, rule.bound(i - first)))
        return found

    def pack(self, gs: list[Any]) -> Any:
        """The upstream gradient in the form rules take it."""
        return tuple(gs) if isinstance(self.z, tuple) else gs[0]

    def ask(self, i: int, rule: Any, bound: Any, g: Any) -> Any:
        """The gradient of input i on arrays."""
        answer = bound(g, (*self.call.inputs, self.z), self.node)
        answer = times(g, answer) if rule.kind == "slope" else answer
        shape = self.node.inputs[i].shape
        return np.asarray(answer if answer.shape == shape else fit(answer, shape))


def draw_recorded(data: Any, op: Primitive) -> Recorded:
    return Recorded(op, data.draw(calls(op).strategy()))


@every
def test_every_input_has_a_rule_or_the_statement_that_it_has_none(op):
    for name in op.inputs:
        assert (name in op.rules) != (name in op.constant), f"{op.name}: input {name!r}"


@every
def test_sampled(op):
    """Property tests can draw calls of it."""
    if isinstance(op.domain, Family):
        assert op.domain.name in FAMILIES, f"tinygrad_edu.testing.families cannot draw {op.domain.name!r} yet"
    else:
        assert isinstance(op.domain, tuple)
        assert len(op.domain) == len(op.inputs)
        assert all(isinstance(d, Domain) for d in op.domain)


@every_rule
@given(st.data())
def test_pure_and_closed(op, data):
    """Rules run on symbols and give what they give on arrays; every step on g's way has a rule in its turn."""
    made = draw_recorded(data, op)
    gs = [data.draw(upstream(shape).strategy()) for shape in made.shapes]
    symbols = [Traced(v) if isinstance(v, np.ndarray) else v for v in made.call.inputs]
    z = tuple(map(Traced, made.z)) if isinstance(made.z, tuple) else Traced(made.z)
    for i, rule, bound in made.rules():
        g = made.pack([Traced(g, is_g=True) for g in gs])
        answer = bound(g, (*symbols, z), made.node)
        answer = times(g, answer) if rule.kind == "slope" else answer
        if answer.shape != made.node.inputs[i].shape:
            answer = fit(answer, made.node.inputs[i].shape)
        np.testing.assert_array_equal(answer.value, made.ask(i, rule, bound, made.pack(gs)))
        assert_closed(answer)


def assert_closed(answer: Traced) -> None:
    """All primitives are registered, and g passes only through inputs that have a rule."""
    carries: dict[int, bool] = {}

    def visit(s: Any) -> bool:
        if not isinstance(s, Traced):
            return False
        if id(s) not in carries:
            carries[id(s)] = s.is_g
            if s.made is not None:
                primitive, inputs = s.made
                assert registry.get(primitive.name) is primitive
                through = [i for i, v in enumerate(inputs) if visit(v)]
                for i in through:
                    assert primitive.input_name(i) in primitive.rules, (
                        f"g is lost: {primitive.name} has no rule for {primitive.input_name(i)!r}"
                    )
                carries[id(s)] = bool(through)
        return carries[id(s)]

    assert visit(answer), "the answer does not depend on g"


@every_rule
@given(st.data())
def test_linear_in_g(op, data):
    made = draw_recorded(data, op)
    one = [data.draw(upstream(shape).strategy()) for shape in made.shapes]
    two = [data.draw(upstream(shape).strategy()) * 0.75 + 0.5 for shape in made.shapes]
    for i, rule, bound in made.rules():

        def r(gs, i=i, rule=rule, bound=bound):
            return made.ask(i, rule, bound, made.pack(gs))

        np.testing.assert_array_equal(r([g * 0 for g in one]), 0)
        np.testing.assert_array_equal(r([g * 2 for g in one]), 2 * r(one))
        total = r([a + b for a, b in zip(one, two, strict=True)])
        np.testing.assert_allclose(total, r(one) + r(two), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("op", [op for op in WITH_RULES if op.fused], ids=lambda op: op.name)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@given(data=st.data())
def test_fast_kernels_equal_the_rule(op, dtype, data):
    call = data.draw(calls(op).strategy())
    call.inputs = [v.astype(dtype) if isinstance(v, np.ndarray) and v.dtype.kind == "f" else v for v in call.inputs]
    made = Recorded(op, call)
    g = made.pack([data.draw(upstream(shape, dtype).strategy()) for shape in made.shapes])
    names, fast = op.fused
    needs = tuple(data.draw(st.booleans()) for _ in names) if "needs" in signature(fast).parameters else None
    fn = fast if needs is None else knowing(fast, needs)
    found = made.op.rules[names[0]].bound(0, fn)(g, (*call.inputs, made.z), made.node)
    found = found if isinstance(found, tuple) else (found,)
    expected = {rule.input: made.ask(i, rule, bound, g) for i, rule, bound in made.rules()}
    for k, (name, answer) in enumerate(zip(names, found, strict=True)):
        if needs is not None and not needs[k]:
            continue
        assert answer.dtype == dtype
        if op.broadcasts:
            answer = fit(answer, call.inputs[op.inputs.index(name)].shape)
        tolerance = 1e-12 if dtype == np.float64 else 1e-5
        np.testing.assert_allclose(answer, expected[name], rtol=tolerance, atol=tolerance)


def knowing(fast: Callable[..., Any], needs: tuple[bool, ...]) -> Callable[..., Any]:
    """A fused kernel that is told already which gradients are asked for."""
    names = [name for name in signature(fast).parameters if name != "needs"]

    def told(*given: Any) -> Any:
        return fast(**dict(zip(names, given, strict=True)), needs=needs)

    told.__signature__ = Signature([Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in names])
    return told


@pytest.mark.parametrize(
    "op", [op for op in WITH_RULES if any(r.into for r in op.rules.values())], ids=lambda op: op.name
)
@given(data=st.data())
def test_kernels_that_add_into_a_buffer_equal_the_rule(op, data):
    made = draw_recorded(data, op)
    g = made.pack([data.draw(upstream(shape).strategy()) for shape in made.shapes])
    for i, rule, bound in made.rules():
        if rule.into is None:
            continue
        before = np.arange(float(made.call.inputs[i].size)).reshape(made.call.inputs[i].shape)
        buffer = before.copy()
        known = dict(zip(op.inputs, made.call.inputs, strict=False), g=g, buffer=buffer, **made.call.static)
        if op.variadic:
            known[op.variadic] = tuple(made.call.inputs[len(op.inputs) - 1 :])
        rule.into(*(known[name] for name in rule.reads(rule.into)))
        np.testing.assert_allclose(buffer, before + made.ask(i, rule, bound, g), rtol=1e-12, atol=1e-12)


@every
@given(st.data())
def test_forward_gives_fresh_or_shared_memory_but_changes_no_input(op, data):
    """Inputs stay as they were, results are arrays, and a second call gives the same."""
    call = data.draw(calls(op).strategy())
    before = [np.array(v) for v in call.inputs]
    first, second = (Subject(op)(call.inputs, call.static) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert type(a) is np.ndarray
        np.testing.assert_array_equal(a, b)
    for v, old in zip(call.inputs, before, strict=True):
        np.testing.assert_array_equal(v, old)


def test_a_law_notices_a_rule_that_breaks_it():
    """The tests above can fail: an impure rule, a rule that loses g, one that forgets it."""
    x = np.array([1.0, 2.0])
    with pytest.raises(TypeError):
        np.exp(Traced(x))
    with pytest.raises(TypeError):
        float(Traced(np.array(1.0)))
    with pytest.raises(AssertionError, match="does not depend on g"):
        assert_closed(Traced(x) * 2)
    with pytest.raises(AssertionError, match="g is lost"):
        assert_closed(tg.ops.eq(Traced(x, is_g=True), 0))
