"""The Tensor: spelling only.  Every method is a function from `functions`, or a few lines about the graph."""
# ruff: noqa: A002 - the names are PyTorch's

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.engine import gradients, inplace
from tinygrad_edu.engine.calls import results_are
from tinygrad_edu.engine.mode import current
from tinygrad_edu.engine.node import Node, Output, Special, producer
from tinygrad_edu.engine.storage import storage_of
from tinygrad_edu.engine.value import Cell, Leaf, Value, make, notes
from tinygrad_edu.functions import (
    arithmetic,
    creation,
    indexing,
    linear,
    printing,
    promotion,
    randomness,
    reductions,
    shapes,
)
from tinygrad_edu.functions.promotion import operator, to_dtype


def changing(function: Callable[..., Any]) -> Callable[..., Any]:
    """The in-place method of a function: compute it, then assign the result to the tensor itself."""
    name = function.__name__.removesuffix("_tensors") + "_"

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        inplace.assign(self, function(self, *args, **kwargs), op=name)
        return self

    return promotion.named(method, name, f"In place: {function.__doc__}")


def augmented(function: Callable[..., Any]) -> Callable[..., Any]:
    """The method behind `+=`: in place, or NotImplemented for what it cannot take."""

    def method(self: Any, other: Any) -> Any:
        if not isinstance(other, (Value, bool, int, float, np.number)):
            return NotImplemented
        inplace.assign(self, function(self, other), op=function.__name__.removesuffix("_tensors") + "_")
        return self

    return method


class RemovableHandle:
    """What `register_hook` returns: `remove()` takes the hook away."""

    def __init__(self, remove: Callable[[], None]) -> None:
        self.remove = remove


@results_are
class Tensor(Value):
    """An array that remembers how it was computed.

    Made by `tensor`, `zeros`, `randn` ...; computed by everything else.  With `requires_grad=True`, `backward()` on a
    result puts d(result)/d(tensor) into `.grad`.

    >>> import tinygrad_edu as tg
    >>> x = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4., 6.])
    """

    __slots__ = ()
    __array_priority__ = 1000
    __hash__ = object.__hash__

    def __init__(self, *args: Any) -> None:
        raise TypeError("make tensors with tinygrad_edu.tensor(data), zeros(...), randn(...)")

    # the graph

    @property
    def requires_grad(self) -> bool:
        """Whether a gradient will be computed for this tensor."""
        return self._edge is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Ask for a gradient of this leaf, or stop asking."""
        if producer(self._edge) is not None:
            if not requires_grad:
                raise RuntimeError("you can only change requires_grad flags of leaf tensors: use detach()")
        elif not requires_grad:
            self._edge = None
        elif self._edge is None:
            creation.require_grad(self)
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether it was made rather than computed (all constants are leaves)."""
        return producer(self._edge) is None

    @property
    def grad_fn(self) -> Node | None:
        """The node that computed this tensor."""
        return producer(self._edge)

    @property
    def grad(self) -> Any:
        """The accumulated gradient of a leaf (or of a tensor that retains it), or None."""
        if self._cell is None:
            if producer(self._edge) is not None:
                warnings.warn(
                    "the .grad of a tensor that is not a leaf is not kept: call retain_grad() on it before backward()",
                    stacklevel=2,
                )
            return None
        return self._cell.grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(f"grad must be a Tensor or None, not {type(value).__name__}")
            if value.shape != self.shape or value.dtype != self.dtype:
                raise RuntimeError(
                    f"assigned grad has shape {tuple(value.shape)} and dtype {value.dtype}, the tensor has "
                    f"{tuple(self.shape)} and {self.dtype}: they must be equal"
                )
        noted = notes(self)
        noted.cell = noted.cell or Cell()
        noted.cell.grad = value

    @property
    def retains_grad(self) -> bool:
        """Whether this computed tensor keeps its gradient."""
        return producer(self._edge) is not None and self._cell is not None

    def retain_grad(self) -> None:
        """Keep the gradient of this computed tensor in `.grad`."""
        if self._edge is None:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if not self.is_leaf and self._cell is None:
            cell = notes(self).cell = Cell()

            def keep(g: Any) -> None:
                cell.grad = g if g._edge is not None else make(np.array(g._array))

            self._tap(keep)

    def _tap(self, hook: Callable[[Any], Any]) -> RemovableHandle:
        """Let `hook` see the gradient of this tensor during the walk."""
        if isinstance(self._edge, Leaf):
            held = self._edge.cell.hooks
            key = max(held, default=-1) + 1
            held[key] = hook
            return RemovableHandle(lambda: held.pop(key, None) and None)
        edge = self._edge
        node, slot = (edge.node, edge.slot) if isinstance(edge, Output) else (edge, 0)
        entry = (slot, hook)
        node.special = node.special or Special()
        hooks = node.special.hooks
        hooks.append(entry)
        return RemovableHandle(lambda: hooks.remove(entry) if entry in hooks else None)

    def register_hook(self, hook: Callable[[Any], Any]) -> RemovableHandle:
        """Call `hook(gradient)` when this tensor's gradient is known; a tensor it returns takes its place."""
        if self._edge is None:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        return self._tap(hook)

    def backward(
        self,
        gradient: Any = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Add d(self)/d(leaf) to `.grad` of every leaf self was computed from.

        gradient -- the upstream gradient, in the shape of self; 1 for a scalar.
        create_graph -- record the backward pass, so that gradients can be differentiated again.
        inputs -- only these tensors' gradients are accumulated.
        """
        inputs = [inputs] if isinstance(inputs, Tensor) else inputs
        if inputs is not None and len(inputs) == 0:
            raise RuntimeError("backward: inputs must not be empty: leave it out to reach all leaves")
        keep = create_graph if retain_graph is None else retain_graph
        gradients.backward([self], [gradient], retain_graph=keep, create_graph=create_graph, inputs=inputs)

    def detach(self) -> Tensor:
        """The same memory, outside of the graph."""
        return make(self._array)

    def detach_(self) -> Tensor:
        """Leave the graph."""
        self._edge = None
        return self

    @property
    def data(self) -> Tensor:
        """The same memory, outside of the graph."""
        return self.detach()

    @data.setter
    def data(self, value: Tensor) -> None:
        """Replace the memory; the gradient and its cell stay."""
        promotion.require_tensor("data", value)
        self._array = value._array
        if isinstance(self._edge, Leaf):
            self._edge = Leaf(self._array, self._edge.cell, self._edge.made)

    def assign_(self, value: Any) -> Tensor:
        """Take the numbers of `value` (in place, recorded by programs)."""
        inplace.assign(self, value, op="assign_")
        return self

    def copy_(self, src: Any) -> Tensor:
        """Take the numbers of `src`, broadcast and cast."""
        source = to_dtype(src, self.dtype) if isinstance(src, Tensor) else creation.as_tensor(src, self.dtype)
        wide = source if source.shape == self.shape else shapes.expand(source, *self.shape)
        inplace.assign(self, wide, op="copy_")
        return self

    def clone(self) -> Tensor:
        """A copy, in the graph."""
        result = to_dtype(self, self.dtype) if self._edge is None else self + 0.0
        return make(np.array(self._array)) if result is self else result

    @property
    def _version(self) -> int:
        return storage_of(self._array).version

    # the memory

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
        return tuple(s // self._array.itemsize for s in self._array.strides)

    def is_contiguous(self) -> bool:
        """Whether the entries lie in row-major order without gaps."""
        return self._array.flags.c_contiguous

    def contiguous(self) -> Tensor:
        """This tensor, or a row-major copy of it."""
        return (
            self
            if self.is_contiguous()
            else self.clone()
            if self._edge
            else make(np.ascontiguousarray(self._array))
        )

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
                "can't call numpy() on Tensor that requires grad: use tensor.detach().numpy(), changes through it are not seen by autograd"
            )
        return self._array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
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

    def to(self, *args: Any, **kwargs: Any) -> Tensor:
        """To a dtype, to the dtype of another tensor, or to a device (the CPU)."""
        result = self
        for value in (*args, *(kwargs[k] for k in ("device", "dtype", "other") if k in kwargs)):
            if isinstance(value, Tensor):
                result = to_dtype(result, value.dtype)
            elif isinstance(value, (str, device)) and not _is_dtype(value):
                creation.check_device(value)
            elif value is not None and not isinstance(value, bool):
                result = to_dtype(result, value)
        return result.clone() if kwargs.get("copy") and result is self else result

    def type(self, dtype: Any = None) -> Any:
        """The dtype's name, or the tensor in another dtype."""
        return str(self.dtype) if dtype is None else self.to(dtype)

    def cpu(self) -> Tensor:
        """This tensor: it is on the CPU."""
        return self

    def cuda(self, *args: Any) -> Tensor:
        """There is no GPU here: raises."""
        raise RuntimeError(
            "there is no CUDA device here: tinygrad_edu computes on the CPU (cuda.is_available() is False)"
        )

    def float(self) -> Tensor:
        """In float32."""
        return to_dtype(self, np.float32)

    def double(self) -> Tensor:
        """In float64."""
        return to_dtype(self, np.float64)

    def long(self) -> Tensor:
        """In int64."""
        return to_dtype(self, np.int64)

    def int(self) -> Tensor:
        """In int32."""
        return to_dtype(self, np.int32)

    def bool(self) -> Tensor:
        """Whether each entry is nonzero."""
        return to_dtype(self, np.bool_)

    def type_as(self, other: Tensor) -> Tensor:
        """In the dtype of another tensor."""
        return to_dtype(self, other.dtype)

    def new_zeros(self, *size: Any, dtype: Any = None) -> Tensor:
        """Zeros in this dtype."""
        return creation.zeros(*size, dtype=dtype or self.dtype)

    def new_ones(self, *size: Any, dtype: Any = None) -> Tensor:
        """Ones in this dtype."""
        return creation.ones(*size, dtype=dtype or self.dtype)

    def new_full(self, size: Any, fill_value: Any, dtype: Any = None) -> Tensor:
        """One value in this dtype."""
        return creation.full(size, fill_value, dtype=dtype or self.dtype)

    def new_tensor(self, data: Any, dtype: Any = None) -> Tensor:
        """New data in this dtype."""
        return creation.tensor(data, dtype=dtype or self.dtype)

    def __len__(self) -> int:
        if self._array.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return len(self._array)

    def __iter__(self) -> Iterator[Tensor]:
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

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __index__(self) -> int:
        if self._array.dtype.kind not in "iub" or self._array.size != 1:
            raise TypeError(
                f"only integer tensors of a single element can be converted to an index, not {self._array.dtype} {self._array.shape}"
            )
        return int(self._array.item())

    def __contains__(self, item: Any) -> bool:
        return bool((self._array == (item._array if isinstance(item, Value) else item)).any())

    def __repr__(self) -> str:
        return printing.describe(self)

    def __format__(self, spec: str) -> str:
        return format(self._array.item(), spec) if self._array.ndim == 0 else object.__format__(self, spec)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if not self.is_leaf:
            raise RuntimeError(
                "only tensors created explicitly (graph leaves) support deepcopy: use detach() or clone()"
            )
        copied = make(np.array(self._array))
        copied.__class__ = type(self)
        memo[id(self)] = copied
        if self._edge is not None:
            creation.require_grad(copied)
        if self._cell is not None and self._cell.grad is not None:
            copied.grad = self._cell.grad.detach().clone()
        return copied

    def __reduce__(self) -> Any:
        if not self.is_leaf:
            raise RuntimeError("only graph leaves can be pickled: use detach()")
        return (_rebuilt, (type(self), np.array(self._array), self.requires_grad))

    __getitem__ = indexing.getitem
    __setitem__ = indexing.setitem

    __add__ = operator(arithmetic.add_tensors)
    __radd__ = operator(arithmetic.add_tensors, swapped=True)
    __sub__ = operator(arithmetic.sub_tensors)
    __rsub__ = operator(arithmetic.sub_tensors, swapped=True)
    __mul__ = operator(arithmetic.mul)
    __rmul__ = operator(arithmetic.mul, swapped=True)
    __truediv__ = operator(arithmetic.div_tensors)
    __rtruediv__ = operator(arithmetic.div_tensors, swapped=True)
    __floordiv__ = operator(arithmetic.floor_divide)
    __rfloordiv__ = operator(arithmetic.floor_divide, swapped=True)
    __mod__ = operator(arithmetic.remainder)
    __pow__ = operator(arithmetic.pow)
    __rpow__ = operator(arithmetic.pow, swapped=True)
    __matmul__ = operator(linear.matmul)
    __and__ = operator(arithmetic.logical_and_bits)
    __rand__ = operator(arithmetic.logical_and_bits, swapped=True)
    __or__ = operator(arithmetic.logical_or_bits)
    __ror__ = operator(arithmetic.logical_or_bits, swapped=True)
    __eq__ = operator(arithmetic.eq)
    __ne__ = operator(arithmetic.ne)
    __lt__ = operator(arithmetic.lt)
    __le__ = operator(arithmetic.le)
    __gt__ = operator(arithmetic.gt)
    __ge__ = operator(arithmetic.ge)
    __iadd__ = augmented(arithmetic.add_tensors)
    __isub__ = augmented(arithmetic.sub_tensors)
    __imul__ = augmented(arithmetic.mul)
    __itruediv__ = augmented(arithmetic.div_tensors)
    __ipow__ = augmented(arithmetic.pow)
    __neg__ = arithmetic.neg
    __abs__ = arithmetic.abs
    __invert__ = arithmetic.invert

    T = property(
        lambda self: shapes.permute(self, tuple(range(self.ndim))[::-1]), doc="All dimensions reversed."
    )
    mT = property(shapes.mT, doc="The last two dimensions swapped.")  # noqa: N815

    add, sub, mul, div, pow = arithmetic.add, arithmetic.sub, arithmetic.mul, arithmetic.div, arithmetic.pow
    multiply, divide, true_divide, subtract = arithmetic.mul, arithmetic.div, arithmetic.div, arithmetic.sub
    floor_divide, remainder, neg, abs, sign = (
        arithmetic.floor_divide, arithmetic.remainder, arithmetic.neg, arithmetic.abs, arithmetic.sign,
    )  # fmt: skip
    exp, log, log1p, expm1, sqrt, rsqrt = (
        arithmetic.exp, arithmetic.log, arithmetic.log1p, arithmetic.expm1, arithmetic.sqrt, arithmetic.rsqrt,
    )  # fmt: skip
    sin, cos, tanh, sigmoid, relu, floor = (
        arithmetic.sin, arithmetic.cos, arithmetic.tanh, arithmetic.sigmoid, arithmetic.relu, arithmetic.floor,
    )  # fmt: skip
    square, reciprocal, maximum, minimum = (
        arithmetic.square, arithmetic.reciprocal, arithmetic.maximum, arithmetic.minimum,
    )  # fmt: skip
    clamp = clip = arithmetic.clamp
    eq, ne, lt, le, gt, ge = (
        arithmetic.eq, arithmetic.ne, arithmetic.lt, arithmetic.le, arithmetic.gt, arithmetic.ge,
    )  # fmt: skip
    logical_not, logical_and, logical_or = (
        arithmetic.logical_not,
        arithmetic.logical_and,
        arithmetic.logical_or,
    )
    isnan, isinf, isfinite = arithmetic.isnan, arithmetic.isinf, arithmetic.isfinite
    allclose, equal = arithmetic.allclose, arithmetic.equal

    def where(self, condition: Any, other: Any) -> Any:
        """self where the condition holds, else other."""
        return arithmetic.where(condition, self, other)

    sum, mean, var, std, norm, prod = (
        reductions.sum, reductions.mean, reductions.var, reductions.std, reductions.norm, reductions.prod,
    )  # fmt: skip
    max, min, amax, amin, argmax, argmin = (
        reductions.max, reductions.min, reductions.amax, reductions.amin, reductions.argmax, reductions.argmin,
    )  # fmt: skip
    all, any, cumsum, logsumexp = reductions.all, reductions.any, reductions.cumsum, reductions.logsumexp
    softmax, log_softmax = reductions.softmax, reductions.log_softmax
    sort, argsort, topk = reductions.sort, reductions.argsort, reductions.topk

    reshape, view, flatten, squeeze, unsqueeze = (
        shapes.reshape, shapes.view, shapes.flatten, shapes.squeeze, shapes.unsqueeze,
    )  # fmt: skip
    permute, transpose, t, movedim = shapes.permute, shapes.transpose, shapes.t, shapes.movedim
    swapaxes = swapdims = shapes.transpose
    expand, expand_as, broadcast_to = shapes.expand, shapes.expand_as, shapes.broadcast_to
    split, chunk, unbind, flip, narrow = shapes.split, shapes.chunk, shapes.unbind, shapes.flip, shapes.narrow
    tril, triu = shapes.tril, shapes.triu

    def view_as(self, other: Tensor) -> Any:
        """A view in the shape of another tensor."""
        return shapes.view(self, other.shape)

    def reshape_as(self, other: Tensor) -> Any:
        """Reshaped like another tensor."""
        return shapes.reshape(self, other.shape)

    gather, index_select, masked_fill, masked_select, nonzero, scatter_add = (
        indexing.gather, indexing.index_select, indexing.masked_fill, indexing.masked_select, indexing.nonzero,
        indexing.scatter_add,
    )  # fmt: skip
    matmul, mm, bmm, dot, mv, outer = (
        linear.matmul, linear.mm, linear.bmm, linear.dot, linear.mv, linear.outer,
    )  # fmt: skip
    bernoulli, multinomial = randomness.bernoulli, randomness.multinomial

    add_, sub_, mul_, div_, pow_ = (
        changing(f) for f in (arithmetic.add, arithmetic.sub, arithmetic.mul, arithmetic.div, arithmetic.pow)
    )
    neg_, abs_, exp_, log_, sqrt_ = (
        changing(f) for f in (arithmetic.neg, arithmetic.abs, arithmetic.exp, arithmetic.log, arithmetic.sqrt)
    )
    sigmoid_, tanh_, relu_, clamp_ = (
        changing(f) for f in (arithmetic.sigmoid, arithmetic.tanh, arithmetic.relu, arithmetic.clamp)
    )
    masked_fill_, scatter_add_ = changing(indexing.masked_fill), changing(indexing.scatter_add)

    def zero_(self) -> Tensor:
        """Fill with zeros, in place."""
        return self.fill_(0)

    def fill_(self, value: Any) -> Tensor:
        """Fill with one value, in place."""
        constant = value if isinstance(value, Tensor) else make(np.array(value, self.dtype))
        inplace.assign(self, constant, op="fill_")
        return self

    def uniform_(self, a: Any = 0.0, b: Any = 1.0, *, generator: Any = None) -> Tensor:
        """Fill with random numbers uniform on [a, b), in place."""
        inplace.assign(
            self, randomness.uniform(self.shape, self.dtype, generator) * (b - a) + a, op="uniform_"
        )
        return self

    def normal_(self, mean: Any = 0.0, std: Any = 1.0, *, generator: Any = None) -> Tensor:
        """Fill with normal random numbers, in place."""
        inplace.assign(
            self, randomness.normal_of(self.shape, self.dtype, generator) * std + mean, op="normal_"
        )
        return self


class Size(tuple[int, ...]):
    """A shape."""

    def numel(self) -> int:
        """The number of entries."""
        return int(np.prod(self, dtype=np.int64))

    def __repr__(self) -> str:
        return f"Size({list(self)})"


class device:  # noqa: N801 - PyTorch's name
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


def _is_dtype(value: Any) -> bool:
    try:
        np.dtype(value)
    except TypeError:
        return False
    return True


def _rebuilt(cls: Any, array: np.ndarray, requires_grad: bool) -> Any:
    """A tensor from its pickled parts."""
    tensor = make(array)
    tensor.__class__ = cls
    return tensor.requires_grad_(requires_grad)


def grad_enabled() -> bool:
    """Whether operations are recorded at this moment."""
    return current.get().grad


Tensors = Sequence[Tensor]
