"""What the demos that train a classifier share: networks and costs, the loop, and the figures every classifier gets."""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from tqdm import tqdm

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from demos.data import Part
from demos.report import Report
from demos.score import Score
from tinygrad_edu import nn, optim, viz
from tinygrad_edu.datasets import Digits
from tinygrad_edu.program import Program
from tinygrad_edu.utils.data import DataLoader, TensorDataset

LOSS, ACCURACY = "loss (nats)", "accuracy (%)"
CHUNK = 500

Cost = Callable[[tg.Tensor, tg.Tensor], tg.Tensor]
History = dict[str, dict[str, list[float]]]


def sigmoid_network(*sizes: int, scaled: bool = True) -> nn.Sequential:
    """Pictures in, sigmoid units in every layer; biases from N(0, 1), and weights too, `scaled` by 1/sqrt(inputs)."""
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in itertools.pairwise(sizes):
        linear = nn.Linear(inputs, outputs)
        nn.init.normal_(linear.weight, 0.0, inputs**-0.5 if scaled else 1.0)
        nn.init.normal_(linear.bias)
        layers += [linear, nn.Sigmoid()]
    return nn.Sequential(*layers)


def network(*sizes: int, keep: float = 1.0, hidden: type[nn.Module] = nn.Sigmoid) -> nn.Sequential:
    """Linear layers; dropout on the hidden units, or on the pixels where there are none."""
    layers: list[nn.Module] = [nn.Flatten()]
    for number, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        dropped = keep < 1 and number == len(sizes) - 2
        layers += [hidden()] * (number > 0) + [nn.Dropout(1 - keep)] * dropped + [nn.Linear(inputs, outputs)]
    return nn.Sequential(*layers)


def quadratic(outputs: tg.Tensor, targets: tg.Tensor) -> tg.Tensor:
    """Half the squared distance to the one-hot target, a mean over the pictures."""
    return F.mse_loss(outputs, F.one_hot(targets, 10).float(), reduction="sum") / (2 * len(targets))


def cross_entropy_of_sigmoids(outputs: tg.Tensor, targets: tg.Tensor) -> tg.Tensor:
    """-(t log a + (1 - t) log(1 - a)), summed over the ten outputs, a mean over the pictures."""
    return F.binary_cross_entropy(outputs, F.one_hot(targets, 10).float(), reduction="sum") / len(targets)


def outputs(model: nn.Module, images: tg.Tensor) -> tg.Tensor:
    """What a model says of many pictures, a few hundred at a time and without a graph."""
    with tg.no_grad():
        return tg.cat([model(images[start : start + CHUNK]) for start in range(0, len(images), CHUNK)])


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
    history: History = field(
        default_factory=lambda: {quantity: {"train": [], "test": []} for quantity in (LOSS, ACCURACY)}
    )

    def evaluate(self, data: Digits | Part, count: int | None = None, *, training: bool = False) -> Score:
        """How well the images (the first `count` of them) are read.

        training -- leave the model as it is while it learns, with dropout on: a mistake, to be shown as one
        """
        images, targets = data.images[:count], data.targets[:count]
        said = outputs(self.model.train(training), images)
        with tg.no_grad():
            loss = self.cost(said, targets).item()
        return Score(loss, targets.numpy(), said.argmax(1).numpy(), len(self.classes))

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
        schedule: optim.lr_scheduler.LRScheduler | None = None,
        what: str = "training",
    ) -> Classifier:
        """Train on shuffled batches; after each epoch, note loss and accuracy on both sets. Returns the classifier.

        compiled -- record the second step, and compile it for all further batches of that size
        change   -- applied to the pictures of each batch: augmentation
        schedule -- of the step size, moved on after each epoch
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
                if schedule is not None:
                    schedule.step()
                self.note()
                progress.set_postfix(test=f"{self.history[ACCURACY]['test'][-1]:.1f}%")
        return self

    def note(self) -> None:
        """Add loss and accuracy on both sets to the history."""
        for name, data, count in (("train", self.train, self.watched), ("test", self.test, None)):
            score = self.evaluate(data, count)
            self.history[LOSS][name].append(score.loss)
            self.history[ACCURACY][name].append(100 * score.accuracy)

    def show(self, report: Report, prefix: str, at_least: float | None, per_class: int | None = None) -> None:
        """The bar (if any), the curves, the confusion matrix and the mistakes; files are named `prefix`_...

        per_class -- show so many mistakes of every class; else the first 16
        """
        score, names = self.evaluate(self.test), list(self.classes)
        truth, predicted, counts = score.truth, score.predicted, score.confusion
        if at_least is not None:
            report.bar("test accuracy", score.accuracy, at_least=at_least)
        report.number("history", self.history)
        report.number("test accuracy", score.accuracy)
        report.number("confusion", counts.tolist())
        caption = (
            "Loss and accuracy after each epoch, on the training and on the test set. Where the two lines part, the "
            "network learns its pictures by heart."
        )
        report.figure(f"{prefix}_curves", viz.curves(self.history), caption)
        caption = (
            "Which class was taken for which, on the test set: a row for each true class, a column for each answer. "
            "What is off the diagonal was misread."
        )
        report.figure(f"{prefix}_confusion", viz.confusion(counts, names), caption)
        wrong = np.flatnonzero(predicted != truth)
        if per_class is None:
            chosen, columns, caption = wrong[:16], 8, "The first test images that were misread."
        else:
            chosen = np.concatenate([wrong[truth[wrong] == c][:per_class] for c in range(len(names))])
            columns, caption = 2 * per_class, f"Up to {per_class} misread test images of each class."
        if len(chosen):
            between = " read as " if max(map(len, names)) == 1 else "\nas "
            titles = [f"{names[int(truth[i])]}{between}{names[int(predicted[i])]}" for i in chosen]
            drawn = viz.image_grid(self.test.images.numpy()[chosen], titles, columns)
            report.figure(
                f"{prefix}_mistakes", drawn, f"{caption} Above each stands what it is, and what it was read as."
            )


def agreement(report: Report, eager: Classifier, lr: float, batch_size: int, batches: int = 51) -> None:
    """The same batches by plain steps, eager and compiled, from the same weights: how long they take, and how equal."""
    compiled = replace(eager, model=copy.deepcopy(eager.model))
    optimizers = [optim.SGD(reader.model.parameters(), lr=lr) for reader in (eager, compiled)]
    starts = range(0, batches * batch_size, batch_size)
    pairs = [tuple(t[i : i + batch_size] for t in (eager.train.images, eager.train.targets)) for i in starts]
    eager.update(optimizers[0], *pairs[0])
    step = compiled.recorded(optimizers[1], *pairs[0]).compile(outputs=["loss"])
    microseconds = []
    for update in (lambda x, t: eager.update(optimizers[0], x, t), lambda x, t: step(images=x, targets=t)):
        update(*pairs[1])
        started = time.perf_counter()
        for images, targets in pairs[2:]:
            update(images, targets)
        microseconds.append((time.perf_counter() - started) / len(pairs[2:]) * 1e6)
    both = zip(eager.model.parameters(), compiled.model.parameters(), strict=True)
    away = max(float(abs(a.detach().numpy() - b.detach().numpy()).max()) for a, b in both)
    report.text(f"A step takes {microseconds[0]:.0f} microseconds eagerly and {microseconds[1]:.0f} compiled.")
    report.bar(f"largest difference of a weight after {batches} steps, eager and compiled", away, at_most=1e-4)
