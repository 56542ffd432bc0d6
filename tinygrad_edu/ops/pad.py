"""Padding.  `pads` has a pair (before, after) for every axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.engine.calls import primitive
from tinygrad_edu.engine.domain import Family

__all__ = ["pad", "pad_repeating", "pad_repeating_to_input"]

PADS = ((0, 0), (1, 2))
NUMPY_MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@primitive(domain=Family("pad", data={"example": ({}, {"pads": PADS})}), text="pad({x}, {pads})", latex="{x}")
def pad(x, *, pads, value=0.0):
    """x between entries of one value; where a number of `pads` is negative, so many entries are cut off instead."""
    if any(n + min(before, 0) + min(after, 0) < 0 for n, (before, after) in zip(x.shape, pads, strict=True)):
        raise ValueError(f"pads {pads} cut off more than there is")
    shape = tuple(before + n + after for n, (before, after) in zip(x.shape, pads, strict=True))
    out = np.full_like(x, value, shape=shape)
    inner = tuple(slice(max(before, 0), n - max(after, 0)) for n, (before, after) in zip(shape, pads, strict=True))
    kept = tuple(slice(max(-before, 0), n - max(-after, 0)) for n, (before, after) in zip(x.shape, pads, strict=True))
    out[inner] = x[kept]
    return out


def negated(pads: Any) -> Any:
    """The pads that cut off what these add, and add what these cut off."""
    return tuple((-before, -after) for before, after in pads)


pad.pullback(x=lambda g, pads: pad(g, pads=negated(pads)))


def sources(size: int, before: int, after: int, mode: str) -> np.ndarray:
    """Which entry of an axis each entry of the padded axis repeats."""
    return np.pad(np.arange(size), (before, after), NUMPY_MODES[mode])  # type: ignore[call-overload]


@primitive(
    domain=Family("pad_repeating", data={"example": ({}, {"pads": PADS, "mode": "replicate"})}),
    text="pad({x}, {pads}, {mode})",
    latex="{x}",
)
def pad_repeating(x, *, pads, mode):
    """x continued on both sides: mirrored ("reflect"), by its last entry ("replicate"), or anew ("circular")."""
    out = np.array(x)
    for axis, (before, after) in enumerate(pads):
        if before or after:
            shape = (*out.shape[:axis], before + out.shape[axis] + after, *out.shape[axis + 1 :])
            source = sources(out.shape[axis], before, after, mode)
            out = np.take(out, source, axis=axis, out=np.empty_like(out, shape=shape))
    return out


@primitive(
    domain=Family("pad_repeating", data={"example": ({"y": (2, 6)}, {"pads": PADS, "mode": "replicate"})}),
    text="pad_to_input({y}, {pads}, {mode})",
    latex="{y}",
)
def pad_repeating_to_input(y, *, pads, mode):
    """Every y added to the entry it repeats: the adjoint of `pad_repeating`."""
    out = y
    for axis, (before, after) in enumerate(pads):
        size = out.shape[axis] - before - after
        wide, source = np.moveaxis(out, axis, 0), sources(size, before, after, mode)
        out = np.array(out[(slice(None),) * axis + (slice(before, before + size),)])
        target = np.moveaxis(out, axis, 0)
        for k in (*range(before), *range(before + size, len(source))):
            target[source[k]] += wide[k]
    return np.array(out) if out is y else out


pad_repeating.pullback(x=lambda g, pads, mode: pad_repeating_to_input(g, pads=pads, mode=mode))
pad_repeating_to_input.pullback(y=lambda g, pads, mode: pad_repeating(g, pads=pads, mode=mode))
