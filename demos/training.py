"""What the demos that train a classifier share: networks and costs, the loop, and the figures every classifier gets."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tqdm import tqdm

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from demos.data import Part
from demos.report import Report
from tinygrad_edu import nn, optim, viz
from tinygrad_edu.datasets import Digits
from tinygrad_edu.program import Program
from tinygrad_edu.utils.data import DataLoader, TensorDataset

LOSS, ACCURACY = "loss (nats)", "accuracy (%)"
CHUNK = 500

Cost = Callable[[tg.Tensor, tg.Tensor], tg.Tensor]


def sigmoid_network(*sizes: int, scaled: bool = True) -> nn.Sequential:
    """Pictures in, sigmoid units in every layer; biases from N(0, 1), and weights too, `scaled` by 1/sqrt(inputs)."""
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in itertools.pairwise(sizes):
        linear = nn.Linear(inputs, outputs)
        nn.init.normal_(linear.weight, 0.0, inputs**-0.5 if scaled else 1.0)
        nn.init.normal_(linear.bias)
        layers += [linear, nn.Sigmoid()]
    return nn.Sequential(*layers)


def quadratic(outputs: tg.Tensor, targets: tg.Tensor) -> tg.Tensor:
    """Half the squared distance to the one-hot target, a mean over the pictures."""
    return F.mse_loss(outputs, F.one_hot(targets, 10).float(), reduction="sum") / (2 * len(targets))


def cross_entropy_of_sigmoids(outputs: tg.Tensor, targets: tg.Tensor) -> tg.Tensor:
    """-(t log a + (1 - t) log(1 - a)), summed over the ten outputs, a mean over the pictures."""
    return F.binary_cross_entropy(outputs, F.one_hot(targets, 10).float(), reduction="sum") / len(targets)


@dataclass
class Classifier:
    """A model, what it is trained and tested on, and how it went.

    cost    -- (outputs, targets) -> the mean loss of a batch; the class of the largest output is what was read
    classes -- their names
    watched -- how many of the training images are evaluated after each epoch, all when left out
    """

    model: nn.Module
    train: Digits | Part
    test: Digits | Part
    cost: Cost = F.cross_entropy
    classes: Sequence[str] = Digits.classes
    watched: int | None = None
    history: dict[str, dict[str, list[float]]] = field(
        default_factory=lambda: {quantity: {"train": [], "test": []} for quantity in (LOSS, ACCURACY)}
    )

    def evaluate(self, data: Digits | Part, count: int | None = None) -> tuple[float, float, np.ndarray]:
        """Mean loss, accuracy, and the predicted class of every image (of the first `count`)."""
        self.model.eval()
        images, targets = data.images[:count], data.targets[:count]
        total, predicted = 0.0, []
        with tg.no_grad():
            for start in range(0, len(targets), CHUNK):
                wanted = targets[start : start + CHUNK]
                outputs = self.model(images[start : start + CHUNK])
                total += self.cost(outputs, wanted).item() * len(wanted)
                predicted.append(outputs.argmax(1).numpy())
        read = np.concatenate(predicted)
        return total / len(read), float((read == targets.numpy()).mean()), read

    def update(self, optimizer: optim.Optimizer, images: tg.Tensor, targets: tg.Tensor) -> None:
        """One step of training on one batch."""
        loss = self.cost(self.model(images), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def recorded(self, optimizer: optim.Optimizer, images: tg.Tensor, targets: tg.Tensor) -> Program:
        """The same step, done once and recorded: `.compile()` makes one function of it for batches of this shape."""
        with tg.record() as program:
            loss = self.cost(self.model(images), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return program

    def fit(
        self,
        optimizer: optim.Optimizer,
        epochs: int,
        batch_size: int,
        *,
        compiled: bool = False,
        change: Callable[[tg.Tensor], tg.Tensor] | None = None,
        what: str = "training",
    ) -> None:
        """Train on shuffled batches; after each epoch, note loss and accuracy on both sets.

        compiled -- record the second step, and compile it for all further batches of that size
        change   -- applied to the pictures of each batch: augmentation
        """
        pairs = TensorDataset(self.train.images, self.train.targets)
        loader = DataLoader(pairs, batch_size=batch_size, shuffle=True)
        step = None
        with tqdm(total=epochs * len(loader), desc=what, unit="batch", leave=False, mininterval=0.5) as progress:
            for _ in range(epochs):
                self.model.train()
                for number, (images, targets) in enumerate(loader):
                    images = images if change is None else change(images)
                    if step is not None and len(targets) == batch_size:
                        step(images=images, targets=targets)
                    elif compiled and number == 1 and len(targets) == batch_size:
                        step = self.recorded(optimizer, images, targets).compile(outputs=["loss"])
                    else:
                        self.update(optimizer, images, targets)
                    progress.update()
                self.note()
                progress.set_postfix(test=f"{self.history[ACCURACY]['test'][-1]:.1f}%")

    def note(self) -> None:
        """Add loss and accuracy on both sets to the history."""
        for name, data, count in (("train", self.train, self.watched), ("test", self.test, None)):
            mean_loss, accuracy, _ = self.evaluate(data, count)
            self.history[LOSS][name].append(mean_loss)
            self.history[ACCURACY][name].append(100 * accuracy)

    def show(self, report: Report, prefix: str, at_least: float | None, per_class: int | None = None) -> None:
        """The bar (if any), the curves, the confusion matrix and the mistakes; files are named `prefix`_...

        per_class -- show so many mistakes of every class; else the first 16
        """
        _, accuracy, predicted = self.evaluate(self.test)
        truth, names = self.test.targets.numpy(), list(self.classes)
        counts = viz.confusion_counts(truth, predicted, len(names))
        if at_least is not None:
            report.bar("test accuracy", accuracy, at_least=at_least)
        report.number("history", self.history)
        report.number("test accuracy", accuracy)
        report.number("confusion", counts.tolist())
        report.figure(f"{prefix}_curves", viz.curves(self.history), "Loss and accuracy after each epoch, on both sets.")
        caption = "Which class was taken for which, on the test set."
        report.figure(f"{prefix}_confusion", viz.confusion(counts, names), caption)
        wrong = np.flatnonzero(predicted != truth)
        if per_class is None:
            chosen, columns, caption = wrong[:16], 8, "Test images that were misread."
        else:
            chosen = np.concatenate([wrong[truth[wrong] == c][:per_class] for c in range(len(names))])
            columns, caption = 2 * per_class, f"Up to {per_class} misread test images of each class."
        if len(chosen):
            between = " read as " if max(map(len, names)) == 1 else "\nas "
            titles = [f"{names[int(truth[i])]}{between}{names[int(predicted[i])]}" for i in chosen]
            drawn = viz.image_grid(self.test.images.numpy()[chosen], titles, columns)
            report.figure(f"{prefix}_mistakes", drawn, caption)


def recalls(truth: np.ndarray, predicted: np.ndarray, classes: int = 10) -> np.ndarray:
    """The share of each class that was read right, (classes,)."""
    counts = viz.confusion_counts(truth, predicted, classes)
    return counts.diagonal() / np.maximum(counts.sum(axis=1), 1)


def constant(predicted: np.ndarray) -> bool:
    """Whether the network has collapsed: it gives one answer to every picture."""
    return len(np.unique(predicted)) == 1


def f1_scores(truth: np.ndarray, predicted: np.ndarray, classes: int = 10) -> np.ndarray:
    """The F1 score of each class, (classes,): the harmonic mean of precision and recall."""
    from sklearn.metrics import precision_recall_fscore_support

    given: Any = truth
    _, _, scores, _ = precision_recall_fscore_support(given, predicted, labels=range(classes), zero_division=0)  # type: ignore[arg-type]
    return np.asarray(scores)
