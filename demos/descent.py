"""Full-batch gradient descent until everything is right: what the small experiments share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tqdm import tqdm

import tinygrad_edu as tg
from demos.report import Report
from tinygrad_edu import nn, optim, viz


@dataclass
class Run:
    """How a descent went: loss and accuracy before each update, and after the last."""

    losses: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)

    @property
    def solved(self) -> int | None:
        """The number of updates until all was right first; None: it never was."""
        return self.accuracies.index(1.0) if 1.0 in self.accuracies else None

    @property
    def count(self) -> str:
        """The same for a table."""
        return str(self.solved) if self.solved is not None else f"not in {len(self.losses) - 1}"


def descend(
    objective: Callable[[], tuple[tg.Tensor, float]],
    optimizer: optim.Optimizer,
    limit: int,
    *,
    what: str,
    stop: bool = True,
    on_gradients: Callable[[optim.Optimizer], None] | None = None,
    on_step: Callable[[int], None] | None = None,
) -> Run:
    """Update until `objective() -> (loss, accuracy)` has accuracy 1, at most `limit` times.

    stop         -- False: go on to the limit when all is right
    on_gradients -- called with the optimizer between backward and update: the place to change gradients
    on_step      -- called with the number of updates made, before each one
    """
    run = Run()
    for updates in tqdm(range(limit + 1), desc=what, leave=False, mininterval=0.5):
        loss, accuracy = objective()
        run.losses.append(loss.item())
        run.accuracies.append(accuracy)
        if on_step is not None:
            on_step(updates)
        if updates == limit or (stop and accuracy == 1.0):
            break
        optimizer.zero_grad()
        loss.backward()
        if on_gradients is not None:
            on_gradients(optimizer)
        optimizer.step()
    return run


def share_right(probabilities: tg.Tensor, targets: tg.Tensor) -> float:
    """The share of answers on the right side of one half."""
    return float(((probabilities.detach().numpy() >= 0.5) == (targets.numpy() > 0.5)).mean())


def classify(
    model: nn.Module, loss: Any, data: tuple[tg.Tensor, tg.Tensor], optimizer: Any, limit: int, **options: Any
) -> Run:
    """`descend` for a network that answers with a probability; `optimizer` is called with its parameters."""
    inputs, targets = data

    def objective() -> tuple[tg.Tensor, float]:
        p = model(inputs)
        return loss(p, targets), share_right(p, targets)

    return descend(objective, optimizer(model.parameters()), limit, **options)


def same_count(report: Report, name: str, found: Run, wanted: int | None) -> None:
    """A bar: the count is the one measured elsewhere, within one in a hundred; None where there is none to compare."""
    if wanted is not None:
        away = abs((found.solved or 0) / wanted - 1)
        report.bar(f"{name}: distance of the count from that measured elsewhere", away, at_most=0.01)


def order(runs: dict[str, Run]) -> str:
    """The runs that got everything right, the fastest first."""
    counts = {name: run.solved for name, run in runs.items() if run.solved is not None}
    return "; ".join(sorted(counts, key=counts.__getitem__)) or "none"


def plots(runs: dict[str, Run], loss: str = "loss (mean over the pictures)", *, logarithmic: bool = False) -> Any:
    """Loss and accuracy of some runs, by the number of updates."""
    panels = {
        loss: {name: run.losses for name, run in runs.items()},
        "right (share)": {name: run.accuracies for name, run in runs.items()},
    }
    figure = viz.curves(panels, xlabel="updates", first=0)
    for axis in figure.axes if logarithmic else ():
        axis.set_xscale("symlog", linthresh=10)
        for line in axis.get_lines():
            line.set_markevery(0.08)
    return figure
