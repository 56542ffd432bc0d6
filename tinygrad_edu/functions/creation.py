"""Making tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.engine.mode import current, literal, unrecordable
from tinygrad_edu.engine.storage import storage_of
from tinygrad_edu.engine.value import Cell, Leaf, Value, make, notes
from tinygrad_edu.engine.where import outside
from tinygrad_edu.functions.promotion import get_default_dtype, require_tensor
from tinygrad_edu.functions.shapes import sizes


def check_device(device: Any) -> None:
    """There is one device: the CPU."""
    if device is not None and str(device).split(":")[0] != "cpu":
        raise RuntimeError(f"there is no device {str(device)!r} here: tinygrad_edu computes on the CPU, use 'cpu'")


def extents(size: tuple[Any, ...]) -> tuple[int, ...]:
    """The shape of a new tensor: `zeros(2, 3)` and `zeros((2, 3))` are the same."""
    shape = sizes(size)
    if min(shape, default=0) < 0:
        raise RuntimeError(f"a size must not be negative: {list(shape)}")
    return shape


def finish(array: np.ndarray, requires_grad: bool = False, device: Any = None) -> Any:
    """A tensor around a fresh array, remembering the user's line (and with it its name)."""
    check_device(device)
    value = make(array)
    recorder = current.get().recorder
    if recorder is not None:
        recorder.made(array)
    notes(value).made = outside(2)
    if requires_grad:
        require_grad(value)
    return value


def require_grad(value: Any) -> None:
    """Make a constant a leaf that wants a gradient."""
    if value._array.dtype.kind != "f":
        raise RuntimeError(
            f"only tensors of floating point dtype can require gradients, this one is {value._array.dtype}: "
            "use .float()"
        )
    noted = notes(value)
    noted.cell = noted.cell or Cell()
    value._edge = Leaf(value._array, noted.cell, noted.made)


def plain(data: Any) -> Any:
    """Nested lists that may hold tensors -> what NumPy can take."""
    if isinstance(data, Value):
        unrecordable("a new tensor made of a tensor's numbers", "use clone(), stack() or cat()")
        return data._array
    if isinstance(data, (list, tuple)) and any(isinstance(d, (Value, list, tuple)) for d in data):
        return [plain(d) for d in data]
    return data


def as_array(data: Any, dtype: Any = None) -> np.ndarray:
    """The array of some data: floats take the default dtype, arrays keep theirs."""
    typed = isinstance(data, (np.ndarray, np.generic, Value))
    try:
        array = np.asarray(plain(data))
    except ValueError as error:
        raise ValueError(f"tensor: the nested lists do not all have the same length: {error}") from error
    if dtype is not None:
        return array.astype(np.dtype(dtype), copy=False)
    if array.dtype.kind not in "fiub":
        kind = RuntimeError if array.dtype.kind == "O" else ValueError if array.ndim else TypeError
        raise kind(f"can't make a tensor of dtype {array.dtype}: floats, integers and booleans are supported")
    if not typed and array.dtype.kind == "f":
        return array.astype(get_default_dtype(), copy=False)
    if not array.dtype.isnative:
        return array.astype(array.dtype.newbyteorder("="))
    return array


def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """A tensor with a copy of the data.

    >>> import tinygrad_edu as tg
    >>> tg.tensor([[1.0, 2.0], [3.0, 4.0]])
    tensor([[1., 2.],
            [3., 4.]])
    """
    return finish(np.array(as_array(data, dtype), order="C"), requires_grad, device)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Any:
    """A tensor that shares the memory of the data where it can."""
    if isinstance(data, Value):
        check_device(device)
        return data if dtype is None else data.to(dtype)  # type: ignore[attr-defined]
    return finish(shown(as_array(data, dtype)), device=device)


def shown(array: np.ndarray) -> np.ndarray:
    """The array, after noting that the user sees its memory too, in the order it has."""
    if not array.flags.c_contiguous:
        storage_of(array).shown = True
    return array


def from_numpy(ndarray: np.ndarray) -> Any:
    """A tensor that shares the memory of an array."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    return finish(shown(as_array(ndarray)))


def full(size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """A tensor of one value."""
    if dtype is None:
        dtype = as_array(fill_value).dtype
    array = np.full(extents((size,)), plain(fill_value), dtype)
    return finish(literal(array, fill_value), requires_grad, device)


def zeros(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """A tensor of zeros."""
    return finish(literal(np.zeros(extents(size), dtype or get_default_dtype()), 0.0), requires_grad, device)


def ones(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """A tensor of ones."""
    return finish(literal(np.ones(extents(size), dtype or get_default_dtype()), 1.0), requires_grad, device)


def empty(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """A tensor whose entries are to be filled (zeros, so that no run depends on what was in memory)."""
    return finish(literal(np.zeros(extents(size), dtype or get_default_dtype()), 0.0), requires_grad, device)


def zeros_like(input: Any, *, dtype: Any = None, requires_grad: bool = False) -> Any:
    """Zeros in the shape and dtype of another tensor."""
    require_tensor("zeros_like", input)
    return finish(literal(np.zeros(input._array.shape, dtype or input._array.dtype), 0.0), requires_grad)


def ones_like(input: Any, *, dtype: Any = None, requires_grad: bool = False) -> Any:
    """Ones in the shape and dtype of another tensor."""
    require_tensor("ones_like", input)
    return finish(literal(np.ones(input._array.shape, dtype or input._array.dtype), 1.0), requires_grad)


def full_like(input: Any, fill_value: Any, *, dtype: Any = None, requires_grad: bool = False) -> Any:
    """One value in the shape and dtype of another tensor."""
    require_tensor("full_like", input)
    array = np.full(input._array.shape, plain(fill_value), dtype or input._array.dtype)
    return finish(literal(array, fill_value), requires_grad)


def empty_like(input: Any, *, dtype: Any = None, requires_grad: bool = False) -> Any:
    """Zeros in the shape and dtype of another tensor, to be filled."""
    return zeros_like(input, dtype=dtype, requires_grad=requires_grad)


def arange(start: Any, end: Any = None, step: Any = 1, *, dtype: Any = None, requires_grad: bool = False) -> Any:
    """start, start + step, ... up to but without end."""
    if end is None:
        start, end = 0, start
    if step == 0 or (end - start) / step < 0:
        raise RuntimeError(f"arange: step {step} does not lead from {start} to {end}")
    if dtype is None:
        dtype = get_default_dtype() if any(isinstance(v, float) for v in (start, end, step)) else np.int64
    count = int(np.ceil((end - start) / step))
    return finish((start + step * np.arange(count)).astype(dtype), requires_grad)


def linspace(start: float, end: float, steps: int, *, dtype: Any = None, requires_grad: bool = False) -> Any:
    """`steps` evenly spaced values, both ends included."""
    return finish(np.linspace(start, end, steps).astype(dtype or get_default_dtype()), requires_grad)


def eye(n: int, m: int | None = None, *, dtype: Any = None, requires_grad: bool = False) -> Any:
    """The identity matrix (n, m)."""
    return finish(np.eye(n, m, dtype=dtype or get_default_dtype()), requires_grad)


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Any, ...]:
    """Coordinate grids of vectors."""
    unrecordable("meshgrid", "use reshape() and expand()")
    arrays = np.meshgrid(*(t._array for t in tensors), indexing=indexing)  # type: ignore[call-overload]
    return tuple(finish(np.ascontiguousarray(a)) for a in arrays)
