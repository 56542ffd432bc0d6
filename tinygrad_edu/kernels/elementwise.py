"""Elementwise kernels. Each has a `scalar`, the same function of one number, for use inside compiled loops.

A compiled loop pays where it does in one pass what takes NumPy several, or has the better polynomial (`exponential`).
Where NumPy has the whole function itself and in vector instructions, as tanh, the fast twin calls it without further
ado.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .exponential import erf_scalar, exp_of_negative, exp_scalar, sigmoid_scalar, tanh_scalar
from .jit import Jit, jit
from .layout import channels_last, empty_like_images
from .registry import Array, fresh, in_c_order, kernel, same_float
from .vectors import wide_vectors

# From here on a pass of NumPy's log1p, in vector instructions, beats calls of the C library's inside one loop.
LOG_PASS_FROM = 400


@jit
def relu_scalar(x: Any) -> Any:
    """max(x, 0); NaN stays NaN."""
    return type(x)(0) if x <= 0 else x


@jit
def logistic_loss_scalar(x: Any, y: Any) -> Any:
    """-y log(sigmoid(x)) - (1 - y) log(1 - sigmoid(x)), from the logit x."""
    one = type(x)(1)
    return math.log1p(exp_of_negative(-abs(x))) + (x * (one - y) if x > 0 else -x * y)


@jit
def exp_loop(x: Array, out: Array) -> None:
    """out = exp(x) for 1-d arrays, which may be the same array."""
    wide_vectors()
    for i in range(x.size):
        out[i] = exp_scalar(x[i])


@jit
def _erf_loop(x: Array, out: Array) -> None:
    wide_vectors()
    for i in range(x.size):
        out[i] = erf_scalar(x[i])


@jit
def _relu_loop(x: Array, out: Array) -> None:
    for i in range(x.size):
        out[i] = relu_scalar(x[i])


@jit
def _sigmoid_loop(x: Array, out: Array) -> None:
    wide_vectors()
    for i in range(x.size):
        out[i] = sigmoid_scalar(x[i])


@jit
def _exp_minus_abs_loop(x: Array, out: Array) -> None:
    wide_vectors()
    for i in range(x.size):
        out[i] = exp_of_negative(-abs(x[i]))


@jit
def _add_linear_loss_loop(x: Array, y: Array, out: Array) -> None:
    one = x.dtype.type(1)
    for i in range(x.size):
        out[i] += x[i] * (one - y[i]) if x[i] > 0 else -x[i] * y[i]


@jit
def _logistic_loss_loop(x: Array, y: Array, out: Array) -> None:
    for i in range(x.size):
        out[i] = logistic_loss_scalar(x[i], y[i])


def _flat(x: Array) -> Array:
    """All elements in C order along one axis, if possible as a view: one compiled loop serves every shape."""
    return in_c_order(x).reshape(-1)


def _flat_pair(x: Array) -> tuple[Array, Array, Array]:
    """x along one axis, a new array for the result, and that one along one axis.

    Channels-last memory stays so, without a copy; any other order gives a result in C order.
    """
    if x.flags.carray:
        out = np.empty(x.shape, x.dtype)
        return (x, out, out) if x.ndim == 1 else (x.reshape(-1), out, out.reshape(-1))
    out = empty_like_images(x)
    if out.flags.c_contiguous:
        return _flat(x), out, out.reshape(-1)
    return channels_last(x).reshape(-1), out, channels_last(out).reshape(-1)


@kernel
def relu(x: Array) -> Array:
    """max(x, 0), elementwise; NaN stays NaN. Any shape and dtype.

    >>> relu(np.array([-2.0, 0.0, 3.0]))
    array([0., 0., 3.])
    """
    return fresh(np.maximum(x, 0))


@relu.numba
def _(x: Array) -> Array:
    if not same_float(x, x):
        return relu.reference(x)
    flat, out, flat_out = _flat_pair(x)
    _relu_loop(flat, flat_out)
    return out


relu.scalar = relu_scalar
relu.examples = lambda dtype: [(np.ones(3, dtype),)]


@kernel
@np.errstate(all="ignore")
def exp(x: Array) -> Array:
    """e ** x, elementwise. Any shape; integers give float64.

    >>> exp(np.array([-np.inf, 0.0, 1000.0]))
    array([ 0.,  1., inf])
    """
    return fresh(np.exp(x))


@exp.numba
def _(x: Array) -> Array:
    if not isinstance(x, np.ndarray) or not same_float(x, x):
        return exp.reference(x)
    flat, out, flat_out = _flat_pair(x)
    exp_loop(flat, flat_out)
    return out


exp.scalar = exp_scalar
exp.examples = relu.examples


@kernel
def erf(x: Array) -> Array:
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x, elementwise. Any shape; integers give float64.

    >>> erf(np.array([0.0, np.inf]))
    array([0., 1.])
    """
    dtype = x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)
    return np.fromiter(map(math.erf, x.ravel().tolist()), np.float64, x.size).reshape(x.shape).astype(dtype)


@erf.numba
def _(x: Array) -> Array:
    if not same_float(x, x):
        return erf.reference(x)
    flat, out, flat_out = _flat_pair(x)
    _erf_loop(flat, flat_out)
    return out


erf.scalar = erf_scalar
erf.examples = relu.examples


@kernel
@np.errstate(all="ignore")
def tanh(x: Array) -> Array:
    """tanh(x), elementwise. Any shape; integers give float64.

    >>> tanh(np.array([0.0, np.inf]))
    array([0., 1.])
    """
    return fresh(np.tanh(x))


@tanh.numba
def _(x: Array) -> Array:
    if not same_float(x, x):
        return tanh.reference(x)
    return np.tanh(x, out=np.empty(x.shape, x.dtype) if x.flags.carray else empty_like_images(x))


tanh.scalar = tanh_scalar
tanh.examples = relu.examples


@kernel
@np.errstate(all="ignore")
def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), elementwise, exact at both ends. Any shape; integers give float64.

    Only exp(-|x|), which cannot overflow, is ever computed: for x < 0 the fraction is extended by exp(x).

    >>> sigmoid(np.array([-np.inf, 0.0, 800.0]))
    array([0. , 0.5, 1. ])
    """
    e = np.exp(-np.abs(x))
    return fresh(np.where(x >= 0, e.dtype.type(1), e) / (1 + e))


@sigmoid.numba
def _(x: Array) -> Array:
    if not same_float(x, x):
        return sigmoid.reference(x)
    flat, out, flat_out = _flat_pair(x)
    _sigmoid_loop(flat, flat_out)
    return out


sigmoid.scalar = sigmoid_scalar
sigmoid.examples = relu.examples


@kernel
@np.errstate(all="ignore")
def logistic_loss(x: Array, y: Array) -> Array:
    """Binary cross-entropy of the logit x against the target y in [0, 1], elementwise with broadcasting.

    It is -y log(sigmoid(x)) - (1 - y) log(1 - sigmoid(x)) = max(x, 0) - x y + log(1 + exp(-|x|)).
    Written so that nothing overflows or cancels: a confident right answer keeps its tiny loss.

    >>> logistic_loss(np.array([800.0, -800.0, 40.0]), np.array([0.0, 0.0, 1.0]))
    array([8.00000000e+02, 0.00000000e+00, 4.24835426e-18])
    """
    linear = np.where(x > 0, x * (1 - y), -x * y)
    return fresh(linear + np.log1p(np.exp(-np.abs(x))))


@logistic_loss.numba
def _(x: Array, y: Array) -> Array:
    if not same_float(x, y):
        return logistic_loss.reference(x, y)
    if x.shape != y.shape:
        shape = np.broadcast_shapes(x.shape, y.shape)
        x, y = np.broadcast_to(x, shape), np.broadcast_to(y, shape)
    out = np.empty(x.shape, x.dtype)
    flat, flat_y, flat_out = _flat(x), _flat(y), out.reshape(-1)
    if x.size < LOG_PASS_FROM:
        _logistic_loss_loop(flat, flat_y, flat_out)
    else:
        _exp_minus_abs_loop(flat, flat_out)
        np.log1p(flat_out, out=flat_out)
        _add_linear_loss_loop(flat, flat_y, flat_out)
    return out


logistic_loss.scalar = logistic_loss_scalar
logistic_loss.examples = lambda dtype: [(x, x) for x in (np.ones(3, dtype), np.ones(LOG_PASS_FROM, dtype))]


@jit
def _relu_grad_loop(g: Array, z: Array, out: Array) -> None:
    for i in range(z.size):
        out[i] = type(g[i])(0) if z[i] <= 0 else g[i]


# The two that follow round as NumPy does, operation by operation: rules on arrays and programs give the same digits.
@jit(fastmath=())
def _sigmoid_grad_loop(g: Array, z: Array, out: Array) -> None:
    for i in range(z.size):
        out[i] = g[i] * (z[i] * (type(z[i])(1) - z[i]))


@jit(fastmath=())
def _tanh_grad_loop(g: Array, z: Array, out: Array) -> None:
    for i in range(z.size):
        out[i] = g[i] * (type(z[i])(1) - z[i] * z[i])


def _in_one_pass(loop: Jit, g: Array, z: Array) -> Array:
    """Run a loop over g and z of one shape; the result lies in memory as z does."""
    flat, out, flat_out = _flat_pair(z)
    loop(_flat(g) if out.flags.c_contiguous else channels_last(g).reshape(-1), flat, flat_out)
    return out


def _fit(g: Array, z: Array) -> bool:
    return isinstance(g, np.ndarray) and g.shape == z.shape and same_float(g, z)


@kernel
@np.errstate(all="ignore")
def relu_grad(g: Array, z: Array) -> Array:
    """g where z = relu(x) is not 0 (or is NaN), else 0: also where g is infinite.

    >>> relu_grad(np.array([2.0, np.inf]), np.array([1.0, 0.0]))
    array([2., 0.])
    """
    return fresh(np.where(z <= 0, 0, g))


@relu_grad.numba
def _(g: Array, z: Array) -> Array:
    return _in_one_pass(_relu_grad_loop, g, z) if _fit(g, z) else relu_grad.reference(g, z)


@kernel
@np.errstate(all="ignore")
def sigmoid_grad(g: Array, z: Array) -> Array:
    """g * z * (1 - z), for z = sigmoid(x).

    >>> sigmoid_grad(np.array([2.0]), np.array([0.5]))
    array([0.5])
    """
    return fresh(g * (z * (1 - z)))


@sigmoid_grad.numba
def _(g: Array, z: Array) -> Array:
    return _in_one_pass(_sigmoid_grad_loop, g, z) if _fit(g, z) else sigmoid_grad.reference(g, z)


@kernel
@np.errstate(all="ignore")
def tanh_grad(g: Array, z: Array) -> Array:
    """g * (1 - z^2), for z = tanh(x).

    >>> tanh_grad(np.array([2.0]), np.array([0.5]))
    array([1.5])
    """
    return fresh(g * (1 - z * z))


@tanh_grad.numba
def _(g: Array, z: Array) -> Array:
    return _in_one_pass(_tanh_grad_loop, g, z) if _fit(g, z) else tanh_grad.reference(g, z)


for _each in (relu_grad, sigmoid_grad, tanh_grad):
    _each.examples = lambda dtype: [(np.ones(3, dtype), np.ones(3, dtype))]
