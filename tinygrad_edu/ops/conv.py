"""Convolution: three primitives, each of which has the other two as its gradients, so every order stays on kernels.

stride and dilation are (rows, columns), padding is ((top, bottom), (left, right)).
"""

from __future__ import annotations

from tinygrad_edu import kernels
from tinygrad_edu.engine.calls import primitive
from tinygrad_edu.engine.domain import Family

__all__ = ["conv2d", "conv2d_to_input", "conv2d_to_weight"]

NO_PADDING = ((0, 0), (0, 0))
IMAGE, WEIGHT, OUTPUT = (1, 1, 3, 3), (1, 1, 2, 2), (1, 1, 2, 2)


@primitive(
    domain=Family("conv2d", data={"example": ({"x": IMAGE, "w": WEIGHT}, {})}),
    text="conv2d({x}, {w})",
    latex=r"{w} \star {x}",
)
def conv2d(x, w, *, stride=(1, 1), padding=NO_PADDING, dilation=(1, 1), groups=1):
    """x (N, C, H, W) with w (O, C / groups, h, w): every window of x times w, summed -> (N, O, H', W')."""
    return kernels.conv2d(x, w, stride, padding, dilation, groups)


@primitive(
    domain=Family("conv2d", data={"example": ({"y": OUTPUT, "w": WEIGHT}, {"size": (3, 3)})}),
    text="conv2d_to_input({y}, {w})",
    latex=r"{w} \star^{{\top}} {y}",
)
def conv2d_to_input(y, w, *, size, stride=(1, 1), padding=NO_PADDING, dilation=(1, 1), groups=1):
    """Every y (N, O, H', W') times w, added to the window it came from -> (N, C, *size): a transposed convolution."""
    return kernels.conv2d_to_input(y, w, size, stride, padding, dilation, groups)


@primitive(
    domain=Family("conv2d", data={"example": ({"x": IMAGE, "y": OUTPUT}, {"size": (2, 2)})}),
    text="conv2d_to_weight({x}, {y})",
    latex=r"{y} \star {x}",
)
def conv2d_to_weight(x, y, *, size, stride=(1, 1), padding=NO_PADDING, dilation=(1, 1), groups=1):
    """Every window of x times the y (N, O, H', W') it went into, summed over the batch -> (O, C / groups, *size)."""
    return kernels.conv2d_to_weight(x, y, size, stride, padding, dilation, groups)


conv2d.pullback(
    x=lambda g, w, x_shape, stride, padding, dilation, groups: conv2d_to_input(
        g, w, size=x_shape[2:], stride=stride, padding=padding, dilation=dilation, groups=groups
    ),
    w=lambda g, x, w_shape, stride, padding, dilation, groups: conv2d_to_weight(
        x, g, size=w_shape[2:], stride=stride, padding=padding, dilation=dilation, groups=groups
    ),
)
conv2d_to_input.pullback(
    y=lambda g, w, stride, padding, dilation, groups: conv2d(
        g, w, stride=stride, padding=padding, dilation=dilation, groups=groups
    ),
    w=lambda g, y, w_shape, stride, padding, dilation, groups: conv2d_to_weight(
        g, y, size=w_shape[2:], stride=stride, padding=padding, dilation=dilation, groups=groups
    ),
)
conv2d_to_weight.pullback(
    x=lambda g, y, x_shape, stride, padding, dilation, groups: conv2d_to_input(
        y, g, size=x_shape[2:], stride=stride, padding=padding, dilation=dilation, groups=groups
    ),
    y=lambda g, x, stride, padding, dilation, groups: conv2d(
        x, g, stride=stride, padding=padding, dilation=dilation, groups=groups
    ),
)
