"""Optimizers against PyTorch: 20 steps in float64 from the same weights, and the same state."""

import inspect

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import optim

SETTINGS = {
    "SGD": [
        {"lr": 0.1},
        {"lr": 0.1, "momentum": 0.9},
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01},
        {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
        {"lr": 0.001, "maximize": True, "momentum": 0.5},
    ],
    "Adam": [
        {"lr": 0.05},
        {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1},
        {"lr": 0.05, "amsgrad": True},
        {"lr": 0.05, "maximize": True},
        {"lr": 0.05, "decoupled_weight_decay": True, "weight_decay": 0.2},
    ],
    "AdamW": [{"lr": 0.05}, {"lr": 0.05, "weight_decay": 0.3, "amsgrad": True}],
    "RMSprop": [
        {"lr": 0.02},
        {"lr": 0.02, "alpha": 0.9, "centered": True},
        {"lr": 0.02, "momentum": 0.9, "weight_decay": 0.1},
        {"lr": 0.02, "momentum": 0.9, "centered": True, "eps": 1e-5},
    ],
    "Adagrad": [{"lr": 0.1}, {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5}],
    "Adadelta": [{}, {"lr": 0.5, "rho": 0.8, "weight_decay": 0.1}],
}
CASES = [(name, settings) for name, many in SETTINGS.items() for settings in many]

X = np.random.default_rng(0).normal(size=(8, 3))
START = [np.random.default_rng(1).normal(size=s) for s in ((3, 2), (2,), ())]


def loss_of(lib, params, x=X):
    w, b, s = params
    z = (lib.tensor(x) @ w + b).tanh() * s
    return ((z - 0.3) * (z - 0.3)).sum()


def start(lib):
    return [lib.tensor(a, requires_grad=True) for a in START]


def train(lib, name, settings, steps=20, change=None):
    """Train; the last parameter has a gradient only from the fifth step on."""
    params = start(lib)
    optimizer = getattr(lib.optim, name)([{"params": params[:2]}, {"params": params[2:], "lr": 0.01}], **settings)
    for i in range(steps):
        optimizer.zero_grad()
        loss_of(lib, params).backward()
        if i < 5:
            params[2].grad = None
        optimizer.step()
        if change is not None:
            change(i, optimizer)
    return params, optimizer


def same(ours, theirs, rtol=1e-9):
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol, 1e-12)


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_twenty_steps(torch, name, settings):
    ours, optimizer = train(tg, name, settings)
    theirs, twin = train(torch, name, settings)
    same(ours, theirs)
    assert all(not np.allclose(p.detach().numpy(), a) for p, a in zip(ours, START, strict=True))
    state, expected = optimizer.state_dict(), twin.state_dict()
    assert state["state"].keys() == expected["state"].keys()
    for key in state["state"]:
        values, values_t = state["state"][key], expected["state"][key]
        assert values.keys() == values_t.keys()
        for k in values:
            assert str(values[k].dtype) == str(values_t[k].dtype).removeprefix("torch.")
            np.testing.assert_allclose(values[k].numpy(), values_t[k].numpy(), 1e-9, 1e-12)
    for group, group_t in zip(state["param_groups"], expected["param_groups"], strict=True):
        assert {k: group[k] for k in group} == {k: group_t[k] for k in group}


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_settings_changed_between_steps(torch, name, settings):
    def change(i, optimizer):
        for group in optimizer.param_groups:
            group["lr"] *= 0.9
            if i == 10:
                group["weight_decay"] = 0.05

    same(train(tg, name, settings, change=change)[0], train(torch, name, settings, change=change)[0])


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_pytorchs_state_can_be_continued_here(torch, name, settings):
    theirs, twin = train(torch, name, settings, 7)
    params = [tg.tensor(p.detach().numpy(), requires_grad=True) for p in theirs]
    optimizer = getattr(optim, name)([{"params": params[:2]}, {"params": params[2:]}], lr=7.0)
    saved = twin.state_dict()
    state = {
        k: {n: tg.tensor(v.numpy()) if hasattr(v, "numpy") else v for n, v in s.items()}
        for k, s in saved["state"].items()
    }
    optimizer.load_state_dict({"state": state, "param_groups": saved["param_groups"]})
    for _ in range(5):
        for lib, ps, o in ((tg, params, optimizer), (torch, theirs, twin)):
            o.zero_grad()
            loss_of(lib, ps).backward()
            o.step()
    same(params, theirs)


def test_sgd_of_a_net_with_batches(torch):
    """A script with its imports changed."""

    def script(lib):
        nn = lib.nn
        net = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).double()
        rng = np.random.default_rng(3)
        net.load_state_dict({k: lib.tensor(rng.normal(size=tuple(v.shape))) for k, v in net.state_dict().items()})
        data = lib.utils.data.TensorDataset(lib.tensor(X), lib.tensor(np.arange(8) % 2))
        optimizer = lib.optim.SGD(net.parameters(), lr=0.2, momentum=0.9, nesterov=True)
        schedule = lib.optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.5)
        losses = []
        for _ in range(7):
            for x, y in lib.utils.data.DataLoader(data, batch_size=3):
                loss = nn.functional.cross_entropy(net(x), y)
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                optimizer.step()
                losses.append(loss.item())
            schedule.step()
        return losses, [p.detach().numpy() for p in net.parameters()]

    (losses, params), (losses_t, params_t) = script(tg), script(torch)
    np.testing.assert_allclose(losses, losses_t, rtol=1e-9)
    for p, q in zip(params, params_t, strict=True):
        np.testing.assert_allclose(p, q, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", SETTINGS)
def test_constructors_take_the_same_arguments(torch, name):
    ours, theirs = (inspect.signature(getattr(m, name)).parameters for m in (optim, torch.optim))
    assert [(p.name, p.default, p.kind) for p in ours.values()] == [
        (p.name, p.default, p.kind) for p in theirs.values()
    ]


@pytest.mark.parametrize("name", SETTINGS)
def test_repr(torch, name):
    assert repr(train(tg, name, {}, 1)[1]) == repr(train(torch, name, {}, 1)[1])


ERRORS = {
    "lr": lambda o, w: o.SGD([w], lr=-1.0),
    "momentum": lambda o, w: o.SGD([w], momentum=-1.0),
    "nesterov": lambda o, w: o.SGD([w], nesterov=True),
    "betas": lambda o, w: o.Adam([w], betas=(1.0, 0.9)),
    "eps": lambda o, w: o.AdamW([w], eps=-1.0),
    "rho": lambda o, w: o.Adadelta([w], rho=2.0),
    "alpha": lambda o, w: o.RMSprop([w], alpha=-1.0),
    "lr_decay": lambda o, w: o.Adagrad([w], lr_decay=-1.0),
    "nothing": lambda o, w: o.SGD([]),
    "a tensor": lambda o, w: o.SGD(w),
    "a number": lambda o, w: o.SGD([3]),
    "a set": lambda o, w: o.SGD([{"params": {w}}]),
    "computed": lambda o, w: o.SGD([w * 2]),
    "twice": lambda o, w: o.SGD([{"params": [w]}, {"params": [w]}]),
    "another group": lambda o, w: o.SGD([w]).load_state_dict({"state": {}, "param_groups": []}),
    "another size": lambda o, w: o.SGD([w]).load_state_dict({"state": {}, "param_groups": [{"params": [0, 1]}]}),
}


@pytest.mark.parametrize("what", ERRORS)
def test_errors_have_pytorchs_types(torch, what):
    with pytest.raises(Exception) as theirs:  # noqa: PT011 - whatever PyTorch raises
        ERRORS[what](torch.optim, torch.zeros(1, requires_grad=True))
    with pytest.raises(theirs.type):
        ERRORS[what](optim, tg.zeros(1, requires_grad=True))
