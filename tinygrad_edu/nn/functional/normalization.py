"""Batch and layer normalisation as functions of tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.engine.inplace import assign
from tinygrad_edu.engine.mode import literal, switched
from tinygrad_edu.engine.value import Value, make
from tinygrad_edu.nn.functional.activation import floating

__all__ = ["batch_norm", "layer_norm"]


def batch_norm(
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: Any = 0.1,
    eps: float = 1e-05,
) -> Any:
    """(input - mean) / sqrt(var + eps) * weight + bias, channel by channel: (N, C, ...) and vectors (C,).

    training -- take mean and (biased) variance of the batch, and move the running ones, if there are any, towards them
                in place: running = (1 - momentum) * running + momentum * new, the new variance being the unbiased one
    else     -- take the running mean and variance
    momentum -- a number, or a tensor () of the dtype of the running ones

    Raises ValueError when there is one value per channel to train on, or eps is not positive then; RuntimeError when
    shapes or dtypes do not fit.

    >>> import tinygrad_edu as tg
    >>> mean, var = tg.zeros(1), tg.ones(1)
    >>> tg.nn.functional.batch_norm(tg.tensor([[1.0], [3.0]]), mean, var, training=True)
    tensor([[-1.0000],
            [ 1.0000]])
    >>> mean, var
    (tensor([0.2000]), tensor([1.1000]))
    """
    shape = floating("batch_norm", input)._array.shape
    if len(shape) < 2:
        raise RuntimeError(f"batch_norm: expected an input (N, C, ...), got shape {list(shape)}")
    if (running_mean is None) != (running_var is None):
        raise ValueError("running_mean and running_var must either both be None or neither be None")
    given = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    _check_vectors("batch_norm", input, given, shape[1:2])
    if not training:
        if running_mean is None:
            raise RuntimeError("batch_norm: running_mean must be defined in evaluation mode")
        return _with_running(input, running_mean, running_var, weight, bias, eps)
    count = math.prod((shape[0], *shape[2:]))
    if count == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {list(shape)}")
    if not eps > 0:
        raise ValueError(f"batch_norm eps must be positive during training, but got {eps}")
    ones, zeros = _filled(weight, shape[1:2], input, 1.0), _filled(bias, shape[1:2], input, 0.0)
    z, mean, var = ops.batch_norm(input, ones, zeros, eps=float(eps))
    if running_mean is not None and count:
        with switched(grad=False):
            _move(running_mean, mean, momentum)
            _move(running_var, var * (count / (count - 1)), momentum)
    return z


def _check_vectors(name: str, input: Any, vectors: dict[str, Any], shape: tuple[int, ...]) -> None:
    for position, vector in vectors.items():
        if vector is None:
            continue
        array = floating(name, vector, position)._array
        if array.shape != shape:
            raise RuntimeError(f"{name}: {position} should have shape {list(shape)}, not {list(array.shape)}")
        if array.dtype != input._array.dtype:
            raise RuntimeError(
                f"{name}: mixed dtypes: the input is {input._array.dtype}, {position} is {array.dtype}: "
                "all inputs must share one, use .float() or .double()"
            )


def _filled(vector: Any, shape: tuple[int, ...], input: Any, value: float) -> Any:
    """The vector, or one full of a number when it is None."""
    return make(literal(np.full(shape, value, input._array.dtype), value)) if vector is None else vector


def _move(running: Any, new: Any, momentum: Any) -> None:
    step: Any = momentum if isinstance(momentum, Value) else float(momentum)
    assign(running, running * (1.0 - step) + new * step, op="batch_norm")


def _with_running(input: Any, mean: Any, var: Any, weight: Any, bias: Any, eps: float) -> Any:
    """Normalised with a mean and a variance that do not depend on the input."""
    along = (1, mean._array.size, *(1,) * (input._array.ndim - 2))
    scale = 1.0 / ops.sqrt(var + float(eps))
    scale = scale if weight is None else scale * weight
    z = (input - ops.reshape(mean, shape=along)) * ops.reshape(scale, shape=along)
    return z if bias is None else z + ops.reshape(bias, shape=along)


def layer_norm(
    input: Any, normalized_shape: Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-05
) -> Any:
    """(input - mean) / sqrt(var + eps) * weight + bias, mean and (biased) variance over the axes `normalized_shape`.

    input (*, *normalized_shape), weight and bias (*normalized_shape).
    Raises RuntimeError when shapes or dtypes do not fit, TypeError for a shape that is no tuple.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.layer_norm(tg.tensor([[1.0, 3.0], [0.0, 10.0]]), (2,))
    tensor([[-1.0000,  1.0000],
            [-1.0000,  1.0000]])
    """
    if not isinstance(normalized_shape, (tuple, list)):
        raise TypeError(
            f"layer_norm(): argument 'normalized_shape' must be tuple of ints, not {type(normalized_shape).__name__}"
        )
    row, shape = tuple(int(n) for n in normalized_shape), floating("layer_norm", input)._array.shape
    if not row:
        raise RuntimeError("layer_norm: expected normalized_shape to contain at least one element, but got []")
    if shape[max(len(shape) - len(row), 0) :] != row:
        raise RuntimeError(
            f"Given normalized_shape={list(row)}, expected input with shape [*, {', '.join(map(str, row))}], but got "
            f"input of size {list(shape)}"
        )
    _check_vectors("layer_norm", input, {"weight": weight, "bias": bias}, row)
    ones, zeros = _filled(weight, row, input, 1.0), _filled(bias, row, input, 0.0)
    return ops.layer_norm(input, ones, zeros, eps=float(eps))[0]
