"""The passes of the compiler: training steps in other orders, with any of them left out, give the same numbers."""

from __future__ import annotations

import random

import numpy as np
import pytest
from emitted import in_python
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from tinygrad_edu import nn, optim
from tinygrad_edu.program import Assign, Program
from tinygrad_edu.program.body import Body
from tinygrad_edu.program.passes import PASSES

STEPS = 3
ACTIVATIONS = {"relu": tg.relu, "sigmoid": tg.sigmoid, "tanh": tg.tanh, "none": lambda x: x, "gelu": F.gelu}
OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True),
    "adam": lambda p: optim.Adam(p, lr=0.01),
    "rmsprop": lambda p: optim.RMSprop(p, lr=0.01),
}
LOSSES = {
    "mse": lambda z, y: F.mse_loss(z, F.one_hot(y, z.shape[1]).double()),
    "cross entropy": F.cross_entropy,
    "nll": lambda z, y: F.nll_loss(F.log_softmax(z, 1), y),
    "sum": lambda z, y: (z * z).sum() * 0.01 + z.abs().mean(),
}


class Net(nn.Module):
    """Layers with activations; where `skips` says so, the result is multiplied by, or added to, what came in."""

    def __init__(self, layers, activations, skips):
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.activations, self.skips = activations, skips

    def forward(self, x):
        for layer, activation, skip in zip(self.layers, self.activations, self.skips, strict=True):
            z = ACTIVATIONS[activation](layer(x))
            x = z * x + x if skip and z.shape == x.shape else z
        return x


@st.composite
def mlps(draw):
    """(module, shape of a batch)."""
    sizes = draw(st.lists(st.sampled_from([1, 3, 8, 10, 16, 20, 33]), min_size=2, max_size=4))
    layers = [nn.Linear(a, b, bias=draw(st.booleans())).double() for a, b in zip(sizes, [*sizes[1:], 5], strict=True)]
    if draw(st.booleans()):
        layers.insert(-1, nn.LayerNorm(sizes[-1]).double())
    return layers, (draw(st.sampled_from([1, 2, 7, 12])), sizes[0])


@st.composite
def cnns(draw):
    """The same, of images."""
    channels, side, layers = draw(st.sampled_from([1, 2, 3])), draw(st.sampled_from([4, 5, 6])), []
    images = (draw(st.sampled_from([1, 3])), channels, side, side)
    for _ in range(draw(st.integers(1, 3))):
        out, extra = draw(st.sampled_from([channels, 4, 8])), draw(st.sampled_from(["norm", "max", "mean", "none"]))
        # The gradient of a bias in front of a norm is nothing but roundings, which some optimizers blow up
        bias = draw(st.booleans()) and extra != "norm"
        layers.append(nn.Conv2d(channels, out, draw(st.sampled_from([1, 3])), padding=1, bias=bias))
        channels = out
        if extra != "none":
            kinds = {"norm": nn.BatchNorm2d(channels), "max": nn.MaxPool2d(2), "mean": nn.AvgPool2d(2, 1)}
            layers.append(kinds[extra])
    net = nn.Sequential(*layers).double()
    features = net(tg.zeros(*images, dtype=tg.float64)).flatten(1).shape[1]
    return [*layers, nn.Sequential(nn.Flatten(), nn.Linear(features, 5)).double()], images


@st.composite
def trainings(draw):
    """What to train, how, in which order of the instructions, after which passes."""
    tg.manual_seed(draw(st.integers(0, 99)))
    layers, shape = draw(st.one_of(mlps(), cnns()))
    activations = [draw(st.sampled_from([*ACTIVATIONS])) for _ in layers[:-1]]
    skips = [draw(st.booleans()) for _ in layers]
    net = Net(layers, [*activations, "none"], skips)
    loss, optimizer = draw(st.sampled_from([*LOSSES])), draw(st.sampled_from([*OPTIMIZERS]))
    passes = draw(st.one_of(st.just(PASSES), st.lists(st.sampled_from(PASSES), unique=True)))
    outputs = draw(st.sampled_from([None, ["loss"]]))
    return net, shape, loss, optimizer, draw(st.integers(0, 99)), passes, outputs


def shuffled(program, seed):
    """The same instructions in another order that can be executed."""
    generator, roots = random.Random(seed), Body(program.inputs, program.instructions, {}).roots()
    waiting, done, lines = list(program.instructions), {i.name for i in program.inputs}, []
    while waiting:
        reads = [{root for name in line.names for root in roots.get(name, ())} for line in waiting]
        ready = [
            line
            for k, line in enumerate(waiting)
            if done.issuperset(line.names)
            and not (isinstance(line, Assign) and any(line.target in r for i, r in enumerate(reads) if i != k))
        ]
        line = generator.choice(ready)
        waiting.remove(line)
        lines.append(line)
        done.update(getattr(line, "outputs", ()))
    return Program(program.inputs, tuple(lines), program.outputs)


def compare(training, compiled):
    """Steps with other batches and learning rates, eager and compiled from the same start."""
    net, shape, loss_name, optimizer_name, seed, passes, outputs = training
    generator = np.random.default_rng(seed)
    optimizer = OPTIMIZERS[optimizer_name](net.parameters())
    x, y = tg.from_numpy(generator.standard_normal(shape)), tg.from_numpy(generator.integers(0, 5, shape[0]))

    def step():
        optimizer.zero_grad()
        loss = LOSSES[loss_name](net(x), y)
        loss.backward()
        optimizer.step()
        return loss

    step()
    with tg.record() as program:
        loss = step()
    memory = [i.array for i in program.inputs if i.assigned]
    start = [array.copy() for array in memory]
    batches, losses = [], []
    for k in range(STEPS):
        optimizer.param_groups[0]["lr"] = 0.1 / (k + 1)
        numbers = {i.name: i.value() for i in program.inputs if i.role == "hyper"}
        batches.append({"x": generator.standard_normal(shape), **numbers})
        losses.append(float(program.run(**batches[k])["loss"]))
    expected = [array.copy() for array in memory]
    for array, value in zip(memory, start, strict=True):
        array[...] = value
    step = shuffled(program, seed).compile(outputs=outputs, passes=passes)
    run = step if compiled else in_python(step)
    for batch, expected_loss in zip(batches, losses, strict=True):
        np.testing.assert_allclose(run(**batch)["loss"], expected_loss, rtol=1e-10)
    for array, value in zip(memory, expected, strict=True):
        np.testing.assert_allclose(array, value, rtol=1e-9, atol=1e-12)
    assert loss.shape == ()


@given(training=trainings())
def test_every_choice_of_passes_gives_the_same_training(training):
    compare(training, compiled=False)


def test_a_pass_that_there_is_not():
    x = tg.ones(2)
    with tg.record() as program:
        y = x * 2.0
    assert y.shape == (2,)
    with pytest.raises(ValueError, match="there is no pass 'quick', only pullbacks, dead, lowering"):
        program.compile(passes=["dead", "quick"])
