"""Three epochs of a small CNN on MNIST, here and in PyTorch: accuracy on the test set, and seconds per epoch.

Convolutions 1-8-16 of 5 x 5, each with ReLU and 2 x 2 max pooling, a linear layer 256-10; cross-entropy, Adam at 0.002,
batches of 64.  Both start from the same weights and see the same batches, epoch by epoch in turn, on one thread.
The images come from the folder `TINYGRAD_EDU_DATA` (or where `datasets.MNIST` finds or puts them).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from tqdm import tqdm

import tinygrad_edu as tg
from tinygrad_edu.datasets import MNIST

EPOCHS, BATCH = 3, 64


class Trained:
    """The network in one library (`lib` is tinygrad_edu or torch), and how its epochs went."""

    def __init__(self, lib: Any) -> None:
        self.lib = lib
        layers = [lib.nn.Conv2d(1, 8, 5), lib.nn.ReLU(), lib.nn.MaxPool2d(2)]
        layers += [lib.nn.Conv2d(8, 16, 5), lib.nn.ReLU(), lib.nn.MaxPool2d(2)]
        self.model = lib.nn.Sequential(*layers, lib.nn.Flatten(), lib.nn.Linear(256, 10))
        self.optimizer = lib.optim.Adam(self.model.parameters(), lr=2e-3)
        self.loss = lib.nn.functional.cross_entropy
        self.seconds: list[float] = []
        self.accuracy: list[float] = []

    def start_as(self, other: Trained) -> None:
        """Take the weights of the other."""
        state = {name: value.detach().numpy() for name, value in other.model.state_dict().items()}
        self.model.load_state_dict({name: self.lib.from_numpy(value.copy()) for name, value in state.items()})

    def epoch(self, batches: Iterator[tuple[np.ndarray, np.ndarray]]) -> None:
        """Train on all batches; only the steps are timed."""
        total = 0.0
        for images, targets in batches:
            start = time.perf_counter()
            loss = self.loss(self.model(self.lib.from_numpy(images)), self.lib.from_numpy(targets))
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += time.perf_counter() - start
        self.seconds.append(total)

    def test(self, images: np.ndarray, targets: np.ndarray) -> None:
        """Note the share of images read right."""
        with self.lib.no_grad():
            parts = [self.model(self.lib.from_numpy(part)).argmax(1).numpy() for part in np.split(images, 10)]
        self.accuracy.append(float((np.concatenate(parts) == targets).mean()))


def arrays(train: bool) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 1, 28, 28) float32 in 0..1, and labels."""
    images, targets = MNIST(train=train).tensors()
    return images.numpy(), targets.numpy()


def batches(images: np.ndarray, targets: np.ndarray, order: np.ndarray, name: str) -> Any:
    """The batches of one epoch, with a progress bar."""
    for start in tqdm(range(0, len(order), BATCH), desc=name, leave=False):
        chosen = order[start : start + BATCH]
        yield images[chosen], targets[chosen]


def run(rounds: int) -> None:
    """Train both and print a table; `rounds` has no effect, there are three epochs."""
    tg.manual_seed(0)
    networks = {"tinygrad_edu": Trained(tg)}
    try:
        import torch
    except ModuleNotFoundError:
        print("PyTorch is not installed: our own time only")
    else:
        networks["torch"] = Trained(torch)
        networks["torch"].start_as(networks["tinygrad_edu"])
    train, test = arrays(True), arrays(False)
    for name, network in networks.items():
        Trained(network.lib).epoch(batches(*train, np.arange(BATCH), f"{name}, first step"))
    random = np.random.default_rng(0)
    for epoch in range(1, EPOCHS + 1):
        order = random.permutation(len(train[0]))
        for name, network in networks.items():
            network.epoch(batches(*train, order, f"{name}, epoch {epoch}"))
            network.test(*test)
            print(
                f"epoch {epoch}  {name:13s} {network.seconds[-1]:6.1f} s   "
                f"test accuracy {100 * network.accuracy[-1]:.2f} %"
            )
    if "torch" in networks:
        ours, theirs = (float(np.median(networks[name].seconds)) for name in ("tinygrad_edu", "torch"))
        print(f"seconds per epoch, torch / tinygrad_edu: {theirs / ours:.2f}")
