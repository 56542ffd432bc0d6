"""Memory order is private: after a convolution everything a user can see is as if memory were row-major."""

from __future__ import annotations

import copy
import gc
import pickle

import numpy as np
import pytest

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from tinygrad_edu.engine.layout import relay
from tinygrad_edu.engine.storage import storage_of

SHAPE = (2, 5, 4, 3)
ROW_MAJOR = (60, 12, 3, 1)


def is_row_major(x):
    return x._array.flags.c_contiguous


def is_channels_last(x):
    return x._array.transpose(0, 2, 3, 1).flags.c_contiguous


@pytest.fixture
def y():
    """The result of a convolution, channels-last in memory; 4 of its pixels differ from each other."""
    found = F.conv2d(tg.randn(2, 3, 5, 4), tg.randn(5, 3, 2, 2))
    assert found.shape == SHAPE
    assert is_channels_last(found)
    assert not is_row_major(found)
    return found


def test_a_chain_of_layers_is_never_converted():
    """Convolution, normalisation, activation, pooling, a residual sum: forward and backward."""
    seen = []
    w = [tg.randn(4, 3, 3, 3, requires_grad=True), tg.randn(4, 4, 3, 3, requires_grad=True)]
    scale, shift = tg.randn(4, requires_grad=True), tg.randn(4, requires_grad=True)
    x = F.conv2d(tg.randn(2, 3, 8, 8), w[0], tg.randn(4, requires_grad=True), padding=1)
    for layer in (
        lambda x: F.batch_norm(x, None, None, scale, shift, training=True),
        F.relu,
        lambda x: x + F.conv2d(x, w[1], padding="same"),
        lambda x: F.batch_norm(x, tg.zeros(4), tg.ones(4), scale, shift),
        lambda x: F.max_pool2d(x, 2),
        lambda x: F.avg_pool2d(x, 3, 1, 1),
        lambda x: F.leaky_relu(x) * 2,
        F.tanh,
        F.sigmoid,
        F.silu,
        lambda x: F.pad(x, (1, 1, 0, 0)),
        lambda x: F.relu(x, inplace=True),
        lambda x: F.adaptive_avg_pool2d(x, 2),
    ):
        x.register_hook(lambda g, x=x: seen.append(is_channels_last(g)))
        assert is_channels_last(x)
        x = layer(x)
    (x * x).sum().backward()
    assert len(seen) > 10
    assert all(seen)


def test_strides_and_contiguity(y):
    assert y.is_contiguous()
    assert y.stride() == ROW_MAJOR
    assert y.contiguous() is y


def test_numpy_and_dlpack_and_asarray(y):
    expected = np.array(y._array)
    for view in (y.numpy(), np.asarray(y), np.from_dlpack(y)):
        assert view.flags.c_contiguous
        assert np.shares_memory(view, y._array)
        np.testing.assert_array_equal(view, expected)
    y.numpy()[0, 0, 0, 0] = 7
    assert y[0, 0, 0, 0].item() == 7


def test_view_works_where_it_does_in_pytorch(y):
    expected = np.array(y._array).reshape(2, -1)
    flat = y.view(2, -1)
    np.testing.assert_array_equal(flat.numpy(), expected)
    flat[0, 0] = 9
    assert y[0, 0, 0, 0].item() == 9
    assert np.shares_memory(y.view(-1).numpy(), flat.numpy())


VIEWS = {
    "view": lambda y: y.view(-1),
    "reshape": lambda y: y.reshape(2, 60),
    "flatten": lambda y: y.flatten(1),
    "unsqueeze": lambda y: y.unsqueeze(0),
    "permute": lambda y: y.permute(0, 2, 3, 1),
    "transpose": lambda y: y.transpose(1, 3),
    "mT": lambda y: y.mT,
    "index": lambda y: y[1, :, 1:],
    "narrow": lambda y: y.narrow(1, 1, 2),
    "split": lambda y: y.split(2, 1)[0],
    "unbind": lambda y: y.unbind(1)[1],
    "detach": lambda y: y.detach(),
    "data": lambda y: y.data,
    "numpy": lambda y: tg.from_numpy(y.numpy()),
    "Parameter": lambda y: tg.nn.Parameter(y).detach(),
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_share_memory_with_strides_as_in_pytorch(torch, y, name):
    peer = torch.tensor(np.array(y._array, order="C"))
    part = VIEWS[name](y)
    if name not in ("numpy", "Parameter"):
        assert part.stride() == tuple(VIEWS[name](peer).stride())
        assert part.is_contiguous() == VIEWS[name](peer).is_contiguous()
    with tg.no_grad():
        part.fill_(3.0)
    assert (y.numpy() == 3.0).sum() == part.numel()
    with tg.no_grad():
        y.zero_()
    assert not part.numpy().any()


def test_writes_in_place_after_a_convolution():
    x, w = tg.randn(1, 2, 4, 4), tg.randn(3, 2, 2, 2, requires_grad=True)
    y = F.conv2d(x, w)
    expected = np.maximum(np.array(y._array.copy()) * 2, 0)
    expected[:, 1] = 5
    y.mul_(2).relu_()
    y[:, 1] = 5.0
    np.testing.assert_allclose(y.detach().numpy(), expected, rtol=1e-6)
    y.sum().backward()
    mask = (expected > 0).astype(np.float32)
    mask[:, 1] = 0
    z = F.conv2d(x, w)
    (g,) = tg.autograd.grad(z, w, tg.from_numpy(2 * mask))
    np.testing.assert_allclose(w.grad.numpy(), g.numpy(), rtol=1e-5)


def test_what_a_node_saved_stays_right_when_the_tensor_is_laid_out_anew():
    """The node keeps the old memory; a later write goes to the new one."""
    w = tg.randn(3, 2, 2, 2, requires_grad=True)
    x = tg.randn(1, 2, 4, 4)
    y = F.conv2d(x, w)
    z = F.sigmoid(y)
    (expected,) = tg.autograd.grad(z.sum(), w, retain_graph=True)
    assert not is_row_major(z)
    assert z.view(-1).shape == (27,)
    assert is_row_major(z)
    z.sum().backward()
    np.testing.assert_array_equal(w.grad.numpy(), expected.numpy())
    u = F.sigmoid(F.conv2d(x, w))
    u.detach().zero_()
    (g,) = tg.autograd.grad(u.sum(), w)
    np.testing.assert_array_equal(g.numpy(), expected.numpy())


def test_a_users_own_permutation_stays_what_it_is(torch):
    """While its base is alive and after: it was seen, so its strides stay, and view raises as in PyTorch."""
    base: tg.Tensor | None = tg.randn(2, 3, 4)
    turned = base.permute(2, 0, 1)
    peer = torch.zeros(2, 3, 4).permute(2, 0, 1)
    for _ in range(2):
        assert turned.stride() == tuple(peer.stride())
        assert not turned.is_contiguous()
        with pytest.raises(RuntimeError, match=r"view size is not compatible .* use reshape"):
            turned.view(-1)
        with pytest.raises(RuntimeError, match="view size is not compatible"):
            turned.detach().view(-1)
        with pytest.raises(RuntimeError, match="view size is not compatible"):
            peer.view(-1)
        base = None
        gc.collect()


def test_arrays_of_the_user_stay_where_they_are():
    mine = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    for make in (tg.from_numpy, tg.as_tensor):
        x = make(mine)
        assert x.stride() == (1, 2)
        assert x.numpy() is x._array
        assert np.shares_memory(x.numpy(), mine)
        with pytest.raises(RuntimeError, match="view size"):
            x.view(-1)
    assert tg.tensor(mine).stride() == (3, 1)


def test_memory_that_is_only_partly_seen_stays():
    wide = F.conv2d(tg.randn(1, 2, 4, 4), tg.randn(4, 2, 2, 2))
    part = wide[:, 1:3]
    assert not part.is_contiguous() or part.shape[0] == 1
    assert relay(part)._array is part._array
    assert np.shares_memory(part.numpy(), wide.numpy())


def test_leaves_stay_leaves():
    """A leaf that is laid out anew is the same leaf: gradients, optimizers and in-place checks find it."""
    x = (tg.randn(3, 2).T + 1).requires_grad_()
    assert not is_row_major(x)
    (x * x).sum().backward()
    assert x.view(-1).shape == (6,)
    assert is_row_major(x)
    assert x._edge.array is x._array
    (x * x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 4 * x.detach().numpy(), rtol=1e-6)
    with tg.no_grad():
        x.zero_()
    assert storage_of(x._array).version == 1


def test_gradients_of_images_are_row_major_to_the_user():
    x = tg.randn(2, 3, 5, 5, requires_grad=True)
    seen = []
    x.register_hook(lambda g: seen.append((is_row_major(g), g.stride())))
    F.conv2d(x, tg.randn(4, 3, 2, 2)).sum().backward()
    assert seen == [(False, (75, 25, 5, 1))]
    assert x.grad.stride() == (75, 25, 5, 1)
    kept = x.grad.numpy()
    F.conv2d(x, tg.randn(4, 3, 2, 2)).sum().backward()
    assert np.shares_memory(x.grad.numpy(), kept)
    assert x.grad.view(-1).shape == (150,)


def test_copies_and_pickles(y):
    for again in (copy.deepcopy(y), pickle.loads(pickle.dumps(y)), y.clone()):
        np.testing.assert_array_equal(again.numpy(), y.numpy())
        assert again.stride() == ROW_MAJOR


def test_a_recorded_program_follows():
    """Views of a channels-last result, of an input that was one, and a write to such an input."""
    w = tg.randn(3, 2, 2, 2, requires_grad=True)
    state = F.conv2d(tg.randn(1, 2, 4, 4), w.detach())
    assert not is_row_major(state)
    x = tg.randn(1, 2, 4, 4)
    with tg.record() as program:
        y = F.conv2d(x, w)
        flat = y.view(1, -1)
        total = (flat * state.view(1, -1)).sum()
        total.backward()
        with tg.no_grad():
            state.add_(y)
    expected = (y.detach().numpy(), total.item(), w.grad.numpy().copy(), state.numpy().copy())
    assert [line.op for line in program.instructions[:2]] == ["conv2d", "reshape"]
    before = state.numpy().copy()
    values = program.run()
    np.testing.assert_allclose(values["y"], expected[0])
    second = (y.detach() * tg.from_numpy(before)).sum().item()
    assert values["total"].item() == pytest.approx(second, rel=1e-5)
    np.testing.assert_allclose(state.numpy(), before + expected[0], rtol=1e-6)
