"""Gradients on demand: `grad`, the grad modes, `Function`, hooks and anomaly detection."""

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
