"""A convolutional network learns to read handwritten digits, and shows what it looks for."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from demos.report import Report
from demos.training import Classifier
from tinygrad_edu import nn, optim, viz
from tinygrad_edu.datasets import Digits

SECONDS = 20


class CNN(nn.Module):
    """Two blocks of convolution, normalisation, ReLU and pooling, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.block1 = block(1, 8)
        self.block2 = block(8, 16)
        self.out = nn.Linear(16 * 2 * 2, 10)

    def forward(self, images: tg.Tensor) -> tg.Tensor:
        h = self.block2(self.block1(images))
        return self.out(h.flatten(1))


def block(inputs: int, outputs: int) -> nn.Sequential:
    """3 x 3 windows over the image, then half its height and width."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel_size=3, padding=1),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )


def run(report: Report) -> None:
    """Train, test, look inside."""
    tg.manual_seed(report.seed)
    model = CNN()
    test = Digits(train=False)
    reader = Classifier(model, Digits(train=True), test)
    report.text(
        "The same images, read by 8 filters of 3 x 3 pixels, 16 more over what those found, and 10 units: batch "
        f"normalisation, ReLU, max pooling, cross-entropy, AdamW at 0.003, batches of 32, seed {report.seed}."
    )
    report.pre(str(tg.summary(model, reader.test.images[:32])))
    report.text(f"Before training it reads {reader.evaluate(reader.test).accuracy:.0%} of the test images right.")
    before = model.block1[0].weight.detach().clone()
    reader.fit(optim.AdamW(model.parameters(), lr=3e-3), epochs=2 if report.fast else 12, batch_size=32)
    reader.show(report, "cnn", at_least=0.90 if report.fast else 0.975)
    look_inside(report, model, test, before)

    model.train()
    images, targets = reader.test.images[:4], reader.test.targets[:4]
    loss = F.cross_entropy(model(images), targets)
    drawing = viz.graph(loss, params=model, names={"images": images, "targets": targets}, direction="TB")
    caption = "The graph of one loss, on four images: from the pixels at the top to the loss. Boxes are modules."
    report.figure("cnn_graph", drawing, caption, fit=False)


def look_inside(report: Report, model: CNN, test: Digits, before: tg.Tensor) -> None:
    """Filters, what they find in one image, and which pixels speak for a digit."""
    report.heading("What it looks for, and where it finds it")
    filters = np.concatenate([before.numpy(), model.block1[0].weight.detach().numpy()])
    titles = [f"{n} {when}" for when in ("before", "after") for n in range(1, 9)]
    caption = "The 8 filters of the first convolution, before and after training. Black is positive, white negative."
    report.figure("cnn_filters", viz.image_grid(filters, titles, limits=both_signs(filters)), caption)

    model.eval()
    first, second = outputs_of(model, test.images[:1], model.block1[2], model.block2[2])
    titles = [f"filter {n}" for n in range(1, 9)]
    caption = (
        f"Where each of them answers in the first test image, a {test.targets[0].item()}. The darker, the stronger; "
        "ReLU has cut what was negative."
    )
    report.figure("cnn_maps1", viz.image_grid(first, titles, limits=(0.0, float(first.max()))), caption)
    titles = [f"filter {n}" for n in range(1, 17)]
    caption = (
        "The answers of the 16 filters of the second convolution to the same image. Each of them sees the 8 pictures "
        "above at once, at half their size."
    )
    report.figure("cnn_maps2", viz.image_grid(second, titles, limits=(0.0, float(second.max()))), caption)

    images = test.images[:8].requires_grad_()
    scores, read = model(images).max(1)
    (slopes,) = tg.autograd.grad(scores.sum(), images)
    titles = [f"read as {n}" for n in read.numpy()]
    caption = "Eight test images. Above each stands what it was read as."
    report.figure("cnn_read", viz.image_grid(images.detach().numpy(), titles), caption)
    caption = (
        "The gradient of the winning score with respect to each pixel of these images. More ink where it is black "
        "would make the network surer of what it read, more ink where it is white less sure."
    )
    report.figure("cnn_slopes", viz.image_grid(slopes.numpy(), titles, limits=both_signs(slopes.numpy())), caption)


def both_signs(values: np.ndarray) -> tuple[float, float]:
    """Limits that show 0 as the grey in the middle."""
    return -float(abs(values).max()), float(abs(values).max())


def outputs_of(model: nn.Module, images: tg.Tensor, *modules: nn.Module) -> list[np.ndarray]:
    """What modules inside a model return for its first image, (C, H, W) each: forward hooks see it."""
    found: list[np.ndarray] = []

    def collect(module: nn.Module, inputs: Any, output: tg.Tensor) -> None:
        found.append(output.detach().numpy()[0])

    hooks = [module.register_forward_hook(collect) for module in modules]
    model(images)
    for hook in hooks:
        hook.remove()
    return found
