"""Where a primitive may be evaluated, as plain data: tests and teaching tools turn it into examples.

An elementwise primitive gives one `Domain` per input (shapes broadcast against each other); any other gives one
`Family`, the name of a way to draw inputs and static parameters together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Domain:
    """The values one input may take: an open interval, and what to stay away from.

    apart    -- points with a kink or a pole: finite differences keep a distance from them
    integer  -- whole numbers of an integer dtype;  boolean -- a mask
    """

    name: str
    low: float = -4.0
    high: float = 4.0
    apart: tuple[float, ...] = ()
    integer: bool = False
    boolean: bool = False


real = Domain("real")
positive = Domain("positive", low=0.125)
nonzero = Domain("nonzero", apart=(0.0,))
unit_interval = Domain("unit_interval", low=0.0625, high=0.9375)
mask = Domain("mask", boolean=True)
integers = Domain("integers", integer=True)


@dataclass(frozen=True)
class Family:
    """Inputs and statics drawn together, e.g. `Family("reduction", of=real)`."""

    name: str
    of: Domain = real
    data: dict[str, Any] = field(default_factory=dict, hash=False)


reduction = Family("reduction")
matmul_shapes = Family("matmul")
