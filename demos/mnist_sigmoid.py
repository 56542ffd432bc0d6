"""Sigmoid units learn MNIST: what a step size means, and a gradient checked by hand."""

from __future__ import annotations

import time

import tinygrad_edu as tg
from demos.data import Images, grey
from demos.report import Report
from demos.training import ACCURACY, LOSS, Classifier, cross_entropy_of_sigmoids, sigmoid_network
from tinygrad_edu import optim, viz

ROW, SECONDS = "D1", 25

# images, step size for the mean of a batch of 128, epochs, what was measured elsewhere, what the report says
RUNS = (
    (3000, 0.0005, "0.0005, mean", 100, "14.9 %", "89.6 %"),
    (3000, 0.064, "0.0005, sum", 100, "88.1 %", ""),
    (3000, 0.5, "0.5, mean", 100, "90.2 to 90.8 %", ""),
    (60000, 0.0005, "0.0005, mean", 10, "31.6 %", ""),
    (60000, 0.064, "0.0005, sum", 10, "91.2 %", ""),
    (60000, 0.1, "0.1, mean", 10, "91.9 %", ""),
    (60000, 0.5, "0.5, mean", 10, "94.2 to 94.6 %", ""),
    (60000, 3.0, "3.0, mean", 10, "92.6 %", ""),
)
SLIPS = """
The report writes steps of 0.0005 times the mean gradient of 128 pictures, and with these little is learned. Its 89.6 %
come from its code, which does something else. The length of a batch is taken of a pair, so it is 2: the step is divided
by 2 where 128 was meant. The slice data[idx[k] : idx[k+127]] lies between two random places: half of the "batches" are
empty, and the rest have 1,000 pictures on average. The last partial batch is dropped. The regulariser is divided by the
same 2. And its sigmoid' = e^z / (1 + e^z)^2 overflows beyond z = 709, where a (1 - a), with a = sigmoid(z), does not.
What it calls validation is the test set.

With the mean of a batch and steps of 0.5 the network honestly reaches what was reported; a step of 0.0005 on the sum
is one of 0.064 on the mean. A step size means nothing without the reduction beside it.
"""


def run(report: Report) -> None:
    """The gradient check, the table of step sizes, the curves."""
    data = grey(report)
    tg.manual_seed(report.seed)
    report.text(
        "784 pixels, 20 and 10 sigmoid units; weights from N(0, 1/inputs), biases from N(0, 1); the cross-entropy of "
        f"each of the ten outputs, summed, a mean over the pictures; plain steps, batches of 128, seed {report.seed}."
    )
    check(report, data)
    report.heading("Step size and reduction")
    rows, shown = [], {}
    for count, lr, written, epochs, elsewhere, reported in RUNS:
        part, epochs = (data.first(500, 500), 2) if report.fast else (data.first(count, 10000), epochs)
        started = time.perf_counter()
        reader = trained(part, lr, epochs, f"{count} pictures, {written}", report.seed)
        seconds = time.perf_counter() - started
        accuracy = reader.history[ACCURACY]["test"][-1]
        shown[count, lr] = reader
        seen = f"{len(part.train.targets):,}"
        rows.append([seen, written, epochs, f"{accuracy:.1f} %", elsewhere, reported, f"{seconds:.1f}"])
        report.number(f"{count} pictures, {written}", {"epochs": epochs, "test accuracy": accuracy / 100})
    header = ["pictures", "step, reduction", "epochs", "ours (test)", "elsewhere", "reported", "seconds"]
    report.table(header, rows, caption="Elsewhere: the same training, written in NumPy.")
    report.text(SLIPS)
    if data.real and not report.fast:
        for count, least in ((3000, 0.896), (60000, 0.935)):
            found = shown[count, 0.5].history[ACCURACY]["test"][-1] / 100
            report.bar(f"{count:,} pictures, steps of 0.5: test accuracy", found, at_least=least)
    small = {f"{lr}": shown[3000, lr].history[ACCURACY]["test"] for lr in (0.5, 0.064, 0.0005)}
    compared = viz.curves({LOSS: shown[3000, 0.5].history[LOSS], "test accuracy (%), by step size": small})
    caption = (
        "3,000 pictures. Left is the cost with steps of 0.5, right what is read right of the test set by epoch, one "
        "line for each step size on the mean of a batch."
    )
    report.figure("mnist_sigmoid_steps", compared, caption)
    report.heading("60,000 pictures, steps of 0.5")
    shown[60000, 0.5].show(report, "mnist_sigmoid", None)


def trained(data: Images, lr: float, epochs: int, what: str, seed: int) -> Classifier:
    """The report's network, from the same initial weights each time."""
    tg.manual_seed(seed)
    reader = Classifier(sigmoid_network(784, 20, 10), data.train, data.test, cross_entropy_of_sigmoids, watched=10000)
    return reader.fit(optim.SGD(reader.model.parameters(), lr=lr), epochs, 128, what=what)


def check(report: Report, data: Images) -> None:
    """The slope of the cost along single weights, by autograd and by a central difference with h = 1e-5."""
    report.heading("A gradient, checked")
    model = sigmoid_network(784, 20, 10).double()
    images, targets, h = data.train.images[:128].double(), data.train.targets[:128], 1e-5
    cross_entropy_of_sigmoids(model(images), targets).backward()
    places = {"second layer, unit 5, weight 3": (3, 3), "first layer, unit 5, weight 3": (1, 3),
              "first layer, unit 5, weight 406": (1, 406)}  # fmt: skip
    rows, errors = [], []
    for name, (layer, column) in places.items():
        weight = model[layer].weight
        slope, costs = weight.grad[5, column].item(), []
        with tg.no_grad():
            for step in (h, -2 * h):
                weight[5, column] += step
                costs.append(cross_entropy_of_sigmoids(model(images), targets).item())
            weight[5, column] += h
        difference = (costs[0] - costs[1]) / (2 * h)
        errors.append(abs(difference - slope))
        rows.append([name, f"{slope:.10f}", f"{difference:.10f}", f"{errors[-1]:.1e}"])
        report.number(f"slope, {name}", [slope, difference])
    report.table(["weight", "autograd", "(C(w + h) - C(w - h)) / 2h", "difference"], rows)
    report.text(
        "Pixel 3 lies in the empty border: its weights have no influence, both sides are 0, and a check there would "
        "pass with any mistake. A check needs a place where the slope is not 0."
    )
    report.bar("largest difference between slope and central difference", max(errors), at_most=1e-8)
