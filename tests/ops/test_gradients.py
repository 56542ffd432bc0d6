"""Every rule against finite differences, in float64, first and second order, with drawn upstream gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import assert_slope, differentiable, inner, leaves_of, outputs_of
from strategies import Call, calls, upstream

import tinygrad_edu as tg
from tinygrad_edu.engine.primitive import Primitive, registry

BUILT_IN = [op for op in registry.values() if op.__module__.startswith("tinygrad_edu.")]
every_rule = pytest.mark.parametrize("op", [op for op in BUILT_IN if op.rules], ids=lambda op: op.name)


def pulled(op: Primitive, call: Call, us: list[np.ndarray], record: bool = False) -> tuple[list, list, list]:
    """(leaves, upstream tensors, gradients) of one walk through one call."""
    given, leaves = leaves_of(op, call.inputs)
    outs = outputs_of(op, given, call.static)
    gs = [tg.from_numpy(u) for u in us]
    if record:
        gs = [g.requires_grad_() for g in gs]
    return leaves, gs, list(tg.autograd.grad(outs, leaves, gs, create_graph=record))


def drawn(data: Any, op: Primitive) -> tuple[Call, list[int], list[np.ndarray]]:
    call = data.draw(calls(op))
    outs = outputs_of(op, call.inputs, call.static)
    return call, differentiable(op, call.inputs), [data.draw(upstream(o.shape)) for o in outs]


def scalar(op: Primitive, call: Call, wanted: list[int], us: list[np.ndarray]) -> Any:
    """The inner product of outputs and upstream as a function of the differentiable inputs."""

    def f(*arrays: np.ndarray) -> float:
        inputs = list(call.inputs)
        for i, a in zip(wanted, arrays, strict=True):
            inputs[i] = a
        return inner(outputs_of(op, inputs, call.static), us)

    return f


@every_rule
@given(st.data())
def test_first_order(op, data):
    call, wanted, us = drawn(data, op)
    before = [np.array(v) for v in (*call.inputs, *us)]
    leaves, gs, grads = pulled(op, call, us)
    arrays = [call.inputs[i] for i in wanted]
    for k, (leaf, g) in enumerate(zip(leaves, grads, strict=True)):
        assert type(g._array) is np.ndarray
        assert (g.shape, g.dtype) == (leaf.shape, leaf.dtype)
        assert_slope(g._array, scalar(op, call, wanted, us), arrays, k)
    for v, old in zip((*call.inputs, *us), before, strict=True):
        np.testing.assert_array_equal(v, old)
    assert_apart([*grads], [*leaves, *gs])


def assert_apart(grads: list[Any], others: list[Any]) -> None:
    """No gradient shares memory with another, with an input or with the upstream."""
    for k, g in enumerate(grads):
        for other in (*grads[:k], *others):
            assert not np.shares_memory(g._array, other._array)


@every_rule
@given(st.data())
def test_gradients_put_into_leaves_are_owned_by_them(op, data):
    """`.grad` after backward equals `grad`, shares memory with nothing, and the second backward adds."""
    call, _, us = drawn(data, op)
    expected = [g.numpy() for g in pulled(op, call, us)[2]]
    given, leaves = leaves_of(op, call.inputs)
    if not leaves:
        return
    gs = [tg.from_numpy(u) for u in us]
    before = [np.array(u) for u in us]
    for count in (1, 2):
        tg.autograd.backward(outputs_of(op, given, call.static), gs)
        for leaf, e in zip(leaves, expected, strict=True):
            np.testing.assert_allclose(leaf.grad.numpy(), count * e, rtol=1e-12, atol=1e-12)
        assert_apart([leaf.grad for leaf in leaves], [*leaves, *gs])
    for g, old in zip(gs, before, strict=True):
        np.testing.assert_array_equal(g.numpy(), old)


@every_rule
@given(st.data())
def test_second_order(op, data):
    """The recorded backward pass, differentiated with respect to the inputs and to the upstream gradient."""
    call, wanted, us = drawn(data, op)
    leaves, gs, grads = pulled(op, call, us, record=True)
    live = [k for k, g in enumerate(grads) if g.requires_grad]
    assert live == list(range(len(grads))), "a gradient does not depend on the upstream gradient"
    if not live:
        return
    vs = [data.draw(upstream(g.shape)) for g in grads]
    plain = pulled(op, call, us)[2]
    for g, p in zip(grads, plain, strict=True):
        np.testing.assert_allclose(g.detach().numpy(), p.numpy(), rtol=1e-12, atol=1e-12)
    second = tg.autograd.grad(
        grads, [*leaves, *gs], [tg.from_numpy(v) for v in vs], materialize_grads=True, retain_graph=True
    )

    def f(*arrays: np.ndarray) -> float:
        inputs = list(call.inputs)
        for i, a in zip(wanted, arrays, strict=False):
            inputs[i] = a
        found = pulled(op, Call(inputs, call.static), list(arrays[len(wanted) :]))[2]
        return inner([g.numpy() for g in found], vs)

    arrays = [*(call.inputs[i] for i in wanted), *us]
    for k, g in enumerate(second):
        assert (g.shape, g.dtype) == (arrays[k].shape, arrays[k].dtype)
        assert_slope(g.detach().numpy(), f, arrays, k)


@every_rule
@given(st.data())
def test_float32_gradients_are_float32_and_close(op, data):
    call, wanted, us = drawn(data, op)
    small = Call(list(call.inputs), call.static)
    for i in wanted:
        small.inputs[i] = call.inputs[i].astype(np.float32)
    small.static = {k: np.dtype("f4") if v == np.dtype("f8") else v for k, v in call.static.items()}
    wide = pulled(op, call, us)[2]
    narrow = pulled(op, small, [u.astype(np.float32) for u in us])[2]
    for a, b in zip(narrow, wide, strict=True):
        assert a.dtype == np.float32
        scale = max(1.0, float(np.abs(b.numpy()).max(initial=0)))
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=0, atol=2e-5 * scale)


CONSTANT = [
    op for op in BUILT_IN if op.constant and isinstance(op.domain, tuple) and not any(d.boolean for d in op.domain)
]


@pytest.mark.parametrize("op", CONSTANT, ids=lambda op: op.name)
@given(data=st.data())
def test_inputs_without_a_gradient_have_slope_zero(op, data):
    """ "No gradient here" is a statement about mathematics: the result does not move with the input."""
    call = data.draw(calls(op))
    call.inputs = [v if not isinstance(v, np.ndarray) else v.astype(float) for v in call.inputs]
    wanted = [i for i, v in enumerate(call.inputs) if isinstance(v, np.ndarray)]
    us = [data.draw(upstream(o.shape)) for o in outputs_of(op, call.inputs, call.static)]
    for k in range(len(wanted)):
        zeros = np.zeros_like(call.inputs[wanted[k]])
        assert_slope(zeros, scalar(op, call, wanted, us), [call.inputs[i] for i in wanted], k)


def test_the_checker_notices_wrong_gradients():
    """A checker that cannot fail checks nothing: each of these is off by one mistake."""
    x = np.array([0.5, -1.0, 2.0])

    def f(x: np.ndarray) -> float:
        return float(np.sum(x**3))

    right = 3 * x**2
    assert_slope(right, f, [x], 0)
    for wrong in (-right, right / 3, right[::-1], np.ones(3), right + 1e-6):
        with pytest.raises(AssertionError):
            assert_slope(wrong, f, [x], 0)
    with pytest.raises(AssertionError, match="kink"):
        assert_slope(np.zeros(1), lambda x: float(np.sum(np.abs(x))), [np.array([STEP_AWAY])], 0)


STEP_AWAY = 2.0**-10
