"""Layers that are linear maps, or only change the shape."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_edu.functions import creation, shapes
from tinygrad_edu.nn import functional as F
from tinygrad_edu.nn import init
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.parameter import Parameter

__all__ = ["Flatten", "Identity", "Linear", "Unflatten"]


class Linear(Module):
    """x W^T + b: (*, in_features) -> (*, out_features); weight (out_features, in_features), bias (out_features,).

    Both start uniform on +-1 / sqrt(in_features).

    >>> import tinygrad_edu as tg
    >>> tg.nn.Linear(20, 30)(tg.zeros(128, 20)).shape
    Size([128, 30])
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(creation.empty(out_features, in_features, dtype=dtype, device=device))
        self.register_parameter("bias", Parameter(creation.empty(out_features, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        # with this slope kaiming's bound is 1 / sqrt(in_features)
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features > 0 else 0.0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Any) -> Any:
        """(*, in_features) -> (*, out_features)."""
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The sizes."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Identity(Module):
    """The input itself; takes any arguments, to stand in for another layer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Any) -> Any:
        """The input."""
        return input


class Flatten(Module):
    """Join axes into one, all but the batch by default: (N, C, H, W) -> (N, C*H*W)."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Any) -> Any:
        """(N, *) -> (N, product of *)."""
        return shapes.flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """The axes."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Split the axis `dim` into axes of the sizes `unflattened_size`; one of them may be -1."""

    def __init__(self, dim: int, unflattened_size: Any) -> None:
        super().__init__()
        self.dim = dim
        self.unflattened_size = tuple(unflattened_size)

    def forward(self, input: Any) -> Any:
        """(..., n, ...) -> (..., *unflattened_size, ...)."""
        shape = input._array.shape
        at = shapes.wrap_dim("unflatten", self.dim, len(shape))
        sizes = self.unflattened_size
        if sizes.count(-1) == 1:
            rest = -math.prod(sizes)
            sizes = tuple(shape[at] // rest if n == -1 and rest else n for n in sizes)
        if math.prod(sizes) != shape[at]:
            raise RuntimeError(
                f"unflatten: the sizes {list(self.unflattened_size)} don't multiply up to the size {shape[at]} of "
                f"dimension {self.dim} of an input of shape {shape}"
            )
        return shapes.reshape(input, (*shape[:at], *sizes, *shape[at + 1 :]))

    def extra_repr(self) -> str:
        """The axis and the sizes."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
