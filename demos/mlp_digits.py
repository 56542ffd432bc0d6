"""A small network learns to read handwritten digits."""

from __future__ import annotations

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from demos.report import Report
from demos.training import Classifier
from tinygrad_edu import nn, optim, viz
from tinygrad_edu.datasets import Digits

SECONDS = 10


class MLP(nn.Module):
    """64 pixels, 64 hidden units, 10 digits."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(64, 64)
        self.out = nn.Linear(64, 10)

    def forward(self, images: tg.Tensor) -> tg.Tensor:
        h = self.hidden(images.flatten(1)).relu()
        return self.out(h)


def run(report: Report) -> None:
    """Train, test, show."""
    tg.manual_seed(report.seed)
    reader = Classifier(MLP(), Digits(train=True), Digits(train=False))
    report.text(
        "1,437 images of 8 x 8 grey pixels to train on, 360 others to test on, bundled with scikit-learn, to be "
        f"read by 64 units and then 10: ReLU, cross-entropy, Adam at 0.002, batches of 32, seed {report.seed}."
    )
    report.pre(str(reader.model))
    report.text(f"Before training it reads {reader.evaluate(reader.test).accuracy:.0%} of the test images right.")
    reader.fit(optim.Adam(reader.model.parameters(), lr=2e-3), epochs=4 if report.fast else 25, batch_size=32)
    reader.show(report, "mlp", at_least=0.85 if report.fast else 0.96)

    reader.model.train()
    images, targets = reader.test.images[:4], reader.test.targets[:4]
    loss = F.cross_entropy(reader.model(images), targets)
    drawing = viz.graph(loss, params=reader.model, names={"images": images, "targets": targets}, direction="TB")
    caption = "The graph of one loss, on four images: from the pixels at the top to the loss. Boxes are modules."
    report.figure("mlp_graph", drawing, caption, fit=False)
