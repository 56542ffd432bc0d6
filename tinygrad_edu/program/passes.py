"""What the compiler does to a program before it writes code, in this order."""

from __future__ import annotations

from collections.abc import Collection

from tinygrad_edu.program import fusion, memory
from tinygrad_edu.program.body import Body, Pass
from tinygrad_edu.program.emit_numba import Emission, emit
from tinygrad_edu.program.lowering import lowered
from tinygrad_edu.program.pullbacks import pullbacks
from tinygrad_edu.program.simplify import algebra, common, dead
from tinygrad_edu.program.transposes import transposes

REWRITES: dict[str, Pass] = {
    "pullbacks": pullbacks,
    "dead": dead,
    "lowering": lowered,
    "algebra": algebra,
    "transposes": transposes,
    "common": common,
}
"""Lines into other lines that compute the same."""

PASSES = (*REWRITES, "fusion", "memory")
"""All names; each may be left out, and the result is the same but for roundings."""


def emitted(body: Body, passes: Collection[str] = PASSES) -> Emission:
    """The code of a program after the chosen passes; ValueError for a name that is none."""
    for name in passes:
        if name not in PASSES:
            raise ValueError(f"there is no pass {name!r}, only {', '.join(PASSES)}")
    for name, rewrite in REWRITES.items():
        if name in passes:
            body = rewrite(body)
    if "dead" in passes:
        body = dead(body)
    units = fusion.fused(body) if "fusion" in passes else fusion.units(body)
    return emit(body, units, memory.shared if "memory" in passes else memory.apart)
