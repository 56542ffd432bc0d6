"""One network, two answers: diamond or square, and how wide; does the second help the first?"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from demos.data import course_pictures
from demos.descent import Run, Start, descend, same_count, share_right, with_weights
from demos.line_cnn import SHAPES
from demos.report import Report
from tinygrad_edu import nn, optim, viz

ROW, SECONDS = "C2", 15

BOTH = {**SHAPES, "reg_W": (128,), "reg_b": (1,)}
SHARE = 0.01
# (cross-entropy, squared error) at 0, 1, 5, 10, 20 updates, measured elsewhere from the same weights
LOSSES = {0: (0.6963602432, 13.3461611452), 1: (0.6739985345, 12.3992594771), 5: (0.6090002319, 7.5918753092),
          10: (0.7706844348, 2.0616039456), 20: (0.4857720050, 2.1808220910)}  # fmt: skip
CLAIM = """
The report says that the second head "helps it converge faster": 57 updates with it against 61 without, one run each.
Elsewhere several runs took 62 to 95 with it and 73 to 92 without: the spread of the draws is far larger than the
difference, and the claim is not supported. (The report stopped when the class was right 64 times, where the width was
right for 55 %, although the task was to stop at 100 % of the widths.)
"""


class TwoHeads(nn.Module):
    """A trunk of two convolutions, a head for the class (a probability) and one for the half width (a number)."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(1, 16, 7), nn.ReLU(), nn.Conv2d(16, 8, 7), nn.ReLU(), nn.Flatten())
        self.square = nn.Linear(128, 1)
        self.width = nn.Linear(128, 1)
        with_weights(self, weights)

    def forward(self, images: tg.Tensor) -> tuple[tg.Tensor, tg.Tensor]:
        features = self.trunk(images)
        return tg.sigmoid(self.square(features)), self.width(features)


class Detection:
    """Training both heads, or only the first (`share` 0), and what is noted before each update."""

    def __init__(self, weights: dict[str, np.ndarray], data: Any, share: float = SHARE) -> None:
        self.model, self.data, self.share = TwoHeads(weights), data, share
        self.notes: dict[str, list[float]] = {name: [] for name in ("ce", "square", "mse", "width")}

    def objective(self) -> tuple[tg.Tensor, float]:
        """The loss, and the share of right answers that training waits for: of widths, or of classes without them."""
        images, targets, widths = self.data
        p, r = self.model(images)
        ce, mse = F.binary_cross_entropy(p, targets), F.mse_loss(r, widths)
        right = share_right(p, targets)
        near = float(((r.detach() - widths).abs() <= 0.5).double().mean().item())
        for name, value in zip(self.notes, (ce.item(), right, mse.item(), near), strict=True):
            self.notes[name].append(value)
        return (ce + self.share * mse, near) if self.share else (ce, right)

    def train(self, limit: int, what: str) -> Run:
        """Plain steps of 0.1."""
        return descend(self.objective, optim.SGD(self.model.parameters(), lr=0.1), limit, what=what)

    @property
    def classified(self) -> int | None:
        """The updates after which all classes were right first."""
        return self.notes["square"].index(1.0) if 1.0 in self.notes["square"] else None


def run(report: Report) -> None:
    """From given weights with both heads and with one; the same from draws; the claim."""
    *data, real = course_pictures(report, "detection")
    start = Start(report, "cnn_init.npz", BOTH)
    exact, limit = real and start.given is not None, 300 if report.fast and start.given is None else 2000
    both, alone = Detection(start("init0"), data), Detection(start("init0"), data, share=0.0)
    widths, classes = both.train(limit, "both heads"), alone.train(limit, "classes only")

    first = Run(both.notes["ce"], both.notes["square"], both.classified)
    rows = [["classes, both heads", first.count, 68, "57"], ["widths, both heads", widths.count, 803, "not reached"],
            ["classes, one head", classes.count, 73, "61"]]  # fmt: skip
    report.table(["updates to 64 of 64", "ours", "elsewhere", "reported, other weights"], rows)
    for (name, _, wanted, _), found in zip(rows, (first, widths, classes), strict=True):
        same_count(report, name, found, wanted if exact else None)
    losses = np.array([[both.notes[n][k] for n in ("ce", "mse")] for k in LOSSES])
    written = [[k, *(f"{v:.10f}" for v in ours), *w] for (k, w), ours in zip(LOSSES.items(), losses, strict=True)]
    report.table(["updates", "cross-entropy", "squared error", "elsewhere", "elsewhere"], written)
    if exact:
        away = abs(losses / np.array(list(LOSSES.values())) - 1)[:3].max()
        report.bar("relative distance of the first losses from those measured elsewhere", float(away), at_most=1e-9)
    report.number("counts", [first.solved, widths.solved, classes.solved])
    report.number("notes", both.notes)
    curves(report, both, alone)
    claim(report, data, start)


def curves(report: Report, both: Detection, alone: Detection) -> None:
    """The four curves the task asks for."""
    runs = {"both heads": both.notes, "one head": alone.notes}
    classes = {"cross-entropy (nats)": "ce", "classes right (share)": "square"}
    panels = {label: {name: notes[n][:121] for name, notes in runs.items()} for label, n in classes.items()}
    report.figure(
        "detection_classes", viz.curves(panels, xlabel="updates", first=0), "The class, the first 120 updates."
    )
    widths = {"squared error (pixels²)": "mse", "widths within 0.5 (share)": "width"}
    panels = {label: {"both heads": both.notes[n]} for label, n in widths.items()}
    report.figure(
        "detection_widths", viz.curves(panels, xlabel="updates", first=0), "The half width, until all are near."
    )


def claim(report: Report, data: Any, start: Start) -> None:
    """Does the second head help the first? The same draws with and without it."""
    report.heading("Does the second head help the first?")
    draws = [start.drawn() for _ in range(2 if report.fast else 8)]
    counts: dict[str, list[int]] = {}
    for name, share in (("both heads", SHARE), ("one head", 0.0)):
        counts[name] = []
        for weights in draws:
            detection = Detection(weights, data, share)
            detection.train(150, name)
            counts[name].append(detection.classified or 151)
    pairs = list(zip(*counts.values(), strict=True))
    rows = [[name, " ".join(map(str, c)), f"{np.mean(c):.0f} ± {np.std(c):.0f}"] for name, c in counts.items()]
    report.table(
        ["classes right after", "updates, draw by draw", "mean ± spread"], rows, caption="151: not within 150."
    )
    report.text(
        f"Here the second head was faster in {sum(a < b for a, b in pairs)} of {len(pairs)} draws. {CLAIM.strip()}"
    )
    report.number("draws", counts)
