"""The methods and operators of Tensor: functions, assigned in a class body."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.engine import inplace
from tinygrad_edu.engine.mode import literal
from tinygrad_edu.engine.value import Value, make
from tinygrad_edu.functions import arithmetic, indexing, linear, promotion, randomness, reductions, shapes
from tinygrad_edu.functions.promotion import operator


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


class Methods(Value):
    """What can be computed from a tensor, under the name of the function that does it."""

    __slots__ = ()
    __hash__ = object.__hash__

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
    __rmod__ = operator(arithmetic.remainder, swapped=True)
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

    T = property(lambda self: shapes.permute(self, tuple(range(self.ndim))[::-1]), doc="All dimensions reversed.")
    mT = property(shapes.mT, doc="The last two dimensions swapped.")

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

    def view_as(self, other: Any) -> Any:
        """A view in the shape of another tensor."""
        return shapes.view(self, other.shape)

    def reshape_as(self, other: Any) -> Any:
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

    def zero_(self) -> Any:
        """Fill with zeros, in place."""
        return self.fill_(0)

    def fill_(self, value: Any) -> Any:
        """Fill with one value, in place."""
        constant = value if isinstance(value, Value) else make(literal(np.array(value, self.dtype), value))
        inplace.assign(self, indexing.covering(self, constant), op="fill_")
        return self

    def uniform_(self, a: Any = 0.0, b: Any = 1.0, *, generator: Any = None) -> Any:
        """Fill with random numbers uniform on [a, b), in place."""
        inplace.assign(self, randomness.uniform(self.shape, self.dtype, generator) * (b - a) + a, op="uniform_")
        return self

    def normal_(self, mean: Any = 0.0, std: Any = 1.0, *, generator: Any = None) -> Any:
        """Fill with normal random numbers, in place."""
        inplace.assign(self, randomness.normal_of(self.shape, self.dtype, generator) * std + mean, op="normal_")
        return self
