"""`part(array, offset, shape)` for compiled code: some memory of an array in C order, seen in a shape.

A slice that is reshaped is the same thing, but is checked, and counts as another owner of the memory. Programs cut
hundreds of arrays out of a workspace that outlives the call: with slices they take twice as long to compile.
"""

from __future__ import annotations

import functools
import math
from typing import Any

from .registry import Array


@functools.cache
def _intrinsic_type() -> Any:
    """Numba's type of the code below."""
    from numba.core import cgutils, registry, types
    from numba.extending import intrinsic
    from numba.np.arrayobj import make_array, populate_array

    @intrinsic
    def part(context: Any, array: Any, offset: Any, shape: Any) -> Any:
        result = types.Array(array.dtype, len(shape), "C")

        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            whole, start, sizes = arguments
            source, found = make_array(array)(context, builder, whole), make_array(result)(context, builder)
            size = context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(array.dtype)))
            lengths, strides = cgutils.unpack_tuple(builder, sizes), [size]
            for length in reversed(lengths[1:]):
                strides.insert(0, builder.mul(strides[0], length))
            data = builder.gep(source.data, [start])
            populate_array(found, data=data, shape=lengths, strides=strides, itemsize=size, meminfo=None)
            return found._getvalue()

        return result(array, types.intp, types.UniTuple(types.intp, len(shape))), code

    typing: Any = registry.cpu_target.typing_context
    typing.refresh()
    return typing.resolve_value_type(part)


class Part:
    """A function that compiled code may call, and numba learns of when it does."""

    def __call__(self, array: Array, offset: int, shape: tuple[int, ...]) -> Array:
        """The entries from `offset` on."""
        return array.reshape(-1)[offset : offset + math.prod(shape)].reshape(shape)

    @property
    def _numba_type_(self) -> Any:
        return _intrinsic_type()


part = Part()
