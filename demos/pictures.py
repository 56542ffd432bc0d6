"""Figures of classifiers that the plots of the library leave to their user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.viz import plots

# (x, y, whether to cross it out), for each point of each line
Series = Mapping[str, Sequence[tuple[float, float, bool]]]


def shares(percent: np.ndarray, rows: Sequence[str], xlabel: str, meaning: str) -> Any:
    """A matrix of percentages (rows, columns): 0 is black, 100 white, and a scale says what they mean."""
    drawn = plots.figure(8, 0.45 * len(rows) + 1.4)
    axis = drawn.subplots()
    image = axis.imshow(percent, cmap="gray", vmin=0, vmax=100, aspect="auto")
    axis.set(xticks=range(percent.shape[1]), yticks=range(len(rows)), yticklabels=list(rows), xlabel=xlabel)
    drawn.colorbar(image, label=meaning)
    return drawn


def sweeps(panels: Mapping[str, Series], ylabel: str, linthresh: Mapping[str, float]) -> Any:
    """A panel for each quantity that is varied, with its lines.

    linthresh -- of the panels with a logarithmic axis: below this it is linear, so that 0 has its place
    """
    drawn = plots.figure(5 * len(panels), 3.8)
    axes = drawn.subplots(1, len(panels), squeeze=False)[0]
    for axis, (label, panel) in zip(axes, panels.items(), strict=True):
        for (name, series), (dash, marker, color) in zip(panel.items(), plots.LINES, strict=False):
            x, y, crossed = map(np.array, zip(*series, strict=True))
            axis.plot(x, y, dash, marker=marker, markersize=4, color=color, label=name)
            axis.plot(x[crossed], y[crossed], "kx", markersize=10)
        axis.set(xlabel=label, ylabel=ylabel)
        if label in linthresh:
            axis.set_xscale("symlog", linthresh=linthresh[label])
        axis.grid(color="#dddddd", linewidth=0.6)
        axis.legend(frameon=False)
    return drawn


def neighbours(features: np.ndarray, truth: np.ndarray, classes: Sequence[str], seed: int) -> Any:
    """t-SNE (van der Maaten and Hinton 2008) of features (N, F), in two and in three dimensions."""
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    drawn = plots.figure(11, 5)
    for dimensions in (2, 3):
        method = "exact" if len(truth) <= 100 else "barnes_hut"
        # Its threads wait for each other by spinning, which takes minutes on a busy machine.
        with threadpool_limits(1):
            places = TSNE(dimensions, random_state=seed, init="pca", method=method).fit_transform(features)
        axis: Any = drawn.add_subplot(1, 2, dimensions - 1, projection="3d" if dimensions == 3 else None)
        for kind, name in enumerate(classes):
            columns = places[truth == kind].T
            axis.scatter(*columns, s=16, marker="osv^D*P<>X"[kind], color=f"C{kind}", alpha=0.7, label=name)
        axis.set(xlabel="t-SNE 1", ylabel="t-SNE 2", **({"zlabel": "t-SNE 3"} if dimensions == 3 else {}))
    drawn.legend(*drawn.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
    return drawn
