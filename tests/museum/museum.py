"""What an exhibit of the museum is: a wrong gradient, a test that misses it, and the kit's test that does not."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.testing.engine_mutants import engine_mutants

EXHIBITS: list[type[Exhibit]] = []


class Exhibit:
    """The title of the exhibit; after an empty line, the defect.

    seen      -- where it was seen
    wrong     -- the operation with the defect, an `autograd.Function` or a function of tensors
    right     -- the same operation without it
    naive     -- a test of an operation, written as they often are
    kit       -- one line of `tinygrad_edu.testing`
    mutant    -- what is wrong with the walk, where it is not the operation: then `wrong` is `right`
    property  -- the name of the property that does not hold
    cause     -- words of the diagnosis; "" where it says no more than that the gradient is wrong
    """

    seen: ClassVar[str]
    wrong: ClassVar[Any]
    right: ClassVar[Any]
    naive: ClassVar[Callable[[Any], None]]
    kit: ClassVar[Callable[[Any], Any]]
    mutant: ClassVar[str] = ""
    property: ClassVar[str] = "gradient"
    cause: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        EXHIBITS.append(cls)
        if cls.mutant:
            cls.wrong = cls.right


@contextlib.contextmanager
def in_force(exhibit: type[Exhibit]) -> Iterator[None]:
    """Where the defect is one of the walk, make the walk wrong."""
    if not exhibit.mutant:
        yield
        return
    with next(m for m in engine_mutants() if m.what == exhibit.mutant).installed():
        yield


def called(op: Any) -> Callable[..., Any]:
    """An operation as a function of tensors."""
    return op.apply if isinstance(op, type) else op


def summed(f: Callable[..., Any], *inputs: Any) -> list[np.ndarray]:
    """The gradients of f(*inputs).sum() for the arrays of floats among the inputs."""
    given = [tg.tensor(x, requires_grad=True) if moves(x) else x for x in inputs]
    f(*given).sum().backward()
    leaves = [x for x in given if isinstance(x, tg.Tensor) and x.requires_grad]
    return [np.zeros(x.shape) if x.grad is None else x.grad.numpy() for x in leaves]


def quotients(f: Callable[..., Any], *inputs: Any, eps: float = 1e-6) -> list[np.ndarray]:
    """The same by central differences."""

    def total(*xs: Any) -> float:
        with tg.no_grad():
            return f(*(tg.tensor(x) if moves(x) else x for x in xs)).sum().item()

    found = []
    for k, x in enumerate(inputs):
        if not moves(x):
            continue
        slopes = np.zeros_like(x)
        for at in np.ndindex(x.shape):
            up, down = x.copy(), x.copy()
            up[at] += eps
            down[at] -= eps
            ends = [total(*inputs[:k], moved, *inputs[k + 1 :]) for moved in (up, down)]
            slopes[at] = (ends[0] - ends[1]) / float(up[at] - down[at])
        found.append(slopes)
    return found


def agrees_at(f: Callable[..., Any], *inputs: Any, eps: float = 1e-6, atol: float = 1e-6) -> None:
    """The test that most projects have: gradients of the sum against central differences, at one point."""
    for found, expected in zip(summed(f, *inputs), quotients(f, *inputs, eps=eps), strict=True):
        np.testing.assert_allclose(found, expected, rtol=atol, atol=atol)


def moves(x: Any) -> bool:
    """Whether it is an array of numbers that get a gradient."""
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"
