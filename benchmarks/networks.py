"""The training steps that are timed: the same network, weights and batch in tinygrad_edu and in PyTorch.

a   784-30-10   sigmoid, mean squared error, batches of 10
b   784-20-10   the same, batches of 128
c   784-256-128-10   ReLU, cross-entropy, batches of 128
d1  convolutions 1-8-16 of 5 x 5 on 28 x 28, each with ReLU and 2 x 2 max pooling, and a linear layer; batches of 64
d2  the same with convolutions 1-32-64 of 3 x 3
e   residual network of 9 convolutions with batch normalisation, 16-32-64 channels, on 3 x 32 x 32; batches of 32
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

MLPS = {"a": ((784, 30, 10), 10), "b": ((784, 20, 10), 128), "c": ((784, 256, 128, 10), 128)}
CNNS = {"d1": (8, 16, 5, 256), "d2": (32, 64, 3, 1600)}
NAMES = (*MLPS, *CNNS, "e")
LR = 0.05


def network(lib: Any, name: str) -> Any:
    """The model of a workload; `lib` is tinygrad_edu or torch."""
    nn = lib.nn
    if name in MLPS:
        sizes, _ = MLPS[name]
        layers: list[Any] = []
        for before, after in itertools.pairwise(sizes):
            layers += [nn.Linear(before, after), nn.ReLU() if name == "c" else nn.Sigmoid()]
        return nn.Sequential(*(layers[:-1] if name == "c" else layers))
    if name in CNNS:
        first, second, kernel, features = CNNS[name]
        layers = [nn.Conv2d(1, first, kernel), nn.ReLU(), nn.MaxPool2d(2)]
        layers += [nn.Conv2d(first, second, kernel), nn.ReLU(), nn.MaxPool2d(2)]
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(features, 10))
    return resnet(lib)


def resnet(lib: Any) -> Any:
    """A convolution, three residual blocks of 16, 32 and 64 channels, the mean over all places, a linear layer."""
    nn, relu = lib.nn, lib.nn.functional.relu

    class Block(nn.Module):
        def __init__(self, channels: int, outputs: int, stride: int) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(channels, outputs, 3, stride, 1, bias=False)
            self.norm1 = nn.BatchNorm2d(outputs)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.norm2 = nn.BatchNorm2d(outputs)
            self.shortcut = nn.Identity() if stride == 1 else nn.Conv2d(channels, outputs, 1, stride, bias=False)

        def forward(self, x: Any) -> Any:
            y = self.norm2(self.conv2(relu(self.norm1(self.conv1(x)))))
            return relu(y + self.shortcut(x))

    start = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    blocks = [Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2)]
    return nn.Sequential(*start, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def batch(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Inputs, and classes or (for squared errors) rows with a one."""
    random = np.random.default_rng(0)
    shape = (MLPS[name][1], 784) if name in MLPS else (64, 1, 28, 28) if name in CNNS else (32, 3, 32, 32)
    x = random.random(shape, np.float32)
    classes = random.integers(0, 10, shape[0])
    return x, np.eye(10, dtype=np.float32)[classes] if name in "ab" else classes


class Training:
    """A model, its batch and its optimizer in one library; `step()` trains once and returns the loss.

    layout -- "NHWC" for PyTorch's channels_last;  foreach -- plain SGD by torch._foreach_add_, without an optimizer
    """

    def __init__(
        self, lib: Any, name: str, optimizer: str = "SGD", layout: str = "NCHW", foreach: bool = False
    ) -> None:
        self.lib, self.name = lib, name
        self.model = network(lib, name)
        x, target = batch(name)
        self.x, self.target = lib.from_numpy(x), lib.from_numpy(target)
        self.loss = lib.nn.functional.mse_loss if name in "ab" else lib.nn.functional.cross_entropy
        if layout == "NHWC":
            self.model = self.model.to(memory_format=lib.channels_last)
            self.x = self.x.contiguous(memory_format=lib.channels_last)
        self.parameters = list(self.model.parameters())
        self.optimizer = getattr(lib.optim, optimizer)(self.parameters, lr=LR if optimizer == "SGD" else 1e-3)
        self.step: Callable[[], Any] = self.by_foreach if foreach else self.by_optimizer

    def by_optimizer(self) -> Any:
        """As it stands in every tutorial."""
        self.optimizer.zero_grad()
        loss = self.loss(self.model(self.x), self.target)
        loss.backward()
        self.optimizer.step()
        return loss

    def by_foreach(self) -> Any:
        """The least PyTorch can do in eager mode."""
        loss = self.loss(self.model(self.x), self.target)
        gradients = self.lib.autograd.grad(loss, self.parameters)
        with self.lib.no_grad():
            self.lib._foreach_add_(self.parameters, gradients, alpha=-LR)
        return loss

    def weights(self) -> dict[str, np.ndarray]:
        """All weights and buffers, as copies."""
        return {name: value.detach().numpy().copy() for name, value in self.model.state_dict().items()}

    def start_from(self, weights: dict[str, np.ndarray]) -> None:
        """Take other weights."""
        self.model.load_state_dict({name: self.lib.from_numpy(value.copy()) for name, value in weights.items()})
