"""Nielsen's network reads MNIST: quadratic cost, batches of ten, and outputs that die."""

from __future__ import annotations

import copy
import itertools
import time
from typing import Any

import numpy as np

import tinygrad_edu as tg
from demos.data import Images, grey
from demos.report import Report
from demos.training import (
    ACCURACY,
    LOSS,
    Classifier,
    Cost,
    cross_entropy_of_sigmoids,
    quadratic,
    recalls,
    sigmoid_network,
)
from tinygrad_edu import optim, viz
from tinygrad_edu.viz import plots

ROW, SECONDS = "D2", 180

# sizes, cost, weights from N(0, 1/inputs) and not N(0, 1), step, epochs, seeds, correct of 10,000 elsewhere
RUNS = (
    ((784, 10), quadratic, False, 3.0, 30, 1, "7541 (6, 8 dead), 8377 (8 dead), 9161"),
    ((784, 10), quadratic, True, 3.0, 30, 1, "9149, 9152, 9167"),
    ((784, 30, 10), quadratic, False, 3.0, 30, 3, "8638 (8 dead), 9474, 9489, 9491, 9498"),
    ((784, 30, 10), quadratic, True, 3.0, 30, 1, "9553, 9585"),
    ((784, 30, 10), cross_entropy_of_sigmoids, True, 0.5, 10, 1, "9554 9570 9577 9572 9558"),
)
BARS = (None, 0.91, 0.945, 0.95, 0.95)
DEAD = """
An output is dead when fewer than 2 % of its class are read right. With weights from N(0, 1) a sum over many pixels
is large, the sigmoid is flat there, and the quadratic cost multiplies by that slope: delta = (a - t) a (1 - a). An
output that begins at 0 for every picture gets no gradient from the pictures of its own class either, and stays. Such a
run with 75 % or 86 % is no mistake of the program, but of the start. With weights from N(0, 1/inputs) the slope is
small and not 0: an output may sleep for many epochs, then wake, and the accuracy jumps. The cross-entropy, whose delta
is a - t, has its full gradient even there.
"""


def run(report: Report) -> None:
    """Eager against compiled, then the five trainings."""
    data = grey(report)
    data = data.first(600, 360) if report.fast else data.first(50000, 10000)
    report.text(
        "Sigmoid units, plain steps on batches of 10, which makes 5,000 steps in an epoch of 50,000 pictures: the step "
        f"is recorded once and compiled into one function. Seed {report.seed}."
    )
    agreement(report, data)
    report.heading("What is read right, and which outputs are dead")
    rows, recall_rows, losses, accuracies = [], [], {}, {}
    for setting, bar in zip(RUNS, BARS, strict=True):
        name, found = title(*setting[:3]), []
        for seed in range(report.seed, report.seed + (1 if report.fast else setting[5])):
            reader = trained(data, setting, seed, f"{name}, seed {seed}", report.fast)
            _, accuracy, predicted = reader.evaluate(data.test)
            recall = recalls(data.test.targets.numpy(), predicted)
            dead = [str(k) for k in np.flatnonzero(recall < 0.02)]
            found.append(accuracy)
            right, epochs = f"{round(accuracy * len(predicted))} of {len(predicted)}", len(reader.history[LOSS]["test"])
            rows.append([name, seed, epochs, right, ", ".join(dead) or "none", setting[6]])
            recall_rows.append([f"{name}, seed {seed}", *(f"{100 * r:.0f}" for r in recall)])
            report.number(f"{name}, seed {seed}", {"accuracy": accuracy, "recall": recall.tolist(), "dead": dead})
            if setting[1] is quadratic and seed == report.seed:
                losses[name], accuracies[name] = reader.history[LOSS]["train"], reader.history[ACCURACY]["test"]
        if bar is not None and data.real and not report.fast:
            best = f", best of {len(found)} seeds" if len(found) > 1 else ""
            report.bar(f"{name}: test accuracy{best}", max(found), at_least=bar)
    report.table(["network", "seed", "epochs", "right", "dead", "elsewhere, of 10,000"], rows)
    marked = [i for i, row in enumerate(rows) if row[4] != "none"]
    header = ["recall, %", *map(str, range(10))]
    report.table(header, recall_rows, marked=marked, caption="Set off: runs with a dead output.")
    report.text(DEAD)
    report.text(slip(losses))
    panels = {"training cost (quadratic)": losses, "test accuracy (%)": accuracies}
    report.figure("nielsen_curves", viz.curves(panels), "The quadratic cost, from the first seed, by epoch.")
    shaded = plots.figure(8, 0.45 * len(recall_rows) + 1.4)
    axis = shaded.subplots()
    shares = np.array([[float(cell) for cell in row[1:]] for row in recall_rows])
    image = axis.imshow(shares, cmap="gray", vmin=0, vmax=100, aspect="auto")
    axis.set(xticks=range(10), yticks=range(len(shares)), yticklabels=[row[0] for row in recall_rows], xlabel="digit")
    shaded.colorbar(image, label="recall (%)")
    report.figure("nielsen_recall", shaded, "The share of each digit that is read right: black is a dead output.")


def title(sizes: tuple[int, ...], cost: Cost, scaled: bool) -> str:
    """A short name of a run."""
    return (
        f"{'-'.join(map(str, sizes))} {'quadratic' if cost is quadratic else 'CE'} {'N(0,1/n)' if scaled else 'N(0,1)'}"
    )


def trained(data: Images, setting: Any, seed: int, what: str, fast: bool) -> Classifier:
    """One run."""
    sizes, cost, scaled, lr, epochs, _, _ = setting
    tg.manual_seed(seed)
    reader = Classifier(sigmoid_network(*sizes, scaled=scaled), data.train, data.test, cost, watched=10000)
    optimizer = optim.SGD(reader.model.parameters(), lr=lr)
    reader.fit(optimizer, 2 if fast else epochs, 10, compiled=not fast, what=what)
    return reader


def slip(losses: dict[str, list[float]]) -> str:
    """What the report says of the cost, against how often it rose."""
    rises = [sum(b > a for a, b in itertools.pairwise(series)) for series in losses.values()]
    total = sum(len(series) - 1 for series in losses.values())
    return (
        'The report says it is "guaranteed" that a step against the gradient lowers the cost. That holds to first '
        f"order, for small steps. Here the training cost rose from one epoch to the next {sum(rises)} times in {total}."
    )


def agreement(report: Report, data: Images) -> None:
    """The same 51 batches by the eager step and by the compiled one, from the same weights."""
    tg.manual_seed(report.seed)
    eager = Classifier(sigmoid_network(784, 30, 10), data.train, data.test, quadratic)
    compiled = Classifier(copy.deepcopy(eager.model), data.train, data.test, quadratic)
    optimizers = [optim.SGD(reader.model.parameters(), lr=3.0) for reader in (eager, compiled)]
    batches = [(data.train.images[i : i + 10], data.train.targets[i : i + 10]) for i in range(0, 510, 10)]
    eager.update(optimizers[0], *batches[0])
    step = compiled.recorded(optimizers[1], *batches[0]).compile(outputs=["loss"])
    step(images=batches[1][0], targets=batches[1][1])
    eager.update(optimizers[0], *batches[1])
    microseconds = []
    for update in (lambda x, t: eager.update(optimizers[0], x, t), lambda x, t: step(images=x, targets=t)):
        started = time.perf_counter()
        for images, targets in batches[2:]:
            update(images, targets)
        microseconds.append((time.perf_counter() - started) / len(batches[2:]) * 1e6)
    pairs = zip(eager.model.parameters(), compiled.model.parameters(), strict=True)
    away = max(float(abs(a.detach().numpy() - b.detach().numpy()).max()) for a, b in pairs)
    report.text(f"A step takes {microseconds[0]:.0f} microseconds eagerly and {microseconds[1]:.0f} compiled.")
    report.bar("largest difference of a weight after 51 steps, eager and compiled", away, at_most=1e-4)
