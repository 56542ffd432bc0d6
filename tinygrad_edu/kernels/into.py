"""What compiled programs call for images: the loops of pooling and normalisation, writing into memory that is given.

Images are (N, H, W, C) in C order. Each function arranges what the loop takes and calls it, so a loop can change
without a program noticing. Shapes and places are not checked. (Loops of convolution are called as they are, see
`conv.loop_for`.)
"""

from __future__ import annotations

import numpy as np

from .average import average_loop, spread_loop
from .jit import jit
from .norm import batch_norm_grad_loop, batch_norm_loop, layer_norm_grad_loop, layer_norm_loop
from .places import gather_loop, scatter_loop
from .pool import max_pool_loop
from .registry import Array

Pair = tuple[int, int]
Width = tuple[int, ...]


@jit
def _pixels(x: Array) -> Array:
    """(N, H, W, C) as (N, H * W, C)."""
    return x.reshape(x.shape[0], x.shape[1] * x.shape[2], x.shape[3])


@jit
def max_pool2d_into(
    x: Array, values: Array, places: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, width: Width
) -> None:
    """The largest entry of every window of x, and its place."""
    max_pool_loop(x, kernel, stride, padding, dilation, values, places, width)


@jit
def pool_gather_into(x: Array, places: Array, out: Array) -> None:
    """out = the entries of x at the places; 0 at place -1."""
    gather_loop(_pixels(x), _pixels(places), _pixels(out))


@jit
def pool_scatter_into(y: Array, places: Array, x: Array) -> None:
    """x = zeros with every y added at its place."""
    scatter_loop(y, places, x)


@jit
def check_places(places: Array, pixels: int) -> None:
    """Raise IndexError for a place that is not -1 or in an image of so many pixels."""
    for place in places.flat:
        if place < -1 or place >= pixels:
            raise IndexError("a place is outside of the image")


@jit
def average_windows_into(x: Array, out: Array, rows: Array, columns: Array, divisor: Array, width: Width) -> None:
    """out = the sum of every window of x, divided by its divisor."""
    average_loop(x, rows, columns, divisor, out, width)


@jit
def spread_windows_into(y: Array, x: Array, rows: Array, columns: Array, divisor: Array, width: Width) -> None:
    """x = every y divided by its divisor and added to all entries of its window."""
    spread_loop(y, rows, columns, divisor, x, width)


@jit
def batch_norm_into(x: Array, weight: Array, bias: Array, z: Array, mean: Array, var: Array, eps: float) -> None:
    """z, mean, var of x (rows, C), channel by channel."""
    batch_norm_loop(x, weight, bias, eps, z, mean, var)


@jit
def layer_norm_into(x: Array, weight: Array, bias: Array, z: Array, mean: Array, var: Array, eps: float) -> None:
    """z, mean, var of x (rows, K), row by row; weight and bias (K,)."""
    layer_norm_loop(x, weight, bias, eps, z, mean, var)


@jit
def batch_norm_grad_into(
    g: Array, x: Array, weight: Array, mean: Array, var: Array, dx: Array, dweight: Array, dbias: Array, eps: float
) -> None:
    """dx (rows, C), dweight, dbias from the gradient g of the normalised x."""
    batch_norm_grad_loop(g, x, weight, mean, var, eps, dx, dweight, dbias)


@jit
def layer_norm_grad_into(
    g: Array, x: Array, weight: Array, mean: Array, var: Array, dx: Array, dweight: Array, dbias: Array, eps: float
) -> None:
    """dx (rows, K), dweight, dbias from the gradient g of the normalised x."""
    sums = np.empty((2, weight.size), np.float64)
    layer_norm_grad_loop(g, x, weight, mean, var, eps, dx, sums[0], sums[1])
    dweight[:] = sums[0]
    dbias[:] = sums[1]
