"""Random tensors: composites of `random_bits`, drawn with keys a Generator hands out one after the other."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.engine.mode import current, unrecordable
from tinygrad_edu.engine.value import Value, make
from tinygrad_edu.functions.creation import check_device, require_grad
from tinygrad_edu.functions.promotion import get_default_dtype, to_dtype
from tinygrad_edu.functions.shapes import sizes

_MASK = (1 << 64) - 1


class Generator:
    """A stream of 64-bit keys: the seed and how many were drawn, nothing else.

    >>> Generator().manual_seed(0).initial_seed()
    0
    """

    def __init__(self, device: str = "cpu") -> None:
        check_device(device)
        self._seed = 0
        self._drawn = 0
        self._lock = threading.Lock()

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream of this seed."""
        with self._lock:
            self._seed, self._drawn = int(seed) & _MASK, 0
        return self

    def seed(self) -> int:
        """Start a stream nobody can repeat; returns its seed."""
        seed = int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
        self.manual_seed(seed)
        return seed

    def initial_seed(self) -> int:
        """The seed of the stream."""
        return self._seed

    def get_state(self) -> Any:
        """(seed, drawn) as a tensor of two uint64."""
        return make(np.array([self._seed, self._drawn], np.uint64))

    def set_state(self, state: Any) -> None:
        """Go back to a state `get_state` gave."""
        with self._lock:
            self._seed, self._drawn = (int(v) for v in state._array)

    def next_key(self) -> int:
        """The next key: the draw's number scattered over 64 bits (SplitMix64: Steele et al., OOPSLA 2014)."""
        with self._lock:
            self._drawn += 1
            x = (self._seed + self._drawn * 0x9E3779B97F4A7C15) & _MASK
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
        return x ^ (x >> 31)

    def live_key(self) -> Any:
        """The next key as a tensor; a program being recorded draws a new one at every replay."""
        key = make(np.array(self.next_key(), np.uint64))
        recorder = current.get().recorder
        if recorder is not None:
            recorder.live(key._array, "key", self.next_key)
        return key


default_generator = Generator()
default_generator.seed()


def manual_seed(seed: int) -> Generator:
    """Seed the default generator: the same numbers follow, on every machine and in every thread order."""
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Seed the default generator with a number nobody knows, and return it."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed of the default generator."""
    return default_generator.initial_seed()


def get_rng_state() -> Any:
    """The state of the default generator."""
    return default_generator.get_state()


def set_rng_state(state: Any) -> None:
    """Go back to a state of the default generator."""
    default_generator.set_state(state)


def uniform(shape: tuple[int, ...], dtype: Any, generator: Generator | None = None) -> Any:
    """Uniform on [0, 1): 24 random bits for float32, 53 for float64."""
    key = (generator or default_generator).live_key()
    if np.dtype(dtype) == np.float32:
        bits = ops.cast(ops.random_bits(key, shape=shape), dtype=np.dtype(np.float64))
        return ops.cast(ops.floor(bits * 2.0**-8) * 2.0**-24, dtype=np.dtype(np.float32))
    bits = ops.cast(ops.random_bits(key, shape=(2, *shape)), dtype=np.dtype(np.float64))
    high, low = (
        ops.floor(ops.index(bits, template=(0,)) * 2.0**-5),
        ops.floor(ops.index(bits, template=(1,)) * 2.0**-6),
    )
    return to_dtype((high * 2.0**26 + low) * 2.0**-53, dtype)


def normal_of(shape: tuple[int, ...], dtype: Any, generator: Generator | None = None) -> Any:
    """Standard normal by the Box-Muller transform: sqrt(-2 log(1 - u)) cos(2 pi v)."""
    u = uniform((2, *shape), np.float64, generator)
    radius = ops.sqrt(-2.0 * ops.log(1.0 - ops.index(u, template=(0,))))
    return to_dtype(radius * ops.cos(2.0 * np.pi * ops.index(u, template=(1,))), dtype)


def _finish(value: Any, requires_grad: bool, device: Any) -> Any:
    check_device(device)
    if requires_grad:
        require_grad(value)
    return value


def rand(
    *size: Any,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Uniform random numbers on [0, 1)."""
    return _finish(uniform(sizes(size), dtype or get_default_dtype(), generator), requires_grad, device)


def randn(
    *size: Any,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Standard normal random numbers."""
    return _finish(normal_of(sizes(size), dtype or get_default_dtype(), generator), requires_grad, device)


def rand_like(input: Any, *, dtype: Any = None, requires_grad: bool = False) -> Any:
    """Uniform random numbers in the shape of another tensor."""
    return rand(input._array.shape, dtype=dtype or input._array.dtype, requires_grad=requires_grad)


def randn_like(input: Any, *, dtype: Any = None, requires_grad: bool = False) -> Any:
    """Standard normal random numbers in the shape of another tensor."""
    return randn(input._array.shape, dtype=dtype or input._array.dtype, requires_grad=requires_grad)


def randint(
    low: int, high: Any = None, size: Any = None, *, generator: Generator | None = None, dtype: Any = None
) -> Any:
    """Random integers from low (0 when left out) up to but without high."""
    if size is None:
        low, high, size = 0, low, high
    if high <= low:
        raise RuntimeError(f"randint: there is no integer from {low} up to but without {high}")
    u = uniform(sizes((size,)), np.float64, generator)
    return ops.astype(ops.floor(u * float(high - low)) + float(low), dtype=np.dtype(dtype or np.int64))


def randperm(n: int, *, generator: Generator | None = None, dtype: Any = None) -> Any:
    """A random order of 0 .. n - 1."""
    return to_dtype(ops.argsort(uniform((n,), np.float64, generator), dim=0), dtype or np.int64)


def bernoulli(input: Any, *, generator: Generator | None = None) -> Any:
    """1 with the probability given by each entry, else 0; no gradient."""
    u = uniform(input._array.shape, input._array.dtype, generator)
    return to_dtype(ops.lt(u, input.detach() if isinstance(input, Value) else input), input._array.dtype)


def normal(mean: Any, std: Any, size: Any = None, *, generator: Generator | None = None) -> Any:
    """Normal random numbers of the given mean and standard deviation (tensors, or numbers and a size)."""
    if size is None:
        size = np.broadcast_shapes(*(v._array.shape for v in (mean, std) if isinstance(v, Value)))
    dtype = next((v._array.dtype for v in (mean, std) if isinstance(v, Value)), get_default_dtype())
    return normal_of(sizes((size,)), dtype, generator) * std + mean


def multinomial(input: Any, num_samples: int, replacement: bool = False, *, generator: Generator | None = None) -> Any:
    """Positions drawn with the given weights: (C,) -> (num_samples,), (N, C) -> (N, num_samples)."""
    unrecordable("multinomial", "draw outside of the recorded block, and pass what was drawn as an input")
    weights = np.atleast_2d(input._array).astype(np.float64)
    if (weights < 0).any() or not np.isfinite(weights).all() or (weights.sum(axis=1) <= 0).any():
        raise RuntimeError("multinomial: the weights must be finite, not negative, and not all zero")
    if not replacement and num_samples > (weights > 0).sum(axis=1).min():
        raise RuntimeError(f"multinomial: cannot draw {num_samples} without replacement: too few nonzero weights")
    if replacement:
        u = uniform((len(weights), num_samples), np.float64, generator)._array
        ends = np.cumsum(weights, axis=1)
        drawn = np.stack([np.searchsorted(e, r * e[-1], side="right") for e, r in zip(ends, u, strict=True)])
        drawn = np.minimum(drawn, weights.shape[1] - 1)
    else:
        u = uniform(weights.shape, np.float64, generator)._array
        with np.errstate(divide="ignore"):
            race = np.log1p(-u) / weights
        drawn = np.argsort(-race, axis=1, kind="stable")[:, :num_samples]
    return make(drawn[0] if input._array.ndim == 1 else drawn)
