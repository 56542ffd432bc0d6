"""Random numbers as bare arrays: what transforms and generated data sets draw, from the same keys as tensors.

Each function takes one key of the generator, so the numbers depend on the seed and on how many draws came before.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from tinygrad_edu import kernels
from tinygrad_edu.functions.randomness import Generator, default_generator


def generator_of(generator: Generator | int | None) -> Generator:
    """The generator itself, a new one for a seed, or the default one for None.

    >>> generator_of(3).initial_seed()
    3
    """
    if generator is None:
        return default_generator
    if isinstance(generator, Generator):
        return generator
    try:
        return Generator().manual_seed(operator.index(generator))
    except TypeError:
        raise TypeError(
            f"generator must be a Generator, an int to seed one, or None, not {type(generator).__name__}"
        ) from None


def uniform(generator: Generator, *shape: int) -> np.ndarray:
    """Float64 on [0, 1) in steps of 2**-32."""
    return kernels.random_bits(generator.next_key(), shape) * 2.0**-32


def integers(generator: Generator, low: Any, high: Any, *shape: int) -> np.ndarray:
    """Int64 from low up to but without high; both may be arrays that fit the shape."""
    return np.int64(low) + np.floor(uniform(generator, *shape) * (np.asarray(high) - low)).astype(np.int64)


def normal(generator: Generator, *shape: int) -> np.ndarray:
    """Standard normal float64, by the Box-Muller transform."""
    u, v = uniform(generator, 2, *shape)
    return np.sqrt(-2.0 * np.log(1.0 - u)) * np.cos(2.0 * np.pi * v)


def choice(generator: Generator, weights: Any, count: int) -> np.ndarray:
    """`count` positions, each drawn with the probability its weight has among the weights."""
    ends = np.cumsum(weights)
    return np.searchsorted(ends, uniform(generator, count) * ends[-1], side="right")


def permutation(generator: Generator, count: int) -> np.ndarray:
    """A random order of 0 .. count - 1."""
    return np.argsort(uniform(generator, count), kind="stable")
