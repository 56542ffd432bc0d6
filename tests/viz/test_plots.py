"""Plots say what they show."""

import numpy as np
import pytest

from tinygrad_edu import viz


def test_curves_have_labels_and_lines_that_differ_in_grey():
    figure = viz.curves(
        {"loss (nats)": {"train": [3, 2, 1], "test": [3, 2.5, 2]}, "accuracy (%)": {"test": [50, 60, 70]}}
    )
    left, right = figure.axes
    assert (left.get_xlabel(), left.get_ylabel(), right.get_ylabel()) == ("epoch", "loss (nats)", "accuracy (%)")
    train, test = left.get_lines()
    assert list(train.get_xdata()) == [1, 2, 3]
    assert list(test.get_ydata()) == [3, 2.5, 2]
    assert train.get_linestyle() != test.get_linestyle()
    assert train.get_marker() != test.get_marker()
    assert [t.get_text() for t in left.get_legend().get_texts()] == ["train", "test"]


def test_curves_begin_where_they_are_told_or_lie_at_given_places():
    (axis,) = viz.curves({"loss": {"train": [3, 2, 1]}}, first=0, xlabel="updates").axes
    assert list(axis.get_lines()[0].get_xdata()) == [0, 1, 2]
    (axis,) = viz.curves({"f(x)": {"f": [3, 2, 1], "g": [1, 2, 3]}}, xlabel="x", x=[-1.5, 0.0, 4.0]).axes
    assert [list(line.get_xdata()) for line in axis.get_lines()] == [[-1.5, 0.0, 4.0]] * 2
    assert axis.get_xlabel() == "x"
    (axis,) = viz.curves({"f(x)": {"f": [1, 2]}}, x=[0.0, 1.0]).axes
    assert len([tick for tick in axis.get_xticks() if 0 <= tick <= 1]) > 2


def test_markers_of_a_panel_are_equally_far_apart_but_short_lines_have_all():
    decay = np.exp(-np.arange(5000) / 500)
    (axis,) = viz.curves({"loss": {"longest": decay, "long": decay[:1000], "short": [3, 2, 1]}}).axes
    assert [line.get_markevery() for line in axis.get_lines()] == [416, 416, 1]


@pytest.mark.parametrize("names", [("train", "test"), ("sigmoid, cross-entropy", "ReLU, cross-entropy", "a", "b")])
def test_no_legend_covers_a_line_or_leaves_the_picture(names):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    for panels in (1, 2):
        figure = viz.curves({str(k): {name: [0, 1] for name in names} for k in range(panels)})
        FigureCanvasAgg(figure).draw()
        (legend,) = figure.legends or [axis.get_legend() for axis in figure.axes]
        assert [text.get_text() for text in legend.get_texts()] == list(names)
        box = legend.get_window_extent()
        assert box.y0 >= max(axis.get_window_extent().y1 for axis in figure.axes)
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1


def test_confusion_counts_and_their_picture():
    counts = viz.confusion_counts([0, 0, 1, 2, 2], [0, 1, 1, 2, 0], 3)
    np.testing.assert_array_equal(counts, [[1, 1, 0], [0, 1, 0], [1, 0, 1]])
    (axis,) = viz.confusion(counts).axes
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("predicted class", "true class")
    written = {t.get_position(): t.get_text() for t in axis.texts}
    assert written == {(0, 0): "1", (1, 0): "1", (1, 1): "1", (0, 2): "1", (2, 2): "1"}


@pytest.mark.parametrize("shape", [(5, 8, 8), (5, 1, 8, 8), (5, 3, 8, 8)])
def test_image_grids_of_grey_and_colour(shape):
    figure = viz.image_grid(np.zeros(shape), [f"image {i}" for i in range(5)], columns=3)
    assert len(figure.axes) == 6
    assert [a.get_title() for a in figure.axes] == ["image 0", "image 1", "image 2", "image 3", "image 4", ""]
    assert len(figure.axes[0].images[0].get_array()) == 8


def test_other_limits_than_0_and_1_have_a_scale():
    filters = np.array([[[-2.0, 0.0], [0.5, 1.0]]] * 3)
    figure = viz.image_grid(filters, limits=(-2, 2))
    *pictures, scale = figure.axes
    assert len(pictures) == 3
    assert all(axis.images[0].get_clim() == (-2, 2) for axis in pictures)
    assert scale.get_ylim() == (-2, 2)
    (middle,) = {tuple(axis.images[0].cmap(axis.images[0].norm(0.0)))[:3] for axis in pictures}
    assert len(set(middle)) == 1
    assert abs(middle[0] - 0.5) < 0.01
    assert len(viz.image_grid(filters, limits=(0, 1)).axes) == 3


def test_the_same_bytes_in_every_run(tmp_path):
    first, second = (viz.save(viz.curves({"loss": {"train": [2, 1]}}), tmp_path / f"{i}.svg") for i in range(2))
    assert first.read_bytes() == second.read_bytes()
    assert viz.save(viz.curves({"loss": {"train": [2, 1]}}), tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
