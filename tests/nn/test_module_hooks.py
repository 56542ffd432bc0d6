"""Forward and backward hooks of modules, alone and beside PyTorch's."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn


def test_forward_hooks_see_and_change():
    layer = nn.Linear(2, 2)
    seen = []
    pre = layer.register_forward_pre_hook(lambda m, args: seen.append(("pre", args[0].shape)))
    double = layer.register_forward_pre_hook(lambda m, args: args[0] * 2)
    post = layer.register_forward_hook(lambda m, args, out: out + 1)
    x = tg.ones(1, 2)
    expected = nn.functional.linear(x * 2, layer.weight, layer.bias) + 1
    assert layer(x).allclose(expected)
    assert seen == [("pre", (1, 2))]
    for handle in (pre, double, post):
        handle.remove()
        handle.remove()
    assert layer(x).allclose(nn.functional.linear(x, layer.weight, layer.bias))


def test_hooks_run_in_order_unless_prepended():
    layer, order = nn.Identity(), []
    for name, prepend in (("a", False), ("b", False), ("c", True)):
        layer.register_forward_hook(lambda m, args, out, name=name: order.append(name), prepend=prepend)
    layer(tg.ones(1))
    assert order == ["c", "a", "b"]


def test_hooks_with_kwargs():
    class Scale(nn.Module):
        def forward(self, x, *, by=1.0):
            return x * by

    module, seen = Scale(), []
    module.register_forward_pre_hook(lambda m, args, kwargs: (args, {"by": 3.0}), with_kwargs=True)
    module.register_forward_hook(lambda m, args, kwargs, out: seen.append(kwargs), with_kwargs=True)
    assert module(tg.ones(1), by=2.0).item() == 3
    assert seen == [{"by": 3.0}]
    module.register_forward_pre_hook(lambda m, args, kwargs: 1, with_kwargs=True)
    with pytest.raises(RuntimeError, match="new_args, new_kwargs"):
        module(tg.ones(1))


class Two(nn.Module):
    """Two inputs, two outputs."""

    def forward(self, x, y):
        return x * y, x + 2 * y


def run(lib, nn_, make, module, replace):
    """Everything a full backward hook sees, and the gradients after it."""
    x, y = make([1.0, 2.0], requires_grad=True), make([3.0, 4.0], requires_grad=True)
    seen = []

    def hook(m, grad_input, grad_output):
        seen.append([None if g is None else np.asarray(g.tolist()) for g in (*grad_input, *grad_output)])
        return tuple(g * 10 for g in grad_input) if replace else None

    module.register_full_backward_hook(hook)
    a, b = module(x * 1.0, y)
    (a * make([1.0, 2.0]) + b * make([3.0, 4.0])).sum().backward()
    return [*seen[0], np.asarray(x.grad.tolist()), np.asarray(y.grad.tolist())], len(seen)


@pytest.mark.parametrize("replace", [False, True])
def test_full_backward_hooks_beside_pytorch(torch, replace):
    class TorchTwo(torch.nn.Module):
        forward = Two.forward

    ours, count = run(tg, nn, tg.tensor, Two(), replace)
    theirs, count_t = run(torch, torch.nn, torch.tensor, TorchTwo(), replace)
    assert count == count_t == 1
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b)


def test_backward_hook_without_an_input_that_requires_grad():
    layer, seen = nn.Linear(2, 1), []
    layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go[0].tolist())))
    layer(tg.ones(3, 2)).sum().backward()
    assert seen == [((None,), [[1.0], [1.0], [1.0]])]
    assert layer.weight.grad.tolist() == [[3.0, 3.0]]


def test_backward_hook_counts_what_it_gets_back():
    layer = nn.Identity()
    layer.register_full_backward_hook(lambda m, gi, go: (gi[0], gi[0]))
    with pytest.raises(RuntimeError, match="invalid number of grad_input"):
        layer(tg.ones(1, requires_grad=True)).sum().backward()


def test_backward_hooks_see_second_order():
    layer, seen = nn.Tanh(), []
    layer.register_full_backward_hook(lambda m, gi, go: seen.append(gi[0].requires_grad))
    x = tg.tensor([0.5], dtype=tg.float64, requires_grad=True)
    (g,) = tg.autograd.grad(layer(x).sum(), x, create_graph=True)
    (h,) = tg.autograd.grad(g.sum(), x)
    t = np.tanh(0.5)
    assert h.item() == pytest.approx(-2 * t * (1 - t * t))
    assert seen[0] is True


def test_what_a_backward_hook_computes_is_part_of_a_program():
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)).double()
    x = tg.randn(4, 2, dtype=tg.float64)
    handle = net[1].register_full_backward_hook(lambda m, gi, go: (gi[0] * 2,))
    with tg.record() as program:
        loss = net(x).square().mean()
        loss.backward()
    expected = net[0].weight.grad.numpy().copy()
    found = [v for v in program.run().values() if np.shape(v) == expected.shape]
    np.testing.assert_allclose(found[0], expected, rtol=1e-12)
    net.zero_grad()
    handle.remove()
    for _ in range(2):
        net(x).square().mean().backward()
    np.testing.assert_allclose(net[0].weight.grad.numpy(), expected, rtol=1e-12)
