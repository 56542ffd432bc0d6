"""Reductions of tensors, spelled like PyTorch: `dim` an int, a tuple or None, `keepdim` everywhere."""

from __future__ import annotations

import builtins
import math
import warnings
from collections import namedtuple
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.engine.value import Value
from tinygrad_edu.functions import arithmetic
from tinygrad_edu.functions.indexing import gather
from tinygrad_edu.functions.promotion import get_default_dtype, require_tensor, to_dtype
from tinygrad_edu.functions.shapes import reshape, wrap_dim

__all__ = [
    "all",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "argsort",
    "cumsum",
    "log_softmax",
    "logsumexp",
    "max",
    "mean",
    "min",
    "norm",
    "prod",
    "softmax",
    "sort",
    "std",
    "sum",
    "topk",
    "var",
]

Dim = int | Sequence[int] | None
MaxResult = namedtuple("MaxResult", ("values", "indices"))
SortResult = namedtuple("SortResult", ("values", "indices"))
TopkResult = namedtuple("TopkResult", ("values", "indices"))


def dims_of(name: str, dim: Dim, ndim: int) -> tuple[int, ...]:
    """The axes to reduce over: None and () mean all."""
    if dim is None or dim == ():
        return tuple(range(ndim))
    if not isinstance(dim, int) and len(tuple(dim)) == 0:
        return tuple(range(ndim))
    found = tuple(wrap_dim(name, d, ndim) for d in ([dim] if isinstance(dim, int) else dim))
    if len(set(found)) != len(found):
        raise RuntimeError(f"{name}: a dim appears multiple times in the list of dims {list(found)}")
    return found if ndim else ()


def sum(input: Any, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The sum of all entries, or over the axes `dim`; integers and booleans are summed as int64."""
    require_tensor("sum", input)
    if dtype is None and input._array.dtype.kind in "biu":
        dtype = np.int64
    if dtype is not None:
        input = to_dtype(input, dtype)
    return ops.sum(input, dim=dims_of("sum", dim, input._array.ndim), keepdim=keepdim)


def mean(input: Any, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The sum divided by the number of entries; each entry's gradient is g / n."""
    require_tensor("mean", input)
    input = input if dtype is None else to_dtype(input, dtype)
    if input._array.dtype.kind != "f":
        raise RuntimeError(f"mean(): the input must be floating, got {input._array.dtype}: use .float() first")
    dims = dims_of("mean", dim, input._array.ndim)
    return ops.mean(input, dim=dims, keepdim=keepdim)


def _count(input: Any, dims: tuple[int, ...]) -> int:
    """How many entries one result is reduced from."""
    shape = input._array.shape
    return math.prod(shape[d] for d in dims)


def var(
    input: Any,
    dim: Dim = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Any:
    """The mean squared distance from the mean, divided by n - correction (1 unless said otherwise).

    `x.var(False)` means unbiased=False, as in PyTorch.
    """
    require_tensor("var", input)
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    correction = (1 if unbiased else 0) if correction is None else correction
    dims = dims_of("var", dim, input._array.ndim)
    n = _count(input, dims)
    if n - correction <= 0:
        warnings.warn(f"var(): degrees of freedom is <= 0 ({n} entries, correction {correction})", stacklevel=2)
    centred = input - mean(input, dims, keepdim=True) if dims else input - input
    total = ops.sum(centred * centred, dim=dims, keepdim=keepdim)
    return total / builtins.max(float(n - correction), 0.0)


def std(
    input: Any,
    dim: Dim = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Any:
    """The square root of the variance; the gradient is 0 where all entries are equal, as in PyTorch."""
    return _safe_sqrt(var(input, dim, unbiased, keepdim, correction=correction))


def _safe_sqrt(squares: Any) -> Any:
    """sqrt with gradient 0 at 0."""
    zero = ops.eq(squares, 0)
    return ops.where(zero, 0.0, ops.sqrt(ops.where(zero, 1.0, squares)))


def norm(input: Any, p: float | str | None = "fro", dim: Dim = None, keepdim: bool = False) -> Any:
    """The p-norm, sum(|x|^p)^(1/p); Euclidean by default, with gradient 0 at the zero vector."""
    require_tensor("norm", input)
    dims = dims_of("norm", dim, input._array.ndim)
    if p in ("fro", 2, None):
        return _safe_sqrt(ops.sum(input * input, dim=dims, keepdim=keepdim))
    size = ops.abs(input)
    if p == float("inf"):
        return ops.amax(size, dim=dims, keepdim=keepdim)
    if p == float("-inf"):
        return ops.amin(size, dim=dims, keepdim=keepdim)
    if p == 1:
        return ops.sum(size, dim=dims, keepdim=keepdim)
    if p == 0:
        return ops.sum(to_dtype(ops.ne(input, 0), input._array.dtype), dim=dims, keepdim=keepdim)
    if not isinstance(p, (int, float)):
        raise RuntimeError(f"norm: p must be a number or 'fro', not {p!r}")
    total = ops.sum(arithmetic.pow(size, p), dim=dims, keepdim=keepdim)
    zero = ops.eq(total, 0)
    return ops.where(zero, 0.0, arithmetic.pow(ops.where(zero, 1.0, total), 1.0 / p))


def _nonempty(name: str, input: Any, dims: tuple[int, ...], dim: Dim) -> None:
    """Refuse to look for the largest of nothing; an IndexError when the empty dimension was named."""
    require_tensor(name, input)
    if builtins.any(input._array.shape[d] == 0 for d in dims):
        kind = RuntimeError if name.startswith("a") and dim == () else IndexError
        raise kind(
            f"{name}(): cannot reduce over an empty dimension (shape {input._array.shape}, dim {dims}): an empty set "
            "has no largest or smallest entry"
        )


def amax(input: Any, dim: Dim = (), keepdim: bool = False) -> Any:
    """The largest over the axes `dim`; ties share the gradient evenly."""
    require_tensor("amax", input)
    dims = dims_of("amax", dim, input._array.ndim)
    _nonempty("amax", input, dims, dim)
    return ops.amax(input, dim=dims, keepdim=keepdim)


def amin(input: Any, dim: Dim = (), keepdim: bool = False) -> Any:
    """The smallest over the axes `dim`; ties share the gradient evenly."""
    require_tensor("amin", input)
    dims = dims_of("amin", dim, input._array.ndim)
    _nonempty("amin", input, dims, dim)
    return ops.amin(input, dim=dims, keepdim=keepdim)


def _arg(op: Any, input: Any, dim: int | None, keepdim: bool) -> Any:
    require_tensor(op.name, input)
    axis = None if dim is None else wrap_dim(op.name, dim, input._array.ndim)
    if input._array.ndim == 0:
        axis = None
    _nonempty(op.name, input, tuple(range(input._array.ndim)) if axis is None else (axis,), dim)
    return op(input, dim=axis, keepdim=keepdim and axis is not None)


def argmax(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The position of the first largest entry (of the flattened tensor when `dim` is None); no gradient."""
    return _arg(ops.argmax, input, dim, keepdim)


def argmin(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The position of the first smallest entry; no gradient."""
    return _arg(ops.argmin, input, dim, keepdim)


def max(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """max(x): the largest entry (ties share).  max(x, dim): (values, indices), the gradient goes to the first.
    max(x, y): the elementwise maximum."""
    return _extreme(ops.argmax, ops.amax, arithmetic.maximum, input, dim, keepdim)


def min(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """min(x): the smallest entry (ties share).  min(x, dim): (values, indices), the gradient goes to the first.
    min(x, y): the elementwise minimum."""
    return _extreme(ops.argmin, ops.amin, arithmetic.minimum, input, dim, keepdim)


def _extreme(arg: Any, reduce: Any, elementwise: Any, input: Any, dim: Any, keepdim: bool) -> Any:
    if isinstance(dim, Value):
        return elementwise(input, dim)
    require_tensor(arg.name.removeprefix("arg"), input)
    if dim is None:
        dims = tuple(range(input._array.ndim))
        if input._array.size == 0:
            raise RuntimeError(f"{arg.name[3:]}(): expected a non-empty tensor, got shape {input._array.shape}")
        return reduce(input, dim=dims, keepdim=False)
    if input._array.ndim == 0:
        return MaxResult(ops.copy(input), to_dtype(ops.ne(input, input), np.int64))
    at = wrap_dim(arg.name[3:], dim, input._array.ndim)
    indices = _arg(arg, input, at, True)
    values = gather(input, at, indices)
    if not keepdim:
        shape = tuple(n for i, n in enumerate(input._array.shape) if i != at)
        values, indices = reshape(values, shape), reshape(indices, shape)
    return MaxResult(values, indices)


def prod(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The product over one axis, or of everything; multiplied pairwise, so gradients are right at zeros."""
    require_tensor("prod", input)
    if input._array.dtype.kind in "biu":
        input = to_dtype(input, np.int64)
    if dim is None:
        dim, x = 0, reshape(input, -1)
        shape: tuple[int, ...] = (1,) * input._array.ndim if keepdim else ()
    else:
        dim, x = wrap_dim("prod", dim, input._array.ndim), input if input._array.ndim else reshape(input, 1)
        shape = tuple(1 if i == dim else n for i, n in enumerate(input._array.shape) if i != dim or keepdim)
    n = x._array.shape[dim]
    if n == 0:
        return reshape(ops.sum(x, dim=(dim,)) + 1, shape)
    if n == 1:
        x = ops.copy(x)
    while n > 1:
        half = n // 2
        low, high = (
            ops.narrow(x, dim=dim, start=0, length=half),
            ops.narrow(x, dim=dim, start=half, length=half),
        )
        product = ops.mul(low, high)
        x = ops.cat(product, ops.narrow(x, dim=dim, start=n - 1, length=1), dim=dim) if n % 2 else product
        n = half + n % 2
    return reshape(x, shape)


def cumsum(input: Any, dim: int) -> Any:
    """Running sums along an axis."""
    require_tensor("cumsum", input)
    x = to_dtype(input, np.int64) if input._array.dtype.kind in "biu" else input
    return ops.cumsum(x, dim=wrap_dim("cumsum", dim, x._array.ndim)) if x._array.ndim else ops.copy(x)


def all(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """Whether all entries are nonzero."""
    return ops.eq(sum(ops.eq(input, 0), dim, keepdim), 0)


def any(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """Whether one entry is nonzero."""
    return ops.ne(sum(ops.ne(input, 0), dim, keepdim), 0)


def _floating(name: str, input: Any, dtype: Any = None) -> Any:
    require_tensor(name, input)
    if dtype is not None:
        return to_dtype(input, dtype)
    return input if input._array.dtype.kind == "f" else to_dtype(input, get_default_dtype())


def log_softmax(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """x - log(sum(exp(x))) along `dim`; the gradient is g - softmax(x) * sum(g)."""
    input = _floating("log_softmax", input, dtype)
    return ops.log_softmax(input, dim=wrap_dim("log_softmax", dim, input._array.ndim))


def softmax(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """exp(x) / sum(exp(x)) along `dim`, shifted so that nothing overflows."""
    return ops.exp(log_softmax(input, dim, dtype=dtype))


def logsumexp(input: Any, dim: Dim, keepdim: bool = False) -> Any:
    """log(sum(exp(x))) over the axes `dim`, shifted by the largest entry; its gradient is softmax(x)."""
    input = _floating("logsumexp", input)
    dims = dims_of("logsumexp", dim, input._array.ndim)
    largest = ops.amax(input.detach(), dim=dims, keepdim=True)
    shift = ops.where(arithmetic.isfinite(largest), largest, 0.0)
    total = ops.log(ops.sum(ops.exp(ops.sub(input, shift)), dim=dims, keepdim=True))
    result = ops.add(total, shift)
    shape = tuple(n for i, n in enumerate(result._array.shape) if i not in dims or keepdim)
    return reshape(result, shape)


def sort(input: Any, dim: int = -1, descending: bool = False) -> Any:
    """(values, indices) in order along an axis: argsort and gather."""
    require_tensor("sort", input)
    at = wrap_dim("sort", dim, input._array.ndim)
    if input._array.ndim == 0:
        return SortResult(*(reshape(part, ()) for part in sort(reshape(input, 1), 0, descending)))
    indices = ops.argsort(input, dim=at, descending=descending)
    return SortResult(gather(input, at, indices), indices)


def argsort(input: Any, dim: int = -1, descending: bool = False) -> Any:
    """The positions that sort an axis."""
    return sort(input, dim, descending).indices


def topk(input: Any, k: int, dim: int = -1, largest: bool = True) -> Any:
    """(values, indices) of the k largest (or smallest) entries along an axis, in order."""
    require_tensor("topk", input)
    at = wrap_dim("topk", dim, input._array.ndim)
    n = input._array.shape[at] if input._array.ndim else 1
    if not 0 <= k <= n:
        raise RuntimeError(f"topk: k ({k}) must lie between 0 and {n}, the size of dimension {dim}")
    indices = ops.narrow(argsort(input, at, largest), dim=at, start=0, length=k)
    return TopkResult(gather(input, at, indices), indices)
