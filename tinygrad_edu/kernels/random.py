"""Random bits that are a function of a key and a position: the counter-based generator Philox4x32-10.

Nothing is stepped from one number to the next. Block number n of a key is a keyed scrambling of the counter n
(Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011). So with the same key
every run, in any order, on either twin, draws the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .jit import jit
from .registry import Array, kernel

ROUNDS = 10
MULTIPLIER_0, MULTIPLIER_1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
KEY_STEP_0, KEY_STEP_1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
ZERO = np.uint64(0)


def _philox(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any) -> tuple[Any, Any, Any, Any]:
    """Ten rounds on the counter (c0 .. c3) with the key (k0, k1): 32-bit words, kept in uint64 (arrays)."""
    for _ in range(ROUNDS):
        product_0, product_1 = MULTIPLIER_0 * c0, MULTIPLIER_1 * c2
        c0, c1, c2, c3 = (
            (product_1 >> HALF) ^ c1 ^ k0,
            product_1 & LOW,
            (product_0 >> HALF) ^ c3 ^ k1,
            product_0 & LOW,
        )
        k0, k1 = (k0 + KEY_STEP_0) & LOW, (k1 + KEY_STEP_1) & LOW
    return c0, c1, c2, c3


philox = jit(_philox)


@jit
def fill_random_bits(out: Array, key: np.uint64) -> None:
    """Fill the 1-d uint32 array `out` with the bits of a uint64 key; to be called from compiled code too."""
    k0, k1 = key & LOW, key >> HALF
    whole = out.size // 4
    for n in range(whole):
        block = np.uint64(n)
        w0, w1, w2, w3 = philox(block & LOW, block >> HALF, ZERO, ZERO, k0, k1)
        out[4 * n], out[4 * n + 1], out[4 * n + 2], out[4 * n + 3] = w0, w1, w2, w3
    if out.size > 4 * whole:
        block = np.uint64(whole)
        last = philox(block & LOW, block >> HALF, ZERO, ZERO, k0, k1)
        for i in range(4 * whole, out.size):
            out[i] = last[i - 4 * whole]


@kernel
@np.errstate(all="ignore")
def random_bits(key: int | Array, shape: int | tuple[int, ...]) -> Array:
    """uint32 array of the shape, every bit random, a function of key and shape alone.

    `key` is an int or a 0-d uint64 array, taken modulo 2**64.
    Element i, in C order, is word i % 4 of block i // 4.

    >>> [hex(word) for word in random_bits(0, 4)]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    bits = _as_key(key)
    out = np.empty(shape, np.uint32)
    blocks = np.arange(-(-out.size // 4), dtype=np.uint64)
    words = _philox(blocks & LOW, blocks >> HALF, ZERO, ZERO, bits & LOW, bits >> HALF)
    out.reshape(-1)[:] = np.stack(np.broadcast_arrays(*words), axis=1).reshape(-1)[: out.size]
    return out


@random_bits.numba
def _(key: int | Array, shape: int | tuple[int, ...]) -> Array:
    out = np.empty(shape, np.uint32)
    fill_random_bits(out.reshape(-1), _as_key(key))
    return out


def _as_key(key: int | Array) -> np.uint64:
    return np.uint64(int(key) % 2**64)


random_bits.examples = lambda dtype: [(0, 5)]
