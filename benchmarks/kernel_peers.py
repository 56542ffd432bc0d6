"""The kernels' work by jax.jit, to be timed beside ours.

A gradient that needs the forward pass gets what jax.vjp kept of it, so that it is the backward pass alone.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from benchmarks.array_peers import EPS, averaged, jax_layers

Calls = dict[str, Callable[[], Any]]


class Images:
    """Images with their channels last, which become (N, C, H, W) only when somebody looks at them: not while timed."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.array, dtype).transpose(0, 3, 1, 2)


def product(a: np.ndarray, b: np.ndarray, transposed: bool) -> Callable[[], Any]:
    """a @ b, or a @ b.T."""
    jax, jnp = import_module("jax"), import_module("jax.numpy")
    function = jax.jit(lambda a, b: a @ (b.T if transposed else b))
    left, right = jnp.asarray(a), jnp.asarray(b)
    return lambda: function(left, right).block_until_ready()


def convolutions(x: np.ndarray, w: np.ndarray, g: np.ndarray, stride: int, padding: int) -> Calls:
    """Convolution of images (N, C, H, W) and its two gradients; channels are last, the order XLA is fastest in."""
    jax, jnp = import_module("jax"), import_module("jax.numpy")
    layers: Any = jax_layers()()

    def convolve(x: Any, w: Any) -> Any:
        return layers.conv(x, w, stride, padding)

    forward = jax.jit(convolve)
    to_weight = jax.jit(lambda x, w, g: jax.vjp(lambda w: convolve(x, w), w)[1](g)[0])
    to_input = jax.jit(lambda x, w, g: jax.vjp(lambda x: convolve(x, w), x)[1](g)[0])
    images, upstream, weight = last(x), last(g), jnp.asarray(w)
    return {
        "forward": lambda: Images(forward(images, weight).block_until_ready()),
        "to weight": lambda: to_weight(images, weight, upstream).block_until_ready(),
        "to input": lambda: Images(to_input(images, weight, upstream).block_until_ready()),
    }


def pools(x: np.ndarray, g: np.ndarray) -> Calls:
    """Maxima and means of 2 x 2 windows, forward and backward."""
    jax, lax, window = import_module("jax"), import_module("jax.lax"), (1, 2, 2, 1)
    layers: Any = jax_layers()()

    def mean(x: Any) -> Any:
        return lax.reduce_window(x, 0.0, lax.add, window, window, "VALID") / 4

    pooling = {"max": layers.max_pool, "mean": mean}
    images, upstream = last(x), last(g)
    found: Calls = {}
    for name, pool in pooling.items():
        forward = jax.jit(pool)
        backward = jax.jit(lambda x, g, pool=pool: jax.vjp(pool, x)[1](g)[0])
        found[f"{name} forward"] = lambda forward=forward: Images(forward(images).block_until_ready())
        found[f"{name} backward"] = lambda backward=backward: Images(backward(images, upstream).block_until_ready())
    return found


def elementwise(name: str, x: np.ndarray) -> Callable[[], Any]:
    """exp, tanh, sigmoid, erf or relu of every number."""
    jax, jnp = import_module("jax"), import_module("jax.numpy")
    has = {"exp": jnp.exp, "tanh": jnp.tanh, "sigmoid": jax.nn.sigmoid, "erf": jax.lax.erf, "relu": jax.nn.relu}
    function, numbers = jax.jit(has[name]), jnp.asarray(x)
    return lambda: function(numbers).block_until_ready()


def cross_entropy(x: np.ndarray, target: np.ndarray) -> Callable[[], Any]:
    """The mean loss of rows of logits, and its gradient."""
    jax, jnp = import_module("jax"), import_module("jax.numpy")
    function = jax.jit(jax.value_and_grad(jax_layers()().cross_entropy))
    logits, classes = jnp.asarray(x), jnp.asarray(target)
    return lambda: jax.block_until_ready(function(logits, classes))


def log_softmax(x: np.ndarray, g: np.ndarray) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Of rows: forward, and backward from the gradient g."""
    jax, jnp = import_module("jax"), import_module("jax.numpy")
    return _both_ways(lambda x: (jax.nn.log_softmax(x), None), (jnp.asarray(x),), jnp.asarray(g))


def batch_norm(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray, g: np.ndarray
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Of images (N, C, H, W): forward with new running statistics, and backward from the gradient g."""
    jnp, make = import_module("jax.numpy"), jax_layers()
    running = {"norm.running_mean": jnp.zeros(len(weight)), "norm.running_var": jnp.ones(len(weight))}

    def normalize(x: Any, weight: Any, bias: Any) -> Any:
        layers: Any = make()
        y = layers.batch_norm(x, weight, bias, "norm")
        return y, averaged(running, layers.seen)

    forward, backward = _both_ways(normalize, (last(x), jnp.asarray(weight), jnp.asarray(bias)), last(g))

    def images_backward() -> Any:
        to_images, *to_vectors = backward()
        return Images(to_images), *to_vectors

    return lambda: Images(forward()), images_backward


def layer_norm(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray, g: np.ndarray
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Of rows: forward, and backward from the gradient g."""
    jnp, lax = import_module("jax.numpy"), import_module("jax.lax")

    def normalize(x: Any, weight: Any, bias: Any) -> Any:
        mean, var = x.mean(1, keepdims=True), x.var(1, keepdims=True)
        return (x - mean) * lax.rsqrt(var + EPS) * weight + bias, None

    return _both_ways(normalize, tuple(jnp.asarray(v) for v in (x, weight, bias)), jnp.asarray(g))


def _both_ways(
    function: Callable[..., Any], inputs: tuple[Any, ...], g: Any
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """The first result of a function, which has two, and the gradients of all its inputs, from g."""
    jax = import_module("jax")
    forward = jax.jit(function)
    kept = jax.jit(lambda *inputs: jax.vjp(function, *inputs, has_aux=True)[1])(*inputs)
    backward = jax.jit(lambda kept, g: kept(g))
    return lambda: jax.block_until_ready(forward(*inputs))[0], lambda: jax.block_until_ready(backward(kept, g))


def last(x: np.ndarray) -> Any:
    """Images (N, C, H, W) as JAX's with the channels last."""
    return import_module("jax.numpy").asarray(np.ascontiguousarray(x.transpose(0, 2, 3, 1)))
