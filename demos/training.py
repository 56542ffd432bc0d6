"""What the demos that train a classifier share: the loop, and the figures every classifier gets."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from demos.report import Report
from tinygrad_edu import nn, optim, viz
from tinygrad_edu.datasets import Digits
from tinygrad_edu.utils.data import DataLoader

LOSS, ACCURACY = "loss (nats)", "accuracy (%)"


def no_numbers() -> dict[str, dict[str, list[float]]]:
    """Loss and accuracy by epoch, on both sets."""
    return {quantity: {"train": [], "test": []} for quantity in (LOSS, ACCURACY)}


@dataclass
class Classifier:
    """A model, what it is trained and tested on, and how it went."""

    model: nn.Module
    train: Digits
    test: Digits
    history: dict[str, dict[str, list[float]]] = field(default_factory=no_numbers)

    def evaluate(self, data: Digits) -> tuple[float, float, np.ndarray]:
        """Mean loss, accuracy, and the predicted class of every image."""
        self.model.eval()
        with tg.no_grad():
            logits = self.model(data.images)
            loss = F.cross_entropy(logits, data.targets)
        predicted = logits.argmax(1)
        return loss.item(), (predicted == data.targets).float().mean().item(), predicted.numpy()

    def fit(self, optimizer: optim.Optimizer, epochs: int, batch_size: int) -> None:
        """Train on shuffled batches; after each epoch, note loss and accuracy on both sets."""
        loader = DataLoader(self.train, batch_size=batch_size, shuffle=True)
        progress = tqdm(range(epochs), desc="training", unit="epoch")
        for _ in progress:
            self.model.train()
            for images, targets in loader:
                loss = F.cross_entropy(self.model(images), targets)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            for name, data in (("train", self.train), ("test", self.test)):
                mean_loss, accuracy, _ = self.evaluate(data)
                self.history[LOSS][name].append(mean_loss)
                self.history[ACCURACY][name].append(100 * accuracy)
            progress.set_postfix(test=f"{self.history[ACCURACY]['test'][-1]:.1f}%")

    def show(self, report: Report, prefix: str, at_least: float) -> None:
        """The bar, the curves, the confusion matrix and the mistakes; files are named `prefix`_..."""
        _, accuracy, predicted = self.evaluate(self.test)
        truth, images = self.test.targets.numpy(), self.test.images.numpy()
        counts = viz.confusion_counts(truth, predicted, 10)
        report.bar("test accuracy", accuracy, at_least=at_least)
        report.number("history", self.history)
        report.number("test accuracy", accuracy)
        report.number("confusion", counts.tolist())
        report.figure(f"{prefix}_curves", viz.curves(self.history), "Loss and accuracy after each epoch, on both sets.")
        report.figure(f"{prefix}_confusion", viz.confusion(counts), "Which digit was taken for which, on the test set.")
        wrong = np.flatnonzero(predicted != truth)[:16]
        if len(wrong):
            titles = [f"{truth[i]} read as {predicted[i]}" for i in wrong]
            report.figure(f"{prefix}_mistakes", viz.image_grid(images[wrong], titles), "Test images that were misread.")
