"""The steps of fully connected networks in JAX, autograd and MyGrad, each where it is installed."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from benchmarks.networks import LR, MLPS, batch
from benchmarks.timing import optional


def peers(name: str, weights: dict[str, np.ndarray]) -> dict[str, Callable[[], Any]]:
    """A training step of workload a, b or c for each library that is there; each returns the loss."""
    if name not in MLPS:
        return {}
    makers = {"jax.jit": (_jax, "jax"), "autograd": (_autograd, "autograd"), "mygrad": (_mygrad, "mygrad")}
    start = [np.ascontiguousarray(value.T) for value in weights.values()]
    return {peer: make(name, start) for peer, (make, module) in makers.items() if optional(module) is not None}


def _loss(np_like: Any, name: str, parameters: Any, x: Any, target: Any) -> Any:
    """The loss of the network, in any library that spells arrays as NumPy does; weights are (inputs, outputs)."""
    layers = list(zip(parameters[::2], parameters[1::2], strict=True))
    for i, (weight, bias) in enumerate(layers):
        x = np_like.matmul(x, weight) + bias
        if name != "c":
            x = 1 / (1 + np_like.exp(-x))
        elif i < len(layers) - 1:
            x = np_like.maximum(x, 0)
    if name != "c":
        return np_like.mean((x - target) ** 2)
    shifted = x - np_like.max(x, axis=1, keepdims=True)
    total = np_like.log(np_like.sum(np_like.exp(shifted), axis=1))
    return np_like.mean(total - np_like.sum(shifted * target, axis=1))


def _data(name: str) -> tuple[np.ndarray, np.ndarray]:
    x, target = batch(name)
    return x, target if target.ndim == 2 else np.eye(10, dtype=np.float32)[target]


def _jax(name: str, start: list[np.ndarray]) -> Callable[[], Any]:
    jax, jnp = import_module("jax"), import_module("jax.numpy")
    x, target = (jnp.asarray(a) for a in _data(name))
    state = [jnp.asarray(a) for a in start]

    @jax.jit
    def update(parameters: Any) -> Any:
        loss, gradients = jax.value_and_grad(lambda p: _loss(jnp, name, p, x, target))(parameters)
        return loss, [p - LR * g for p, g in zip(parameters, gradients, strict=True)]

    def step() -> Any:
        nonlocal state
        loss, state = update(state)
        return loss.block_until_ready()

    return step


def _autograd(name: str, start: list[np.ndarray]) -> Callable[[], Any]:
    autograd, anp = import_module("autograd"), import_module("autograd.numpy")
    x, target = _data(name)
    state = [a.copy() for a in start]
    value_and_grad = autograd.value_and_grad(lambda p: _loss(anp, name, p, x, target))

    def step() -> Any:
        loss, gradients = value_and_grad(state)
        for p, g in zip(state, gradients, strict=True):
            p -= LR * g
        return loss

    return step


def _mygrad(name: str, start: list[np.ndarray]) -> Callable[[], Any]:
    mygrad = import_module("mygrad")
    x, target = _data(name)
    state = [mygrad.tensor(a.copy()) for a in start]

    def step() -> Any:
        loss = _loss(mygrad, name, state, x, target)
        loss.backward()
        for p in state:
            p.data -= LR * p.grad
        return loss.item()

    return step
