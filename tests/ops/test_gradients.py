"""Every rule, on drawn calls: all properties of `tinygrad_edu.testing`, at smooth points and at kinks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import ops
from tinygrad_edu.engine.primitive import registry
from tinygrad_edu.testing import calls, cases
from tinygrad_edu.testing.cases import flat
from tinygrad_edu.testing.oracles import differences

BUILT_IN = [op for op in registry.values() if op.__module__.startswith("tinygrad_edu.")]
CONSTANT = [
    op for op in BUILT_IN if op.constant and isinstance(op.domain, tuple) and not any(d.boolean for d in op.domain)
]


@pytest.mark.gradient
@pytest.mark.parametrize("op", [op for op in BUILT_IN if op.rules], ids=lambda op: op.name)
@given(data=st.data())
def test_gradients(op, data):
    """The properties are those of `tinygrad_edu.testing.PROPERTIES`: slopes, both orders, memory, dtypes, layouts."""
    data.draw(cases(op).strategy()).verify()


@pytest.mark.parametrize("op", CONSTANT, ids=lambda op: op.name)
@given(data=st.data())
def test_inputs_without_a_gradient_have_slope_zero(op, data):
    """ "No gradient here" is a statement about mathematics: the result does not move with the input."""
    call = data.draw(calls(op).strategy())
    wanted = [i for i, v in enumerate(call.inputs) if isinstance(v, np.ndarray)]

    def outputs(xs):
        inputs = list(call.inputs)
        for i, x in zip(wanted, xs, strict=True):
            inputs[i] = x
        out = op(*inputs, **call.static)
        return flat([np.asarray(out, float)])

    found = differences(outputs, [call.inputs[i].astype(float) for i in wanted])
    assert found.known.all()
    assert not found.value.any()


@pytest.mark.parametrize("leaf", [True, False])
def test_the_gradient_of_a_weight_comes_in_rows_without_a_copy(leaf):
    """Of `x @ w`, and of the `x @ w.T` of a linear layer."""
    x = np.random.default_rng(0).standard_normal((5, 3))
    gradient = {}
    w = tg.tensor(np.random.default_rng(1).standard_normal((3, 4) if leaf else (4, 3)), requires_grad=True)
    z = tg.tensor(x) @ (w if leaf else ops.mT(w))
    g = np.random.default_rng(2).standard_normal(z.shape)
    node = z._edge
    node.plan.pull(node, g, gradient, {})
    (found,) = gradient.values()
    expected = x.T @ g
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert (found if leaf else found.T).flags.c_contiguous
    z.backward(tg.tensor(g))
    np.testing.assert_allclose(w.grad.numpy(), expected if leaf else expected.T, rtol=1e-12)
