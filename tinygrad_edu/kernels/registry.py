"""A kernel has two twins: a reference in plain NumPy, the definition of correct, and a fast one using numba.

    @kernel
    def relu(x):                      # the reference
        return np.maximum(x, 0)

    @relu.numba
    def _(x):                         # the fast twin: prepares memory, then calls a compiled loop
        ...

Which twin runs is chosen for all kernels and the whole run: by the environment variable
`TINYGRAD_EDU_KERNELS` ("numba", the default, or "reference"), or by `use`.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, ParamSpec

import numpy as np

from .jit import Jit

Array = np.ndarray[Any, Any]
P = ParamSpec("P")

FLOAT32 = np.dtype(np.float32)
FLOAT64 = np.dtype(np.float64)
BACKENDS = ("reference", "numba")

_kernels: dict[str, Kernel[...]] = {}


class Kernel(Generic[P]):
    """One operation on arrays: `reference` defines it, `fast` is the other twin, a call means the active one.

    `scalar`, which elementwise kernels have, is the `@jit` function of one element. Compiled code may call
    such a kernel by its name, and gets that function. `examples(dtype)` lists the arguments for `warmup`.
    """

    # The active twin is what Python finds where it looks for the method: no call lies between (0.15 us).
    __slots__ = ("__call__", "__dict__")
    __call__: Callable[P, Array]
    __name__: str

    def __init__(self, reference: Callable[P, Array]):
        self.reference = reference
        self.fast = reference
        self.scalar: Jit | None = None
        self.examples: Callable[[Any], list[tuple[Any, ...]]] = _no_examples
        self.__call__ = reference
        functools.update_wrapper(self, reference)

    def numba(self, fast: Callable[P, Array]) -> Callable[P, Array]:
        """Decorator: make this function the fast twin."""
        self.fast = fast
        self._activate(_backend)
        return fast

    def _activate(self, name: str) -> None:
        self.__call__ = self.fast if name == "numba" else self.reference

    @property
    def _numba_type_(self) -> Any:
        if self.scalar is None:
            raise AttributeError(f"kernel {self.__name__!r} has no scalar function for compiled code to call")
        return self.scalar._numba_type_

    def __repr__(self) -> str:
        return f"<kernel {self.__name__}>"


def _no_examples(dtype: Any) -> list[tuple[Any, ...]]:
    return []


def kernel(reference: Callable[P, Array]) -> Kernel[P]:
    """Decorator: a new kernel, registered by its name, whose definition is this function."""
    made = Kernel(reference)
    _kernels[made.__name__] = made
    return made


def registered() -> dict[str, Kernel[...]]:
    """All kernels by name.

    >>> "matmul" in registered()
    True
    """
    return dict(_kernels)


def backend() -> str:
    """The twin that runs now: "numba" or "reference"."""
    return _backend


class use:
    """Switch all kernels to one twin, "numba" or "reference"; as a context manager, only inside the block.

    It holds for all threads. Any other name raises ValueError.

    >>> with use("reference"):
    ...     print(backend())
    reference
    """

    def __init__(self, name: str):
        self._previous = backend()
        _switch(_checked(name, "kernels.use"))

    def __enter__(self) -> use:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        _switch(self._previous)


def _checked(name: str, source: str) -> str:
    if name not in BACKENDS:
        choices = " or ".join(repr(choice) for choice in BACKENDS)
        raise ValueError(f"{source}: expected {choices}, got {name!r}")
    return name


def _switch(name: str) -> None:
    global _backend
    _backend = name
    for each in _kernels.values():
        each._activate(name)


_backend = _checked(os.environ.get("TINYGRAD_EDU_KERNELS", "numba"), "TINYGRAD_EDU_KERNELS")


def warmup(progress: bool = True) -> float:
    """Compile every kernel for float32 and float64, or load it from the cache; return the seconds it took.

    With `progress` a bar runs meanwhile, and a line says how long it took.
    """
    from tqdm import tqdm

    from .updates import compile_updates

    start = time.perf_counter()
    work = [(each, dtype) for each in _kernels.values() for dtype in (FLOAT32, FLOAT64)]
    for each, dtype in tqdm(work, desc="compiling kernels", disable=not progress):
        for args in each.examples(dtype):
            each.fast(*args)
    compile_updates()
    seconds = time.perf_counter() - start
    if progress:
        print(f"tinygrad_edu: {len(_kernels)} kernels ready in {seconds:.1f} s")
    return seconds


def same_float(a: Array, b: Array) -> bool:
    """Whether both arrays are float32, or both float64: what the fast twins are compiled for."""
    dtype = a.dtype
    # Equal dtypes are nearly always the same object (not after unpickling), and comparing them takes a while.
    known = dtype is FLOAT32 or dtype is FLOAT64 or dtype in (FLOAT32, FLOAT64)
    return known and (b.dtype is dtype or b.dtype == dtype)


def in_c_order(a: Array) -> Array:
    """The array if it is contiguous, aligned and writeable, else a copy: numba compiles per kind."""
    return a if a.flags.carray else a.copy()


def fresh(value: Any) -> Array:
    """An array in C order, also of what NumPy returned as a scalar or in another order."""
    return np.asarray(value, order="C")
