"""Linear maps and activations as functions of tensors.

Each is a composite of primitives chosen so that it has PyTorch's gradient at its kinks and extremes as well.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

from tinygrad_edu import ops
from tinygrad_edu.engine.inplace import assign
from tinygrad_edu.engine.value import Value
from tinygrad_edu.functions import arithmetic, reductions
from tinygrad_edu.functions.indexing import one_hot
from tinygrad_edu.functions.linear import matmul
from tinygrad_edu.functions.promotion import require_tensor, to_dtype
from tinygrad_edu.functions.randomness import default_generator
from tinygrad_edu.functions.shapes import reshape

__all__ = [
    "dropout",
    "dropout2d",
    "elu",
    "gelu",
    "hardtanh",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsigmoid",
    "normalize",
    "one_hot",
    "relu",
    "relu6",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
]

sigmoid, tanh = arithmetic.sigmoid, arithmetic.tanh


def floating(name: str, input: Any, position: str = "input") -> Any:
    """The argument; TypeError unless it is a tensor, NotImplementedError (a RuntimeError) unless it is floating."""
    require_tensor(name, input, position)
    if input._array.dtype.kind != "f":
        raise NotImplementedError(
            f"{name}: {position!r} must be a floating tensor, not {input._array.dtype} of shape {input._array.shape}: "
            "use .float()"
        )
    return input


def finished(name: str, input: Any, result: Any, inplace: bool) -> Any:
    """The result, or the input with the result's numbers in it."""
    if not inplace:
        return result
    assign(input, result, op=f"{name}_")
    return input


def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """input @ weight.T + bias: (*, in), (out, in), (out,) -> (*, out).

    Raises RuntimeError when the sizes or the dtypes do not fit.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.linear(tg.tensor([1.0, 2.0]), tg.tensor([[3.0, 4.0]]), tg.tensor([0.5]))
    tensor([11.5000])
    """
    require_tensor("linear", input)
    require_tensor("linear", weight, "weight")
    x, w = input._array, weight._array
    if not x.ndim or w.ndim not in (1, 2) or x.shape[-1] != w.shape[-1]:
        raise RuntimeError(
            f"linear: an input of shape {x.shape} and a weight of shape {w.shape} cannot be multiplied: the last size "
            "of the input must equal the last size of the weight (out_features, in_features)"
        )
    if x.dtype != w.dtype:
        raise RuntimeError(
            f"linear: the input is {x.dtype}, the weight is {w.dtype}: cast one of them (.float(), .double())"
        )
    if w.ndim == 1:
        z = matmul(input, weight)
        return z if bias is None else arithmetic.add_tensors(z, bias)
    # one product of matrices, not a batch: the weight's gradient is then a single product too
    rows = input if x.ndim == 2 else reshape(input, (math.prod(x.shape[:-1]), x.shape[-1]))
    b = bias._array if isinstance(bias, Value) else None
    whole = b is not None and b.shape == w.shape[:1] and b.dtype == w.dtype
    z = ops.linear(rows, weight, bias) if whole else ops.matmul(rows, ops.mT(weight))
    z = z if x.ndim == 2 else reshape(z, (*x.shape[:-1], w.shape[0]))
    return z if whole or bias is None else arithmetic.add_tensors(z, bias)


def relu(input: Any, inplace: bool = False) -> Any:
    """max(input, 0); the gradient at 0 is 0."""
    return finished("relu", input, arithmetic.relu(input), inplace)


def leaky_relu(input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    """input where it is positive, else negative_slope * input."""
    x = floating("leaky_relu", input)
    result = ops.where(ops.gt(x, 0.0), x, ops.mul(x, float(negative_slope)))
    return finished("leaky_relu", input, result, inplace)


def elu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    """input where it is positive, else alpha * (exp(input) - 1)."""
    x = floating("elu", input)
    below = ops.le(x, 0.0)
    # the branch not taken is computed at 0, so that nothing overflows into the gradient
    result = ops.where(below, ops.mul(ops.expm1(ops.where(below, x, 0.0)), float(alpha)), x)
    return finished("elu", input, result, inplace)


def silu(input: Any, inplace: bool = False) -> Any:
    """input * sigmoid(input)."""
    x = floating("silu", input)
    return finished("silu", input, ops.mul(x, ops.sigmoid(x)), inplace)


def gelu(input: Any, approximate: str = "none") -> Any:
    """input * P(a standard normal number is smaller): x / 2 * (1 + erf(x / sqrt(2))).

    approximate -- "tanh" uses x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) instead; else RuntimeError.
    """
    x = floating("gelu", input)
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"gelu: approximate must be 'none' or 'tanh', not {approximate!r}")
    if approximate == "none":
        return 0.5 * x * (1.0 + ops.erf(x * math.sqrt(0.5)))
    return 0.5 * x * (1.0 + ops.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * (x * x * x))))


def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """log(1 + exp(beta * input)) / beta, and the input itself where beta * input > threshold.

    The gradient is sigmoid(beta * input), 1 above the threshold.
    """
    x = floating("softplus", input)
    scaled = ops.mul(x, float(beta))
    above = ops.gt(scaled, float(threshold))
    soft = ops.div(ops.log1p(ops.exp(ops.where(above, 0.0, scaled))), float(beta))
    return ops.where(above, x, soft)


def logsigmoid(input: Any) -> Any:
    """log(sigmoid(input)) = min(input, 0) - log(1 + exp(-|input|)), which cannot overflow."""
    x = floating("logsigmoid", input)
    return ops.sub(ops.minimum(x, 0.0), ops.log1p(ops.exp(ops.neg(ops.abs(x)))))


def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Any:
    """input limited to [min_val, max_val]; the gradient is 0 outside and at both corners."""
    x = floating("hardtanh", input)
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val ({min_val}) cannot be greater than max_val ({max_val})")
    low, high = float(min_val), float(max_val)
    result = ops.where(ops.le(x, low), low, ops.where(ops.ge(x, high), high, x))
    return finished("hardtanh", input, result, inplace)


def relu6(input: Any, inplace: bool = False) -> Any:
    """input limited to [0, 6]; the gradient is 0 outside and at both corners."""
    return hardtanh(input, 0.0, 6.0, inplace)


def softmax(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """exp(x) / sum(exp(x)) along `dim`, shifted so that nothing overflows."""
    return reductions.softmax(input, _implied("softmax", input, dim, _stacklevel), dtype=dtype)


def log_softmax(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """x - log(sum(exp(x))) along `dim`."""
    return reductions.log_softmax(input, _implied("log_softmax", input, dim, _stacklevel), dtype=dtype)


def _implied(name: str, input: Any, dim: int | None, stacklevel: int) -> int:
    """The axis meant when none is given: a guess PyTorch makes, with its warning."""
    if dim is not None:
        return dim
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.",
        stacklevel=stacklevel,
    )
    require_tensor(name, input)
    return 0 if input._array.ndim in (0, 1, 3) else 1


def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """While training, zero each entry with probability p and scale the others by 1 / (1 - p).

    The mask is drawn from a key of the default generator, so `manual_seed` repeats it.
    Raises ValueError unless 0 <= p <= 1.
    """
    return _dropout("dropout", input, p, training, inplace, axes=None)


def dropout2d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """While training, zero whole channels of (N, C, H, W) with probability p and scale the others by 1 / (1 - p).

    A 3D input is taken as (N, C, L), with a warning; other numbers of dimensions warn too, the first two axes count.
    Raises ValueError unless 0 <= p <= 1.
    """
    dims = floating("dropout2d", input)._array.ndim
    if dims == 3:
        warnings.warn("dropout2d: a 3D input is taken as (N, C, L), not as (C, H, W)", stacklevel=2)
    elif dims != 4:
        warnings.warn(f"dropout2d: expected an input (N, C, H, W), got {dims}D: use dropout instead", stacklevel=2)
    return _dropout("dropout2d", input, p, training, inplace, axes=2)


def _dropout(name: str, input: Any, p: float, training: bool, inplace: bool, axes: int | None) -> Any:
    """Dropout of what has one place in the first `axes` axes; None: of single entries."""
    x = floating(name, input)
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0:
        return input
    if p == 1:
        return finished(name, input, ops.mul(x, 0.0), inplace)
    shape = x._array.shape
    shape = shape if axes is None else (*shape[:axes], *(1,) * (len(shape) - axes))
    bits = ops.random_bits(default_generator.live_key(), shape=shape)
    keep = to_dtype(ops.ge(bits, round(p * 2**32)), x._array.dtype)
    return finished(name, input, ops.mul(x, ops.mul(keep, 1.0 / (1.0 - p))), inplace)


def normalize(input: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Any = None) -> Any:
    """input divided by its p-norm along `dim`, or by eps where the norm is smaller."""
    if out is not None:
        raise RuntimeError("normalize: out= is not supported, assign the result instead")
    size = reductions.norm(floating("normalize", input), p, dim, keepdim=True)
    return ops.div(input, arithmetic.clamp(size, min=eps))
