"""Gradients on demand: `grad`, the grad modes, `Function`, hooks and anomaly detection."""

import importlib as _importlib
import typing as _typing

from tinygrad_edu.autograd import functional
from tinygrad_edu.autograd.function import Function
from tinygrad_edu.autograd.grad import backward, grad
from tinygrad_edu.autograd.modes import (
    detect_anomaly,
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_detect_anomaly,
    set_grad_enabled,
)

if _typing.TYPE_CHECKING:
    gradcheck: _typing.Callable[..., bool]
    gradgradcheck: _typing.Callable[..., bool]

__all__ = [
    "Function",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "functional",
    "grad",
    "inference_mode",
    "is_grad_enabled",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
]


def __getattr__(name: str) -> _typing.Any:
    """The checkers belong to the testing kit, which is imported when one of them is first used."""
    if name in ("gradcheck", "gradgradcheck"):
        return getattr(_importlib.import_module("tinygrad_edu.testing.gradchecks"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
