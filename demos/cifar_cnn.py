"""A convolutional network learns ten kinds of colour pictures: accuracy, F1, and what it takes for what."""

from __future__ import annotations

import tinygrad_edu as tg
from demos.data import colour
from demos.report import Report
from demos.training import ACCURACY, Classifier
from tinygrad_edu import nn, optim
from tinygrad_edu.datasets import CIFAR10Subset

ROW, SECONDS = "E1", 40

SLIPS = """
The report's pictures (wild animals, 10 classes) are not public; others stand in for them, so its numbers (training
56 %, validation 46 %, test 58 %, F1 0.5) cannot be compared with ours, only with each other. A test accuracy 12 points
above the validation accuracy means that one of the two sets was very small or not drawn at random. It calls the network
not overfitted in one answer and overfitted in another. On CIFAR-10 there is no doubt: the two curves part.
"""


class Standardise(nn.Module):
    """Each channel of (N, 3, H, W) less the mean of CIFAR-10's, over its standard deviation."""

    mean: tg.Tensor
    std: tg.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", tg.tensor(CIFAR10Subset.mean).reshape(3, 1, 1))
        self.register_buffer("std", tg.tensor(CIFAR10Subset.std).reshape(3, 1, 1))

    def forward(self, images: tg.Tensor) -> tg.Tensor:
        return (images - self.mean) / self.std


def network(classes: int = 10) -> nn.Sequential:
    """(N, 3, 32, 32) -> (N, classes): three convolutions of 32, 64 and 128 maps, pooled by 4, 2 and 2."""
    layers: list[nn.Module] = [Standardise()]
    for inputs, outputs, pool in ((3, 32, 4), (32, 64, 2), (64, 128, 2)):
        layers += [nn.Conv2d(inputs, outputs, kernel_size=3, padding=1), nn.ReLU(), nn.MaxPool2d(pool)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(512, classes))


def run(report: Report) -> None:
    """Train for ten epochs, then look at the mistakes."""
    tg.manual_seed(report.seed)
    data = colour(report)
    data = data.first(600, 300) if report.fast else data
    reader = Classifier(network(), data.train, data.test, classes=data.classes, watched=2000)
    report.text(
        "Three convolutions of 3 x 3 with 32, 64 and 128 maps, ReLU, max pooling by 4, 2 and 2, one linear layer: Adam "
        f"at 0.001, batches of 32, seed {report.seed}."
    )
    report.pre(str(tg.summary(reader.model, data.train.images[:32])))
    optimizer = optim.Adam(reader.model.parameters(), lr=1e-3)
    reader.fit(optimizer, epochs=2 if report.fast else 10, batch_size=32, what="CNN")

    scores = reader.evaluate(data.test).f1
    train, test = (reader.history[ACCURACY][part] for part in ("train", "test"))
    rows = [
        ["training accuracy (2,000 pictures)", f"{train[-1]:.1f} %", "85 % (running mean)", "56 %"],
        ["test accuracy", f"{test[-1]:.1f} %", "61.4, 62.3, 63.8 %", "58 %"],
        ["test accuracy, best of the last three", f"{max(test[-3:]):.1f} %", "", ""],
        ["F1, mean over the classes", f"{scores.mean():.3f}", "0.61, 0.62, 0.64", "0.5"],
        ["train-test gap, points", f"{train[-1] - test[-1]:.1f}", "", ""],
    ]
    report.table(["", "ours", f"elsewhere ({'same data' if data.real else 'CIFAR-10'})", "reported (other data)"], rows)
    report.text(SLIPS)
    report.table(["class", "F1"], [[n, f"{s:.3f}"] for n, s in zip(data.classes, scores, strict=True)])
    report.number("F1", scores.tolist())
    reader.show(report, "cifar_cnn", at_least=0.58 if data.real and not report.fast else None, per_class=3)
