"""How well a classifier reads: the shares and counts that one set of answers gives."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu import viz


class Score(NamedTuple):
    """The mean loss, what the pictures show, and what they were read as."""

    loss: float
    truth: np.ndarray
    predicted: np.ndarray
    classes: int = 10

    def __str__(self) -> str:
        """Four digits of the accuracy, and the one answer of a collapsed network."""
        return f"{self.accuracy:.4f}".removeprefix("0") + (f" (all {self.predicted[0]})" if self.constant else "")

    @property
    def accuracy(self) -> float:
        """The share that was read right."""
        return float((self.predicted == self.truth).mean())

    @property
    def confusion(self) -> np.ndarray:
        """How often each class (row) was taken for each (column)."""
        return viz.confusion_counts(self.truth, self.predicted, self.classes)

    @property
    def recall(self) -> np.ndarray:
        """The share of each class that was read right, (classes,)."""
        return self.confusion.diagonal() / np.maximum(self.confusion.sum(axis=1), 1)

    @property
    def dead(self) -> list[int]:
        """The classes of which fewer than 2 in 100 were read right."""
        return np.flatnonzero(self.recall < 0.02).tolist()

    @property
    def constant(self) -> bool:
        """Whether the network has collapsed: it gives one answer to every picture."""
        return len(np.unique(self.predicted)) == 1

    @property
    def f1(self) -> np.ndarray:
        """The F1 score of each class, (classes,): the harmonic mean of precision and recall."""
        from sklearn.metrics import f1_score

        how: Any = {"average": None, "zero_division": 0}
        return np.asarray(f1_score(self.truth, self.predicted, labels=range(self.classes), **how))
