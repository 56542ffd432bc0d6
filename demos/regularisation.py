"""L1, L2 and dropout: how much is too much, networks that collapse, and where it helps."""

from __future__ import annotations

import itertools
from functools import partial
from statistics import mean
from typing import Any

import numpy as np

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from demos.data import Images, grey
from demos.report import Report
from demos.training import Classifier, constant
from tinygrad_edu import nn, optim
from tinygrad_edu.viz import plots

ROW, SECONDS = "D4", 120

LAMBDAS = (0.0, 1e-4, 5e-4, 1e-3, 5e-3, 1e-2, 1e-1)
KEEPS = (1.0, 0.9, 0.8, 0.6, 0.5, 0.4, 0.2)
# (kind, network) -> test accuracy measured elsewhere, for each lambda or share kept (off while testing / left on)
PENALTIES = {("L2", "784-10"): ".9216 .9210 .9188 .9168 .9054 .8951 .7292",
             ("L1", "784-10"): ".9216 .9180 .9069 .8979 .8182 .7091 .3058",
             ("L2", "784-30-10"): ".9469 .9456 .9412 .9348 .9039 .8850 .3781",
             ("L1", "784-30-10"): ".9469 .9420 .9148 .8959 .7466 .1009 .1068"}  # fmt: skip
DROPPED = {("dropout", "784-10"): "- .9163/.9178 - - .9086/.8729 - .8811/.7431",
           ("dropout", "784-30-10"): "- .9443/.9327 .9383/.9168 .9322/.8754 .9262/.8386 .9207/.7940 .8992/.5765",
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
With an L1 of 0.1 the weights jump across 0, by 0.05 in each step; whether one answer is left or noise is chance.
The report does not define lambda; ours is the factor of w (L2) or of the sign of w (L1) in the gradient, biases free.
Its dropout figures fall as ours do when dropout is left on while testing (our right-hand numbers): the likely reason.
With 55,000 pictures and a network this small there is nothing to regularise. With 1,000 there is.
"""


def network(*sizes: int, keep: float = 1.0, hidden: type[nn.Module] = nn.Sigmoid) -> nn.Sequential:
    """Linear layers; dropout on the hidden units, or on the pixels where there are none."""
    layers: list[nn.Module] = [nn.Flatten()]
    for number, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        dropped = keep < 1 and number == len(sizes) - 2
        layers += [hidden()] * (number > 0) + [nn.Dropout(1 - keep)] * dropped + [nn.Linear(inputs, outputs)]
    return nn.Sequential(*layers)


def penalised(model: nn.Module, kind: str, strength: float, outputs: tg.Tensor, targets: tg.Tensor) -> tg.Tensor:
    """Cross-entropy plus lambda/2 sum w^2 (L2) or lambda sum |w| (L1) over all weights."""
    cost = F.cross_entropy(outputs, targets)
    for name, weight in model.named_parameters():
        if name.endswith("weight") and strength > 0 and kind != "dropout":
            cost = cost + strength * ((weight * weight).sum() / 2 if kind == "L2" else weight.abs().sum())
    return cost


def trained(data: Images, sizes: Any, kind: str, amount: float, seed: int, epochs: int, **how: Any) -> Classifier:
    """One network; `amount` is lambda, or for dropout the share of units kept."""
    tg.manual_seed(seed)
    keep = amount if kind == "dropout" else 1.0
    model = network(*sizes, keep=keep, hidden=how.get("hidden", nn.Sigmoid))
    reader = Classifier(model, data.train, data.test, partial(penalised, model, kind, amount), watched=1000)
    what = f"{'-'.join(map(str, sizes))} {kind} {amount:g}"
    reader.fit(optim.SGD(model.parameters(), lr=how.get("lr", 0.5)), epochs, how.get("batch", 100), what=what)
    return reader


def left_on(reader: Classifier) -> float:
    """The test accuracy with dropout left on by mistake."""
    reader.model.train()
    with tg.no_grad():
        predicted = reader.model(reader.test.images).argmax(1)
    return float((predicted == reader.test.targets).float().mean())


def run(report: Report) -> None:
    """The sweeps, the plot, the small training set."""
    data = grey(report)
    few = data.first(1000, 10000)
    data = data.first(1000, 360) if report.fast else data.first(55000, 10000)
    epochs = "one epoch" if report.fast else "five epochs"
    report.text(f"Softmax and cross-entropy, plain steps of 0.5, batches of 100, {epochs}; seed {report.seed}.")
    found = sweep(report, data, "lambda", LAMBDAS, PENALTIES)
    kept = sweep(report, data, "share of units kept", KEEPS, DROPPED)
    report.text(SLIPS)
    report.figure("regularisation", plot(found, kept), "Test accuracy; a cross marks networks that give one answer.")
    small(report, few.first(200, 360) if report.fast else few, data.real and not report.fast)


def sweep(report: Report, data: Images, what: str, amounts: Any, columns: Any) -> dict[str, list[Any]]:
    """Every column at every amount: (amount, test accuracy, whether the network has collapsed)."""
    rows, header, found = [[f"{amount:g}"] for amount in amounts], [what], {}
    for (kind, name), elsewhere in columns.items():
        header += [f"{name}, {kind}", "elsewhere"]
        for row, amount, theirs in zip(rows, amounts, elsewhere.split(), strict=True):
            sizes = tuple(map(int, name.split("-")))
            reader = trained(data, sizes, kind, amount, report.seed, 1 if report.fast else 5)
            _, accuracy, predicted = reader.evaluate(data.test)
            found.setdefault(f"{kind} {name}", []).append((amount, accuracy, constant(predicted)))
            row += [short(accuracy) + (f" (all {predicted[0]})" if constant(predicted) else ""), theirs]
            if kind == "dropout":
                wrong = left_on(reader)
                found.setdefault(f"{kind} {name}, left on", []).append((amount, wrong, False))
                row[-2] += f"/{short(wrong)}"
    for kind in dict.fromkeys(kind for kind, _ in columns):
        header.append(f"reported, {kind}")
        for row, theirs in zip(rows, REPORTED[kind].split(), strict=True):
            row.append(theirs)
    marked = [i for i in range(len(amounts)) if any(series[i][2] for series in found.values())]
    caption = "Test accuracy: dropout off while testing / left on." if kind == "dropout" else "Test accuracy."
    report.table(header, rows, marked=marked, caption=f"{caption} Set off: a network gives one answer to all.")
    report.number(what, found)
    if data.real and not report.fast and "L1 784-30-10" in found:
        fallen = sum(collapsed for _, _, collapsed in found["L1 784-30-10"])
        report.bar("784-30-10 with L1: networks that collapsed", fallen, at_least=1)
    return found


def small(report: Report, data: Images, bars: bool) -> None:
    """Where it helps: 1,000 pictures, 100 hidden ReLUs, 60 epochs, two seeds."""
    report.heading(f"{len(data.train.targets):,} training pictures")
    rows, means = [], {}
    for (kind, amount), elsewhere in SMALL.items():
        readers = [
            trained(
                data, (784, 100, 10), kind, amount, seed, 3 if report.fast else 60, hidden=nn.ReLU, lr=0.1, batch=20
            )
            for seed in (report.seed, report.seed + 1)
        ]
        tests = [reader.evaluate(data.test)[1] for reader in readers]
        train = mean(reader.evaluate(data.train)[1] for reader in readers)
        means[f"{kind} {amount:g}"] = mean(tests)
        gain = mean(tests) - means["none 0"]
        rows.append(
            [f"{kind} {amount:g}", f"{100 * train:.1f} %", " ".join(map(short, tests)), f"{gain:+.4f}", elsewhere]
        )
    report.table(["", "training", "test, two seeds", "gain", "elsewhere"], rows)
    report.number("small", means)
    if bars:
        for name in ("L2 0.005", "dropout 0.5"):
            report.bar(f"gain of test accuracy by {name}", means[name] - means["none 0"], at_least=0.001)


def plot(found: dict[str, Any], kept: dict[str, Any]) -> Any:
    """Accuracy by lambda, and by the share kept."""
    drawn = plots.figure(10, 3.8)
    panels = {"lambda": found, "share of units kept": kept}
    for axis, (label, panel) in zip(drawn.subplots(1, 2), panels.items(), strict=True):
        for (name, series), (dash, marker, color) in zip(panel.items(), plots.LINES, strict=True):
            places, accuracies = np.array([[x, 100 * y] for x, y, _ in series]).T
            axis.plot(places, accuracies, dash, marker=marker, markersize=4, color=color, label=name)
            fallen = np.array([collapsed for *_, collapsed in series])
            axis.plot(places[fallen], accuracies[fallen], "kx", markersize=10)
        axis.set(xlabel=label, ylabel="test accuracy (%)")
        axis.grid(color="#dddddd", linewidth=0.6)
        axis.legend(frameon=False)
        if panel is found:
            axis.set_xscale("symlog", linthresh=1e-4)
    return drawn


def short(share: float) -> str:
    """Four digits."""
    return f"{share:.4f}".removeprefix("0")
