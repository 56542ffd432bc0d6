"""backward, grad, hooks and the grad modes, each script run here and in PyTorch."""

from __future__ import annotations

import threading
import warnings
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg

FLOAT = "float64"


def leaf(m: Any, values: Any = (0.5, -1.25, 2.0)) -> Any:
    return m.tensor(np.array(values).tolist(), dtype=m.float64, requires_grad=True)


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


def s_retain_grad_of_a_constant(m):
    m.ones(3).retain_grad()


def s_hook_on_a_constant(m):
    m.ones(3).register_hook(lambda g: g)


def s_requires_grad_off_on_a_result(m):
    (leaf(m) * 2).requires_grad_(False)


def s_requires_grad_off_by_attribute(m):
    (leaf(m) * 2).requires_grad = False


def s_requires_grad_toggled(m):
    x = leaf(m)
    x.requires_grad_(False)
    y = x * 2
    x.requires_grad = True
    (x * y).sum().backward()
    return x.grad, y.requires_grad, x.requires_grad


def s_detach(m):
    x = leaf(m)
    y = x * x
    (y.detach() * x).sum().backward()
    return x.grad, y.detach().requires_grad, y.detach().is_leaf, y.is_leaf, x.is_leaf


def s_leaves(m):
    x = leaf(m)
    c = m.ones(3)
    y = x * 2
    with m.no_grad():
        z = x * 2
    return [v.is_leaf for v in (x, c, y, z)] + [v.requires_grad for v in (x, c, y, z)] + [(c * 2).grad_fn is None]


def s_no_grad(m):
    x = leaf(m)
    found = [m.is_grad_enabled()]
    with m.no_grad():
        found += [m.is_grad_enabled(), (x * 2).requires_grad, m.ones(1, requires_grad=True).requires_grad]
        with m.enable_grad():
            found += [m.is_grad_enabled(), (x * 2).requires_grad]
            with m.no_grad():
                found.append((x * 2).requires_grad)
        found.append((x * 2).requires_grad)
    return [*found, m.is_grad_enabled()]


def s_no_grad_after_an_error(m):
    try:
        with m.no_grad():
            raise ValueError
    except ValueError:
        return m.is_grad_enabled()


def s_decorators(m):
    @m.no_grad()
    def off(x):
        """Doc."""
        return x * 2

    @m.enable_grad()
    def on(x):
        return x * 2

    @m.no_grad
    def bare(x):
        return x * 2

    @m.enable_grad
    def bare_on(x):
        return x * 2

    @m.set_grad_enabled(False)
    def by_flag(x):
        return x * 2

    @m.inference_mode()
    def inference(x):
        return x * 2

    x = leaf(m)
    found = [f(x).requires_grad for f in (off, on, bare, bare_on, by_flag, inference)]
    with m.no_grad():
        found += [f(x).requires_grad for f in (off, on, bare_on)]
    return [*found, off.__name__, off.__doc__, m.is_grad_enabled()]


def s_set_grad_enabled(m):
    x = leaf(m)
    found = []
    m.set_grad_enabled(False)
    found.append((x * 2).requires_grad)
    m.set_grad_enabled(True)
    found.append((x * 2).requires_grad)
    with m.set_grad_enabled(False):
        found.append((x * 2).requires_grad)
    found.append(m.is_grad_enabled())
    with m.no_grad(), m.set_grad_enabled(True):
        found.append((x * 2).requires_grad)
    return [*found, m.is_grad_enabled()]


def s_one_context_used_twice(m):
    context = m.no_grad()
    found = []
    for _ in range(2):
        with context:
            found.append(m.is_grad_enabled())
    return [*found, m.is_grad_enabled()]


def s_modes_belong_to_threads(m):
    found = []
    with m.no_grad():
        thread = threading.Thread(target=lambda: found.append(m.is_grad_enabled()))
        thread.start()
        thread.join()
        found.append(m.is_grad_enabled())
    return found


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


SCRIPTS = {name.removeprefix("s_"): f for name, f in list(globals().items()) if name.startswith("s_")}


def outcome(m: Any, f: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = f(m)
        except Exception as error:
            return type(error)
        finally:
            m.set_grad_enabled(True)
    return [plain(v) for v in (found if isinstance(found, (list, tuple)) else [found])]


def plain(value: Any) -> Any:
    if hasattr(value, "detach"):
        return np.array(value.detach().numpy())
    return [plain(v) for v in value] if isinstance(value, (list, tuple)) else value


@pytest.mark.parametrize("name", SCRIPTS)
def test_like_pytorch(name, torch):
    ours, theirs = outcome(tg, SCRIPTS[name]), outcome(torch, SCRIPTS[name])
    if isinstance(theirs, type):
        assert isinstance(ours, type), f"PyTorch raises {theirs.__name__}"
        assert issubclass(ours, theirs)
        return
    assert not isinstance(ours, type), ours
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        if isinstance(b, np.ndarray):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
        else:
            assert a == b
