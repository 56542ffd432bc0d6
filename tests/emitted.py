"""Emitted code that runs as Python: many programs can be tried, since only kernels are compiled."""

from __future__ import annotations

import types
from typing import Any

import numpy as np


def in_python(step: Any) -> Any:
    """A compiled step whose emitted function runs as Python."""
    function = step._function.py_func
    scope = {name: on_numbers(value) if name.endswith("_") else value for name, value in function.__globals__.items()}
    step._function = np.errstate(all="ignore")(types.FunctionType(function.__code__, scope))
    return step


def on_numbers(function: Any) -> Any:
    """What emitted code calls: of an elementwise kernel the scalar function; numbers it returns are NumPy's."""
    function = getattr(function, "scalar", None) or function
    if not callable(function):
        return function

    def called(*arguments: Any) -> Any:
        result = function(*arguments)
        return None if result is None else np.asarray(result)[()]

    return called
