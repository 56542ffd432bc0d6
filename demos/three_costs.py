"""Three costs on MNIST, compared on a common footing: squared error, cross-entropy, log-likelihood of a softmax."""

from __future__ import annotations

from typing import Any

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from demos.data import Images, grey
from demos.report import Report
from demos.training import ACCURACY, LOSS, Classifier, Cost, cross_entropy_of_sigmoids, quadratic, sigmoid_network
from tinygrad_edu import nn, optim, viz

ROW, SECONDS = "D3", 15


def squared_error(outputs: tg.Tensor, targets: tg.Tensor) -> tg.Tensor:
    """The squared distance to the one-hot target, a mean over the pictures."""
    return 2 * quadratic(outputs, targets)


# cost; what one who knows nothing has to pay (every output a half, or a tenth); divided by 10 in the report;
# steps for 784-10 and 784-30-10; reported cost and accuracy, epoch by epoch; measured elsewhere (784-10)
COSTS: dict[str, tuple[Cost, float, bool, tuple[float, float], str, str, str]] = {
    "MSE": (squared_error, 2.5, True, (0.5, 1.0), ".0316 .0222 .0190 .0174 .0164", ".842 .8791 .8932 .8989 .902",
            ".0293 to .0179, .9032 to .9157"),
    "CE": (cross_entropy_of_sigmoids, 6.931472, True, (0.1, 0.5), ".0705 .0595 .0554 .0532 .0514",
           ".8878 .9056 .9083 .9139 .9167", ".1212 to .0753, .8942 to .9101"),
    "softmax": (F.cross_entropy, 2.302585, False, (0.5, 0.5), ".3289 .3157 .2954 .2782 .2789",
                ".9108 .9093 .9191 .9189 .9191", ".4006 to .2814, .9143 to .9216"),
}  # fmt: skip
SLIPS = """
The report concludes that squared error and cross-entropy "converge faster", for their curves lie lower. But they are
means over the ten outputs, and the log-likelihood of the softmax is one number for all ten: that alone is a factor of
10. And one who knows nothing pays .25, .693 and 2.303 in the report's units, so that equal numbers mean different
things. On a common footing each cost is summed over the outputs, averaged over the pictures, and divided by what
knowing nothing costs; even so these are different questions, and what can be compared is the share of digits read
right. Network and step size are not stated in the report; its cross-entropy is lower than the network without a hidden
layer makes it here. What was measured elsewhere is a running mean over the epoch, ours is taken at its end.
"""
CAPTION = (
    "{}: training cost in the report's units, the same as a share of what knowing nothing costs, and what is read "
    "right. The costs at the left are different quantities and cannot be compared; on the common footing in the middle "
    "they lie closer, and only the accuracy at the right tells which network reads better."
)


def run(report: Report) -> None:
    """Both networks with all three costs."""
    data = grey(report)
    data = data.first(1000, 360) if report.fast else data.first(55000, 10000)
    epochs = 2 if report.fast else 5
    report.text(f"Plain steps, batches of 100, {epochs} epochs; seed {report.seed}. Steps are given for summed costs.")
    rows, numbers = [], {}
    for place, sizes in enumerate(((784, 10), (784, 30, 10))):
        readers = {}
        network = "-".join(map(str, sizes))
        for name, (cost, _, divided, steps, costs, accuracies, elsewhere) in COSTS.items():
            tg.manual_seed(report.seed)
            reader = readers[name] = trained(data, sizes, cost, steps[place], epochs, f"{network} {name}")
            history = reader.history
            ours = [value / (10 if divided else 1) for value in history[LOSS]["train"]]
            right = [value / 100 for value in history[ACCURACY]["test"]]
            rows.append([network, name, f"{steps[place]:g}", digits(ours), costs, digits(right), accuracies,
                         "" if place else elsewhere])  # fmt: skip
            numbers[f"{network} {name}"] = {"train cost, as reported": ours, "test accuracy": right}
            if data.real and not report.fast:
                report.bar(f"{network} {name}: test accuracy", right[-1], at_least=(0.9, 0.92)[place])
        report.heading(network)
        report.figure(f"three_costs_{network}", plot(readers), CAPTION.format(network))
    header = ["network", "cost", "step", "ours: train cost", "reported", "ours: test accuracy", "reported", "elsewhere"]
    report.table(header, rows, caption="Costs in the report's units: MSE and CE are divided by the ten outputs.")
    for name, value in numbers.items():
        report.number(name, value)
    report.text(SLIPS)


def plot(readers: dict[str, Classifier]) -> Any:
    """The costs as reported, the costs on a common footing, the accuracy."""
    costs = {name: reader.history[LOSS]["train"] for name, reader in readers.items()}
    units = {name: 10 if divided else 1 for name, (_, _, divided, *_) in COSTS.items()}
    return viz.curves(
        {
            "training cost (the report's units)": {n: [v / units[n] for v in series] for n, series in costs.items()},
            "training cost / cost of ignorance": {n: [v / COSTS[n][1] for v in series] for n, series in costs.items()},
            "test accuracy (%)": {n: reader.history[ACCURACY]["test"] for n, reader in readers.items()},
        }
    )


def trained(data: Images, sizes: tuple[int, ...], cost: Cost, lr: float, epochs: int, what: str) -> Classifier:
    """One network; without a hidden layer it starts from 0, and a softmax takes the place of the last sigmoid."""
    model = sigmoid_network(*sizes)
    if len(sizes) == 2:
        for parameter in model.parameters():
            nn.init.zeros_(parameter)
    if cost is F.cross_entropy:
        model = nn.Sequential(*list(model)[:-1])
    reader = Classifier(model, data.train, data.test, cost, watched=10000)
    reader.fit(optim.SGD(model.parameters(), lr=lr), epochs, 100, what=what)
    return reader


def digits(values: list[float]) -> str:
    """Four digits of each."""
    return " ".join(f"{v:.4f}".removeprefix("0") for v in values)
