"""Nielsen's network reads MNIST: quadratic cost, batches of ten, and outputs that die."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

import tinygrad_edu as tg
from demos import pictures, training
from demos.data import Images, grey
from demos.report import Report
from demos.training import ACCURACY, LOSS, Classifier, Cost, cross_entropy_of_sigmoids, quadratic, sigmoid_network
from tinygrad_edu import optim, viz

ROW, SECONDS = "D2", 180


class Run(NamedTuple):
    """What is trained, what was read right elsewhere (of 10,000), and the share that must come out."""

    sizes: tuple[int, ...]
    cost: Cost
    scaled: bool
    lr: float
    epochs: int
    seeds: int
    elsewhere: str
    bar: float

    def __str__(self) -> str:
        cost = "quadratic" if self.cost is quadratic else "CE"
        return f"{'-'.join(map(str, self.sizes))} {cost} {'N(0,1/n)' if self.scaled else 'N(0,1)'}"


FLAT, DEEP = (784, 10), (784, 30, 10)
RUNS = (
    Run(FLAT, quadratic, False, 3.0, 30, 1, "7541 (6, 8 dead), 8377 (8 dead), 9161", 0.0),
    Run(FLAT, quadratic, True, 3.0, 30, 1, "9149, 9152, 9167", 0.91),
    Run(DEEP, quadratic, False, 3.0, 30, 3, "8638 (8 dead), 9474, 9489, 9491, 9498", 0.945),
    Run(DEEP, quadratic, True, 3.0, 30, 1, "9553, 9585", 0.95),
    Run(DEEP, cross_entropy_of_sigmoids, True, 0.5, 10, 1, "9554 9570 9577 9572 9558", 0.95),
)
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
    training.agreement(report, network(data, RUNS[2], report.seed), lr=RUNS[2].lr, batch_size=10)
    report.heading("What is read right, and which outputs are dead")
    rows, shares, curves = [], {}, {"training cost (quadratic)": {}, "test accuracy (%)": {}}
    for setting in RUNS:
        found = []
        for seed in range(report.seed, report.seed + (1 if report.fast else setting.seeds)):
            reader, name = network(data, setting, seed), f"{setting}, seed {seed}"
            optimizer = optim.SGD(reader.model.parameters(), lr=setting.lr)
            reader.fit(optimizer, 2 if report.fast else setting.epochs, 10, compiled=not report.fast, what=name)
            if setting.cost is quadratic and not found:
                for panel, (quantity, part) in zip(curves, ((LOSS, "train"), (ACCURACY, "test")), strict=True):
                    curves[panel][str(setting)] = reader.history[quantity][part]
            score = reader.evaluate(data.test)
            found.append(score.accuracy)
            shares[name] = 100 * score.recall
            dead, right = ", ".join(map(str, score.dead)) or "none", (score.predicted == score.truth).sum()
            epochs = len(reader.history[LOSS]["test"])
            rows.append([setting, seed, epochs, f"{right} of {len(score.truth)}", dead, setting.elsewhere])
            numbers = {"accuracy": score.accuracy, "recall": score.recall.tolist(), "dead": score.dead}
            report.number(name, numbers)
        if setting.bar and data.real and not report.fast:
            best = f", best of {len(found)} seeds" if len(found) > 1 else ""
            report.bar(f"{setting}: test accuracy{best}", max(found), at_least=setting.bar)
    report.table(["network", "seed", "epochs", "right", "dead", "elsewhere, of 10,000"], rows)
    show(report, shares, curves, [i for i, row in enumerate(rows) if row[4] != "none"])


def network(data: Images, setting: Run, seed: int) -> Classifier:
    """What is to be trained."""
    tg.manual_seed(seed)
    model = sigmoid_network(*setting.sizes, scaled=setting.scaled)
    return Classifier(model, data.train, data.test, setting.cost, watched=10000)


def show(
    report: Report, shares: dict[str, np.ndarray], curves: dict[str, dict[str, list[float]]], dead: list[int]
) -> None:
    """The recall of each digit, how the costs went down, and what is to be learned from both."""
    rows = [[name, *(f"{share:.0f}" for share in recall)] for name, recall in shares.items()]
    report.table(["recall, %", *map(str, range(10))], rows, marked=dead, caption="Set off: runs with a dead output.")
    report.text(DEAD)
    costs = [*next(iter(curves.values())).values()]
    rises = sum(b > a for series in costs for a, b in itertools.pairwise(series))
    report.text(
        'The report says it is "guaranteed" that a step against the gradient lowers the cost. That holds to first '
        f"order, for small steps. Here the training cost rose from one epoch to the next {rises} times in "
        f"{sum(len(series) - 1 for series in costs)}."
    )
    caption = (
        "The quadratic cost on the training set and what is read right of the test set, by epoch, from the first seed. "
        "A sudden step up is an output that wakes."
    )
    report.figure("nielsen_curves", viz.curves(curves), caption)
    drawn = pictures.shares(np.array([*shares.values()]), [*shares], "digit", "recall (%)")
    caption = "The share of each digit that is read right, one line for each training. Black is a dead output."
    report.figure("nielsen_recall", drawn, caption)
