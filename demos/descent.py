"""Full-batch gradient descent until everything is right: what the small experiments share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

import tinygrad_edu as tg
from tinygrad_edu import optim


@dataclass
class Run:
    """How a descent went: loss and accuracy before each update (and after the last), and when all was right first."""

    losses: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)
    solved: int | None = None

    @property
    def count(self) -> str:
        """The number of updates until all was right, for a table."""
        return str(self.solved) if self.solved is not None else f"not in {len(self.losses) - 1}"


def descend(
    objective: Callable[[], tuple[tg.Tensor, float]],
    optimizer: optim.Optimizer,
    limit: int,
    *,
    what: str,
    stop: bool = True,
    on_gradients: Callable[[], None] | None = None,
    on_step: Callable[[int], None] | None = None,
) -> Run:
    """Update until `objective() -> (loss, accuracy)` has accuracy 1, at most `limit` times.

    stop         -- False: note when all was right first, and go on to the limit
    on_gradients -- called between backward and update: the place to change gradients
    on_step      -- called with the number of updates made, before each one
    """
    run = Run()
    for updates in tqdm(range(limit + 1), desc=what, leave=False, mininterval=0.5):
        loss, accuracy = objective()
        run.losses.append(loss.item())
        run.accuracies.append(accuracy)
        if run.solved is None and accuracy == 1.0:
            run.solved = updates
        if on_step is not None:
            on_step(updates)
        if updates == limit or (stop and run.solved is not None):
            break
        optimizer.zero_grad()
        loss.backward()
        if on_gradients is not None:
            on_gradients()
        optimizer.step()
    return run


def share_right(probabilities: tg.Tensor, targets: tg.Tensor) -> float:
    """The share of answers on the right side of one half."""
    return float(((probabilities.detach().numpy() >= 0.5) == (targets.numpy() > 0.5)).mean())


def cut_normal(generator: np.random.Generator, shape: tuple[int, ...], std: float = 0.1) -> np.ndarray:
    """Normal numbers, those beyond two standard deviations drawn anew."""
    values = generator.standard_normal(shape)
    while (far := abs(values) > 2).any():
        values[far] = generator.standard_normal(int(far.sum()))
    return std * values
