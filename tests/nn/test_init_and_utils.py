"""Initial values by their distribution, gradient clipping, parameters as a vector."""

import math

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn


def spread(tensor):
    values = tensor.detach().numpy()
    return values.mean(), values.std(), np.abs(values).max()


@pytest.mark.parametrize(
    ("name", "options", "std", "bound"),
    [
        ("uniform_", {"a": -2.0, "b": 2.0}, 2 / math.sqrt(3), 2.0),
        ("normal_", {"std": 3.0}, 3.0, None),
        ("xavier_uniform_", {"gain": 2.0}, 2 * math.sqrt(2 / 500), 2 * math.sqrt(6 / 500)),
        ("xavier_normal_", {}, math.sqrt(2 / 500), None),
        ("kaiming_uniform_", {"nonlinearity": "relu"}, math.sqrt(2 / 300), math.sqrt(6 / 300)),
        ("kaiming_normal_", {"mode": "fan_out", "nonlinearity": "tanh"}, (5 / 3) / math.sqrt(200), None),
        ("trunc_normal_", {"std": 0.1, "a": -0.2, "b": 0.2}, 0.08796, 0.2),
    ],
)
def test_distributions(name, options, std, bound):
    w = tg.zeros(200, 300, requires_grad=True)
    assert getattr(nn.init, name)(w, **options) is w
    mean, found, largest = spread(w)
    assert abs(mean) < 4 * std / math.sqrt(w.numel())
    assert found == pytest.approx(std, rel=0.02)
    if bound is not None:
        assert 0.98 * bound < largest <= bound * (1 + 1e-6)
    assert w.is_leaf
    assert w.requires_grad


def test_constants():
    w = tg.zeros(2, 3)
    assert nn.init.ones_(w).tolist() == [[1] * 3] * 2
    assert nn.init.constant_(w, 0.5).tolist() == [[0.5] * 3] * 2
    assert nn.init.zeros_(w).tolist() == [[0] * 3] * 2
    assert nn.init.eye_(w).tolist() == [[1, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize("shape", [(4, 7), (7, 4), (5, 5), (3, 2, 4)])
def test_orthogonal(shape):
    w = nn.init.orthogonal_(tg.zeros(*shape, dtype=tg.float64), gain=2.0).numpy().reshape(shape[0], -1)
    product = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-12)


def test_generators_and_seeds():
    draw = lambda g: nn.init.xavier_normal_(tg.zeros(3, 3), generator=g)  # noqa: E731
    a = tg.Generator().manual_seed(1)
    first = draw(a)
    assert first.equal(draw(tg.Generator().manual_seed(1)))
    assert not first.equal(draw(a))
    tg.manual_seed(3)
    layer = nn.Linear(4, 5)
    tg.manual_seed(3)
    assert layer.weight.equal(nn.Linear(4, 5).weight)


def test_linear_starts_as_pytorchs_does():
    layer = nn.Linear(400, 500)
    for p in layer.parameters():
        _, std, largest = spread(p)
        assert std == pytest.approx(0.05 / math.sqrt(3), rel=0.05)
        assert 0.99 * 0.05 < largest <= 0.05
    with pytest.warns(UserWarning, match="zero-element"):
        assert nn.Linear(0, 3).bias.tolist() == [0, 0, 0]


def test_what_cannot_be_initialised_is_explained():
    with pytest.raises(ValueError, match="fewer than 2 dimensions"):
        nn.init.xavier_uniform_(tg.zeros(3))
    with pytest.raises(ValueError, match="Mode fan not supported"):
        nn.init.kaiming_normal_(tg.zeros(3, 3), mode="fan")
    with pytest.raises(ValueError, match="Unsupported nonlinearity"):
        nn.init.calculate_gain("relu7")
    with pytest.raises(ValueError, match="negative_slope"):
        nn.init.calculate_gain("leaky_relu", "x")
    with pytest.raises(ValueError, match="2 dimensions"):
        nn.init.eye_(tg.zeros(3))
    with pytest.warns(UserWarning, match="near one end"):
        far = nn.init.trunc_normal_(tg.zeros(100), mean=10.0, a=-1.0, b=1.0)
    with pytest.warns(UserWarning, match="near one end"):
        below = nn.init.trunc_normal_(tg.zeros(100), mean=-10.0, a=-1.0, b=1.0)
    # that far out the distribution falls off like exp(-9 x)
    assert far.mean().item() == pytest.approx(0.89, abs=0.04)
    assert below.mean().item() == pytest.approx(-0.89, abs=0.04)
    assert -1 < below.min().item() < far.max().item() < 1


def test_gains(torch):
    for name, param in [("relu", None), ("tanh", None), ("leaky_relu", 0.2), ("leaky_relu", None), ("selu", None)]:
        assert nn.init.calculate_gain(name, param) == pytest.approx(
            torch.nn.init.calculate_gain(name, param), rel=1e-15
        )


def with_gradients(lib, arrays):
    params = [lib.tensor(a, requires_grad=True) for a in arrays]
    for p, a in zip(params, arrays, strict=True):
        p.grad = lib.tensor(a * 3)
    return [*params, lib.tensor([1.0], requires_grad=True)]


@pytest.mark.parametrize("norm", [2.0, 1.0, 3.0, float("inf")])
@pytest.mark.parametrize("limit", [0.5, 1e6])
def test_clip_grad_norm(torch, norm, limit):
    arrays = [np.random.normal(size=s) for s in ((3, 4), (5,), ())]
    ours, theirs = with_gradients(tg, arrays), with_gradients(torch, arrays)
    total = nn.utils.clip_grad_norm_(ours, limit, norm)
    expected = torch.nn.utils.clip_grad_norm_(theirs, limit, norm)
    assert total.item() == pytest.approx(expected.item(), rel=1e-12)
    for p, q in zip(ours[:-1], theirs[:-1], strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-12)
    assert ours[-1].grad is None


def test_clip_grad_norm_of_nothing_and_of_nan():
    assert nn.utils.clip_grad_norm_([], 1.0).item() == 0
    w = tg.zeros(2, requires_grad=True)
    w.grad = tg.tensor([1.0, float("nan")])
    with pytest.raises(RuntimeError, match="non-finite"):
        nn.utils.clip_grad_norm_(w, 1.0, error_if_nonfinite=True)
    assert w.grad[0].item() == 1


def test_clip_grad_value(torch):
    arrays = [np.random.normal(size=s) for s in ((3, 4), (5,))]
    ours, theirs = with_gradients(tg, arrays), with_gradients(torch, arrays)
    nn.utils.clip_grad_value_(ours, 0.7)
    torch.nn.utils.clip_grad_value_(theirs, 0.7)
    for p, q in zip(ours[:-1], theirs[:-1], strict=True):
        np.testing.assert_array_equal(p.grad.numpy(), q.grad.numpy())


def test_parameters_as_a_vector():
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    vector = nn.utils.parameters_to_vector(net.parameters())
    assert vector.shape == (13,)
    vector.sum().backward()
    assert net[0].weight.grad.tolist() == [[1, 1]] * 3
    nn.utils.vector_to_parameters(tg.arange(13).float(), net.parameters())
    assert net[0].weight.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert net[1].bias.tolist() == [12]
    assert net[0].weight.requires_grad
