"""What compiled loops can ask of the processor's vectors: their full width, and powers of two.

`wide_vectors()` in a compiled function: its loops shall use the widest vectors the processor has.
For Intel's processors with AVX-512 LLVM takes vectors of half that width by itself, since older ones slowed down under
wide ones. Loops that compute much on each number, as an exponential does, lose almost half of their speed by that.
Where there are no wider vectors the call means nothing; in plain Python neither.

`times_power(x, n)` is x * 2^n for float32, with one rounding whatever n is. AVX-512 has an instruction for it, which
also overflows and vanishes as it should. `has_times_power()` says whether that is so, when a function is compiled:
anywhere else it would be a call for every number.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any


@functools.cache
def _numba_types() -> dict[str, Any]:
    """Numba's types of the three functions."""
    from llvmlite import ir
    from numba.core import cgutils, registry, types
    from numba.extending import intrinsic

    from .tile import shapes

    @intrinsic
    def wide_vectors(context: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            # An attribute of LLVM's that llvmlite has no name for, so past its check of names.
            set.add(builder.function.attributes, '"prefer-vector-width"="512"')
            return context.get_dummy_value()

        return types.none(), code

    @intrinsic
    def times_power(context: Any, x: Any, n: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kind = ir.FunctionType(ir.FloatType(), [ir.FloatType(), ir.IntType(32)])
            name = "llvm.ldexp.f32.i32"
            return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)

        return types.float32(types.float32, types.int32), code

    @intrinsic
    def has_times_power(context: Any) -> Any:
        found = shapes()[0] == 64
        return types.boolean(), lambda context, builder, signature, arguments: cgutils.bool_t(found)

    typing: Any = registry.cpu_target.typing_context
    typing.refresh()
    functions = {"wide_vectors": wide_vectors, "times_power": times_power, "has_times_power": has_times_power}
    return {name: typing.resolve_value_type(function) for name, function in functions.items()}


class ForLoops:
    """What compiled code calls by the name of a function, which is called instead in plain Python."""

    def __init__(self, function: Callable[..., Any]):
        self.function = function
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any) -> Any:
        return self.function(*args)

    @property
    def _numba_type_(self) -> Any:
        return _numba_types()[self.function.__name__]


@ForLoops
def wide_vectors() -> None:
    """Nothing, in plain Python."""


@ForLoops
def times_power(x: float, n: int) -> float:
    """x * 2^n."""
    return math.ldexp(x, n)


@ForLoops
def has_times_power() -> bool:
    """Whether the processor multiplies vectors by powers of two."""
    return False
