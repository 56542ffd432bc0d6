"""Recorded training steps of a small convolutional network: replayed they give the same numbers, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F

PIXELS = 8


class Network:
    """Convolution, batch norm, ReLU, pooling, and a linear layer, with the state that training changes."""

    def __init__(self):
        self.w = tg.randn(4, 1, 3, 3) * 0.3
        self.scale, self.shift, self.bias = tg.ones(4), tg.zeros(4), tg.zeros(4)
        self.v = tg.randn(3, 4 * (PIXELS // 2) ** 2) * 0.1
        self.mean, self.var = tg.zeros(4), tg.ones(4)
        self.parameters = [self.w, self.scale, self.shift, self.bias, self.v]
        for p in self.parameters:
            p.requires_grad_()

    def __call__(self, x):
        h = F.conv2d(x, self.w, self.bias, padding=1)
        h = F.batch_norm(h, self.mean, self.var, self.scale, self.shift, training=True)
        h = F.max_pool2d(F.relu(h), 2)
        return F.linear(h.flatten(1), self.v)

    def step(self, x, target):
        for p in self.parameters:
            p.grad = None
        loss = F.cross_entropy(self(x), target)
        loss.backward()
        with tg.no_grad():
            for p in self.parameters:
                p.sub_(0.1 * p.grad)
        return loss

    def state(self):
        return [t.detach().numpy().copy() for t in (*self.parameters, self.mean, self.var)]

    def load(self, values):
        with tg.no_grad():
            for tensor, value in zip((*self.parameters, self.mean, self.var), values, strict=True):
                tensor.copy_(tg.tensor(value))


def batch(seed):
    generator = np.random.default_rng(seed)
    return generator.standard_normal((6, 1, PIXELS, PIXELS)).astype(np.float32), generator.integers(0, 3, 6)


@pytest.fixture
def recorded():
    """(network, its state at the start, the program of one step)."""
    tg.manual_seed(1)
    network = Network()
    start = network.state()
    x, target = (tg.tensor(a) for a in batch(0))
    with tg.record() as program:
        network.step(x, target)
    return network, start, program


def test_a_replayed_step_is_the_recorded_one_to_the_last_bit(recorded):
    network, start, program = recorded
    expected = network.state()
    network.load(start)
    program.run()
    for a, b in zip(network.state(), expected, strict=True):
        np.testing.assert_array_equal(a, b)
    assert network.mean.numpy().any()


def test_replayed_training_is_eager_training(recorded):
    """Eager steps use the fused kernel of batch norm's gradient, programs its rule: a rounding apart."""
    network, start, program = recorded
    network.load(start)
    losses = [network.step(*(tg.tensor(a) for a in batch(k))).item() for k in range(4)]
    expected = network.state()
    network.load(start)
    replayed = [float(program.run(**dict(zip(("x", "target"), batch(k), strict=True)))["loss"]) for k in range(4)]
    assert len(set(losses)) == 4
    np.testing.assert_allclose(replayed, losses, rtol=1e-5)
    for a, b in zip(network.state(), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_the_program_reads_as_the_network_does(recorded):
    program = recorded[2]
    ops = {phase: [] for phase in ("forward", "backward", "update")}
    for line in program.instructions:
        ops[line.phase].append(getattr(line, "op", "assign"))
    order = ["conv2d", "batch_norm", "relu", "max_pool2d", "matmul", "softmax_cross_entropy"]
    assert [op for op in ops["forward"] if op in order] == order
    assert {"pool_scatter", "conv2d_to_weight"} <= set(ops["backward"])
    assert "conv2d_to_input" not in ops["backward"]
    assert sum(line.count("assign") for line in ops.values()) == 5 + 2


def test_both_kernels_give_the_same_training():
    found = []
    for backend in tg.kernels.registry.BACKENDS:
        tg.manual_seed(1)
        with tg.kernels.use(backend):
            network = Network()
            found.append([network.step(*(tg.tensor(a) for a in batch(k))).item() for k in range(3)])
    np.testing.assert_allclose(*found, rtol=1e-5)


def test_second_order_through_the_whole_network(torch):
    """The gradient of a gradient's norm, against PyTorch in float64."""
    generator = np.random.default_rng(0)
    values = [generator.standard_normal(s) for s in ((2, 1, 6, 6), (3, 1, 3, 3), (3,), (3,), (2, 12))]

    def run(lib, f):
        x, w, scale, shift, v = (lib.tensor(a, requires_grad=True) for a in values)
        h = f.conv2d(x, w)
        h = f.batch_norm(h, None, None, scale, shift, training=True)
        h = f.avg_pool2d(f.max_pool2d(f.silu(h), 2, 1), 2)
        out = f.linear(f.layer_norm(f.pad(h, (0, 1, 1, 0), "replicate"), (2, 2)).flatten(1), v)
        (g,) = lib.autograd.grad((out * out).sum(), x, create_graph=True)
        return [t.detach().numpy() for t in (g, *lib.autograd.grad((g * g).sum(), (x, w, scale, shift, v)))]

    for a, b in zip(run(tg, F), run(torch, torch.nn.functional), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-9 * max(1.0, abs(b).max()))
