"""`wide_vectors()` in a compiled function: its loops shall use the widest vectors the processor has.

For Intel's processors with AVX-512 LLVM takes vectors of half that width by itself, since older ones slowed down under
wide ones. Loops that compute much on each number, as an exponential does, lose almost half of their speed by that.
Where there are no wider vectors the call means nothing; in plain Python neither.
"""

from __future__ import annotations

import functools
from typing import Any


@functools.cache
def _numba_type() -> Any:
    from numba.core import registry, types
    from numba.extending import intrinsic

    @intrinsic
    def wide_vectors(context: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            # An attribute of LLVM's that llvmlite has no name for, so past its check of names.
            set.add(builder.function.attributes, '"prefer-vector-width"="512"')
            return context.get_dummy_value()

        return types.none(), code

    typing: Any = registry.cpu_target.typing_context
    typing.refresh()
    return typing.resolve_value_type(wide_vectors)


class WideVectors:
    """What compiled code calls by the name `wide_vectors`."""

    def __call__(self) -> None:
        """Nothing, in plain Python."""

    @property
    def _numba_type_(self) -> Any:
        return _numba_type()


wide_vectors = WideVectors()
