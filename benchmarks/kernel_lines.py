"""What the tables of the kernels share: candidates by name, who is there, equal results, ratios, records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from benchmarks.steps import NOT_INSTALLED, reason
from benchmarks.timing import Timing, check_equal, interleave, optional, show_absent, show_table

# By name; a candidate returns an array of its library, or several in a tuple.
Calls = dict[str, Callable[[], Any]]
Records = list[dict[str, Any]]
# What a call of the kernel itself is named where "ours" is the public call on tensors
KERNEL = "ours, kernel"


class Peers(NamedTuple):
    """Who is there to be measured with: PyTorch's module, or None, and whether JAX is."""

    torch: Any
    jax: bool


def available() -> tuple[Peers, dict[str, str]]:
    """The peers that can be imported, and why others cannot."""
    found: dict[str, Any] = {}
    absent: dict[str, str] = {}
    for name, module in (("torch", "torch"), ("jax.jit", "jax")):
        try:
            found[name] = optional(module)
        except Exception as error:
            absent[name] = reason(error)
        else:
            absent |= {name: NOT_INSTALLED} if found[name] is None else {}
    return Peers(found.get("torch"), found.get("jax.jit") is not None), absent


def agree(calls: Calls, tolerance: float) -> None:
    """Raise AssertionError unless all give the same: each array to within a tolerance relative to its largest entry."""
    results = {name: _parts(call()) for name, call in calls.items()}
    counts = {name: len(parts) for name, parts in results.items()}
    assert len(set(counts.values())) == 1, f"not as many results from each: {counts}"
    for i in range(next(iter(counts.values()))):
        check_equal({name: parts[i] for name, parts in results.items()}, tolerance)


def _parts(result: Any) -> tuple[Any, ...]:
    parts = result if isinstance(result, tuple) else (result,)
    return tuple(part.detach() if hasattr(part, "detach") else part for part in parts)


def recorded(line: str, times: Mapping[str, Timing]) -> Records:
    """A record for each candidate."""
    ours = times["ours"].median
    return [
        {"benchmark": "kernels", "line": line, "name": name, "seconds": t.median, "spread": t.spread}
        | {"ratio": t.median / ours}
        for name, t in times.items()
    ]


def missing(line: str, absent: Mapping[str, str]) -> Records:
    """Say who was not measured, and why; a record for each."""
    show_absent(absent)
    return [{"benchmark": "kernels", "line": line, "name": name, "absent": why} for name, why in absent.items()]


def table(title: str, lines: Mapping[str, Calls], rounds: int, tolerance: float) -> Records:
    """Check and time every line, print it; the records.

    Ratios are each peer's time divided by ours, and where there is a line of the kernel, by that too.
    """
    found, records = {}, []
    for line, calls in lines.items():
        agree(calls, tolerance)
        found[line] = interleave(calls, rounds, title=line)
        records += recorded(line, found[line])
    names = list(dict.fromkeys(name for times in found.values() for name in times))
    own = [name for name in ("ours", KERNEL) if name in names]
    pairs = [(peer, base) for base in own for peer in names if peer not in own]
    rows = [
        [line, *(_cell(times, name) for name in own), *(ratio(times, peer, base) for peer, base in pairs)]
        for line, times in found.items()
    ]
    short = {"ours": "ours", KERNEL: "kernel"}
    head = ["", *(f"{short[name]} us" for name in own), *(f"{peer}/{short[base]}" for peer, base in pairs)]
    show_table(title, head, rows)
    return records


def _cell(times: Mapping[str, Timing], name: str) -> str:
    return microseconds(times[name]) if name in times else ""


def microseconds(timing: Timing) -> str:
    """The median with its spread."""
    return f"{timing.median * 1e6:.4g} ± {100 * timing.spread:.0f} %"


def ratio(times: Mapping[str, Timing], peer: str, base: str = "ours") -> str:
    """A peer's time divided by ours, nothing where one of them was not measured."""
    return f"{times[peer].median / times[base].median:.2f}" if peer in times and base in times else ""


def channels_last(x: np.ndarray) -> np.ndarray:
    """Images (N, C, H, W) with the same numbers in channels-last memory."""
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
