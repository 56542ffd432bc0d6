"""Every registered primitive can be recorded with its gradient, printed, replayed, written out, and compiled."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import assert_agreement, assert_same, giving_all
from emitted import in_python
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import ops
from tinygrad_edu.engine.primitive import registry
from tinygrad_edu.testing import calls, upstream

BUILT_IN = {name: op for name, op in registry.items() if op.__module__.startswith("tinygrad_edu.")}
HALF = settings(max_examples=settings.default.max_examples // 2)  # many primitives, little to choose


def tensors_of(op, call):
    """The inputs as tensors, leaves where there is a rule."""
    given = []
    for i, value in enumerate(call.inputs):
        if not isinstance(value, np.ndarray):
            given.append(value)
            continue
        tensor = tg.from_numpy(value.copy())
        wants = value.dtype.kind == "f" and op.input_name(i) in op.rules
        given.append(tensor.requires_grad_() if wants else tensor)
    return given


def results_of(op, inputs, static):
    out = op(*inputs, **static)
    return out if isinstance(out, tuple) else (out,)


@pytest.mark.parametrize("op", BUILT_IN.values(), ids=list(BUILT_IN))
@HALF
@given(data=st.data())
def test_recorded_printed_replayed(op, data):
    assert getattr(ops, op.name) is op, "the emitted source calls ops.<name>"
    call = data.draw(calls(op).strategy())
    inputs = tensors_of(op, call)
    if not any(isinstance(v, tg.Tensor) for v in inputs):
        return
    gs = [data.draw(upstream(r.shape).strategy()) for r in results_of(op, inputs, call.static)]
    gs = [tg.from_numpy(np.ascontiguousarray(g)) for g in gs]
    with tg.record() as program:
        results = results_of(op, inputs, call.static)
        parts = [(r * g).sum() for r, g in zip(results, gs, strict=True) if r.requires_grad]
        for part in parts:
            part.backward(retain_graph=True)
    # A cast to the dtype that is there already does nothing
    assert op.name == "cast" or op.name in {line.op for line in program.instructions}
    assert all(line.outputs[0] in str(program) for line in program.instructions)
    values = assert_agreement(program, compiled=False)
    for name, result in zip((n for n in values if n.startswith("results_")), results, strict=False):
        np.testing.assert_array_equal(values[name], result.numpy(force=True))


def compilable(name, call):
    """Whether this call should compile: a mask picks a number of entries that only the data know."""
    masks = any(isinstance(v, np.ndarray) and v.dtype == bool for v in call.inputs)
    return not (masks and name.startswith("index"))


@settings(max_examples=2, derandomize=True, database=None, phases=[Phase.generate])
@given(data=st.data())
def test_compiled_in_one_program(data):
    """One call of every primitive, in one function."""
    drawn = [(name, op, data.draw(calls(op).strategy())) for name, op in BUILT_IN.items()]
    chosen = [(op, tensors_of(op, call), call.static) for name, op, call in drawn if compilable(name, call)]
    with tg.record() as program:
        for op, inputs, static in chosen:
            results_of(op, inputs, static)
    program = giving_all(program)
    values = program.run()
    assert len(values) > 60
    assert_same(program.compile()(), values, 1e-12)


@pytest.mark.parametrize("op", BUILT_IN.values(), ids=list(BUILT_IN))
@HALF
@given(data=st.data())
def test_emitted_code_gives_the_same(op, data):
    """As Python: what is compiled is tested with fewer draws."""
    call = data.draw(calls(op).strategy())
    inputs = tensors_of(op, call)
    if not any(isinstance(v, tg.Tensor) for v in inputs):
        return
    with tg.record() as program:
        results = results_of(op, inputs, call.static)
    program = giving_all(program)
    if compilable(op.name, call):
        values = in_python(program.compile())()
        assert len(values) == len(results) or op.name == "cast"
        assert_same(values, program.run(), 1e-12)
    else:
        with pytest.raises(NotImplementedError, match=rf"^{op.name} with a mask .*op\(\*inputs, \*\*static\).*run"):
            program.compile()


def test_primitives_of_the_users_own():
    @tg.primitive(domain=BUILT_IN["exp"].domain)
    def softplus_of_mine(x):
        return np.log1p(np.exp(-0.5 * x)) + x / 2

    softplus_of_mine.slope(x=lambda x: ops.sigmoid(x / 2.0) / 2.0)

    @tg.primitive(domain=BUILT_IN["sum"].domain)
    def second_largest(x):
        return np.sort(x, axis=None)[-2]

    second_largest.no_gradient()
    try:
        x = tg.tensor([1.0, -2.0, 0.5], requires_grad=True)
        with tg.record() as program:
            y = softplus_of_mine(x)
            y.sum().backward()
        assert "registry['softplus_of_mine'](x)" in program.source()
        assert_agreement(program, rtol=1e-6)
        with tg.record() as program:
            z = second_largest(x)
        assert_agreement(program, compiled=False)
        with pytest.raises(NotImplementedError, match=r"^second_largest cannot be compiled \(from the line 'z ="):
            program.compile()
    finally:
        del registry["softplus_of_mine"], registry["second_largest"]
    with pytest.raises(RuntimeError, match=r"'second_largest' .* is not registered any more"):
        program.run()
    assert z.item() == 0.5
