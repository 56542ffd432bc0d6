"""Scripts run twice, once with this package and once with PyTorch, and compared: values, or the type of the error."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

Script = Callable[[Any], Any]


def scripts(namespace: dict[str, Any]) -> dict[str, Script]:
    """The functions of a module whose names start with `s_`; each takes the library as its argument."""
    return {name.removeprefix("s_"): f for name, f in namespace.items() if name.startswith("s_")}


def leaf(m: Any, values: Any = (0.5, -1.25, 2.0)) -> Any:
    """A float64 tensor that requires grad."""
    return m.tensor(np.array(values).tolist(), dtype=m.float64, requires_grad=True)


def outcome(m: Any, script: Script) -> Any:
    """What a script returns, tensors as arrays; or the error it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = script(m)
        except Exception as error:
            return error
        finally:
            m.set_grad_enabled(True)
    return [plain(v) for v in (found if isinstance(found, (list, tuple)) else [found])]


def plain(value: Any) -> Any:
    """A copy as an array, of tensors; lists of them likewise."""
    if hasattr(value, "detach"):
        return np.array(value.detach().numpy())
    return [plain(v) for v in value] if isinstance(value, (list, tuple)) else value


def assert_same(ours: Any, theirs: Any) -> None:
    """Equal results, or an error of PyTorch's type (its NotImplementedError is a RuntimeError)."""
    if isinstance(theirs, Exception):
        assert isinstance(ours, Exception), f"PyTorch raises {theirs!r}"
        wanted = RuntimeError if isinstance(theirs, NotImplementedError) else type(theirs)
        assert isinstance(ours, wanted), f"{ours!r}\nPyTorch: {theirs!r}"
        return
    if isinstance(ours, Exception):
        raise ours
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        if isinstance(b, np.ndarray):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
        else:
            assert a == b
