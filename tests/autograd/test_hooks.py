"""Hooks, kept gradients, several outputs and anomaly detection, each script run here and in PyTorch."""

from __future__ import annotations

import pytest
from scripts import assert_same, leaf, outcome, scripts

import tinygrad_edu as tg


def s_retain_grad_of_a_constant(m):
    m.ones(3).retain_grad()


def s_hook_on_a_constant(m):
    m.ones(3).register_hook(lambda g: g)


def s_leaf_hook(m):
    x = leaf(m)
    seen = []
    x.register_hook(lambda g: seen.append(g * 1))
    x.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: seen.append(g * 1))
    (x * x).sum().backward()
    return [x.grad, *seen]


def s_leaf_hook_sees_the_sum(m):
    x = leaf(m)
    seen = []
    x.register_hook(lambda g: seen.append(g * 1))
    (x * x + x).sum().backward()
    return seen


def s_interior_hook(m):
    x = leaf(m)
    h = x * 2
    seen = []
    h.register_hook(lambda g: seen.append(g * 1))
    h.register_hook(lambda g: g + 1)
    h.register_hook(lambda g: seen.append(g * 1))
    (h * h + h).sum().backward()
    return [x.grad, *seen]


def s_hook_on_the_root(m):
    x = leaf(m)
    y = (x * x).sum()
    y.register_hook(lambda g: g * 5)
    y.backward()
    return x.grad


def s_hooks_removed(m):
    x = leaf(m)
    h = x * 2
    one = h.register_hook(lambda g: g * 3)
    two = h.register_hook(lambda g: g * 5)
    three = x.register_hook(lambda g: g * 7)
    one.remove()
    one.remove()
    three.remove()
    h.sum().backward()
    first = x.grad.clone()
    two.remove()
    return first


def s_a_removed_hook_stays_removed(m):
    x = leaf(m)
    one = x.register_hook(lambda g: g * 3)
    one.remove()
    x.register_hook(lambda g: g * 5)
    one.remove()
    x.sum().backward()
    return x.grad


def s_the_same_hook_twice(m):
    x = leaf(m)
    h = x * 2

    def triple(g):
        return g * 3

    one = h.register_hook(triple)
    h.register_hook(triple)
    one.remove()
    one.remove()
    h.sum().backward()
    return x.grad


def s_hook_on_one_of_several_outputs(m):
    x = leaf(m)
    a, b = x.split([1, 2])
    a.register_hook(lambda g: g * 10)
    b.register_hook(lambda g: g * 100)
    (a.sum() + (b * 2).sum()).backward()
    return x.grad


def s_hook_and_grad(m):
    x = leaf(m)
    h = x * 2
    x.register_hook(lambda g: g * 10)
    h.register_hook(lambda g: g * 3)
    return m.autograd.grad((h * h).sum(), x, retain_graph=True) + m.autograd.grad((h * h).sum(), h)


def s_hook_with_create_graph(m):
    x = leaf(m)
    h = x * x
    h.register_hook(lambda g: g * x)
    (g,) = m.autograd.grad((h * h).sum(), x, create_graph=True)
    return g, m.autograd.grad(g.sum(), x)[0]


def s_hook_of_a_wrong_shape(m):
    x = leaf(m)
    h = x * 2
    h.register_hook(lambda g: m.ones(2, dtype=m.float64))
    h.sum().backward()


def s_hook_returns_no_tensor(m):
    x = leaf(m)
    h = x * 2
    h.register_hook(lambda g: 3.0)
    h.sum().backward()


def s_captured_gradients_stay(m):
    """What a hook saw does not change when gradients accumulate later."""
    x = leaf(m)
    seen = []
    x.register_hook(seen.append)
    y = x + 1
    y.register_hook(seen.append)
    y.sum().backward(retain_graph=True)
    (x * 3).sum().backward()
    return seen[:2]


def s_returned_tensors_stay(m):
    """A tensor that a hook returns is not written to by later accumulation."""
    x = leaf(m)
    constant = m.ones(3, dtype=m.float64)
    handle = x.register_hook(lambda g: constant)
    (x * 2).sum().backward()
    handle.remove()
    (x * 2).sum().backward()
    return constant, x.grad


def s_retain_grad(m):
    x = leaf(m)
    h = x * 2
    h.retain_grad()
    h.retain_grad()
    (h * h).sum().backward()
    return h.grad, h.retains_grad, x.retains_grad


def s_retain_grad_after_a_hook(m):
    x = leaf(m)
    h = x * 2
    h.retain_grad()
    h.register_hook(lambda g: g * 10)
    (h * h).sum().backward()
    return h.grad, x.grad


def s_retain_grad_accumulates(m):
    x = leaf(m)
    h = x * 2
    h.retain_grad()
    loss = (h * h).sum()
    loss.backward(retain_graph=True)
    loss.backward()
    return h.grad


def s_split_with_one_used(m):
    x = leaf(m)
    _, b = x.split([1, 2])
    (b * b).sum().backward()
    return x.grad


def s_unbind_with_some_used(m):
    x = leaf(m, [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    a, _, c = x.unbind()
    (a * c).sum().backward()
    return x.grad


def s_iteration_over_nothing(m):
    x = m.zeros(0, 3, requires_grad=True)
    return list(x), len(x.unbind())


def s_output_of_several_as_root(m):
    x = leaf(m)
    a, b = x.split([1, 2])
    a.backward(retain_graph=True)
    b.backward(m.ones(2, dtype=m.float64))
    return x.grad


def s_cat_with_a_repeat(m):
    x, w = leaf(m), leaf(m)
    (m.cat([x, w, x]) * m.arange(9.0, dtype=m.float64)).sum().backward()
    return x.grad, w.grad


def s_size_zero(m):
    x = m.zeros(0, 3, dtype=m.float64, requires_grad=True)
    w = leaf(m)
    ((x * w).sum() + w.sum()).backward()
    return x.grad, w.grad


def s_anomaly(m):
    x = m.tensor([0.0], dtype=m.float64, requires_grad=True)
    with m.autograd.detect_anomaly():
        (m.sqrt(x) * 0).sum().backward()


def s_anomaly_off(m):
    x = m.tensor([0.0], dtype=m.float64, requires_grad=True)
    (m.sqrt(x) * 0).sum().backward()
    return x.grad


def s_anomaly_without_nan(m):
    x = leaf(m)
    with m.autograd.detect_anomaly():
        (x * x).sum().backward()
    return x.grad


def s_data_between_forward_and_backward(m):
    x = leaf(m)
    y = (x + 1).sum()
    x.data = x.data * 100
    y.backward()
    return x.grad, x


SCRIPTS = scripts(dict(globals()))


@pytest.mark.parametrize("name", SCRIPTS)
def test_like_pytorch(name, torch):
    assert_same(outcome(tg, SCRIPTS[name]), outcome(torch, SCRIPTS[name]))
