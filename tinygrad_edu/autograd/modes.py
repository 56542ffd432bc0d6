"""What is recorded: context managers that are decorators too."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tinygrad_edu.engine.mode import current, switched


class no_grad(switched):
    """Inside, results require no grad and nothing is recorded.  Also a decorator.

    >>> import tinygrad_edu as tg
    >>> x = tg.ones(2, requires_grad=True)
    >>> with tg.no_grad():
    ...     (x * 2).requires_grad
    False
    """

    def __new__(cls, func: Any = None) -> Any:
        return super().__new__(cls) if func is None else cls()(func)

    def __init__(self, func: Any = None) -> None:
        super().__init__(grad=False)


class enable_grad(switched):
    """Inside a `no_grad` block, record again.  Also a decorator."""

    def __new__(cls, func: Any = None) -> Any:
        return super().__new__(cls) if func is None else cls()(func)

    def __init__(self, func: Any = None) -> None:
        super().__init__(grad=True)


class inference_mode(switched):
    """`no_grad` under the name PyTorch gives its stricter form."""

    def __init__(self, mode: bool = True) -> None:
        super().__init__(grad=not mode)


class set_grad_enabled(switched):
    """Record or not, from here on, or for a `with` block."""

    def __init__(self, mode: bool) -> None:
        super().__init__(grad=bool(mode))
        self._before = current.get().grad
        current.set(replace(current.get(), grad=bool(mode)))

    def __call__(self, func: Any) -> Any:
        current.set(replace(current.get(), grad=self._before))
        return super().__call__(func)

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        current.set(replace(current.get(), grad=self._before))


def is_grad_enabled() -> bool:
    """Whether operations are recorded at this moment."""
    return current.get().grad


class detect_anomaly(switched):
    """Inside, backward stops at the first gradient with a NaN and names the operation and its line."""

    def __init__(self, check_nan: bool = True) -> None:
        super().__init__(anomaly=check_nan)


def set_detect_anomaly(mode: bool) -> None:
    """Switch anomaly detection for the rest of the program."""
    current.set(replace(current.get(), anomaly=bool(mode)))
