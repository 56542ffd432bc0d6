"""Training steps in libraries that differentiate functions of arrays: JAX, autograd and MyGrad.

Each has a class with the layers it knows, spelled as its users spell them, and `networks.forward` does the rest. What a
library has no layer for, it cannot do, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import numpy as np

from benchmarks.networks import LR, MLPS, batch, forward

# As in PyTorch: of batch normalisation and of Adam
EPS, MOMENTUM = 1e-5, 0.1
BETA1, BETA2, ADAM_EPS = 0.9, 0.999, 1e-8
Arrays = dict[str, Any]


class Unable(Exception):
    """A library cannot do this; the message says why, in one line."""


class Layers:
    """Layers in any library that spells arrays as NumPy does (`xp`); `seen` are the statistics of the batch."""

    xp: Any = np

    def __init__(self) -> None:
        self.seen: Arrays = {}

    def linear(self, x: Any, weight: Any, bias: Any) -> Any:
        """x @ weight.T + bias."""
        return self.xp.matmul(x, weight.T) + bias

    def sigmoid(self, x: Any) -> Any:
        """1 / (1 + exp(-x))."""
        return 1 / (1 + self.xp.exp(-x))

    def relu(self, x: Any) -> Any:
        """max(x, 0)."""
        return self.xp.maximum(x, 0)

    def flatten(self, x: Any) -> Any:
        """Images (N, ...) as rows."""
        return self.xp.reshape(x, (x.shape[0], -1))

    def mean_places(self, x: Any) -> Any:
        """The mean of each channel: (N, C, H, W) to (N, C)."""
        return self.xp.mean(x, axis=(2, 3))

    def loss(self, name: str, outputs: Any, target: Any) -> Any:
        """Mean squared error in a and b, else cross-entropy."""
        return self.xp.mean((outputs - target) ** 2) if name in "ab" else self.cross_entropy(outputs, target)

    def cross_entropy(self, outputs: Any, target: Any) -> Any:
        """The mean of log(sum(exp(outputs))) - outputs[target]."""
        shifted = outputs - self.xp.max(outputs, axis=1, keepdims=True)
        total = self.xp.log(self.xp.sum(self.xp.exp(shifted), axis=1))
        return self.xp.mean(total - shifted[np.arange(len(target)), target])

    def saw(self, layer: str, mean: Any, var: Any, count: int) -> None:
        """Note the statistics of a batch, the variance as PyTorch keeps it: with count - 1."""
        self.seen |= {f"{layer}.running_mean": mean, f"{layer}.running_var": var * (count / (count - 1))}


def updated(xp: Any, optimizer: str, p: Arrays, g: Arrays, state: Arrays) -> tuple[Arrays, Arrays]:
    """Parameters and state of the optimizer after a step, as PyTorch's SGD and Adam compute them."""
    rate = LR[optimizer]
    if optimizer == "SGD":
        return {k: p[k] - rate * g[k] for k in p}, state
    time = state["time"] + 1
    m = {k: BETA1 * state["m"][k] + (1 - BETA1) * g[k] for k in p}
    v = {k: BETA2 * state["v"][k] + (1 - BETA2) * g[k] ** 2 for k in p}
    rate, root = rate / (1 - BETA1**time), (1 - BETA2**time) ** 0.5
    stepped = {k: p[k] - rate * m[k] / (xp.sqrt(v[k]) / root + ADAM_EPS) for k in p}
    return stepped, {"time": time, "m": m, "v": v}


def averaged(running: Arrays, seen: Arrays) -> Arrays:
    """Running statistics after a batch."""
    return {k: (1 - MOMENTUM) * running[k] + MOMENTUM * seen[k] for k in running}


class ArrayTraining:
    """A training step on arrays; `differentiate` gives loss, gradients and statistics of the batch.

    weights -- by PyTorch's names, running statistics among them
    """

    def __init__(self, name: str, optimizer: str, weights: Mapping[str, np.ndarray]) -> None:
        self.name, self.optimizer = name, optimizer
        self.x, self.target = batch(name)
        floats = {k: v.copy() for k, v in weights.items() if v.dtype == np.float32}
        self.running: Arrays = {k: v for k, v in floats.items() if "running" in k}
        self.p: Arrays = {k: v for k, v in floats.items() if "running" not in k}
        zeros = {k: np.zeros_like(v) for k, v in self.p.items()}
        self.state: Arrays = {} if optimizer == "SGD" else {"time": 0, "m": zeros, "v": dict(zeros)}

    def differentiate(self) -> tuple[Any, Arrays, Arrays]:
        """Loss, gradients, statistics of the batch."""
        raise NotImplementedError

    def step(self) -> Any:
        """Train once; the loss."""
        loss, g, seen = self.differentiate()
        self.p, self.state = updated(np, self.optimizer, self.p, g, self.state)
        self.running = averaged(self.running, seen)
        return loss

    def weights(self) -> dict[str, np.ndarray]:
        """All weights and running statistics."""
        return {k: np.asarray(v) for k, v in (self.p | self.running).items()}


class JaxTraining(ArrayTraining):
    """The whole step, update and all, by jax.jit, which may overwrite the old weights.

    Images have their channels last, the order in which XLA's convolutions are fastest.
    """

    def __init__(self, name: str, optimizer: str, weights: Mapping[str, np.ndarray]) -> None:
        super().__init__(name, optimizer, weights)
        jax, jnp = import_module("jax"), import_module("jax.numpy")
        make = jax_layers()

        def loss_of(p: Arrays, x: Any, target: Any) -> Any:
            f = make()
            return f.loss(name, forward(f, name, p, x), target), f.seen

        def step(p: Arrays, running: Arrays, state: Arrays, x: Any, target: Any) -> Any:
            (loss, seen), g = jax.value_and_grad(loss_of, has_aux=True)(p, x, target)
            return loss, *updated(jnp, optimizer, p, g, state), averaged(running, seen)

        self.function = jax.jit(step, donate_argnums=(0, 1, 2))
        x = self.x if name in MLPS else np.ascontiguousarray(self.x.transpose(0, 2, 3, 1))
        self.x, self.target = jnp.asarray(x), jnp.asarray(self.target)
        self.p, self.running, self.state = jax.tree.map(jnp.array, (self.p, self.running, self.state))

    def step(self) -> Any:
        loss, self.p, self.state, self.running = self.function(self.p, self.running, self.state, self.x, self.target)
        return loss.block_until_ready()


def jax_layers() -> Callable[[], Layers]:
    """The class of JAX's layers."""
    jax, jnp, lax = import_module("jax"), import_module("jax.numpy"), import_module("jax.lax")

    class JaxLayers(Layers):
        xp = jnp

        def sigmoid(self, x: Any) -> Any:
            return jax.nn.sigmoid(x)

        def relu(self, x: Any) -> Any:
            return jax.nn.relu(x)

        def cross_entropy(self, outputs: Any, target: Any) -> Any:
            return -jnp.mean(jax.nn.log_softmax(outputs)[jnp.arange(len(target)), target])

        def conv(self, x: Any, weight: Any, stride: int, padding: int, bias: Any = None) -> Any:
            order = ("NHWC", "OIHW", "NHWC")
            y = lax.conv_general_dilated(x, weight, (stride,) * 2, [(padding,) * 2] * 2, dimension_numbers=order)
            return y if bias is None else y + bias

        def max_pool(self, x: Any) -> Any:
            window = (1, 2, 2, 1)
            return lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID")

        def batch_norm(self, x: Any, weight: Any, bias: Any, layer: str) -> Any:
            mean, var = jnp.mean(x, axis=(0, 1, 2)), jnp.var(x, axis=(0, 1, 2))
            self.saw(layer, mean, var, x.size // x.shape[-1])
            return (x - mean) * (weight * lax.rsqrt(var + EPS)) + bias

        def flatten(self, x: Any) -> Any:
            return jnp.reshape(jnp.transpose(x, (0, 3, 1, 2)), (x.shape[0], -1))

        def mean_places(self, x: Any) -> Any:
            return jnp.mean(x, axis=(1, 2))

    return JaxLayers


class AutogradTraining(ArrayTraining):
    """autograd's value_and_grad; it has arrays as NumPy has them, and no layers."""

    def __init__(self, name: str, optimizer: str, weights: Mapping[str, np.ndarray]) -> None:
        super().__init__(name, optimizer, weights)
        if name not in MLPS:
            raise Unable("it has no convolution of images and no pooling")
        f = type("AutogradLayers", (Layers,), {"xp": import_module("autograd.numpy")})()
        x, target = self.x, self.target
        self.function = import_module("autograd").value_and_grad(lambda p: f.loss(name, forward(f, name, p, x), target))

    def differentiate(self) -> tuple[Any, Arrays, Arrays]:
        loss, g = self.function(self.p)
        return loss, g, {}


class MyGradTraining(ArrayTraining):
    """MyGrad's tensors and the layers of mygrad.nnet."""

    def __init__(self, name: str, optimizer: str, weights: Mapping[str, np.ndarray]) -> None:
        super().__init__(name, optimizer, weights)
        if name == "e":
            raise Unable("its convolution takes no stride that leaves a row over")
        self.tensor = import_module("mygrad").tensor
        self.layers = mygrad_layers()

    def differentiate(self) -> tuple[Any, Arrays, Arrays]:
        p = {k: self.tensor(v, copy=False) for k, v in self.p.items()}
        f = self.layers()
        loss = f.loss(self.name, forward(f, self.name, p, self.x), self.target)
        loss.backward()
        return loss.item(), {k: v.grad for k, v in p.items()}, f.seen


def mygrad_layers() -> Callable[[], Layers]:
    """The class of MyGrad's layers."""
    mygrad, nnet = import_module("mygrad"), import_module("mygrad.nnet")
    activations, losses = import_module("mygrad.nnet.activations"), import_module("mygrad.nnet.losses")

    class MyGradLayers(Layers):
        xp = mygrad

        def sigmoid(self, x: Any) -> Any:
            return activations.sigmoid(x)

        def relu(self, x: Any) -> Any:
            return activations.relu(x)

        def cross_entropy(self, outputs: Any, target: Any) -> Any:
            return losses.softmax_crossentropy(outputs, target)

        def conv(self, x: Any, weight: Any, stride: int, padding: int, bias: Any = None) -> Any:
            y = nnet.conv_nd(x, weight, stride=stride, padding=padding)
            return y if bias is None else y + mygrad.reshape(bias, (-1, 1, 1))

        def max_pool(self, x: Any) -> Any:
            height, width = (2 * (side // 2) for side in x.shape[2:])
            return nnet.max_pool(x[:, :, :height, :width], (2, 2), 2)

        def batch_norm(self, x: Any, weight: Any, bias: Any, layer: str) -> Any:
            y = nnet.batchnorm(x, gamma=weight, beta=bias, eps=EPS)
            self.saw(layer, y.creator.mean, y.creator.var, x.size // x.shape[1])
            return y

    return MyGradLayers


def micrograd_training(name: str, optimizer: str, weights: Mapping[str, np.ndarray]) -> ArrayTraining:
    """There is none."""
    raise Unable(f"it has numbers only, no arrays: ({name}) would take millions of its values a step")


# By name: the module, and what makes a training step of it
TRAININGS: dict[str, tuple[str, Callable[..., ArrayTraining]]] = {
    "jax.jit": ("jax", JaxTraining),
    "mygrad": ("mygrad", MyGradTraining),
    "autograd": ("autograd", AutogradTraining),
    "micrograd": ("micrograd", micrograd_training),
}
