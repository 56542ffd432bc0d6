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
from tinygrad_edu.program import Assign, Instruction, Program
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
    pairs = zip(sizes, [*sizes[1:], 5], strict=True)
    layers: list[nn.Module] = [nn.Linear(a, b, bias=draw(st.booleans())).double() for a, b in pairs]
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
        rows = nn.Sequential(*layers).double()(tg.zeros(*images, dtype=tg.float64)).shape[2]
        if extra == "norm" or (extra != "none" and rows > 1):
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


class TestGradientsOfOneOperation:
    def recorded(self, hook=None, retain=False):
        x = tg.from_numpy(np.random.default_rng(0).standard_normal((4, 3, 2, 2))).requires_grad_()
        scale = tg.tensor([1.0, -2.0, 0.5], dtype=tg.float64, requires_grad=True)
        shift = tg.tensor([0.5, 0.0, 1.0], dtype=tg.float64, requires_grad=True)
        with tg.record() as program:
            z = F.batch_norm(x * 2.0, None, None, scale, shift, training=True)
            if hook is not None:
                z.register_hook(hook)
            if retain:
                z.retain_grad()
            loss = (z * z * z).sum()
            loss.backward()
        return program

    @pytest.mark.parametrize("retain", [False, True])
    def test_are_one_call(self, retain):
        program = self.recorded(retain=retain)
        pulled = [line.pulled for line in program.instructions if isinstance(line, Instruction) and line.pulled]
        assert {p.input for p in pulled if p.of == "z"} == {0, 1, 2}
        code = program.compile(outputs=["dx", "dscale", "dshift"]).source
        assert code.count("batch_norm_grad_into_(") == 1
        assert "batch_norm_grad_into_(" not in program.compile(passes=["dead"]).source
        found = in_python(program.compile())()
        for name, value in program.run().items():
            np.testing.assert_allclose(found[name], value, rtol=1e-10, atol=1e-12, err_msg=name)

    def test_hooks_are_not_passed_over(self):
        program = self.recorded(hook=lambda g: g * 3.0)
        found = in_python(program.compile())()
        np.testing.assert_allclose(found["dscale"], program.run()["dscale"], rtol=1e-10)
        without = in_python(self.recorded().compile())()
        np.testing.assert_allclose(found["dscale"], 3.0 * without["dscale"], rtol=1e-10)

    def test_of_two_walks_are_apart(self):
        x = tg.from_numpy(np.random.default_rng(1).standard_normal((3, 4))).requires_grad_()
        target = tg.tensor([0, 3, 1])
        with tg.record() as program:
            losses = F.cross_entropy(x, target, reduction="none")
            (first,) = tg.autograd.grad((losses * losses).sum(), x, create_graph=True)
            second = tg.autograd.grad(losses.sum(), x, retain_graph=True)[0]
            third = tg.autograd.grad((first * first).sum(), x)[0]
        found, expected = in_python(program.compile())(), program.run()
        for name in ("first", "second", "third"):
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-10, atol=1e-12, err_msg=name)
        assert second.shape == third.shape == x.shape


def test_memory_is_shared_only_by_what_is_never_needed_at_once():
    """Chains of products: every result is read one statement later, and must not lie where the next one is written."""
    x = tg.from_numpy(np.random.default_rng(2).standard_normal((5, 5)) / 2)
    with tg.record() as program:
        y = x
        for _ in range(6):
            y = tg.cumsum(y @ x, 0)
        total = y.sum()
    together, apart = program.compile(outputs=["total"]), program.compile(outputs=["total"], passes=["dead"])
    np.testing.assert_allclose(in_python(together)()["total"], program.run()["total"], rtol=1e-12)
    assert sum(a.size for a in together._arenas) <= 3 * 32 + 8 < sum(a.size for a in apart._arenas)
    assert total.shape == ()


def test_what_is_read_and_written_in_one_loop_is_read_first():
    """b takes something of a that is computed in the loop that has written a already, had it not waited."""
    a, b = (tg.from_numpy(np.arange(4.0) + k) for k in (0, 10))
    with tg.record() as program:
        triple, new = a * 3.0, a - 1.0
        b.copy_(triple + new)
        a.copy_(new)
    before = a.numpy().copy()
    step = program.compile(outputs=[])
    assert step.source.count("for i in range(4)") == 1
    in_python(step)()
    np.testing.assert_array_equal(a.numpy(), before - 1.0)
    np.testing.assert_array_equal(b.numpy(), 3.0 * before + (before - 1.0))


def test_two_steps_in_one_function():
    """Only the second assignment of each parameter is done, and what it needs of the first step is kept."""
    net = nn.Linear(3, 2).double()
    optimizer, x = optim.SGD(net.parameters(), lr=0.1, momentum=0.9), tg.from_numpy(np.arange(12.0).reshape(4, 3) / 10)

    def step():
        optimizer.zero_grad()
        loss = tg.tanh(net(x)).sum()
        loss.backward()
        optimizer.step()

    step()
    with tg.record() as program:
        step()
        step()
    start = {i.name: i.array.copy() for i in program.inputs if i.assigned}
    for passes in (PASSES, ("dead",), ()):
        for name, value in start.items():
            program.input(name).array[...] = value
        program.run()
        expected = {name: program.input(name).array.copy() for name in start}
        for name, value in start.items():
            program.input(name).array[...] = value
        in_python(program.compile(passes=passes))()
        for name, value in expected.items():
            np.testing.assert_allclose(program.input(name).array, value, rtol=1e-12, err_msg=name)


def test_two_parameters_trade_places():
    a, b = (tg.from_numpy(np.arange(4.0) + k) for k in (0, 10))
    with tg.record() as program:
        old = a.clone()
        a.copy_(b)
        b.copy_(old)
    before = a.numpy().copy(), b.numpy().copy()
    in_python(program.compile(outputs=[]))()
    np.testing.assert_array_equal(a.numpy(), before[1])
    np.testing.assert_array_equal(b.numpy(), before[0])


def test_a_sum_is_complete_before_it_is_read():
    """Over an axis of size 1 it has as many entries as the loop it comes from."""
    x = tg.from_numpy(np.arange(4.0).reshape(1, 4))
    with tg.record() as program:
        y = tg.exp(x.sum(0, keepdim=True)) + x
    np.testing.assert_allclose(in_python(program.compile())()["y"], np.exp(x.numpy()) + x.numpy(), rtol=1e-12)
    assert y.shape == (1, 4)
