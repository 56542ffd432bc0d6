"""A residual network: trained from scratch, with changed pictures, and after learning clothes first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import tinygrad_edu as tg
from demos.cifar_cnn import Standardise
from demos.data import Images, Part, colour, coloured, grey
from demos.report import Report
from demos.training import ACCURACY, CHUNK, Classifier, f1_scores
from tinygrad_edu import nn, optim, transforms, viz
from tinygrad_edu.viz import plots

# He, Zhang, Ren and Sun, "Deep residual learning for image recognition" (2015)
ROW, SECONDS = "E2", 360

SLIPS = """
The report fine-tuned a ResNet-18 that had learned ImageNet, whose weights are not public data of ours: here a smaller
one learns clothes (Fashion-MNIST, as 3 x 32 x 32) and goes on with CIFAR-10. It says that the network "without
augmentation performed better", although both have 71 % and the F1 is .68 without and .69 with: no difference. What
augmentation does reliably is to close the gap between the training and the test set.
"""


class Block(nn.Module):
    """(N, inputs, H, W) -> (N, outputs, H/stride, W/stride): what came in, plus two convolutions."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            thin = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
            self.shortcut = nn.Sequential(thin, nn.BatchNorm2d(outputs))

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        h = self.norm1(self.conv1(x)).relu()
        return (self.norm2(self.conv2(h)) + self.shortcut(x)).relu()


class ResNet(nn.Module):
    """ResNet-8: (N, 3, 32, 32) -> 64 features by the backbone -> (N, classes) by the head."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        first = (Standardise(), nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        blocks = (Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2))
        self.backbone = nn.Sequential(*first, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(64, classes)

    def forward(self, images: tg.Tensor) -> tg.Tensor:
        return self.head(self.backbone(images))


def run(report: Report) -> None:
    """Four trainings, compared; then what the features look like."""
    tg.manual_seed(report.seed)
    data, clothes = colour(report), coloured(grey(report, fashion=True).first(10000, 2000))
    if report.fast:
        data, clothes = data.first(128, 100), clothes.first(128, 100)
    epochs = (1, 1, 1, 1) if report.fast else (8, 4, 20, 4)
    report.text(f"ResNet-8 with 16, 32 and 64 maps and batch normalisation; Adam, batches of 64, seed {report.seed}.")
    change = transforms.Compose([transforms.RandomHorizontalFlip(), transforms.RandomShift(3, fill=0.5)])
    show_changes(report, data, change)

    plain = trained(ResNet(), data, epochs[0], "from scratch")
    changed = trained(ResNet(), data, epochs[0], "with changed pictures", change=change)
    rows = [row("from scratch", plain, "68.6 %, 62.0 %, .621"), row("augmented", changed, "62.2 %, 63.6 %, .635")]

    dressed = trained(ResNet(), clothes, epochs[1], "clothes")
    rows.append(row(f"clothes, on {clothes.name}", dressed))
    model = dressed.model
    model.head = nn.Linear(64, 10)
    # The backbone is frozen, so what it says of each picture is computed once.
    fixed = replace(data, train=features(model, data.train), test=features(model, data.test))
    rows.append(row("clothes first, backbone frozen", trained(model.head, fixed, epochs[2], "the head only")))
    tuned = trained(model, data, epochs[3], "fine-tuning", lr=1e-3)
    rows.append(row("then all of it fine-tuned", tuned))
    compare(report, rows, plain, tuned, data.real and not report.fast)

    shown = {"plain": ("From scratch", plain), "augmented": ("Augmented", changed), "tuned": ("Clothes first", tuned)}
    for name, (heading, reader) in list(shown.items())[: 1 if report.fast else None]:
        report.heading(heading)
        reader.show(report, f"resnet_{name}", None, per_class=3)
    report.heading("What the backbone makes of the pictures")
    plot_features(report, features(plain.model, data.test.first(1000)), data.classes)


def trained(model: Any, data: Images, epochs: int, what: str, lr: float = 2e-3, change: Any = None) -> Classifier:
    """A network that has been trained."""
    reader = Classifier(model, data.train, data.test, classes=data.classes, watched=2000)
    reader.fit(optim.Adam(reader.model.parameters(), lr=lr), epochs, 64, change=change, what=what)
    return reader


def row(name: str, reader: Classifier, elsewhere: str = "") -> list[Any]:
    """Accuracies, their gap and the mean F1 as they are now, for the table."""
    train, test = (reader.history[ACCURACY][part][-1] for part in ("train", "test"))
    _, _, predicted = reader.evaluate(reader.test)
    score = f1_scores(reader.test.targets.numpy(), predicted).mean()
    epochs = len(reader.history[ACCURACY]["test"])
    return [name, epochs, f"{train:.1f}", f"{test:.1f}", f"{train - test:.1f}", f"{score:.3f}", elsewhere]


def compare(report: Report, rows: list[list[Any]], plain: Classifier, tuned: Classifier, bars: bool) -> None:
    """The table, and what it says."""
    header = ["network", "epochs", "train %", "test %", "gap", "F1", "elsewhere: train, test, F1"]
    report.table(header, rows, caption="Reported, on other data: ResNet 75 %, 71 %, .68; augmented 71 % (test), .69.")
    report.number("table", rows)
    scratch, fine = (reader.history[ACCURACY]["test"] for reader in (plain, tuned))
    report.text(
        f"Fine-tuned for {len(fine)} epochs, the network that saw clothes first has {fine[-1]:.1f} %; the one from "
        f"scratch had {scratch[len(fine) - 1]:.1f} % by then and {scratch[-1]:.1f} % in the end. What is read from the "
        f"features of clothes, never trained on these pictures: {rows[3][3]} %."
    )
    report.text(SLIPS)
    if bars:
        report.bar("test accuracy from scratch, in percent", scratch[-1], at_least=55)
        report.bar("points by which augmentation narrows the gap", float(rows[0][4]) - float(rows[1][4]), at_least=0.1)


def features(model: Any, part: Part) -> Part:
    """What the backbone says of each picture, (N, 64), in the place of the pictures."""
    model.eval()
    with tg.no_grad():
        parts = [model.backbone(part.images[i : i + CHUNK]) for i in range(0, len(part.targets), CHUNK)]
    return Part(tg.cat(parts), part.targets)


def show_changes(report: Report, data: Images, change: Any) -> None:
    """Five pictures, each changed three times."""
    five = data.train.images[:5]
    shown = np.concatenate([five.numpy(), *(change(five).numpy() for _ in range(3))])
    titles = [data.classes[k] for k in data.train.targets.numpy()[:5].tolist()] + ["changed"] * 15
    caption = "Five training pictures, and each three times mirrored or not and shifted by up to 3 pixels."
    report.figure("resnet_changes", viz.image_grid(shown, titles, 5), caption)


def plot_features(report: Report, part: Part, classes: Sequence[str]) -> None:
    """t-SNE (van der Maaten and Hinton 2008) of the 64 features, in two and in three dimensions."""
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    truth = part.targets.numpy()
    drawn = plots.figure(11, 5)
    for dimensions in (2, 3):
        method = "exact" if len(truth) <= 100 else "barnes_hut"
        tsne = TSNE(dimensions, random_state=report.seed, init="pca", method=method)
        # Its threads wait for each other by spinning, which takes minutes on a busy machine.
        with threadpool_limits(1):
            places = tsne.fit_transform(part.images.numpy())
        axis: Any = drawn.add_subplot(1, 2, dimensions - 1, projection="3d" if dimensions == 3 else None)
        for kind, name in enumerate(classes):
            columns = places[truth == kind].T
            axis.scatter(*columns, s=16, marker="osv^D*P<>X"[kind], color=f"C{kind}", alpha=0.7, label=name)
        axis.set(xlabel="t-SNE 1", ylabel="t-SNE 2", **({"zlabel": "t-SNE 3"} if dimensions == 3 else {}))
    drawn.legend(*drawn.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
    report.figure("resnet_features", drawn, "The features of test pictures, from scratch: t-SNE in 2-D and in 3-D.")
