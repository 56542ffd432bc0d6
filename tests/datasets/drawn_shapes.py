"""Taking the drawn pictures apart again, independently of how they are drawn."""

from typing import NamedTuple

import numpy as np


def rectangles(image):
    """(left, top, width, height) of the filled rectangles, left to right, told apart by their columns' ends."""
    found = []
    for x, column in enumerate(image.T):
        rows = np.flatnonzero(column)
        if not len(rows):
            continue
        top, height = rows[0], len(rows)
        assert rows[-1] - top + 1 == height, "a column with a hole"
        before = found[-1] if found else None
        if before and before[0] + before[2] == x and (before[1], before[3]) == (top, height):
            before[2] += 1
        else:
            found.append([x, top, 1, height])
    return found


class Parts(NamedTuple):
    """A bar (width, height), a square (side), the empty columns between; label 1: the square is left."""

    width: int
    height: int
    side: int
    gap: int
    bar_top: int
    square_top: int
    label: int


def bar_and_square(image):
    """The Parts of a picture that has nothing else on it."""
    first, second = rectangles(image)
    # A bar is narrow and high; the square may be as high as a bar, but is as wide then.
    (bar, square), label = ((second, first), 1) if first[2] == first[3] else ((first, second), 0)
    assert square[2] == square[3]
    gap = second[0] - first[0] - first[2]
    return Parts(bar[2], int(bar[3]), square[2], gap, int(bar[1]), int(square[1]), label)


def diamond_or_square(image):
    """0 or 1, and the half width, of a picture with nothing else on it."""
    rows, columns = np.nonzero(image)
    side = columns.max() - columns.min() + 1
    assert rows.max() - rows.min() + 1 == side
    assert side % 2 == 1
    r = int(side // 2)
    dy, dx = np.abs(rows - rows.min() - r), np.abs(columns - columns.min() - r)
    if len(rows) == side * side:
        return 1, r
    assert len(rows) == 2 * r * (r + 1) + 1
    assert (dx + dy).max() <= r
    return 0, r
