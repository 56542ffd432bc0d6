"""A small network learns to read handwritten digits."""

from __future__ import annotations

import numpy as np
from tqdm import tqdm

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from demos.report import Report
from tinygrad_edu import nn, optim, viz
from tinygrad_edu.datasets import Digits
from tinygrad_edu.utils.data import DataLoader

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


def evaluate(model: nn.Module, data: Digits) -> tuple[float, float, np.ndarray]:
    """Mean loss, accuracy, and the predicted digit of every image."""
    model.eval()
    with tg.no_grad():
        logits = model(data.images)
        loss = F.cross_entropy(logits, data.targets)
    predicted = logits.argmax(1)
    return loss.item(), (predicted == data.targets).float().mean().item(), predicted.numpy()


def run(report: Report) -> None:
    """Train, test, show."""
    tg.manual_seed(report.seed)
    train, test = Digits(train=True), Digits(train=False)
    model = MLP()
    optimizer = optim.Adam(model.parameters(), lr=2e-3)
    loader = DataLoader(train, batch_size=32, shuffle=True)
    epochs = 4 if report.fast else 25
    history: dict[str, dict[str, list[float]]] = {
        "loss (nats)": {"train": [], "test": []}, "accuracy (%)": {"train": [], "test": []},
    }  # fmt: skip

    report.text(
        "1,437 images of 8 x 8 grey pixels to train on, 360 others to test on, bundled with scikit-learn, to be "
        f"read by 64 units and then 10: ReLU, cross-entropy, Adam at 0.002, batches of 32, seed {report.seed}."
    )
    report.pre(str(model))
    report.text(f"Before training it reads {evaluate(model, test)[1]:.0%} of the test images right.")
    progress = tqdm(range(epochs), desc="training", unit="epoch")
    for _ in progress:
        model.train()
        for images, targets in loader:
            loss = F.cross_entropy(model(images), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        for name, data in (("train", train), ("test", test)):
            mean_loss, accuracy, _ = evaluate(model, data)
            history["loss (nats)"][name].append(mean_loss)
            history["accuracy (%)"][name].append(100 * accuracy)
        progress.set_postfix(test=f"{accuracy:.1%}")

    show(report, model, test, history)


def show(report: Report, model: MLP, test: Digits, history: dict[str, dict[str, list[float]]]) -> None:
    """The curves, the confusion matrix, the mistakes, the graph."""
    _, accuracy, predicted = evaluate(model, test)
    truth = test.targets.numpy()
    report.bar("test accuracy", accuracy, at_least=0.85 if report.fast else 0.96)
    report.figure("mlp_curves", viz.curves(history), "Loss and accuracy after each epoch, on both sets.")
    counts = viz.confusion_counts(truth, predicted, 10)
    report.figure("mlp_confusion", viz.confusion(counts), "Which digit was taken for which, on the test set.")
    wrong = np.flatnonzero(predicted != truth)[:16]
    titles = [f"{truth[i]} read as {predicted[i]}" for i in wrong]
    if len(wrong):
        report.figure(
            "mlp_mistakes", viz.image_grid(test.images.numpy()[wrong], titles), "Test images that were misread."
        )

    model.train()
    images, targets = test.images[:4], test.targets[:4]
    loss = F.cross_entropy(model(images), targets)
    drawing = viz.graph(loss, params=model, names={"images": images, "targets": targets}, direction="TB")
    report.figure("mlp_graph", drawing, "The graph of one loss, on four images; boxes are modules.", fit=False)
    report.number("history", history)
    report.number("test accuracy", accuracy)
    report.number("confusion", counts.tolist())
