"""L1, L2 and dropout: how much is too much, networks that collapse, and where it helps."""

from __future__ import annotations

from functools import partial
from statistics import mean
from typing import Any

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from demos import pictures
from demos.data import Images, grey
from demos.report import Report
from demos.training import Classifier, network
from tinygrad_edu import nn, optim

ROW, SECONDS = "D4", 120

# what is varied: its values; (kind, network) -> test accuracy measured elsewhere (dropout off / left on while testing)
SWEEPS = {
    "lambda": ((0.0, 1e-4, 5e-4, 1e-3, 5e-3, 1e-2, 1e-1), {
        ("L2", "784-10"): ".9216 .9210 .9188 .9168 .9054 .8951 .7292",
        ("L1", "784-10"): ".9216 .9180 .9069 .8979 .8182 .7091 .3058",
        ("L2", "784-30-10"): ".9469 .9456 .9412 .9348 .9039 .8850 .3781",
        ("L1", "784-30-10"): ".9469 .9420 .9148 .8959 .7466 .1009 .1068"}),
    "share of units kept": ((1.0, 0.9, 0.8, 0.6, 0.5, 0.4, 0.2), {
        ("dropout", "784-10"): "- .9163/.9178 - - .9086/.8729 - .8811/.7431",
        ("dropout", "784-30-10"): "- .9443/.9327 .9383/.9168 .9322/.8754 .9262/.8386 .9207/.7940 .8992/.5765"}),
}  # fmt: skip
REPORTED = {"L2": ".9177 .9167 .9182 .9186 .9129 .9123 .8175", "L1": ".9177 .9180 .9101 .8909 .8549 .1135 .1135",
            "dropout": ".9177 .9068 .8945 .8545 .8225 .7582 .4825"}  # fmt: skip
# 784-100-10 on 1,000 pictures: (penalty, lambda or share kept) -> elsewhere, two seeds
SMALL = {("none", 0.0): ".8734 .8821", ("L2", 1e-3): ".8749 .8850", ("L2", 5e-3): ".8808 .8874",
         ("L2", 1e-2): ".8800 .8862", ("L1", 1e-4): ".8737 .8828", ("L1", 5e-4): ".8704 .8708",
         ("dropout", 0.5): ".8882 .8916", ("dropout", 0.8): ".8875 .8904"}  # fmt: skip
SLIPS = """
The report's .1135 is the share of ones among the test pictures: its network collapsed and answers "1" to everything,
because ones are the commonest pictures it saw. Which class wins depends on the biases, so we look for a constant
answer and not for a number. A collapse needs a hidden layer: its outputs shrink together with the weights behind it.
Where one begins depends on the start: with an L1 of 0.005 our weights, drawn evenly within 1/sqrt(inputs), collapse;
from N(0, 1/inputs) the same training ends at .7810 and .8025 (seeds 0 and 1), as elsewhere.
With an L1 of 0.1 the weights jump across 0, by 0.05 in each step; whether one answer is left or noise is chance.
The report does not define lambda; ours is the factor of w (L2) or of the sign of w (L1) in the gradient, biases free.
Its dropout figures fall as ours do when dropout is left on while testing (our second numbers): the likely reason.
With 55,000 pictures and a network this small there is nothing to regularise. With 1,000 there is.
"""


def penalised(model: nn.Module, kind: str, strength: float, outputs: tg.Tensor, targets: tg.Tensor) -> tg.Tensor:
    """Cross-entropy plus lambda/2 sum w^2 (L2) or lambda sum |w| (L1) over all weights."""
    cost = F.cross_entropy(outputs, targets)
    for name, weight in model.named_parameters():
        if name.endswith("weight") and strength > 0 and kind != "dropout":
            cost = cost + strength * ((weight * weight).sum() / 2 if kind == "L2" else weight.abs().sum())
    return cost


def trained(data: Images, sizes: Any, kind: str, amount: float, seed: int, epochs: int, how: Any) -> Classifier:
    """One network; `amount` is lambda, or for dropout the share of units kept."""
    lr, batch, hidden = how
    tg.manual_seed(seed)
    model = network(*sizes, keep=amount if kind == "dropout" else 1.0, hidden=hidden)
    reader = Classifier(model, data.train, data.test, partial(penalised, model, kind, amount), watched=1000)
    return reader.fit(optim.SGD(model.parameters(), lr=lr), epochs, batch, what=f"{kind} {amount:g}")


def run(report: Report) -> None:
    """The sweeps, the plot, the small training set."""
    data = grey(report)
    few, data = data.first(1000, 10000), data.first(55000, 10000)
    if report.fast:
        few, data = few.first(200, 360), data.first(1000, 360)
    epochs = "one epoch" if report.fast else "five epochs"
    report.text(f"Softmax and cross-entropy, plain steps of 0.5, batches of 100, {epochs}; seed {report.seed}.")
    panels = {what: sweep(report, data, what, amounts, columns) for what, (amounts, columns) in SWEEPS.items()}
    if data.real and not report.fast:
        fallen = sum(collapsed for *_, collapsed in panels["lambda"]["L1 784-30-10"])
        report.bar("784-30-10 with L1: networks that collapsed", fallen, at_least=1)
    report.text(SLIPS)
    drawn = pictures.sweeps(panels, "share of the test set that is read right", {"lambda": 1e-4})
    caption = (
        "What is read right of the test set, by the strength of the penalty and by the share of units that dropout "
        "keeps. A cross marks networks that give one answer to every picture."
    )
    report.figure("regularisation", drawn, caption)
    small(report, few, data.real and not report.fast)


def sweep(report: Report, data: Images, what: str, amounts: Any, columns: Any) -> dict[str, list[Any]]:
    """Every column at every amount: (amount, test accuracy, whether the network has collapsed)."""
    table, found = [[what, *(f"{amount:g}" for amount in amounts)]], {}
    for (kind, name), elsewhere in columns.items():
        cells, sizes = [], [int(size) for size in name.split("-")]
        for amount in amounts:
            reader = trained(data, sizes, kind, amount, report.seed, 1 if report.fast else 5, (0.5, 100, nn.Sigmoid))
            scores = {f"{kind} {name}": reader.evaluate(data.test)}
            if kind == "dropout":
                scores[f"{kind} {name}, left on"] = reader.evaluate(data.test, training=True)
            for series, score in scores.items():
                found.setdefault(series, []).append((amount, score.accuracy, score.constant))
            cells.append(" / ".join(map(str, scores.values())))
        table += [[f"{name}, {kind}", *cells], ["elsewhere", *elsewhere.split()]]
    table += [[f"reported, {kind}", *REPORTED[kind].split()] for kind in dict.fromkeys(kind for kind, _ in columns)]
    header, *rows = zip(*table, strict=True)
    marked = [i for i in range(len(amounts)) if any(series[i][2] for series in found.values())]
    caption = "Test accuracy; with dropout: off / left on while testing. Set off: a network gives one answer to all."
    report.table(header, rows, marked=marked, caption=caption)
    report.number(what, found)
    return found


def small(report: Report, data: Images, bars: bool) -> None:
    """Where it helps: 1,000 pictures, 100 hidden ReLUs, 60 epochs, two seeds."""
    report.heading(f"{len(data.train.targets):,} training pictures")
    rows, means = [], {}
    for (kind, amount), elsewhere in SMALL.items():
        name, how = f"{kind} {amount:g}", (3 if report.fast else 60, (0.1, 20, nn.ReLU))
        readers = [trained(data, (784, 100, 10), kind, amount, report.seed + more, *how) for more in (0, 1)]
        train = mean(reader.evaluate(data.train).accuracy for reader in readers)
        tests = [reader.evaluate(data.test) for reader in readers]
        means[name] = mean(score.accuracy for score in tests)
        gain = means[name] - means["none 0"]
        rows.append([name, f"{100 * train:.1f} %", " ".join(map(str, tests)), f"{gain:+.4f}", elsewhere])
    report.table(["", "training", "test, two seeds", "gain", "elsewhere"], rows)
    report.number("small", means)
    for name in ("L2 0.005", "dropout 0.5") if bars else ():
        report.bar(f"gain of test accuracy by {name}", means[name] - means["none 0"], at_least=0.001)
