"""Full-batch gradient descent until everything is right: what the small experiments share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tqdm import tqdm

import tinygrad_edu as tg
from demos.data import oracle
from demos.report import Report
from tinygrad_edu import nn, optim, viz


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


def classify(
    model: nn.Module, loss: Any, data: tuple[tg.Tensor, tg.Tensor], optimizer: Any, limit: int, **options: Any
) -> Run:
    """`descend` for a network that answers with a probability; `optimizer` is called with its parameters."""
    inputs, targets = data

    def objective() -> tuple[tg.Tensor, float]:
        p = model(inputs)
        return loss(p, targets), share_right(p, targets)

    return descend(objective, optimizer(model.parameters()), limit, **options)


class Start:
    """Initial weights: those of a file of given ones or, where that is missing, others drawn by the same rule.

    shapes -- name -> shape, in the order of the network's parameters
    """

    def __init__(self, report: Report, file: str, shapes: dict[str, tuple[int, ...]]) -> None:
        self.given, self.shapes = oracle(file), shapes
        self.generator = np.random.default_rng(report.seed)
        self.kept: dict[str, dict[str, np.ndarray]] = {}
        if self.given is None:
            report.text("The given initial weights are not here: others are drawn, and the counts differ.")

    def __call__(self, key: str) -> dict[str, np.ndarray]:
        """The weights called `key`, float64: the same at every call."""
        if key not in self.kept:
            given = self.given
            self.kept[key] = self.drawn() if given is None else {n: given[f"{key}_{n}"] for n in self.shapes}
        return self.kept[key]

    @property
    def what(self) -> str:
        """What tables call these weights."""
        return "given weights" if self.given is not None else "drawn weights"

    def drawn(self) -> dict[str, np.ndarray]:
        """Normal with standard deviation 0.1, cut at two of them; biases 0.1."""
        return {n: np.full(s, 0.1) if "b" in n else cut_normal(self.generator, s) for n, s in self.shapes.items()}


def cut_normal(generator: np.random.Generator, shape: tuple[int, ...], std: float = 0.1) -> np.ndarray:
    """Normal numbers, those beyond two standard deviations drawn anew."""
    values = generator.standard_normal(shape)
    while (far := abs(values) > 2).any():
        values[far] = generator.standard_normal(int(far.sum()))
    return std * values


def with_weights(model: nn.Module, weights: dict[str, np.ndarray]) -> Any:
    """The model in float64, its parameters, in order, these; matrices are (in, out), which `nn.Linear` transposes."""
    values = [value.T if value.ndim == 2 else value for value in weights.values()]
    state = {
        name: tg.tensor(value.reshape(p.shape))
        for (name, p), value in zip(model.named_parameters(), values, strict=True)
    }
    model.double().load_state_dict(state, strict=False)
    return model


def same_count(report: Report, name: str, found: Run, wanted: int | None) -> None:
    """A bar: the count is the one measured elsewhere, within one in a hundred; None where there is none to compare."""
    if wanted is not None:
        away = abs((found.solved or 0) / wanted - 1)
        report.bar(f"{name}: distance of the count from that measured elsewhere", away, at_most=0.01)


def plots(runs: dict[str, Run], loss: str = "loss (mean over the pictures)") -> Any:
    """Loss and accuracy of some runs, by the number of updates."""
    return viz.curves(
        {
            loss: {name: run.losses for name, run in runs.items()},
            "right (share)": {name: run.accuracies for name, run in runs.items()},
        },
        xlabel="updates",
        first=0,
    )
