"""Shape functions of tensors, spelled like PyTorch.  Where NumPy gives a view, so does the tensor."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.engine.layout import relay
from tinygrad_edu.engine.storage import owner, storage_of
from tinygrad_edu.engine.value import Value, notes
from tinygrad_edu.functions.promotion import promoted, require_tensor, result_type, to_dtype

Shape = Sequence[int]


def sizes(args: tuple[Any, ...]) -> tuple[int, ...]:
    """`f(2, 3)` and `f((2, 3))` are the same; sizes are integers."""
    if len(args) == 1 and isinstance(args[0], (tuple, list)):
        args = tuple(args[0])
    try:
        return tuple(map(index, args))
    except TypeError:
        raise TypeError(f"sizes must be integers, got {', '.join(map(repr, args))}") from None


def wrap_dim(name: str, dim: int, ndim: int) -> int:
    """A dimension counted from the front; IndexError when there is no such dimension."""
    count = max(ndim, 1)
    if isinstance(dim, str):
        raise TypeError(f"{name}: dim must be an int (or several), not the str {dim!r}: dimensions have no names")
    if not -count <= dim < count:
        raise IndexError(
            f"{name}: dimension out of range (expected to be in range of [{-count}, {count - 1}], but got {dim})"
        )
    return dim % count


def shares(result: Any, base: Any) -> Any:
    """Note a result that sees the memory of `base`: recorded writes to either know of the other.

    A view of a named constant keeps its name.
    """
    if result is not base and owner(result._array) is owner(base._array):
        storage = storage_of(base._array)
        storage.add_view(base)
        storage.add_view(result)
        if result._edge is None and base._made is not None:
            notes(result).made = base._made
    return result


def reshape(input: Any, *shape: Any) -> Any:
    """The same entries in another shape; one size may be -1."""
    require_tensor("reshape", input)
    wanted = sizes(shape)
    count = input._array.size
    if wanted.count(-1) == 1:
        rest = int(np.prod([n for n in wanted if n != -1], dtype=np.int64))
        if rest == 0 or count % rest:
            raise RuntimeError(
                f"shape {list(wanted)} is invalid for input of size {count} (shape {input._array.shape})"
            )
        wanted = tuple(count // rest if n == -1 else n for n in wanted)
    if int(np.prod(wanted, dtype=np.int64)) != count or min(wanted, default=0) < 0:
        raise RuntimeError(f"shape {list(wanted)} is invalid for input of size {count} (shape {input._array.shape})")
    return shares(ops.reshape(relay(input), shape=wanted), input)


def view(input: Any, *shape: Any) -> Any:
    """The same memory in another shape; `view(dtype)` is not offered."""
    result = reshape(input, *shape)
    if input._array.size and not np.may_share_memory(result._array, input._array):
        raise RuntimeError(
            f"view size is not compatible with input tensor's size and stride (shape {input._array.shape}, strides "
            f"{input._array.strides}): use reshape(...), or contiguous() first"
        )
    return result


def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """Join the axes from `start_dim` to `end_dim` into one: (N, C, H, W) -> (N, C*H*W) with start_dim=1."""
    require_tensor("flatten", input)
    shape = input._array.shape
    if not shape:
        return reshape(input, 1)
    start, end = wrap_dim("flatten", start_dim, len(shape)), wrap_dim("flatten", end_dim, len(shape))
    if start > end:
        raise RuntimeError(f"flatten: start_dim ({start_dim}) must not come after end_dim ({end_dim})")
    joined = int(np.prod(shape[start : end + 1], dtype=np.int64))
    return reshape(input, (*shape[:start], joined, *shape[end + 1 :]))


def squeeze(input: Any, dim: int | Sequence[int] | None = None) -> Any:
    """Leave out axes of size 1 (only `dim`, when given)."""
    require_tensor("squeeze", input)
    shape = input._array.shape
    dims = range(len(shape)) if dim is None else [dim] if isinstance(dim, int) else dim
    drop = {wrap_dim("squeeze", d, len(shape)) for d in dims}
    return reshape(input, tuple(n for i, n in enumerate(shape) if i not in drop or n != 1))


def unsqueeze(input: Any, dim: int) -> Any:
    """A new axis of size 1 at `dim`."""
    require_tensor("unsqueeze", input)
    shape = input._array.shape
    at = wrap_dim("unsqueeze", dim, len(shape) + 1)
    return reshape(input, (*shape[:at], 1, *shape[at:]))


def permute(input: Any, *dims: Any) -> Any:
    """Axis i of the result is axis dims[i] of the input."""
    require_tensor("permute", input)
    ndim = input._array.ndim
    order = tuple(wrap_dim("permute", d, ndim) for d in sizes(dims))
    if sorted(order) != list(range(ndim)):
        raise RuntimeError(f"permute: dims {list(order)} must name each of the {ndim} dimensions of the input once")
    return shares(ops.permute(relay(input), dims=order), input)


def transpose(input: Any, dim0: int, dim1: int) -> Any:
    """Swap two axes."""
    require_tensor("transpose", input)
    ndim = input._array.ndim
    if ndim == 0:
        return input
    order = list(range(ndim))
    a, b = wrap_dim("transpose", dim0, ndim), wrap_dim("transpose", dim1, ndim)
    order[a], order[b] = order[b], order[a]
    return permute(input, order)


def t(input: Any) -> Any:
    """The transpose of a matrix; vectors and scalars as they are."""
    require_tensor("t", input)
    if input._array.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input._array.ndim}D: use mT")
    return transpose(input, 0, 1) if input._array.ndim == 2 else input


def mT(input: Any) -> Any:
    """Swap the last two axes."""
    if input._array.ndim < 2:
        raise RuntimeError(f"mT needs at least 2 dimensions, this tensor has shape {input._array.shape}")
    return shares(ops.mT(relay(input)), input)


def movedim(input: Any, source: int, destination: int) -> Any:
    """Move one axis to another place."""
    require_tensor("movedim", input)
    ndim = input._array.ndim
    order = [i for i in range(ndim) if i != wrap_dim("movedim", source, ndim)]
    order.insert(wrap_dim("movedim", destination, ndim), wrap_dim("movedim", source, ndim))
    return permute(input, order)


def expand(input: Any, *shape: Any) -> Any:
    """Repeat along axes of size 1 without copying; -1 keeps a size."""
    require_tensor("expand", input)
    wanted, have = sizes(shape), input._array.shape
    lead = len(wanted) - len(have)
    full = tuple(have[i - lead] if n == -1 and i >= lead else n for i, n in enumerate(wanted))
    if lead < 0 or any(full[i + lead] != n and n != 1 for i, n in enumerate(have)):
        raise RuntimeError(
            f"expand: the expanded size {list(wanted)} must match the existing size {list(have)} at non-singleton "
            "dimensions"
        )
    return shares(ops.expand(relay(input), shape=full), input)


def expand_as(input: Any, other: Any) -> Any:
    """Expand to the shape of another tensor."""
    return expand(input, *other._array.shape)


def broadcast_to(input: Any, shape: Shape) -> Any:
    """Expand to a shape."""
    return expand(input, *shape)


def cat(tensors: Sequence[Any], dim: int = 0) -> Any:
    """Join tensors along an existing axis."""
    tensors = list(tensors)
    if not tensors:
        raise ValueError("cat: expected a non-empty list of tensors")
    for tensor in tensors:
        require_tensor("cat", tensor, "tensors")
    at = wrap_dim("cat", dim, tensors[0]._array.ndim)
    dtype = result_type(*tensors)
    return ops.cat(*(to_dtype(x, dtype) for x in tensors), dim=at)


concat = concatenate = cat


def stack(tensors: Sequence[Any], dim: int = 0) -> Any:
    """Join tensors of one shape along a new axis."""
    tensors = list(tensors)
    if not tensors:
        raise RuntimeError("stack: expected a non-empty list of tensors")
    shapes = {x._array.shape for x in tensors if isinstance(x, Value)}
    if len(shapes) > 1:
        raise RuntimeError(f"stack expects each tensor to be equal size, but got {sorted(shapes)}")
    return cat([unsqueeze(x, dim) for x in tensors], dim)


def split(tensor: Any, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Any, ...]:
    """Cut an axis into pieces of one size (the last may be smaller), or of given sizes."""
    require_tensor("split", tensor, "tensor")
    if tensor._array.ndim == 0:
        raise RuntimeError("split: a 0-d tensor has no dimension to cut")
    at = wrap_dim("split", dim, tensor._array.ndim)
    n = tensor._array.shape[at]
    if isinstance(split_size_or_sections, int):
        step = split_size_or_sections
        if step <= 0:
            raise RuntimeError(f"split expects split_size to be positive, but got {step}")
        pieces = tuple(min(step, n - i) for i in range(0, n, step)) or (0,)
    else:
        pieces = tuple(split_size_or_sections)
        if sum(pieces) != n:
            raise RuntimeError(f"split sizes {list(pieces)} must sum to {n}, the size of dimension {dim}")
    return tuple(shares(part, tensor) for part in ops.split(relay(tensor), sizes=pieces, dim=at))


def chunk(input: Any, chunks: int, dim: int = 0) -> tuple[Any, ...]:
    """Cut an axis into (at most) `chunks` pieces."""
    require_tensor("chunk", input)
    if chunks <= 0 or input._array.ndim == 0:
        raise RuntimeError(f"chunk: cannot cut shape {input._array.shape} into {chunks} pieces")
    n = input._array.shape[wrap_dim("chunk", dim, input._array.ndim)]
    return split(input, max(1, -(-n // chunks)), dim)


def unbind(input: Any, dim: int = 0) -> tuple[Any, ...]:
    """All slices along an axis."""
    require_tensor("unbind", input)
    if input._array.ndim == 0:
        raise IndexError("unbind: a 0-d tensor has no dimension to iterate over")
    at = wrap_dim("unbind", dim, input._array.ndim)
    if input._array.shape[at] == 0:
        return ()
    return tuple(shares(part, input) for part in ops.unbind(relay(input), dim=at))


def flip(input: Any, dims: int | Sequence[int], *more: int) -> Any:
    """Reverse the order along the given axes: `flip(x, (0, 1))`, `x.flip(0, 1)`."""
    require_tensor("flip", input)
    ndim = input._array.ndim
    drop = [wrap_dim("flip", d, ndim) for d in sizes((dims, *more))]
    if len(set(drop)) < len(drop):
        raise RuntimeError(f"flip: a dim appears multiple times in the list of dims {drop}")
    template = tuple(ops.Cut(None, None, -1 if i in drop else None) for i in range(ndim))
    return ops.index(input, template=template)


def narrow(input: Any, dim: int, start: int, length: int) -> Any:
    """`length` entries of the axis `dim`, from `start` on."""
    require_tensor("narrow", input)
    at = wrap_dim("narrow", dim, input._array.ndim)
    n = input._array.shape[at]
    start = start + n if start < 0 else start
    if length < 0 or not 0 <= start <= start + length <= n:
        raise RuntimeError(f"narrow: start ({start}) + length ({length}) exceeds dimension size ({n})")
    return shares(ops.narrow(relay(input), dim=at, start=start, length=length), input)


def tril(input: Any, diagonal: int = 0) -> Any:
    """The lower triangle of each matrix, zeros above."""
    return _triangle("tril", input, lambda i, j: j - i <= diagonal)


def triu(input: Any, diagonal: int = 0) -> Any:
    """The upper triangle of each matrix, zeros below."""
    return _triangle("triu", input, lambda i, j: j - i >= diagonal)


def _triangle(name: str, input: Any, inside: Any) -> Any:
    require_tensor(name, input)
    if input._array.ndim < 2:
        raise RuntimeError(f"{name}: the input must have at least 2 dimensions, not shape {input._array.shape}")
    rows, columns = input._array.shape[-2:]
    keep = inside(np.arange(rows)[:, None], np.arange(columns))
    return ops.where(keep, *promoted(name, input, 0))
