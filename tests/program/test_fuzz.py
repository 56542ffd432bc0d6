"""Random small training steps: eager, replayed, written out and compiled are the same numbers."""

from __future__ import annotations

import numpy as np
from agreement import assert_agreement
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F

SHAPES = ((3, 4), (4,), (3, 1), (2, 3, 4), (1, 4))

UNARY = {
    "sigmoid": tg.sigmoid,
    "tanh": tg.tanh,
    "relu": tg.relu,
    "exp": lambda x: tg.exp(-(x * x)),
    "log": lambda x: tg.log(1.5 + x * x),
    "sqrt": lambda x: tg.sqrt(tg.abs(x) + 0.5),
    "log1p": lambda x: tg.log1p(x**2),
    "sin": tg.sin,
    "softmax": lambda x: tg.softmax(x, -1),
    "log_softmax": lambda x: tg.log_softmax(x, 0),
    "clamp": lambda x: x.clamp(-0.5, 0.75),
    "centred": lambda x: (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, correction=0) + 1.0),
    "sum": lambda x: x.sum(0),
    "mean": lambda x: x.mean(-1, keepdim=True),
    "amax": lambda x: x.amax(-1),
    "max": lambda x: x.max(0).values,
    "prod": lambda x: x.prod(-1),
    "flatten": lambda x: x.flatten(),
    "transpose": lambda x: x.transpose(0, -1),
    "row": lambda x: x[0],
    "columns": lambda x: x[..., 1:] if x.shape[-1] > 1 else x,
    "backwards": lambda x: x.flip(0),
    "gather": lambda x: x[tg.tensor([0, -1, 0])],
    "cumsum": lambda x: x.cumsum(0),
    "norm": lambda x: x.norm(),
    "unbind": lambda x: sum(x.unbind(0)),
    "split": lambda x: tg.cat(x.split(2, 0)[::-1], 0),
    "masked": lambda x: tg.where(x > 0.1, x, 0.5 * x),
    "put": lambda x: replaced(x),
    "conv": lambda x: F.conv2d(image(x), image(x)[..., :2], padding=(0, 1)),
    "conv_transpose": lambda x: F.conv_transpose2d(image(x), image(x)[..., :2].transpose(0, 1), stride=2),
    "max_pool": lambda x: F.max_pool2d(image(x), (1, 2), ceil_mode=True).squeeze(),
    "avg_pool": lambda x: F.avg_pool2d(image(x), (1, 2), 1, padding=(0, 1)),
    "adaptive": lambda x: F.adaptive_avg_pool2d(image(x), (1, 3)).squeeze(),
    "batch_norm": lambda x: F.batch_norm(image(x), None, None, training=True, eps=0.1),
    "layer_norm": lambda x: F.layer_norm(x, x.shape[-1:], eps=0.1),
    "pad": lambda x: F.pad(image(x), (1, 2), mode="replicate"),
    "zero_pad": lambda x: F.pad(x, (1, -1), value=0.5),
}
BINARY = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / (1.0 + y * y),
    "pow": lambda x, y: (x * x + 0.5) ** y.tanh(),
    "maximum": tg.maximum,
    "minimum": tg.minimum,
    "where": lambda x, y: tg.where(x < y, x, y * 2.0),
    "matmul": lambda x, y: x @ y.transpose(0, -1) if x.ndim == y.ndim == 2 else x @ y if x.ndim and y.ndim else x * y,
    "stack": lambda x, y: tg.stack([x, y], 0),
    "outer": lambda x, y: tg.outer(x.flatten(), y.flatten()).mean(0),
}


def image(x):
    """One image with one row, and as many channels as x has rows."""
    return x.reshape(1, x.shape[0] if x.ndim > 1 else 1, 1, -1)


def replaced(x):
    y = x * 2.0
    y[0] = x.sum() / 7.0
    return y


@st.composite
def scripts(draw, longest=9, leaves=3):
    """What to compute: names of operations with the places of their operands, and how to update."""
    shapes = draw(st.lists(st.sampled_from(SHAPES), min_size=2, max_size=1 + leaves))
    steps = []
    for _ in range(draw(st.integers(3, longest))):
        name = draw(st.sampled_from([*UNARY, *BINARY]))
        steps.append((name, draw(st.integers(0, 9)), draw(st.integers(0, 9))))
    return shapes, steps, draw(st.sampled_from(["sgd", "momentum", "decay"])), draw(st.integers(0, 99))


class Step:
    """One training step after a script, on tensors of its own."""

    def __init__(self, script):
        self.shapes, self.steps, self.update, seed = script
        rng = np.random.default_rng(seed)
        self.x = tg.from_numpy(rng.uniform(-1, 1, self.shapes[0]))
        self.leaves = [tg.from_numpy(rng.uniform(-1, 1, s)).requires_grad_() for s in self.shapes[1:]]
        self.velocity = [tg.zeros(*s, dtype=tg.float64) for s in self.shapes[1:]]
        self.lr = tg.tensor(0.1, dtype=tg.float64)

    def __call__(self):
        pool = [self.x, *self.leaves]
        for name, i, j in self.steps:
            x, y = pool[-1 - i % len(pool)], pool[-1 - j % len(pool)]
            try:
                value = UNARY[name](x) if name in UNARY else BINARY[name](x, y)
            except (RuntimeError, IndexError, TypeError, ValueError):
                continue
            pool.append(tg.tanh(value))
        loss = sum((v * v).mean() for v in pool[1:])
        for leaf in self.leaves:
            leaf.grad = None
        loss.backward()
        with tg.no_grad():
            for leaf, v in zip(self.leaves, self.velocity, strict=True):
                if self.update == "momentum":
                    v.mul_(0.9).add_(leaf.grad)
                    leaf -= self.lr * v
                elif self.update == "decay":
                    leaf.mul_(1.0 - 0.01 * self.lr).sub_(self.lr * leaf.grad)
                else:
                    leaf -= self.lr * leaf.grad
        return loss

    def numbers(self):
        return [t.numpy(force=True).copy() for t in (*self.leaves, *self.velocity)]


def compare(script, compiled):
    """A step recorded, and a second one with other numbers: against two eager ones."""
    eager, recorded = Step(script), Step(script)
    losses = [eager().item()]
    with tg.record() as program:
        loss = recorded()
    np.testing.assert_allclose(loss.item(), losses[0], rtol=1e-12)
    for found, expected in zip(recorded.numbers(), eager.numbers(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
    eager.x.mul_(-0.5)
    recorded.x.copy_(eager.x)
    losses.append(eager().item())
    values = assert_agreement(program, compiled, emitted=True)
    np.testing.assert_allclose(values.loss, losses[1], rtol=1e-11)
    for found, expected in zip(recorded.numbers(), eager.numbers(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@given(script=scripts())
def test_replayed_and_emitted(script):
    compare(script, compiled=False)


@settings(max_examples=2, derandomize=True, database=None, phases=[Phase.generate])
@given(script=scripts(longest=5, leaves=1))
def test_compiled(script):
    compare(script, compiled=True)
