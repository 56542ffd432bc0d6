"""Indexing of tensors: `x[...]`, `x[...] = v`, gather and its relatives."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.engine.inplace import assign
from tinygrad_edu.engine.layout import relay
from tinygrad_edu.engine.mode import current, literal, unrecordable
from tinygrad_edu.engine.node import producer
from tinygrad_edu.engine.storage import wrote
from tinygrad_edu.engine.value import Value, array_of, make
from tinygrad_edu.engine.where import outside
from tinygrad_edu.functions.promotion import require_tensor, to_dtype
from tinygrad_edu.functions.shapes import expand, shares, wrap_dim


def take(array: Any) -> Any:
    """A constant tensor around an array."""
    return make(np.asarray(array))


def template_of(index: Any) -> tuple[tuple[Any, ...], list[Any]]:
    """Split an index into its static template and the arrays that fill its holes."""
    template: list[Any] = []
    arrays: list[Any] = []
    for item in index if isinstance(index, tuple) else (index,):
        if item is None or item is Ellipsis:
            template.append(item)
        elif isinstance(item, slice):
            template.append(_cut(item))
        elif isinstance(item, (bool, np.bool_)):
            template.append(ops.HOLE)
            arrays.append(np.asarray(item))
        elif isinstance(item, (int, np.integer)):
            template.append(int(item))
        elif isinstance(item, Value) and item._array.ndim == 0 and item._array.dtype.kind in "iu":
            template.append(ops.HOLE)
            arrays.append(item)
        else:
            template.append(ops.HOLE)
            arrays.append(_index_array(item))
    return tuple(template), arrays


def _cut(item: slice) -> Any:
    """A slice as the template keeps it; like PyTorch, only forwards."""
    if item.step is not None and item.step <= 0:
        raise ValueError(f"the step of a slice must be greater than zero, not {item.step}: use flip() to reverse")
    return ops.Cut(*(None if part is None else int(part) for part in (item.start, item.stop, item.step)))


def _index_array(item: Any) -> Any:
    """An index tensor or array, checked."""
    array = item._array if isinstance(item, Value) else np.asarray(item)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"a tensor cannot be indexed with {item!r} of type {type(item).__name__}")
    if array.dtype.kind not in "biu" and not (array.size == 0 and not isinstance(item, Value)):
        raise IndexError(
            f"tensors used as indices must be integer or boolean, got {array.dtype} of shape {array.shape}: "
            "use .long() or a comparison"
        )
    return item if isinstance(item, Value) else array.astype(np.int64) if array.size == 0 else array


def getitem(input: Any, index: Any) -> Any:
    """x[index]: a view for integers and slices, a copy for index tensors and masks."""
    template, arrays = template_of(index)
    try:
        result = ops.index(input if arrays else relay(input), *arrays, template=template)
    except IndexError as error:
        shape = input._array.shape
        raise IndexError(f"cannot read x[{_shown(index)}] of a tensor of shape {shape}: {error.__cause__}") from error
    return result if arrays else shares(result, input)


def _shown(index: Any) -> str:
    """An index as it is typed, index arrays by their shape."""
    if isinstance(index, tuple):
        return ", ".join(map(_shown, index))
    if isinstance(index, slice):
        parts = [index.start, index.stop] + ([index.step] if index.step is not None else [])
        return ":".join("" if part is None else str(part) for part in parts)
    if index is Ellipsis:
        return "..."
    shape = getattr(index, "shape", None)
    return repr(index) if not shape else f"<{index.dtype} {tuple(shape)}>"


def setitem(input: Any, index: Any, value: Any) -> None:
    """x[index] = value, as an operation of the graph: the gradient of the overwritten entries goes to value."""
    template, arrays = template_of(index)
    if not isinstance(value, Value):
        value = np.asarray(value, dtype=input._array.dtype) if not isinstance(value, np.ndarray) else value
    if value.ndim and value.shape == (1,) * value.ndim:
        value = value.reshape(())
    mode = current.get()
    recorded = mode.recorder is not None or (
        mode.grad and (input._edge is not None or (isinstance(value, Value) and value._edge is not None))
    )
    if recorded:
        if not isinstance(value, Value):
            value = make(literal(value, value.item()) if value.ndim == 0 else value)
        source = to_dtype(value, input._array.dtype)
        assign(input, ops.index_put(input, source, *arrays, template=template), op="index assignment")
        return
    try:
        view, where = ops.placed(input._array, template, tuple(map(array_of, arrays)))
        view[where] = value._array if isinstance(value, Value) else value
    except ValueError as error:
        raise RuntimeError(f"index assignment into shape {input._array.shape}: {error}") from error
    wrote(input._array, outside(2))


def covering(input: Any, value: Any) -> Any:
    """A constant that is about to overwrite a computed tensor, as its new version: still in the graph, gradient 0."""
    if value._edge is not None or producer(input._edge) is None:
        return value
    return ops.index_put(input, value, template=(...,))


def _grid(shape: tuple[int, ...], dim: int, index: Any) -> tuple[tuple[Any, ...], list[Any]]:
    """The template and arrays that read x[i0, ..., index, ..., in] at every position of `index`."""
    count = len(shape)
    arrays: list[Any] = []
    for axis, n in enumerate(index._array.shape):
        if axis == dim:
            arrays.append(index)
        else:
            arrays.append(np.arange(n).reshape(tuple(n if i == axis else 1 for i in range(count))))
    return (ops.HOLE,) * count, arrays


def _along(name: str, input: Any, dim: int, index: Any) -> int:
    require_tensor(name, input)
    require_tensor(name, index, "index")
    if index._array.dtype.kind not in "iu":
        raise RuntimeError(f"{name}(): expected dtype int64 for index, got {index._array.dtype}")
    at = wrap_dim(name, dim, input._array.ndim)
    have, want = input._array.shape, index._array.shape
    if len(have) != len(want) or any(w > h for i, (h, w) in enumerate(zip(have, want, strict=True)) if i != at):
        raise RuntimeError(
            f"{name}(): size does not match at a dimension other than {at}: expected index {list(want)} to be no "
            f"larger than the tensor {list(have)}"
        )
    bound = have[at] if have else 1
    if index._array.size and not (index._array.min() >= 0 and index._array.max() < bound):
        raise RuntimeError(f"{name}(): an index is out of bounds for dimension {at} with size {bound}")
    return at


def gather(input: Any, dim: int, index: Any) -> Any:
    """result[i][j] = input[index[i][j]][j] for dim 0: entries picked along one axis."""
    at = _along("gather", input, dim, index)
    if input._array.ndim == 0:
        return ops.copy(input)
    template, arrays = _grid(input._array.shape, at, index)
    return ops.index(input, *arrays, template=template)


def scatter_add(input: Any, dim: int, index: Any, src: Any) -> Any:
    """input with src added at the entries `gather` would read; repeated indices add up.  Both must have one dtype."""
    require_tensor("scatter_add", src, "src")
    at = _along("scatter_add", input, dim, index)
    if src._array.dtype != input._array.dtype:
        raise RuntimeError(
            f"scatter_add(): input and src must have the same dtype, but they are {input._array.dtype} and "
            f"{src._array.dtype}: use src.to(input.dtype)"
        )
    template, arrays = _grid(input._array.shape, at, index)
    part = src
    if src._array.shape != index._array.shape:
        part = ops.index(src, template=tuple(ops.Cut(0, n, None) for n in index._array.shape))
    return input + ops.index_add(part, *arrays, template=template, shape=input._array.shape)


def index_select(input: Any, dim: int, index: Any) -> Any:
    """The slices of an axis at the given positions."""
    require_tensor("index_select", input)
    require_tensor("index_select", index, "index")
    at = wrap_dim("index_select", dim, input._array.ndim)
    array = index._array
    if array.dtype.kind not in "iu":
        raise RuntimeError(f"index_select(): expected an integer dtype for index, got {array.dtype}")
    if array.ndim > 1:
        raise IndexError(f"index_select(): the index must be a vector, it has shape {array.shape}")
    if array.size and not (array.min() >= 0 and array.max() < input._array.shape[at]):
        raise IndexError(f"index_select(): an index is out of range for dimension {at} of {input._array.shape}")
    return ops.index(input, index, template=(*(ops.Cut(None, None, None),) * at, ops.HOLE))


def masked_fill(input: Any, mask: Any, value: Any) -> Any:
    """input with `value`, a number or a 0-d tensor, where the mask holds; the dtype stays that of the input."""
    from tinygrad_edu.functions.arithmetic import where

    require_tensor("masked_fill", input)
    if isinstance(value, Value) and value._array.ndim:
        raise RuntimeError(f"masked_fill: the value must be a number or 0-d, it has shape {value._array.shape}")
    return to_dtype(where(mask, value, input), input._array.dtype)


def masked_select(input: Any, mask: Any) -> Any:
    """The entries where the mask holds, as a vector; input and mask broadcast."""
    require_tensor("masked_select", input)
    require_tensor("masked_select", mask, "mask")
    if mask._array.dtype.kind != "b":
        raise RuntimeError(f"masked_select: the mask must be boolean, not {mask._array.dtype}")
    shape = np.broadcast_shapes(input._array.shape, mask._array.shape)
    return getitem(expand(input, shape), expand(mask, shape))


def nonzero(input: Any) -> Any:
    """The indices of all entries that are not zero: (count, ndim)."""
    require_tensor("nonzero", input)
    unrecordable("nonzero", "the size of its result depends on the data; use where() or a mask")
    return take(np.argwhere(input._array))


def one_hot(tensor: Any, num_classes: int = -1) -> Any:
    """Integers -> rows of zeros with a 1: (*) -> (*, num_classes), int64."""
    require_tensor("one_hot", tensor, "tensor")
    array = tensor._array
    if array.dtype.kind not in "iu":
        raise RuntimeError(f"one_hot is only applicable to integer tensors, got {array.dtype}")
    if num_classes < 0:
        unrecordable("one_hot without num_classes", "pass num_classes")
    if num_classes < 0 and not array.size:
        raise RuntimeError("one_hot: no number of classes can be told from an empty tensor: pass num_classes")
    largest = int(array.max()) if array.size else -1
    count = largest + 1 if num_classes < 0 else num_classes
    if array.size and (int(array.min()) < 0 or largest >= count):
        raise RuntimeError(f"one_hot: class values must lie in [0, {count}), got {int(array.min())}..{largest}")
    return ops.one_hot(tensor, classes=count, dtype=np.dtype(np.int64))
