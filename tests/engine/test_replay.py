"""Values and gradients after the fact: the same before and after backward, until a leaf is written to."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.engine.replay import gradients, values


def small_net():
    x = tg.tensor([[0.5, -1.0, 2.0]], dtype=tg.float64, requires_grad=True)
    w = tg.tensor(np.linspace(-1, 1, 12).reshape(3, 4), requires_grad=True)
    b = tg.zeros(4, dtype=tg.float64, requires_grad=True)
    h = tg.relu(x @ w + b)
    left, right = h.split(2, dim=1)
    y = (left[:, 1:] * tg.exp(right) + h[:, 0] / 2).sum() * 3
    return (x, w, b), (h, left, right, y), y


def test_values_are_what_was_computed():
    leaves, computed, y = small_net()
    known = values(y._edge)
    for t in (*leaves, *computed):
        np.testing.assert_array_equal(known[t._edge], t.detach().numpy())


@pytest.mark.parametrize("retain", [None, False, True])
def test_gradients_are_those_of_the_walk(retain):
    """Before backward, and after it with and without the saved values."""
    leaves, computed, y = small_net()
    for t in computed:
        t.retain_grad()
    if retain is not None:
        y.backward(retain_graph=retain)
    found = gradients(y._edge)
    if retain is None:
        y.backward()
    for t in (*leaves, *computed):
        np.testing.assert_array_equal(found[t._edge], t.grad.numpy())


def test_the_graph_is_only_read():
    (x, *_), (h, *_), y = small_net()
    seen = []
    h.register_hook(lambda g: seen.append(g))
    gradients(y._edge)
    assert x.grad is None
    assert not seen
    y.backward()
    assert len(seen) == 1
    assert gradients(y._edge)[x._edge].tolist() == x.grad.tolist()


def test_an_upstream_gradient_may_be_given():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    y = x * x
    assert gradients(y._edge, np.array([1.0, 10.0], np.float32))[x._edge].tolist() == [2.0, 40.0]


def test_a_leaf_or_a_constant_written_to_since_is_named():
    w = tg.tensor([1.0, 2.0], requires_grad=True)
    c = tg.tensor([3.0, 4.0])
    y = (w * c).sum()
    with tg.no_grad():
        w += 1
    with pytest.raises(RuntimeError, match=r"'w' \(shape \(2,\)\), the input 'x' of mul.*w \+= 1"):
        values(y._edge)
    y = (w * c).sum()
    c[0] = 7.0
    with pytest.raises(RuntimeError, match=r"'c'.*c\[0\] = 7.0"):
        gradients(y._edge)


def test_a_write_before_the_use_is_no_change():
    w = tg.tensor([1.0, 2.0], requires_grad=True)
    with tg.no_grad():
        w += 1
    assert values((w * 2).sum()._edge)[w._edge].tolist() == [2.0, 3.0]


def test_a_long_chain_is_replayed_without_recursion():
    x = tg.tensor(1.0, requires_grad=True)
    y = x
    for _ in range(20_000):
        y = y + 1.0
    assert values(y._edge)[y._edge] == 20_001
    assert gradients(y._edge)[x._edge] == 1
