"""backward and grad, each script run here and in PyTorch."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scripts import assert_same, leaf, outcome, scripts

import tinygrad_edu as tg


def s_backward_twice_accumulates(m):
    x = leaf(m)
    for _ in range(2):
        (x * x).sum().backward()
    return x.grad


def s_backward_with_gradient(m):
    x = leaf(m)
    (x**3).backward(m.tensor([1.0, 10.0, 100.0], dtype=m.float64))
    return x.grad


def s_backward_with_a_gradient_of_another_dtype(m):
    x = leaf(m)
    (x * 2).backward(m.tensor([1.0, 10.0, 100.0]))
    return x.grad, str(x.grad.dtype)[-7:]


def s_backward_of_a_leaf(m):
    x = leaf(m, 2.0)
    x.backward()
    return x.grad


def s_backward_of_a_leaf_with_a_gradient_of_another_dtype(m):
    x = leaf(m)
    x.backward(m.tensor([1.0, 10.0, 100.0]))
    return x.grad, str(x.grad.dtype)[-7:]


def s_backward_of_one_element(m):
    x = leaf(m, [[2.0]])
    (x * x).backward()
    return x.grad


def s_upstream_is_not_kept(m):
    x = leaf(m)
    g = m.ones(3, dtype=m.float64)
    (x + 1).backward(g)
    g.mul_(5)
    return x.grad


def s_backward_inputs(m):
    x, w = leaf(m), leaf(m)
    (x * w).sum().backward(inputs=[w])
    return x.grad is None, w.grad


def s_backward_one_input(m):
    x, w = leaf(m), leaf(m)
    (x * w).sum().backward(inputs=w)
    return x.grad is None, w.grad


def s_backward_inputs_interior(m):
    x = leaf(m)
    h = x * 2
    loss = (h * h).sum()
    loss.backward(inputs=[h], retain_graph=True)
    loss.backward(inputs=[h])
    return x.grad is None, h.grad


def s_several_backward(m):
    x = leaf(m)
    m.autograd.backward([(x * x).sum(), x * 3], [None, m.ones(3, dtype=m.float64)])
    return x.grad


def s_zero_grad_by_none(m):
    x = leaf(m)
    (x * x).sum().backward()
    x.grad = None
    (x * 3).sum().backward()
    return x.grad


def s_grad_assigned(m):
    x = leaf(m)
    x.grad = m.ones(3, dtype=m.float64)
    (x * x).sum().backward()
    return x.grad


def s_grad_zeroed(m):
    x = leaf(m)
    (x * x).sum().backward()
    kept = x.grad
    x.grad.zero_()
    (x * 3).sum().backward()
    return x.grad, kept is x.grad


def s_grad_function(m):
    x, w = leaf(m), leaf(m)
    found = m.autograd.grad((x * w * w).sum(), [w, x])
    return [*found, x.grad is None]


def s_grad_of_one_input(m):
    x = leaf(m)
    return m.autograd.grad((x * x).sum(), x)


def s_grad_of_the_same_input_twice(m):
    x = leaf(m)
    return m.autograd.grad((x * x).sum(), [x, x])


def s_grad_of_itself(m):
    x = leaf(m, 3.0)
    return m.autograd.grad(x, x)


def s_grad_of_a_result(m):
    x = leaf(m)
    h = x * 2
    return m.autograd.grad((h * h * x).sum(), [h, x])


def s_grad_of_root(m):
    x = leaf(m)
    y = (x * x).sum()
    return m.autograd.grad(y, [y, x])


def s_grad_outputs(m):
    x = leaf(m)
    return m.autograd.grad([x * x, x.sum()], x, [m.ones(3, dtype=m.float64) * 2, None])


def s_allow_unused(m):
    x, w = leaf(m), leaf(m)
    return m.autograd.grad((x * x).sum(), [x, w], allow_unused=True)


def s_materialize(m):
    x, w = leaf(m), leaf(m)
    return m.autograd.grad((x * x).sum(), [x, w], materialize_grads=True)


def s_unused_is_refused(m):
    x, w = leaf(m), leaf(m)
    return m.autograd.grad((x * x).sum(), [x, w])


def s_grad_keeps_the_rest(m):
    """A walk to one input does not free what another walk needs."""
    x, w = leaf(m), leaf(m)
    a = x * x
    b = w * w
    m.autograd.grad((a + b).sum(), x)
    return m.autograd.grad(b.sum(), w)


def s_third_order(m):
    x = leaf(m)
    y = (x**4 * m.exp(x)).sum()
    found = []
    for _ in range(3):
        (y,) = m.autograd.grad(y.sum(), x, create_graph=True)
        found.append(y)
    return found


def s_mixed_second_order(m):
    x, w = leaf(m), leaf(m, (1.0, 2.0, 3.0))
    loss = (m.tanh(x * w) * w).sum()
    gx, gw = m.autograd.grad(loss, [x, w], create_graph=True)
    return m.autograd.grad((gx * gw).sum(), [x, w])


def s_gradient_penalty(m):
    x, w = leaf(m), leaf(m, (1.0, 2.0, 3.0))
    score = m.sigmoid(x * w).sum()
    (gx,) = m.autograd.grad(score, x, create_graph=True)
    ((gx.norm() - 1) ** 2 + score).backward()
    return x.grad, w.grad


def s_backward_create_graph(m):
    x = leaf(m)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (x**3).sum().backward(create_graph=True)
    g = x.grad
    x.grad = None
    g.sum().backward()
    return g, x.grad


def s_grad_with_respect_to_the_upstream(m):
    x = leaf(m)
    u = leaf(m, (1.0, 2.0, 3.0))
    (g,) = m.autograd.grad(m.exp(x), x, u, create_graph=True)
    return m.autograd.grad(g.sum(), [u, x])


def s_retain_graph(m):
    x = leaf(m)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    return x.grad


def s_second_backward(m):
    x = leaf(m)
    y = (x * x).sum()
    y.backward()
    y.backward()


def s_second_backward_without_saved_values(m):
    x = leaf(m)
    y = (x + x).sum()
    y.backward()
    y.backward()
    return x.grad


def s_no_grad_needed(m):
    m.ones(3).sum().backward()


def s_not_scalar(m):
    (leaf(m) * 2).backward()


def s_wrong_gradient_shape(m):
    (leaf(m) * 2).backward(m.ones(2, dtype=m.float64))


def s_gradient_is_an_array(m):
    (leaf(m) * 2).backward(np.ones(3))


def s_gradient_is_a_number(m):
    (leaf(m) * 2).sum().backward(2.0)


def s_grad_outputs_is_an_array(m):
    x = leaf(m)
    m.autograd.grad(x * 2, x, np.ones(3))


def s_empty_inputs(m):
    (leaf(m) * 2).sum().backward(inputs=[])


def s_grad_of_a_constant(m):
    x = m.ones(3)
    m.autograd.grad((x * leaf(m)).sum(), x)


def s_grad_assigned_of_another_shape(m):
    leaf(m).grad = m.ones(2, dtype=m.float64)


def s_grad_assigned_of_another_dtype(m):
    leaf(m).grad = m.ones(3)


def s_grad_assigned_an_array(m):
    leaf(m).grad = np.ones(3)


SCRIPTS = scripts(dict(globals()))


@pytest.mark.parametrize("name", SCRIPTS)
def test_like_pytorch(name, torch):
    assert_same(outcome(tg, SCRIPTS[name]), outcome(torch, SCRIPTS[name]))
