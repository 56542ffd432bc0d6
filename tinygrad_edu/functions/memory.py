"""The memory side of Tensor: shape, dtype, conversions to NumPy and Python, what makes it a container."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.engine.layout import relay
from tinygrad_edu.engine.value import Value, make
from tinygrad_edu.functions import creation, printing, shapes
from tinygrad_edu.functions.promotion import to_dtype


class Size(tuple[int, ...]):
    """A shape."""

    def numel(self) -> int:
        """The number of entries."""
        return int(np.prod(self, dtype=np.int64))

    def __repr__(self) -> str:
        return f"Size({list(self)})"


class device:
    """The CPU: `device("cpu")`."""

    def __init__(self, type: Any = "cpu", index: int | None = None) -> None:
        creation.check_device(type)
        self.type = "cpu"
        self.index = index

    def __repr__(self) -> str:
        return "device(type='cpu')"

    def __str__(self) -> str:
        return "cpu"

    def __eq__(self, other: object) -> bool:
        return str(other).split(":")[0] == "cpu"

    def __hash__(self) -> int:
        return hash("cpu")


class Memory(Value):
    """What a tensor is as an array: nothing here is recorded, except casts."""

    __slots__ = ()

    @property
    def shape(self) -> Size:
        """The size of each dimension."""
        return Size(self._array.shape)

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one dimension."""
        return self.shape if dim is None else self._array.shape[shapes.wrap_dim("size", dim, self.ndim)]

    @property
    def dtype(self) -> np.dtype:
        """The NumPy dtype."""
        return self._array.dtype

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self._array.ndim

    def dim(self) -> int:
        """The number of dimensions."""
        return self._array.ndim

    def numel(self) -> int:
        """The number of entries."""
        return self._array.size

    nelement = numel

    def element_size(self) -> int:
        """Bytes per entry."""
        return self._array.itemsize

    @property
    def device(self) -> device:
        """Always the CPU."""
        return device("cpu")

    @property
    def is_cuda(self) -> bool:
        """Never."""
        return False

    def stride(self) -> tuple[int, ...]:
        """Entries to step over for the next one, in each dimension."""
        array = relay(self)._array
        return tuple(s // array.itemsize for s in array.strides)

    def is_contiguous(self) -> bool:
        """Whether the entries lie in row-major order without gaps."""
        return relay(self)._array.flags.c_contiguous

    def contiguous(self) -> Any:
        """This tensor, or a row-major copy of it."""
        return self if self.is_contiguous() else ops.copy(self)

    def is_floating_point(self) -> bool:
        """Whether the dtype is a floating one."""
        return self._array.dtype.kind == "f"

    def item(self) -> Any:
        """The one entry, as a Python number."""
        if self._array.size != 1:
            raise RuntimeError(
                f"a Tensor with {self._array.size} elements (shape {self._array.shape}) cannot be converted to Scalar"
            )
        return self._array.item()

    def tolist(self) -> Any:
        """Nested lists of Python numbers."""
        return self._array.tolist()

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The array itself (shared memory); a tensor that requires grad must be detached first."""
        if self._edge is not None and not force:
            raise RuntimeError(
                "can't call numpy() on Tensor that requires grad: use tensor.detach().numpy() "
                "(autograd does not see changes made through it)"
            )
        return relay(self)._array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self._edge is not None:
            raise RuntimeError(
                "NumPy cannot take a tensor that requires grad without losing its gradient: use the function of that "
                "name here (tg.sin(x), not np.sin(x)), or x.detach() where no gradient is wanted"
            )
        array = self.numpy()
        if dtype is None or array.dtype == dtype:
            return array.copy() if copy else array
        if copy is False:
            raise ValueError(f"a copy is needed to make {dtype} of {array.dtype}")
        return array.astype(dtype)

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        return make(np.asarray(array))

    def __dlpack__(self, **options: Any) -> Any:
        return self.numpy().__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._array.__dlpack_device__()

    def to(self, *args: Any, **kwargs: Any) -> Any:
        """To a dtype, to the dtype of another tensor, or to a device (the CPU)."""
        result = self
        for value in (*args, *(kwargs[k] for k in ("device", "dtype", "other") if k in kwargs)):
            if isinstance(value, Value):
                result = to_dtype(result, value.dtype)
            elif isinstance(value, (str, device)) and not _is_dtype(value):
                creation.check_device(value)
            elif value is not None and not isinstance(value, bool):
                result = to_dtype(result, value)
        return result.clone() if kwargs.get("copy") and result is self else result

    def type(self, dtype: Any = None) -> Any:
        """The dtype's name, or the tensor in another dtype."""
        return str(self.dtype) if dtype is None else self.to(dtype)

    def cpu(self) -> Any:
        """This tensor: it is on the CPU."""
        return self

    def cuda(self, *args: Any) -> Any:
        """There is no GPU here: raises."""
        raise RuntimeError(
            "there is no CUDA device here: tinygrad_edu computes on the CPU (cuda.is_available() is False)"
        )

    def float(self) -> Any:
        """In float32."""
        return to_dtype(self, np.float32)

    def double(self) -> Any:
        """In float64."""
        return to_dtype(self, np.float64)

    def long(self) -> Any:
        """In int64."""
        return to_dtype(self, np.int64)

    def int(self) -> Any:
        """In int32."""
        return to_dtype(self, np.int32)

    def bool(self) -> Any:
        """Whether each entry is nonzero."""
        return to_dtype(self, np.bool_)

    def type_as(self, other: Any) -> Any:
        """In the dtype of another tensor."""
        return to_dtype(self, other.dtype)

    def new_zeros(self, *size: Any, dtype: Any = None) -> Any:
        """Zeros in this dtype."""
        return creation.zeros(*size, dtype=dtype or self.dtype)

    def new_ones(self, *size: Any, dtype: Any = None) -> Any:
        """Ones in this dtype."""
        return creation.ones(*size, dtype=dtype or self.dtype)

    def new_full(self, size: Any, fill_value: Any, dtype: Any = None) -> Any:
        """One value in this dtype."""
        return creation.full(size, fill_value, dtype=dtype or self.dtype)

    def new_tensor(self, data: Any, dtype: Any = None) -> Any:
        """New data in this dtype."""
        return creation.tensor(data, dtype=dtype or self.dtype)

    def __len__(self) -> int:
        if self._array.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return len(self._array)

    def __iter__(self) -> Iterator[Any]:
        if self._array.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return iter(shapes.unbind(self, 0))

    def __bool__(self) -> bool:
        if self._array.size != 1:
            raise RuntimeError(
                f"Boolean value of Tensor with {'no' if self._array.size == 0 else 'more than one'} values (shape "
                f"{self._array.shape}) is ambiguous: use .any() or .all()"
            )
        return bool(self._array.item())

    def _only(self) -> Any:
        if self._array.size != 1:
            raise ValueError(
                f"only a tensor with one element can become a Python number, not shape {self._array.shape}"
            )
        return self.item()

    def __int__(self) -> int:
        return int(self._only())

    def __float__(self) -> float:
        return float(self._only())

    def __index__(self) -> int:
        if self._array.dtype.kind not in "iub" or self._array.size != 1:
            raise TypeError(
                "only integer tensors of a single element can be converted to an index, not "
                f"{self._array.dtype} {self._array.shape}"
            )
        return int(self._array.item())

    def __contains__(self, item: Any) -> bool:
        return bool((self._array == (item._array if isinstance(item, Value) else item)).any())

    def __repr__(self) -> str:
        return printing.describe(self)

    def __format__(self, spec: str) -> str:
        return format(self._array.item(), spec) if self._array.ndim == 0 else object.__format__(self, spec)


def _is_dtype(value: Any) -> bool:
    try:
        np.dtype(value)
    except TypeError:
        return False
    return True
