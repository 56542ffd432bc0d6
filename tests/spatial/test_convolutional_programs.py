"""Recorded training steps of small convolutional networks: replayed and compiled they give the same numbers."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from emitted import in_python

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from tinygrad_edu import nn, optim

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


def layers(*given):
    """The layers one after the other in float64, and three classes."""
    net = nn.Sequential(*given, nn.Flatten()).double()
    return nn.Sequential(net, nn.Linear(net(tg.zeros(1, 2, PIXELS, PIXELS, dtype=tg.float64)).shape[1], 3).double())


class Pad(nn.Module):
    """`F.pad` as a layer."""

    def __init__(self, *settings):
        super().__init__()
        self.settings = settings

    def forward(self, x):
        return F.pad(x, *self.settings)


class Columns(nn.Module):
    """Convolutions along one axis: an image is a batch of rows."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(PIXELS, 4, 3, padding=1, dilation=2)
        self.norm = nn.BatchNorm1d(4)
        self.back = nn.ConvTranspose1d(4, 3, 2, stride=2)

    def forward(self, x):
        h = F.max_pool1d(F.relu(self.norm(self.conv(x.flatten(0, 1)))), 2, ceil_mode=True)
        return F.avg_pool1d(self.back(h), 2).reshape(x.shape[0], -1)


NETS = {
    "batch norm": lambda: layers(
        nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)
    ),
    "layer norm and means": lambda: layers(
        nn.Conv2d(2, 4, 3, stride=2, padding=1, padding_mode="reflect", groups=2),
        nn.LayerNorm((4, PIXELS // 2, PIXELS // 2)),
        nn.Tanh(),
        nn.AvgPool2d(3, 2, padding=1, count_include_pad=False),
        nn.Conv2d(4, 4, 2, dilation=(1, 2), padding=(0, 1), groups=4, bias=False),
        nn.AdaptiveAvgPool2d((1, 2)),
    ),
    "transposed": lambda: layers(
        nn.Conv2d(2, 3, (3, 1), padding_mode="circular", padding=(1, 0)),
        nn.BatchNorm2d(3, momentum=None, affine=False),
        nn.MaxPool2d(3, 2, padding=1, dilation=1),
        nn.ConvTranspose2d(3, 2, 3, stride=2, padding=1, output_padding=1),
        Pad((1, 0, 0, 2), "replicate"),
        nn.ReLU(),
        Pad((-1, 1, 0, 0), "constant", 0.5),
        nn.AdaptiveAvgPool2d(3),
    ),
    "one axis": lambda: layers(Columns()),
}
OPTIMIZERS = {
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    "adam": lambda p: optim.Adam(p, lr=0.01),
}


class Training:
    """A net and an optimizer, the same numbers every time."""

    def __init__(self, net, optimizer):
        tg.manual_seed(3)
        self.net = NETS[net]()
        self.optimizer = OPTIMIZERS[optimizer](self.net.parameters())

    def step(self, x, target):
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.net(x), target)
        loss.backward()
        self.optimizer.step()
        return loss

    def batch(self, seed):
        generator = np.random.default_rng(seed)
        return generator.standard_normal((3, 2, PIXELS, PIXELS)), generator.integers(0, 3, 3)


def assert_training_is_eager(net, optimizer, form):
    """Four steps of a form of the program against four eager ones: losses, parameters, running statistics."""
    eager, recorded = Training(net, optimizer), Training(net, optimizer)
    x, target = map(tg.tensor, eager.batch(0))
    eager.step(x, target)
    with tg.record() as program:
        recorded.step(x, target)
    step = form(program)
    losses = []
    for k in range(1, 5):
        x, target = eager.batch(k)
        losses.append(eager.step(tg.tensor(x), tg.tensor(target)).item())
        np.testing.assert_allclose(step(x=x, target=target)["loss"], losses[-1], rtol=1e-10)
    assert len(set(losses)) == 4
    expected = eager.net.state_dict()
    for name, found in recorded.net.state_dict().items():
        np.testing.assert_allclose(found.numpy(), expected[name].numpy(), rtol=1e-10, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("net", NETS)
def test_emitted_training_is_eager_training(net):
    assert_training_is_eager(net, "momentum", lambda program: in_python(program.compile()))


@pytest.mark.parametrize(("net", "optimizer"), [("batch norm", "adam"), ("layer norm and means", "momentum")])
def test_compiled_training_is_eager_training(net, optimizer):
    assert_training_is_eager(net, optimizer, lambda program: program.compile())


def test_images_stay_channels_last_from_one_layer_to_the_next():
    training = Training("batch norm", "momentum")
    with tg.record() as program:
        training.step(*map(tg.tensor, training.batch(0)))
    source = program.compile().source
    names = ("convolve", "convolve_to_weight", "batch_norm_into", "max_pool2d_into", "pool_scatter_into")
    assert [source.count(f"{name}_(") for name in names] == [1] * 5
    # the images that come in, the flattened result of pooling and its gradient change their order, nothing else does
    copies = [
        line for line in source.splitlines() if re.match(r" *_\w+_from\w* = part_\(.*\(\d+, \d+, \d+, \d+\)", line)
    ]
    assert len({line.split("=")[0] for line in copies}) == 3


def test_every_reader_of_an_image_gets_its_own_padding_and_order():
    generator = np.random.default_rng(0)
    x, w = (tg.from_numpy(generator.standard_normal(shape)) for shape in ((2, 2, 2, 2), (3, 2, 2, 2)))
    with tg.record() as program:
        narrow, wide = F.conv2d(x, w, padding=1), F.conv2d(x, w, padding=2)
        orders = [x.permute(order).reshape(-1) for order in itertools.permutations(range(4))]
        mixed = tg.stack([order * (1.0 + k) for k, order in enumerate(orders)]).sum(0)
        parts = [tg.exp(part) * (1.0 + k) for k, part in enumerate(x.permute(1, 2, 3, 0).unbind(3))]
        apart = parts[0].reshape(-1) - parts[1].reshape(-1)
    found, expected = in_python(program.compile())(), program.run()
    for name in ("narrow", "wide", "mixed", "apart"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-12, err_msg=name)
    assert narrow.shape != wide.shape
    assert mixed.shape == (16,)
    assert apart.shape == (8,)


def test_places_that_are_not_those_of_max_pooling_are_checked():
    g, places = tg.ones(1, 1, 1, 2), tg.tensor([[[[0, 3]]]])
    with tg.record() as program:
        image = tg.ops.pool_scatter(g, places, size=(2, 2))
    step = program.compile()
    np.testing.assert_array_equal(step(places=places)["image"], image.numpy())
    for wrong in (4, -2):
        with pytest.raises(IndexError, match="a place is outside of the image"):
            step(places=np.array([[[[0, wrong]]]]))


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
