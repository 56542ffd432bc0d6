"""Where the arrays of the emitted code lie in the arenas: those never needed at the same time share memory.

The code is a sequence of statements, so an array is needed from the first statement that names it, or a view of it, to
the last. Both ends count: what a statement reads for the last time is never the memory it writes to, because most
kernels and many loops write before they have read everything.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

from tinygrad_edu.program.emitter import Emitter

ALIGNMENT = 64
"""Bytes of a cache line, where every array begins."""


def shared(writer: Emitter, outputs: Sequence[str]) -> tuple[dict[str, int], dict[np.dtype, int]]:
    """Offsets of the arrays, and the sizes of the arenas: large arrays first, each as far in front as it fits."""
    lives = lifetimes(writer, outputs)
    offsets: dict[str, int] = {}
    arenas: dict[np.dtype, int] = {}
    placed: dict[np.dtype, list[tuple[int, int, int, int]]] = {}
    for name in sorted(lives, key=lambda n: -size(writer, n)):
        dtype, needed = writer.arrays[name][0], size(writer, name)
        born, dies = lives[name]
        there = sorted((at, end) for at, end, b, d in placed.setdefault(dtype, []) if b <= dies and born <= d)
        offset = 0
        for at, end in there:
            if at - offset >= needed:
                break
            offset = max(offset, end)
        offsets[name] = offset
        placed[dtype].append((offset, offset + needed, born, dies))
        arenas[dtype] = max(arenas.get(dtype, 0), offset + needed)
    return offsets, arenas


def apart(writer: Emitter, outputs: Sequence[str]) -> tuple[dict[str, int], dict[np.dtype, int]]:
    """Every array in memory of its own."""
    offsets: dict[str, int] = {}
    arenas: dict[np.dtype, int] = {}
    for name, (dtype, _) in writer.arrays.items():
        offsets[name] = arenas.get(dtype, 0)
        arenas[dtype] = offsets[name] + size(writer, name)
    return offsets, arenas


def size(writer: Emitter, name: str) -> int:
    """Entries of an array, up to the next cache line."""
    dtype, shape = writer.arrays[name]
    step = ALIGNMENT // dtype.itemsize
    return -(-max(math.prod(shape), 1) // step) * step


def lifetimes(writer: Emitter, outputs: Sequence[str]) -> dict[str, tuple[int, int]]:
    """The first and the last statement that an array is named in; outputs are needed after all."""
    found: dict[str, tuple[int, int]] = {}
    statement = 0
    for line in writer.body:
        if line.lstrip().startswith("#"):
            continue
        statement += not line.startswith("     ")
        for word in re.findall(r"[^\W\d]\w*", line):
            name = writer.views[word][0] if word in writer.views else word
            if name in writer.arrays:
                found[name] = (found.get(name, (statement, 0))[0], statement)
    last = statement + 1
    return {n: found.get(n, (0, 0)) for n in writer.arrays} | {n: (found[n][0], last) for n in outputs if n in found}
