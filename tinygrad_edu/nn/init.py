"""Initial values, written in place: `nn.init.xavier_uniform_(layer.weight)`."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from tinygrad_edu.autograd.modes import no_grad
from tinygrad_edu.engine.value import make
from tinygrad_edu.functions.promotion import require_tensor
from tinygrad_edu.functions.randomness import Generator, normal_of, uniform

_GAINS = {
    **dict.fromkeys(("linear", "conv1d", "conv2d", "conv3d", "sigmoid"), 1.0),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), 1.0),
    "tanh": 5.0 / 3.0,
    "relu": math.sqrt(2.0),
    "selu": 3.0 / 4.0,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the variance through a nonlinearity; `param` is leaky_relu's slope (0.01).

    >>> round(calculate_gain("leaky_relu", 0.2), 4)
    1.3868
    """
    if nonlinearity == "leaky_relu":
        if isinstance(param, bool) or not isinstance(param, (int, float, type(None))):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1.0 + (0.01 if param is None else param) ** 2))
    if nonlinearity not in _GAINS:
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}: one of {', '.join([*_GAINS, 'leaky_relu'])}")
    return _GAINS[nonlinearity]


def fans(tensor: Any) -> tuple[int, int]:
    """(fan_in, fan_out): how many inputs one output has, and the reverse, of a weight (out, in, ...)."""
    shape = tensor._array.shape
    if len(shape) < 2:
        raise ValueError(
            f"Fan in and fan out can not be computed for tensor with fewer than 2 dimensions, and this one has shape "
            f"{shape}: initialise a bias with zeros_ or uniform_"
        )
    window = math.prod(shape[2:])
    return shape[1] * window, shape[0] * window


def _fan(tensor: Any, mode: str) -> int:
    if mode.lower() not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    return fans(tensor)[mode.lower() == "fan_out"]


def uniform_(tensor: Any, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Any:
    """Uniform on [a, b)."""
    with no_grad():
        return tensor.uniform_(a, b, generator=generator)


def normal_(tensor: Any, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Any:
    """Normal with the given mean and standard deviation."""
    with no_grad():
        return tensor.normal_(mean, std, generator=generator)


def constant_(tensor: Any, val: float) -> Any:
    """One value everywhere."""
    with no_grad():
        return tensor.fill_(val)


def zeros_(tensor: Any) -> Any:
    """Zeros."""
    return constant_(tensor, 0.0)


def ones_(tensor: Any) -> Any:
    """Ones."""
    return constant_(tensor, 1.0)


def eye_(tensor: Any) -> Any:
    """The identity matrix."""
    if tensor._array.ndim != 2:
        raise ValueError(f"Only tensors with 2 dimensions are supported, not shape {tensor._array.shape}")
    return _filled(tensor, np.eye(*tensor._array.shape))


def xavier_uniform_(tensor: Any, gain: float = 1.0, generator: Generator | None = None) -> Any:
    """Uniform on +-gain * sqrt(6 / (fan_in + fan_out)): Glorot and Bengio, 2010."""
    bound = gain * math.sqrt(6.0 / sum(fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Any, gain: float = 1.0, generator: Generator | None = None) -> Any:
    """Normal with std gain * sqrt(2 / (fan_in + fan_out)): Glorot and Bengio, 2010."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(fans(tensor))), generator)


def kaiming_uniform_(
    tensor: Any,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Any:
    """Uniform on +-gain * sqrt(3 / fan), `a` the slope of leaky_relu: He et al., 2015."""
    if 0 in tensor._array.shape:
        return _nothing_to_do(tensor)
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3.0 / _fan(tensor, mode))
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Any,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Any:
    """Normal with std gain / sqrt(fan), `a` the slope of leaky_relu: He et al., 2015."""
    if 0 in tensor._array.shape:
        return _nothing_to_do(tensor)
    return normal_(tensor, 0.0, calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode)), generator)


def trunc_normal_(
    tensor: Any,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Any:
    """Normal, given that the value lies in [a, b]: the inverse distribution function of uniform numbers."""
    require_tensor("trunc_normal_", tensor, "tensor")
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            f"trunc_normal_: the mean {mean} is more than 2 std from [{a}, {b}]: all values will lie near one end",
            stacklevel=2,
        )
    from statistics import NormalDist

    # both ends are taken to the lower side of the mean, where the distribution function keeps its digits
    side = -1.0 if a + b > 2 * mean else 1.0
    ends = sorted(side * (end - mean) / std for end in (a, b))
    low, high = (math.erfc(-end / math.sqrt(2.0)) / 2.0 for end in ends)
    u = low + (high - low) * _drawn(uniform, tensor, generator)
    u = np.clip(u, np.finfo(float).tiny, 1.0 - np.finfo(float).epsneg)
    values = np.fromiter(map(NormalDist().inv_cdf, u.ravel().tolist()), float, u.size).reshape(u.shape)
    return _filled(tensor, np.clip(mean + side * std * values, a, b))


def orthogonal_(tensor: Any, gain: float = 1, generator: Generator | None = None) -> Any:
    """Rows (or columns, when there are fewer of them) that are orthonormal, times gain: Saxe et al., 2013."""
    shape = tensor._array.shape
    if len(shape) < 2:
        raise ValueError(f"Only tensors with 2 or more dimensions are supported, not shape {shape}")
    if 0 in shape:
        return tensor
    flat = _drawn(normal_of, tensor, generator).reshape(shape[0], -1)
    wide = flat.shape[0] < flat.shape[1]
    q, r = np.linalg.qr(flat.T if wide else flat)
    # with the signs of r's diagonal every orthogonal matrix is equally likely
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
    return _filled(tensor, gain * (q.T if wide else q).reshape(shape))


def _drawn(draw: Any, tensor: Any, generator: Generator | None) -> np.ndarray:
    """Random numbers in the tensor's shape, in double precision."""
    return draw(tensor._array.shape, np.float64, generator)._array


def _filled(tensor: Any, values: np.ndarray) -> Any:
    with no_grad():
        return tensor.copy_(make(values.astype(tensor._array.dtype)))


def _nothing_to_do(tensor: Any) -> Any:
    warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
    return tensor
