"""Optimizers by themselves: rules on arrays, on tensors and in programs, state, memory, and steps written by hand."""

import copy

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.optim.adam import adam
from tinygrad_edu.optim.sgd import sgd

OPTIMIZERS = {
    "SGD": (optim.SGD, {"lr": 0.1}),
    "SGD momentum": (optim.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.25, "weight_decay": 0.01}),
    "SGD nesterov": (optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    "Adam": (optim.Adam, {"lr": 0.05, "weight_decay": 0.1}),
    "Adam amsgrad": (optim.Adam, {"lr": 0.05, "amsgrad": True, "maximize": True}),
    "AdamW": (optim.AdamW, {"lr": 0.05}),
    "RMSprop": (optim.RMSprop, {"lr": 0.01, "momentum": 0.5, "centered": True}),
    "Adagrad": (optim.Adagrad, {"lr": 0.5, "lr_decay": 0.1}),
    "Adadelta": (optim.Adadelta, {}),
}


def net_of(dtype=tg.float64, seed=0):
    tg.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).to(dtype)


def data(dtype=tg.float64):
    rng = np.random.default_rng(7)
    return tg.tensor(rng.normal(size=(6, 3)), dtype=dtype), tg.tensor(rng.integers(0, 2, size=6))


def loss_of(net, x, y):
    """Without a fused gradient, which may differ from a program's in the last bit."""
    return nn.functional.mse_loss(net(x).tanh(), nn.functional.one_hot(y, 2).to(x.dtype))


def check_same(found, expected):
    """Equal up to roundings: on arrays the gradient of a linear layer's weight comes by another order of factors."""
    assert found.dtype == expected.dtype
    close = 1e-5 if found.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(found, expected, rtol=close, atol=close)


def numbers(net):
    return [p.detach().numpy().copy() for p in net.parameters()]


def test_a_rule_is_the_formula():
    p, g, v = np.array([1.0]), np.array([0.5]), np.array([2.0])
    (new,) = sgd(p, g, lr=0.1)
    assert new == 1.0 - 0.1 * 0.5
    new, velocity = sgd(p, g, v, lr=0.1, momentum=0.9)
    assert velocity == 0.9 * 2.0 + 0.5
    assert new == 1.0 - 0.1 * velocity
    new, m, s = adam(p, g, 0 * p, 0 * p, step_size=0.01 / 0.1, correction=0.001**0.5, fresh=0.1, beta2=0.999, eps=0.0)
    np.testing.assert_allclose([new, m, s], [[0.99], [0.05], [0.00025]])


def test_a_rule_takes_tensors_and_can_be_differentiated():
    """The same lines, on tensors: through a step of SGD the gradient with respect to its lr is -g."""
    p, g = tg.tensor([1.0, 2.0]), tg.tensor([0.5, -1.0])
    lr = tg.tensor(0.1, requires_grad=True)
    (new,) = sgd(p, g, lr=lr)
    new.sum().backward()
    assert lr.grad.item() == 0.5


@pytest.mark.parametrize("dtype", [tg.float32, tg.float64])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_recorded_step_replays_to_the_numbers_of_eager(name, dtype):
    """Also when the lr changes, and when ordinary steps come between the replays."""
    make, settings = OPTIMIZERS[name]
    x, y = data(dtype)
    results = []
    for recorded in (False, True):
        net = net_of(dtype)
        optimizer = make(net.parameters(), **settings)
        schedule = optim.lr_scheduler.ExponentialLR(optimizer, 0.9)

        def step(net=net, optimizer=optimizer):
            optimizer.zero_grad()
            loss = loss_of(net, x, y)
            loss.backward()
            optimizer.step()

        program = None
        for i in range(12):
            if recorded and i == 2:
                with tg.record() as program:
                    step()
            elif recorded and i > 2 and i != 8:
                program.run()
            else:
                step()
            if i % 3 == 2:
                schedule.step()
        results.append([*numbers(net), *(v.numpy() for s in optimizer.state.values() for v in s.values())])
    for a, b in zip(*results, strict=True):
        check_same(a, b)


def test_the_first_step_can_be_the_recorded_one():
    x, y = data()
    results = []
    for recorded in (False, True):
        net = net_of()
        optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9, dampening=0.5)

        def step(net=net, optimizer=optimizer):
            optimizer.zero_grad()
            loss_of(net, x, y).backward()
            optimizer.step()

        with tg.record() if recorded else tg.enable_grad() as program:
            step()
        for _ in range(4):
            program.run() if recorded else step()
        results.append(numbers(net))
    for a, b in zip(*results, strict=True):
        check_same(a, b)


def test_clipping_is_part_of_a_program():
    x, y = data()
    results = []
    for recorded in (False, True):
        net = net_of()
        optimizer = optim.Adam(net.parameters(), lr=0.1)

        def step(net=net, optimizer=optimizer):
            optimizer.zero_grad()
            loss_of(net, x, y).backward()
            nn.utils.clip_grad_norm_(net.parameters(), 0.05)
            optimizer.step()

        step()
        with tg.record() if recorded else tg.enable_grad() as program:
            step()
        for _ in range(4):
            program.run() if recorded else step()
        results.append(numbers(net))
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_a_program_refuses_settings_it_was_not_recorded_with():
    x, y = data()
    net = net_of()
    optimizer = optim.Adam(net.parameters(), lr=0.1)
    with tg.record() as program:
        loss_of(net, x, y).backward()
        optimizer.step()
    optimizer.param_groups[0]["weight_decay"] = 0.5
    before = numbers(net)
    with pytest.raises(RuntimeError, match=r"settings of Adam have changed.*record it again"):
        program.run()
    for a, b in zip(before, numbers(net), strict=True):
        np.testing.assert_array_equal(a, b)


def test_groups_have_their_own_numbers_in_a_program():
    net = net_of()
    x, y = data()
    optimizer = optim.SGD([{"params": net[0].parameters()}, {"params": net[2].parameters(), "lr": 0.0}], lr=0.1)
    with tg.record() as program:
        loss_of(net, x, y).backward()
        optimizer.step()
    before = numbers(net)
    optimizer.param_groups[0]["lr"] = 0.0
    optimizer.param_groups[1]["lr"] = 0.1
    program.run()
    moved = [not np.array_equal(a, b) for a, b in zip(before, numbers(net), strict=True)]
    assert moved == [False, False, True, True]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_write_in_place_and_are_seen(name):
    make, settings = OPTIMIZERS[name]
    net = net_of(tg.float32)
    x, y = data(tg.float32)
    memory = [p.detach() for p in net.parameters()]
    optimizer = make(net.parameters(), **settings)
    loss = loss_of(net, x, y)
    loss.backward(retain_graph=True)
    optimizer.step()
    for p, m in zip(net.parameters(), memory, strict=True):
        assert p.detach().equal(m)
        assert p.is_leaf
        assert p.requires_grad
        assert p.dtype == tg.float32
    with pytest.raises(RuntimeError, match=r"inplace operation at test_optimizers.py:\d+: optimizer.step"):
        loss.backward()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_state_dict_continues_exactly(name):
    make, settings = OPTIMIZERS[name]
    x, y = data()
    net = net_of()
    optimizer = make(net.parameters(), **settings)

    def step(net, optimizer):
        optimizer.zero_grad()
        loss_of(net, x, y).backward()
        optimizer.step()

    for _ in range(3):
        step(net, optimizer)
    twin = copy.deepcopy(net)
    other = make(twin.parameters(), lr=9.0)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for _ in range(3):
        step(net, optimizer)
        step(twin, other)
    for a, b in zip(numbers(net), numbers(twin), strict=True):
        np.testing.assert_array_equal(a, b)


def test_loading_state_does_not_share_memory_with_the_other_optimizer():
    net, x = net_of(), data()[0]
    a, b = (optim.Adam(net.parameters()) for _ in range(2))
    net(x).sum().backward()
    a.step()
    b.load_state_dict(a.state_dict())
    p = net[0].weight
    assert b.state[p]["exp_avg"].equal(a.state[p]["exp_avg"])
    assert not np.shares_memory(b.state[p]["exp_avg"].numpy(), a.state[p]["exp_avg"].numpy())


def test_loaded_state_reaches_a_recorded_program():
    """A checkpoint is loaded into the tensors and groups the program knows."""
    x, y = data()
    net = net_of()
    optimizer = optim.Adam(net.parameters(), lr=0.1)
    with tg.record() as program:
        loss_of(net, x, y).backward()
        optimizer.step()
    saved, weights = copy.deepcopy(optimizer.state_dict()), copy.deepcopy(net.state_dict())
    for _ in range(3):
        program.run()
    expected = numbers(net)
    optimizer.load_state_dict(saved)
    net.load_state_dict(weights)
    for _ in range(3):
        program.run()
    for a, b in zip(expected, numbers(net), strict=True):
        np.testing.assert_array_equal(a, b)


def test_closures():
    w = tg.tensor([2.0], requires_grad=True)
    optimizer = optim.SGD([w], lr=0.25)

    def closure():
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    with tg.no_grad():
        assert optimizer.step(closure).item() == 4
    assert w.item() == 1


def test_zero_grad():
    w = tg.tensor([2.0], requires_grad=True)
    optimizer = optim.SGD([w])
    (w * w).sum().backward()
    held = w.grad
    optimizer.zero_grad(set_to_none=False)
    assert w.grad is held
    assert held.item() == 0
    optimizer.zero_grad()
    assert w.grad is None
    optimizer.step()
    assert w.item() == 2


def test_param_groups():
    a, b = tg.zeros(1, requires_grad=True), tg.zeros(1, requires_grad=True)
    optimizer = optim.SGD([{"params": a, "lr": 0.5}], lr=0.1, momentum=0.9)
    optimizer.add_param_group({"params": [b]})
    assert [g["lr"] for g in optimizer.param_groups] == [0.5, 0.1]
    assert optimizer.param_groups[1]["momentum"] == 0.9
    with pytest.raises(TypeError, match="must be a dict"):
        optimizer.add_param_group([a])
    with pytest.warns(UserWarning, match="duplicate"):
        optim.SGD([a, a])
    named = optim.SGD(net_of().named_parameters())
    assert named.param_groups[0]["param_names"] == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_what_is_not_offered_is_refused():
    w = tg.zeros(1, requires_grad=True)
    for make in (lambda: optim.SGD([w], differentiable=True), lambda: optim.Adam([w], capturable=True)):
        with pytest.raises(RuntimeError, match="=True is not supported"):
            make()


def test_an_optimizer_of_ones_own():
    class SignDescent(optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        def step(self, closure=None):
            with tg.no_grad():
                for group in self.param_groups:
                    for p in group["params"]:
                        p -= group["lr"] * p.grad.sign()
                        self.state[p]["steps"] = self.state[p].get("steps", 0) + 1

    w = tg.tensor([2.0, -3.0], requires_grad=True)
    optimizer = SignDescent([w], lr=0.5)
    (w * w).sum().backward()
    optimizer.step()
    assert w.tolist() == [1.5, -2.5]
    assert optimizer.state_dict()["state"] == {0: {"steps": 1}}
    with pytest.raises(NotImplementedError):
        optim.Optimizer([w], {}).step()


def test_a_loop_by_hand():
    net, (x, y) = net_of(), data()
    twin = copy.deepcopy(net)
    optimizer = optim.SGD(twin.parameters(), lr=0.1)
    for _ in range(5):
        net.zero_grad()
        twin.zero_grad()
        loss_of(net, x, y).backward()
        loss_of(twin, x, y).backward()
        optimizer.step()
        with tg.no_grad():
            for p in net.parameters():
                p -= 0.1 * p.grad
    for a, b in zip(numbers(net), numbers(twin), strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_overflows_is_computed_silently():
    w = tg.tensor([1e30], requires_grad=True)
    optimizer = optim.Adam([w], lr=0.1)
    w.grad = tg.tensor([3e38])
    optimizer.step()
    assert optimizer.state[w]["exp_avg_sq"].item() == float("inf")


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_minimizes(name):
    make, settings = OPTIMIZERS[name]
    w = tg.tensor([1.5, -0.7], dtype=tg.float64, requires_grad=True)
    optimizer = make([w], **settings)
    sign = -1.0 if settings.get("maximize") else 1.0
    first = None
    for _ in range(200):
        optimizer.zero_grad()
        loss = (w * w).sum()
        (sign * loss).backward()
        first = loss.item() if first is None else first
        optimizer.step()
    # Adadelta starts with tiny steps
    assert loss.item() < (0.99 if name == "Adadelta" else 0.35) * first
