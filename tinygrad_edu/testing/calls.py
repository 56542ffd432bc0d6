"""Calls of a primitive, drawn from its domain: inputs and static parameters together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_edu.engine.domain import Domain, Family
from tinygrad_edu.engine.primitive import Primitive
from tinygrad_edu.testing.choices import Choices, Strategy, strategy
from tinygrad_edu.testing.strategies import arrays, grid, laid_out, narrowed, shapes, values

ARRAYS_ONLY = {"bce_with_logits"}  # its kernel takes arrays; every public function gives it two
FLAGS = ("keepdim", "reverse", "descending")


@dataclass
class Call:
    """What an operation is called with."""

    inputs: list[Any]
    static: dict[str, Any] = field(default_factory=dict)


@strategy
def elementwise(choices: Choices, domains: tuple[Domain, ...], numbers: bool) -> Call:
    """Inputs whose shapes broadcast; with `numbers`, one of several is a Python number now and then.

    Each input has its own grid, so two inputs never tie and finite differences stay away from the kink.
    """
    full = choices.draw(shapes())
    inputs: list[Any] = []
    for i, domain in enumerate(domains):
        shape = full if len(domains) == 1 or choices.boolean() else choices.draw(narrowed(full))
        inputs.append(choices.draw(arrays(shape, domain, (i % 3) / 32)))
    plain = [i for i, d in enumerate(domains) if not (d.boolean or d.integer)]
    if numbers and len(domains) == len(plain) == 2 and choices.integer(0, 4) == 4:
        i = choices.pick(plain)
        inputs[i] = choices.pick(grid(domains[i], i / 32))
    return Call(inputs)


@strategy
def calls(choices: Choices, op: Primitive) -> Call:
    """A call of a primitive at points where it is smooth.

    Raises NotImplementedError for a family that nobody has said how to draw.
    """
    if isinstance(op.domain, Family):
        call = choices.draw(family(op)(op))
    elif isinstance(op.domain, tuple):
        call = choices.draw(elementwise(op.domain, op.name not in ARRAYS_ONLY))
    else:
        raise NotImplementedError(
            f"{op.name} has no domain: say where it may be evaluated, @primitive(domain=(real,)), or pass strategies"
        )
    for name in FLAGS:
        if name in op.statics:
            value = choices.boolean()
            call.static.setdefault(name, value)
    return call


def family(op: Primitive) -> Any:
    """The function that makes a strategy of calls for the family of a primitive."""
    from tinygrad_edu.testing.families import FAMILIES

    if op.domain.name not in FAMILIES:
        raise NotImplementedError(
            f"nothing draws calls of the family {op.domain.name!r} of {op.name}: pass strategies for its arguments, "
            "or add a strategy to tinygrad_edu.testing.families.FAMILIES"
        )
    return FAMILIES[op.domain.name]


@strategy
def kinked_calls(choices: Choices, op: Primitive) -> Call:
    """A call where the primitive may have a kink: entries that tie, and the points its domain stays away from."""
    if isinstance(op.domain, Family):
        call = choices.draw(calls(op))
        call.inputs = [_tied(choices, v) for v in call.inputs]
        return call
    full = choices.draw(shapes(min_side=1))
    return Call([choices.draw(laid_out(_near_kinks(full, domain))) for domain in op.domain])


def _tied(choices: Choices, value: Any) -> Any:
    """The same shape and layout, with few different values."""
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f" or not value.size:
        return value
    found = choices.array([1.0, 2.0], value.shape)
    return np.asarray(found, order="F" if value.flags.f_contiguous else "C")


def _near_kinks(shape: tuple[int, ...], domain: Domain) -> Strategy[np.ndarray]:
    """Whole numbers of a domain and its kinks."""
    if domain.boolean or domain.integer:
        return values(shape, domain)
    whole = {float(k) for k in range(int(np.ceil(domain.low)), int(domain.high) + 1)} | set(domain.apart)
    points = sorted((p for p in whole if abs(p) <= 2), key=abs) or sorted(whole) or grid(domain)
    return Strategy(lambda choices: choices.array(points, shape), f"kinks of {domain.name}")
