"""Recorded training steps against the same training done eagerly: same batches, same random numbers."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import assert_agreement, exec_source, inputs_now

import tinygrad_edu as tg
from tinygrad_edu import nn, optim

STEPS = 4


class Net(nn.Module):
    """Two layers and an activation, with dropout where asked for."""

    def __init__(self, activation, outputs, drop=0.0, dtype=tg.float64):
        super().__init__()
        self.fc1 = nn.Linear(5, 8, dtype=dtype)
        self.fc2 = nn.Linear(8, outputs, dtype=dtype)
        self.activation = activation
        self.drop = nn.Dropout(drop) if drop else nn.Identity()

    def forward(self, x):
        h = self.drop(self.activation(self.fc1(x)))
        return self.fc2(h)


class Training:
    """A net, a loss and an optimizer; `step` is what is recorded."""

    def __init__(self, make_net, loss, make_optimizer, targets):
        tg.manual_seed(7)
        self.net = make_net()
        self.loss = loss
        self.optimizer = make_optimizer(self.net.parameters())
        self.targets = targets

    def step(self, x, y):
        self.optimizer.zero_grad()
        loss = self.loss(self.net(x), y)
        loss.backward()
        self.optimizer.step()
        return loss

    def record(self, x, y):
        with tg.record() as program:
            self.step(x, y)
        return program

    def parameters(self):
        return [p.numpy(force=True).copy() for p in self.net.parameters()]

    def batch(self, number, dtype=tg.float64):
        rng = np.random.default_rng(number)
        x = tg.from_numpy(rng.standard_normal((6, 5)).astype(dtype))
        y = self.targets(rng)
        return x, tg.from_numpy(y if y.dtype.kind == "i" else y.astype(dtype))


def real(rng):
    return rng.standard_normal((6, 3))


def classes(rng):
    return rng.integers(0, 3, 6)


def bits(rng):
    return rng.integers(0, 2, (6, 3)) * 1.0


KINDS = {
    "mse sgd": (lambda: Net(nn.Sigmoid(), 3), nn.MSELoss(), lambda p: optim.SGD(p, lr=0.1), real),
    "ce momentum": (lambda: Net(nn.ReLU(), 3), nn.CrossEntropyLoss(), lambda p: optim.SGD(p, 0.1, 0.9), classes),
    "nll nesterov": (
        lambda: Net(nn.Tanh(), 3),
        lambda x, y: nn.NLLLoss()(tg.log_softmax(x, 1), y),
        lambda p: optim.SGD(p, lr=0.2, momentum=0.8, nesterov=True, weight_decay=0.01),
        classes,
    ),
    "bce adam dropout": (
        lambda: nn.Sequential(nn.Dropout(0.3), nn.Linear(5, 3, dtype=tg.float64)),
        nn.BCEWithLogitsLoss(),
        lambda p: optim.Adam(p, lr=0.01),
        bits,
    ),
}


def eager(kind):
    """Losses and parameters after each step, without recording."""
    training = Training(*kind)
    tg.manual_seed(11)
    losses = [training.step(*training.batch(n)).item() for n in range(STEPS)]
    return losses, training.parameters()


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_replays_train_as_eager_does(kind):
    losses, parameters = eager(kind)
    training = Training(*kind)
    tg.manual_seed(11)
    program = training.record(*training.batch(0))
    again = [program.run(**dict(zip("xy", training.batch(n), strict=True))).loss.item() for n in range(1, STEPS)]
    np.testing.assert_allclose(again, losses[1:], rtol=1e-12)
    for found, expected in zip(training.parameters(), parameters, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-14)


def test_compiled_steps_train_as_eager_does():
    name = "bce adam dropout"
    losses, parameters = eager(KINDS[name])
    training = Training(*KINDS[name])
    tg.manual_seed(11)
    step = training.record(*training.batch(0)).compile(outputs=["loss"])
    again = [step(**dict(zip("xy", training.batch(n), strict=True))).loss.item() for n in range(1, STEPS)]
    np.testing.assert_allclose(again, losses[1:], rtol=1e-11)
    for found, expected in zip(training.parameters(), parameters, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-13)


def test_every_form_agrees_on_a_whole_step():
    training = Training(*KINDS["ce momentum"])
    program = training.record(*training.batch(0))
    x, y = (t.numpy() for t in training.batch(1))
    assert_agreement(program, x=x, y=y)


def test_float32_stays_float32():
    training = Training(lambda: Net(nn.Tanh(), 3, dtype=tg.float32), nn.MSELoss(), lambda p: optim.SGD(p, lr=0.1), real)
    program = training.record(*training.batch(0, tg.float32))
    assert {d for line in program.instructions for d in getattr(line, "dtypes", ())} == {tg.float32}
    x, y = (t.numpy() for t in training.batch(1, tg.float32))
    assert_agreement(program, rtol=1e-5, x=x, y=y)


def test_the_learning_rate_is_read_at_every_run():
    training = Training(*KINDS["mse sgd"])
    x, y = training.batch(0)
    program = training.record(x, y)
    (group,) = training.optimizer.param_groups
    assert program.input("lr").role == "hyper"
    for lr in (0.5, 0.0):
        group["lr"] = lr
        before = training.parameters()
        values = program.run()
        for name, p, old in zip(("fc1_weight", "fc1_bias"), training.parameters(), before, strict=False):
            np.testing.assert_allclose(p, old - lr * values[f"d{name}"], rtol=1e-12)
    before = training.parameters()
    program.run(lr=0.25)
    assert not np.array_equal(training.parameters()[0], before[0])


def test_dropout_draws_the_same_numbers_in_every_form():
    x = tg.ones(40, 5, dtype=tg.float64)
    drop = nn.Dropout(0.4)
    tg.manual_seed(3)
    with tg.record() as program:
        y = drop(x)
    assert [i.role for i in program.inputs] == ["input", "key"]
    following = [drop(x).numpy() for _ in range(4)]
    after = tg.get_rng_state()
    compiled = program.compile()

    tg.manual_seed(3)
    np.testing.assert_array_equal(drop(x).numpy(), y.numpy())
    np.testing.assert_array_equal(program.run().y, following[0])
    np.testing.assert_array_equal(compiled().y, following[1])
    np.testing.assert_array_equal(exec_source(program)(**inputs_now(program, {}))["y"], following[2])
    np.testing.assert_array_equal(program.run().y, following[3])
    np.testing.assert_array_equal(tg.get_rng_state().numpy(), after.numpy())
    assert 0 < np.count_nonzero(following[0]) < 200


def test_random_numbers_of_every_kind_replay():
    with tg.record() as program:
        normal = tg.randn(3, 4)
        wide = tg.rand(5, dtype=tg.float64)
        order = tg.randperm(6)
        numbers = tg.randint(0, 10, (4,))
    assert [i.role for i in program.inputs] == ["key"] * 4
    tg.manual_seed(5)
    expected = [tg.randn(3, 4), tg.rand(5, dtype=tg.float64), tg.randperm(6), tg.randint(0, 10, (4,))]
    tg.manual_seed(5)
    values = program.run()
    for name, tensor in zip(("normal", "wide", "order", "numbers"), expected, strict=True):
        np.testing.assert_array_equal(values[name], tensor.numpy())
    assert [normal.dtype, wide.dtype, order.dtype, numbers.dtype] == [tg.float32, tg.float64, tg.int64, tg.int64]


def test_double_backward_inside():
    w = tg.tensor([0.5, -1.5], dtype=tg.float64, requires_grad=True)
    x = tg.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=tg.float64)

    def penalized():
        y = tg.tanh(x @ w).sum()
        (slope,) = tg.autograd.grad(y, w, create_graph=True)
        loss = y + (slope * slope).sum()
        loss.backward()
        return loss

    with tg.record() as program:
        loss = penalized()
    first = w.grad.numpy().copy()
    values = assert_agreement(program)
    np.testing.assert_allclose(values.dw, first, rtol=1e-12)
    np.testing.assert_allclose(values.loss, loss.numpy(force=True), rtol=1e-12)
    w.grad = None
    x.copy_(x * 0.5)
    penalized()
    np.testing.assert_allclose(program.run().dw, w.grad.numpy(), rtol=1e-12)


def test_two_steps_in_one_program():
    training = Training(*KINDS["mse sgd"])
    x, y = training.batch(0)
    with tg.record() as program:
        training.step(x, y)
        training.step(x, y)
    both = Training(*KINDS["mse sgd"])
    for _ in range(4):
        both.step(x, y)
    program.run()
    for found, expected in zip(training.parameters(), both.parameters(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
