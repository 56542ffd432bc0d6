"""The one source of randomness: counter-based bits.  Everything random is a composite of them."""

from __future__ import annotations

from tinygrad_edu import kernels
from tinygrad_edu.engine.calls import primitive
from tinygrad_edu.engine.domain import Family

__all__ = ["random_bits"]


@primitive(domain=Family("key"), text="random_bits({key})", latex=r"\mathrm{{bits}}({key})")
def random_bits(key, *, shape):
    """32 random bits (uint32) per entry: Philox4x32-10 of a 64-bit key and the entry's position.

    Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (SC 2011).
    """
    return kernels.random_bits(key, shape)


random_bits.no_gradient()
