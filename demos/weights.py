"""Initial weights of the small experiments: those of a file, or others drawn by the same rule."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_edu as tg
from demos.data import oracle
from demos.report import Report
from tinygrad_edu import nn


class Start:
    """Initial weights: those of a file of given ones or, where that is missing, others drawn by the same rule.

    shapes -- name -> shape, in the order of the network's parameters
    """

    def __init__(self, report: Report, file: str, shapes: dict[str, tuple[int, ...]]) -> None:
        self.given, self.shapes = oracle(file), shapes
        self.generator = tg.Generator().manual_seed(report.seed)
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

    def drawn(self, std: float = 0.1, cut: float = 0.2, bias: float = 0.1) -> dict[str, np.ndarray]:
        """Weights from N(0, std²), none beyond the cut; biases all the same."""
        values = {name: tg.full(shape, bias, dtype=tg.float64) for name, shape in self.shapes.items()}
        for name in values:
            if "W" in name:
                nn.init.trunc_normal_(values[name], std=std, a=-cut, b=cut, generator=self.generator)
        return {name: value.numpy() for name, value in values.items()}


def with_weights(model: nn.Module, weights: dict[str, np.ndarray]) -> Any:
    """The model in float64, its parameters, in order, these; matrices are (in, out), which `nn.Linear` transposes."""
    values = [value.T if value.ndim == 2 else value for value in weights.values()]
    state = {
        name: tg.tensor(value.reshape(p.shape))
        for (name, p), value in zip(model.named_parameters(), values, strict=True)
    }
    model.double().load_state_dict(state, strict=False)
    return model
