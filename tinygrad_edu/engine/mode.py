"""The mode: what happens to an operation besides its arithmetic.

One immutable `Mode` lives in one `ContextVar`, so threads and coroutines never see each other's `no_grad`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from tinygrad_edu.engine.primitive import Primitive

Func = TypeVar("Func", bound="Callable[..., Any]")


class Recorder(Protocol):
    """What the engine tells whoever is recording (see `program.recorder`).

    call      -- an operation was computed;  assign: memory was written in place
    literal   -- an array full of one number was made;  made: an array was made of data from outside
    copied    -- an array holds what another one holds at this moment
    relaid    -- a tensor's numbers moved to a new array, and it is written and read there from now on
    gradient  -- a gradient (so far) of what an edge stands for;  walking: the walk is at a node, or over (None)
    live      -- a number that is read anew at every replay
    """

    def call(self, op: Primitive, inputs: tuple[Any, ...], static: dict[str, Any], outputs: tuple) -> None: ...

    def assign(self, target: np.ndarray, value: np.ndarray) -> None: ...

    def literal(self, array: np.ndarray, value: float) -> None: ...

    def gradient(self, grad: np.ndarray, edge: Any) -> None: ...

    def walking(self, node: Any | None) -> None: ...

    def live(self, array: np.ndarray, name: str, read: Callable[[], Any]) -> None: ...

    def made(self, array: np.ndarray) -> None: ...

    def copied(self, copy: np.ndarray, original: np.ndarray) -> None: ...

    def relaid(self, new: np.ndarray, old: np.ndarray) -> None: ...


@dataclass(frozen=True, slots=True)
class Mode:
    """grad: operations on tensors that require grad become graph nodes.

    recorder: every operation on tensors is also told to it.  anomaly: the walk looks for NaN in each gradient.
    scope: names of the modules being called, outermost first.
    """

    grad: bool = True
    recorder: Recorder | None = None
    anomaly: bool = False
    scope: tuple[str, ...] = ()


current: ContextVar[Mode] = ContextVar("tinygrad_edu_mode", default=Mode())  # noqa: B039 - Mode is frozen


_regraded: tuple[Mode, Mode] = (Mode(), Mode(grad=False))


def regraded(mode: Mode, grad: bool) -> Mode:
    """The mode with `grad` on or off; for one mode after the other, as in a training loop, it is made once."""
    global _regraded
    if mode.grad == grad:
        return mode
    known, changed = _regraded
    if known is not mode or changed.grad != grad:
        changed = Mode(grad, mode.recorder, mode.anomaly, mode.scope)
        # a recorder must not outlive its program
        if mode.recorder is None:
            _regraded = (mode, changed)
    return changed


def literal(array: np.ndarray, value: Any) -> np.ndarray:
    """The array, after telling a recorder that it is full of one number."""
    recorder = current.get().recorder
    if recorder is not None:
        recorder.literal(array, value)
    return array


def unrecordable(what: str, instead: str) -> None:
    """While a program is being recorded, refuse what no instruction could repeat on other data."""
    if current.get().recorder is not None:
        raise RuntimeError(f"{what} cannot be recorded in a program: {instead}")


class switched(AbstractContextManager):
    """Run a block, or a decorated function, in a changed mode.

    >>> with switched(grad=False):
    ...     current.get().grad
    False
    """

    def __init__(self, **changes: Any) -> None:
        self._changes = changes
        self._tokens: list[Token[Mode]] = []

    def __enter__(self) -> Any:
        mode, change = current.get(), self._changes.get
        # written out: dataclasses.replace takes three times as long
        changed = Mode(
            change("grad", mode.grad),
            change("recorder", mode.recorder),
            change("anomaly", mode.anomaly),
            change("scope", mode.scope),
        )
        self._tokens.append(current.set(changed))
        return self

    def __exit__(self, *exc: object) -> None:
        current.reset(self._tokens.pop())

    def __call__(self, func: Func) -> Func:
        @wraps(func)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with switched(**self._changes):
                return func(*args, **kwargs)

        return inside  # type: ignore[return-value]
