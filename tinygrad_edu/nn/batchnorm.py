"""Batch normalisation layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.autograd.modes import no_grad
from tinygrad_edu.functions import creation
from tinygrad_edu.functions.promotion import require_tensor
from tinygrad_edu.nn import functional as F
from tinygrad_edu.nn import init
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.parameter import Parameter

__all__ = ["BatchNorm1d", "BatchNorm2d"]


class _BatchNorm(Module):
    _dims: tuple[int, ...]
    weight: Parameter | None
    bias: Parameter | None
    running_mean: Any
    running_var: Any
    num_batches_tracked: Any

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-05,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats

        def vector() -> Any:
            return creation.zeros(num_features, dtype=dtype, device=device)

        self.register_parameter("weight", Parameter(vector()) if affine else None)
        self.register_parameter("bias", Parameter(vector()) if affine and bias else None)
        self.register_buffer("running_mean", vector() if track_running_stats else None)
        self.register_buffer("running_var", vector() if track_running_stats else None)
        count = creation.zeros((), dtype=np.int64) if track_running_stats else None
        self.register_buffer("num_batches_tracked", count)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forget all batches: mean 0, variance 1."""
        if self.track_running_stats:
            with no_grad():
                self.running_mean.zero_()
                self.running_var.fill_(1.0)
                self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Weight 1, bias 0, and no batches seen."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Any) -> Any:
        """The same shape; while training, the running statistics move."""
        require_tensor(self._get_name(), input)
        dims = input._array.ndim
        if dims not in self._dims:
            wanted = " or ".join(f"{n}D" for n in self._dims)
            raise ValueError(f"{self._get_name()}: expected {wanted} input (got {dims}D input)")
        momentum: Any = 0.0 if self.momentum is None else self.momentum
        if self.training and self.num_batches_tracked is not None:
            with no_grad():
                self.num_batches_tracked.add_(1)
                if self.momentum is None:
                    momentum = 1.0 / self.num_batches_tracked.to(self.running_mean.dtype)
        of_batch = self.training or (self.running_mean is None and self.running_var is None)
        kept = not self.training or self.track_running_stats
        running = (self.running_mean, self.running_var) if kept else (None, None)
        return F.batch_norm(input, *running, self.weight, self.bias, of_batch, momentum, self.eps)

    def extra_repr(self) -> str:
        """The settings."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(_BatchNorm):
    """Normalise every channel of (N, C) or (N, C, L); see `BatchNorm2d`."""

    _dims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """(input - mean) / sqrt(var + eps) * weight + bias for every channel of (N, C, H, W).

    While training with the mean and (biased) variance of the batch; in `eval()` with the running ones, buffers which
    every batch moves: running = (1 - momentum) * running + momentum * new, the new variance being the unbiased one.

    momentum            -- None: the plain average of all batches since `reset_running_stats`
    affine              -- have a weight (starts as 1) and, unless bias=False, a bias (starts as 0)
    track_running_stats -- False: no running statistics, always those of the batch

    Raises ValueError for another number of dimensions and when there is one value per channel to train on.

    >>> import tinygrad_edu as tg
    >>> norm = tg.nn.BatchNorm2d(1)
    >>> norm(tg.tensor([[[[1.0, 3.0]]]]))
    tensor([[[[-1.0000,  1.0000]]]], grad_fn=<batch_norm>)
    >>> norm.running_mean, norm.running_var, norm.num_batches_tracked
    (tensor([0.2000]), tensor([1.1000]), tensor(1))
    """

    _dims = (4,)
