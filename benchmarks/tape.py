"""What one operation costs: a chain of 1000 small ones, `y = y * a; y = y + b`, and its gradient.

Everything but the arithmetic of a few numbers is overhead: for those who note each operation as it runs (ourselves,
PyTorch, MyGrad, autograd, micrograd) that of their tape, while torch.compile and jax.jit have no tape left to pay for.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

import tinygrad_edu as tg
from benchmarks.array_peers import Unable
from benchmarks.steps import NOT_INSTALLED, not_held, reason, without_compiler
from benchmarks.timing import Timing, installed, interleave, progress, show_absent, show_table

LENGTH = 500
OPERATIONS = 2 * LENGTH
# The start, and what it is multiplied with and added to, again and again
VALUES = (1.0, 1.001, 0.001)
# title, entries, whether the operands get a gradient too
LINES = (("1 entry", 1, True), ("1 entry, constant operands", 1, False), ("100 entries", 100, True))
Records = list[dict[str, Any]]


def chain(x: Any, a: Any, b: Any) -> Any:
    """The operations."""
    for _ in range(LENGTH):
        x = x * a
        x = x + b
    return x


def run(rounds: int) -> Records:
    """Print microseconds per operation and ratios; the numbers as records."""
    records: Records = []
    for title, entries, operands in LINES:
        chains, absent = agreeing(*candidates(entries, operands), title)
        notes = not_held({name: c.both for name, c in chains.items()}, tg.get_num_threads())
        both = interleave({name: c.both for name, c in chains.items()}, rounds, title=f"{title}: forward and backward")
        eager = {name: c.forward for name, c in chains.items() if c.forward is not None}
        forward = interleave(eager, rounds, title=f"{title}: forward")
        records += table(title, forward, both, absent)
        for note in notes:
            print(f"  {note}")
    return records


class Chain:
    """A chain in one library; `both()` gives the sum of its last array and the gradients of the start and the operands.

    forward -- only the first half, where it can be had alone
    """

    def __init__(self, both: Callable[[], list[Any]], forward: Callable[[], Any] | None = None) -> None:
        self.both, self.forward = both, forward


Makers = dict[str, Callable[[], Chain]]


def candidates(entries: int, operands: bool) -> tuple[Makers, dict[str, str]]:
    """What makes the chains, and who has none and why. The first is ours."""
    arrays = [np.full(entries, value, np.float32) for value in VALUES]
    makers: Makers = {"ours": lambda: tensors(tg.from_numpy, arrays, operands)}
    absent = {"ours, compiled": f"numba takes minutes to compile {OPERATIONS} lines that are not a loop"}
    for name, (module, make) in PEERS.items():
        if not installed(module):
            absent[name] = NOT_INSTALLED
        else:
            makers[name] = partial(make, arrays, operands)
    return makers, absent | without_compiler(makers)


def agreeing(makers: Makers, absent: Mapping[str, str], title: str = "") -> tuple[dict[str, Chain], dict[str, str]]:
    """The chains whose sum and gradients are ours; the reasons of the others."""
    found, reasons = {}, dict(absent)
    expected: list[np.ndarray] = []
    for name, make in progress(makers.items(), f"{title}: checking"):
        try:
            made = make()
            results = [np.asarray(value, np.float64).reshape(-1) for value in map(plain, made.both())]
        except Exception as error:
            if not found:
                raise
            reasons[name] = reason(error)
            continue
        expected = expected or results
        if len(results) == len(expected) and all(map(partial(np.allclose, rtol=1e-3), results, expected)):
            found[name] = made
        else:
            reasons[name] = f"DIFFERS from ours: {results}, ours {expected}"
    return found, reasons


def plain(value: Any) -> Any:
    """A result without its tape."""
    return value.detach() if hasattr(value, "detach") else getattr(value, "data", value)


def tensors(from_numpy: Callable[..., Any], arrays: list[np.ndarray], operands: bool) -> Chain:
    """Ourselves or PyTorch: leaves, operations, backward()."""

    def leaves() -> list[Any]:
        x, a, b = (from_numpy(array) for array in arrays)
        return [x.requires_grad_(), a.requires_grad_(operands), b.requires_grad_(operands)]

    def both() -> list[Any]:
        given = leaves()
        y = chain(*given).sum()
        y.backward()
        return [y, *(leaf.grad for leaf in given[: 3 if operands else 1])]

    return Chain(both, lambda: chain(*leaves()).sum())


def torch_eager(arrays: list[np.ndarray], operands: bool) -> Chain:
    """PyTorch as it is."""
    return tensors(import_module("torch").from_numpy, arrays, operands)


def torch_compiled(arrays: list[np.ndarray], operands: bool) -> Chain:
    """The chain by torch.compile."""
    torch = import_module("torch")
    torch._dynamo.reset()
    compiled = torch.compile(lambda x, a, b: chain(x, a, b).sum())

    def both() -> list[Any]:
        x, a, b = (torch.from_numpy(array) for array in arrays)
        given = [x.requires_grad_(), a.requires_grad_(operands), b.requires_grad_(operands)]
        y = compiled(*given)
        y.backward()
        return [y, *(leaf.grad for leaf in given[: 3 if operands else 1])]

    return Chain(both)


def jax_jit(arrays: list[np.ndarray], operands: bool) -> Chain:
    """Value and gradients of the chain by jax.jit."""
    jax = import_module("jax")
    numbers = tuple(range(3 if operands else 1))
    function = jax.jit(jax.value_and_grad(lambda x, a, b: chain(x, a, b).sum(), numbers))
    given = [jax.numpy.asarray(array) for array in arrays]

    def both() -> list[Any]:
        y, gradients = jax.block_until_ready(function(*given))
        return [y, *gradients]

    return Chain(both)


def mygrad(arrays: list[np.ndarray], operands: bool) -> Chain:
    """MyGrad's tensors, with its guard against writing to them on, as it is by default."""
    tensor = import_module("mygrad").tensor

    def leaves() -> list[Any]:
        x, a, b = arrays
        return [tensor(x), *(tensor(v, constant=not operands) for v in (a, b))]

    def both() -> list[Any]:
        given = leaves()
        y = chain(*given).sum()
        y.backward()
        return [y, *(leaf.grad for leaf in given[: 3 if operands else 1])]

    return Chain(both, lambda: chain(*leaves()).sum())


def autograd(arrays: list[np.ndarray], operands: bool) -> Chain:
    """autograd's value_and_grad."""
    numpy = import_module("autograd.numpy")
    numbers = tuple(range(3 if operands else 1))
    function = import_module("autograd").value_and_grad(lambda *given: numpy.sum(chain(*given)), numbers)

    def both() -> list[Any]:
        y, gradients = function(*arrays)
        return [y, *gradients]

    return Chain(both)


def micrograd(arrays: list[np.ndarray], operands: bool) -> Chain:
    """micrograd's values, each one number."""
    if arrays[0].size > 1:
        raise Unable("it has numbers only, no arrays")
    if not operands:
        raise Unable("each of its values gets a gradient")
    value = import_module("micrograd.engine").Value
    # It sorts the graph by calling itself for each value on the way
    sys.setrecursionlimit(max(sys.getrecursionlimit(), 4 * OPERATIONS))

    def both() -> list[Any]:
        given = [value(number) for number in VALUES]
        y = chain(*given)
        y.backward()
        return [y, *(leaf.grad for leaf in given)]

    return Chain(both, lambda: chain(*(value(number) for number in VALUES)))


# By name: the module, and what makes a chain in it
PEERS: dict[str, tuple[str, Callable[..., Chain]]] = {
    "torch": ("torch", torch_eager),
    "torch.compile": ("torch", torch_compiled),
    "jax.jit": ("jax", jax_jit),
    "mygrad": ("mygrad", mygrad),
    "autograd": ("autograd", autograd),
    "micrograd": ("micrograd", micrograd),
}


def table(title: str, forward: dict[str, Timing], both: dict[str, Timing], absent: Mapping[str, str]) -> Records:
    """Print the times of one operation; the records."""
    common = {"benchmark": "tape", "line": title, "title": f"one operation of {OPERATIONS}, {title}"}
    ours = both["ours"].median
    records: Records = []
    rows = []
    for name, t in both.items():
        first = forward[name].median / OPERATIONS if name in forward else None
        measured = {"seconds": t.median / OPERATIONS, "spread": t.spread, "ratio": t.median / ours}
        records.append(common | {"name": name, "forward_seconds": first} | measured)
        cells = ["" if first is None else f"{1e6 * first:.3g}", f"{1e6 * t.median / OPERATIONS:.3g}"]
        rows.append([name, *cells, f"{100 * t.spread:.0f} %", f"{t.median / ours:.3g}"])
    show_table(common["title"], ["", "forward, us", "with backward, us", "spread", "this / ours"], rows)
    show_absent(absent)
    return records + [common | {"name": name, "absent": why} for name, why in absent.items()]
