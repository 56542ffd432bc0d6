"""Plots: training curves, confusion matrices, grids of images.  Each returns a matplotlib `Figure` for `viz.save`.

matplotlib is imported when the first plot is made; its pyplot, with windows and a global state, never.  Lines differ
in dash and marker and cells carry their number, so that everything can be read in grey.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LINES = (("-", "o", "#1b5fb0"), ("--", "s", "#b3411a"), ("-.", "^", "#2f7d32"), (":", "D", "#6b3fa0"))
# Markers on the longest line; a panel's least width in inches, the letters above an inch, those a line's sample takes.
MARKED, PANEL, LETTERS, SAMPLE = 12, 4.2, 14, 7
SVG_SETTINGS: dict[Any, Any] = {"svg.fonttype": "path", "svg.hashsalt": "tinygrad_edu"}


def figure(width: float, height: float) -> Figure:
    """An empty figure, its size in inches."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('plots need matplotlib: pip install "tinygrad_edu[demos]"') from error
    return Figure(figsize=(width, height), layout="constrained")


def picture(figure: Figure, format: str) -> bytes:
    """A figure as the bytes of an "svg", "png" or "pdf" file, the same bytes in every run."""
    import matplotlib

    out = io.BytesIO()
    nothing = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(format)
    with matplotlib.rc_context(SVG_SETTINGS):
        figure.savefig(out, format=format, dpi=144, metadata=nothing)
    return out.getvalue()


def curves(
    panels: Mapping[str, Mapping[str, Any]], *, xlabel: str = "epoch", first: float = 1, x: Any = None
) -> Figure:
    """One panel per quantity, one line per series: `curves({"loss (nats)": {"train": [...], "test": [...]}})`.

    The keys of `panels` label the vertical axes, with the unit.

    first -- the place of the first point, the others following by 1
    x     -- the places of all points, where they do not follow by 1
    """
    width = PANEL if len(panels) > 1 else 1.3 * PANEL
    drawn = figure(width * len(panels), 3.4)
    axes = drawn.subplots(1, len(panels), squeeze=False)[0]
    for axis, (quantity, series) in zip(axes, panels.items(), strict=True):
        every = max(1, max(map(len, series.values()), default=0) // MARKED)
        for (name, numbers), (dash, marker, color) in zip(series.items(), itertools.cycle(LINES), strict=False):
            numbers = np.asarray(numbers)
            places = first + np.arange(len(numbers)) if x is None else np.asarray(x)
            marked = every if len(numbers) > MARKED else 1
            axis.plot(places, numbers, dash, marker=marker, markevery=marked, markersize=4, color=color, label=name)
        axis.set(xlabel=xlabel, ylabel=quantity)
        if x is None:
            axis.xaxis.get_major_locator().set_params(integer=True, nbins=7)
        axis.grid(color="#dddddd", linewidth=0.6)
    _legends_above(drawn, width)
    return drawn


def _legends_above(drawn: Figure, width: float) -> None:
    """Legends that cover no line: one for all panels where they name the same, else one above each."""
    style: dict[str, Any] = {"frameon": False, "fontsize": 9, "columnspacing": 1.2}
    names = [tuple(str(line.get_label()) for line in axis.get_lines()) for axis in drawn.axes]
    longest = SAMPLE + max((len(name) for name in itertools.chain(*names)), default=0)
    if len(names) > 1 and len(set(names)) == 1:
        columns = max(1, int(LETTERS * width * len(names) / longest))
        drawn.legend(handles=drawn.axes[0].get_lines(), loc="outside upper center", ncols=columns, **style)
        return
    columns = max(1, int(LETTERS * width / longest))
    for axis in drawn.axes:
        axis.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, ncols=columns, **style)


def confusion_counts(targets: Any, predictions: Any, classes: int) -> np.ndarray:
    """How often class i (row) was taken for class j (column): an integer matrix (classes, classes).

    >>> confusion_counts([0, 0, 1], [0, 1, 1], 2)
    array([[1, 1],
           [0, 1]])
    """
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (np.asarray(targets), np.asarray(predictions)), 1)
    return counts


def confusion(counts: Any, labels: Sequence[str] | None = None) -> Figure:
    """A confusion matrix, rows the true class; shaded by the share of the row, zeros left out."""
    counts = np.asarray(counts)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = 1.6 + 0.38 * len(counts)
    drawn = figure(size, size)
    axis = drawn.subplots()
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [str(i) for i in range(len(counts))] if labels is None else list(labels)
    axis.set_xticks(range(len(names)), names, rotation=0 if max(map(len, names)) <= 3 else 90)
    axis.set_yticks(range(len(names)), names)
    axis.set_xlabel("predicted class")
    axis.set_ylabel("true class")
    for i, j in zip(*np.nonzero(counts), strict=True):
        color = "white" if shares[i, j] > 0.5 else "black"
        weight = "normal" if i == j else "bold"
        axis.text(j, i, str(counts[i, j]), ha="center", va="center", color=color, weight=weight, fontsize=8)
    return drawn


def image_grid(
    images: Any,
    titles: Sequence[str] | None = None,
    columns: int = 8,
    *,
    limits: tuple[float, float] = (0.0, 1.0),
) -> Figure:
    """Grey images (N, H, W) or (N, 1, H, W), or colour images (N, 3, H, W) in 0..1, with a title above each.

    limits -- the entries of grey images drawn as white and as black; others than 0 and 1 get a scale beside them.
        Filters and gradients have both signs: `limits=(-m, m)` shows 0 as the grey in the middle.
    """
    images = np.asarray(images)
    images = images[:, 0] if images.ndim == 4 and images.shape[1] == 1 else images
    images = np.moveaxis(images, 1, -1) if images.ndim == 4 else images
    columns = max(1, min(columns, len(images)))
    rows = max(1, -(-len(images) // columns))
    scaled = images.ndim == 3 and limits != (0.0, 1.0)
    drawn = figure(1.1 * columns + 0.6 * scaled, 1.3 * rows)
    axes = drawn.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[len(images) :]:
        axis.set_axis_off()
    for i, (axis, image) in enumerate(zip(axes, images, strict=False)):
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_color("#cccccc")
        axis.imshow(image, cmap="gray_r" if image.ndim == 2 else None, vmin=limits[0], vmax=limits[1])
        if titles is not None:
            axis.set_title(titles[i], fontsize=8)
    if scaled and len(images):
        drawn.colorbar(axes[0].images[0], ax=axes, fraction=0.4 / columns, aspect=14 * rows)
    return drawn
