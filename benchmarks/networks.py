"""The training steps that are timed: the same network, weights and batch, whichever library trains it.

`network` is for tinygrad_edu and PyTorch, which have modules; `forward` is the same for libraries that have functions.

a   784-30-10   sigmoid, mean squared error, batches of 10
b   784-20-10   the same, batches of 128
c   784-256-128-10   ReLU, cross-entropy, batches of 128
d1  convolutions 1-8-16 of 5 x 5 on 28 x 28, each with ReLU and 2 x 2 max pooling, and a linear layer; batches of 64
d2  the same with convolutions 1-32-64 of 3 x 3
e   residual network of 9 convolutions with batch normalisation, 16-32-64 channels, on 3 x 32 x 32; batches of 32
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

MLPS = {"a": ((784, 30, 10), 10), "b": ((784, 20, 10), 128), "c": ((784, 256, 128, 10), 128)}
CNNS = {"d1": (8, 16, 5, 256), "d2": (32, 64, 3, 1600)}
NAMES = (*MLPS, *CNNS, "e")
TITLES = {
    "a": "MLP 784-30-10, sigmoid, batch 10",
    "b": "MLP 784-20-10, sigmoid, batch 128",
    "c": "MLP 784-256-128-10, ReLU, batch 128",
    "d1": "CNN 1-8-16, 5 x 5, batch 64",
    "d2": "CNN 1-32-64, 3 x 3, batch 64",
    "e": "ResNet 16-32-64, batch 32",
}
# Of the residual blocks: channels, outputs, stride
BLOCKS = ((16, 16, 1), (16, 32, 2), (32, 64, 2))
LR = {"SGD": 0.05, "Adam": 1e-3}


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
    return nn.Sequential(
        *start, *(Block(*block) for block in BLOCKS), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)
    )


def forward(f: Any, name: str, p: Mapping[str, Any], x: Any) -> Any:
    """The outputs of a workload by the functions `f` has for layers; `p` are the parameters by PyTorch's names."""
    if name in MLPS:
        last = len(MLPS[name][0]) - 2
        for i in range(last + 1):
            x = f.linear(x, p[f"{2 * i}.weight"], p[f"{2 * i}.bias"])
            x = f.sigmoid(x) if name != "c" else f.relu(x) if i < last else x
        return x
    if name in CNNS:
        for i in (0, 3):
            x = f.max_pool(f.relu(f.conv(x, p[f"{i}.weight"], 1, 0, p[f"{i}.bias"])))
        return f.linear(f.flatten(x), p["7.weight"], p["7.bias"])

    def norm(x: Any, layer: str) -> Any:
        return f.batch_norm(x, p[f"{layer}.weight"], p[f"{layer}.bias"], layer)

    x = f.relu(norm(f.conv(x, p["0.weight"], 1, 1), "1"))
    for i, (_, _, stride) in enumerate(BLOCKS, 3):
        y = f.relu(norm(f.conv(x, p[f"{i}.conv1.weight"], stride, 1), f"{i}.norm1"))
        y = norm(f.conv(y, p[f"{i}.conv2.weight"], 1, 1), f"{i}.norm2")
        x = f.relu(y + (x if stride == 1 else f.conv(x, p[f"{i}.shortcut.weight"], stride, 0)))
    return f.linear(f.mean_places(x), p["8.weight"], p["8.bias"])


def layers(name: str) -> list[int]:
    """Multiply-adds of the forward pass of each linear layer and convolution, for a whole batch."""
    if name in MLPS:
        sizes, count = MLPS[name]
        return [count * before * after for before, after in itertools.pairwise(sizes)]
    if name in CNNS:
        first, second, k, features = CNNS[name]
        side = 28 - k + 1
        inner = side // 2 - k + 1
        work = [side * side * first * k * k, inner * inner * second * first * k * k, features * 10]
        return [64 * each for each in work]
    side, work = 32, [32 * 32 * 3 * 16 * 9]
    for channels, outputs, stride in BLOCKS:
        side //= stride
        work += [side * side * outputs * 9 * channels, side * side * outputs * 9 * outputs]
        work += [side * side * outputs * channels] if stride > 1 else []
    return [32 * each for each in (*work, 64 * 10)]


def operations(name: str) -> int:
    """Floating point operations of the products and convolutions of a training step; all else is not counted.

    A layer computes three of one size, its outputs and the gradients of its weights and of its inputs; the first layer
    two, as nobody asks for the gradient of the images.
    """
    first, *rest = layers(name)
    return 2 * (2 * first + 3 * sum(rest))


def batch(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Inputs, and classes or (for squared errors) rows with a one."""
    random = np.random.default_rng(0)
    shape = (MLPS[name][1], 784) if name in MLPS else (64, 1, 28, 28) if name in CNNS else (32, 3, 32, 32)
    x = random.random(shape, np.float32)
    classes = random.integers(0, 10, shape[0])
    return x, np.eye(10, dtype=np.float32)[classes] if name in "ab" else classes


class Training:
    """A model, its batch and its optimizer in one library; `step()` trains once and returns the loss.

    layout -- "NHWC" for PyTorch's channels_last
    form   -- "optimizer", as it stands in every tutorial; or one of PyTorch's: "foreach", plain SGD by
              torch._foreach_add_; "fused", its fused Adam; "compile", the loss by torch.compile
    """

    def __init__(
        self, lib: Any, name: str, optimizer: str = "SGD", layout: str = "NCHW", form: str = "optimizer"
    ) -> None:
        self.lib, self.name, self.rate = lib, name, LR[optimizer]
        self.model = network(lib, name)
        x, target = batch(name)
        self.x, self.target = lib.from_numpy(x), lib.from_numpy(target)
        self.criterion = lib.nn.functional.mse_loss if name in "ab" else lib.nn.functional.cross_entropy
        if layout == "NHWC":
            self.model = self.model.to(memory_format=lib.channels_last)
            self.x = self.x.contiguous(memory_format=lib.channels_last)
        self.parameters = list(self.model.parameters())
        fused = {"fused": True} if form == "fused" else {}
        self.optimizer = getattr(lib.optim, optimizer)(self.parameters, lr=self.rate, **fused)
        self.loss: Callable[[Any, Any], Any] = lib.compile(self.eager_loss) if form == "compile" else self.eager_loss
        self.step: Callable[[], Any] = self.by_foreach if form == "foreach" else self.by_optimizer

    def eager_loss(self, x: Any, target: Any) -> Any:
        """Forward."""
        return self.criterion(self.model(x), target)

    def by_optimizer(self) -> Any:
        """As it stands in every tutorial."""
        self.optimizer.zero_grad()
        loss = self.loss(self.x, self.target)
        loss.backward()
        self.optimizer.step()
        return loss

    def by_foreach(self) -> Any:
        """The least PyTorch can do in eager mode."""
        loss = self.loss(self.x, self.target)
        gradients = self.lib.autograd.grad(loss, self.parameters)
        with self.lib.no_grad():
            self.lib._foreach_add_(self.parameters, gradients, alpha=-self.rate)
        return loss

    def weights(self) -> dict[str, np.ndarray]:
        """All weights and running statistics, as copies."""
        return {name: value.detach().numpy().copy() for name, value in self.model.state_dict().items()}

    def start_from(self, weights: Mapping[str, np.ndarray]) -> None:
        """Take other weights."""
        self.model.load_state_dict({name: self.lib.from_numpy(value.copy()) for name, value in weights.items()})
