"""Tables that are looked up."""

from __future__ import annotations

from typing import Any, Self

from tinygrad_edu.autograd.modes import no_grad
from tinygrad_edu.functions import creation
from tinygrad_edu.nn import functional as F
from tinygrad_edu.nn import init
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.parameter import Parameter

__all__ = ["Embedding"]


class Embedding(Module):
    """A row of numbers for each index: (*) int64 or int32 -> (*, embedding_dim).

    weight (num_embeddings, embedding_dim) starts normal with mean 0 and standard deviation 1.

    padding_idx -- this row starts as zeros and gets no gradient
    max_norm    -- rows that are used and have a larger `norm_type`-norm are scaled down to it first, in place

    Raises AssertionError for a padding_idx that is no row, NotImplementedError for scale_grad_by_freq and sparse.

    >>> import tinygrad_edu as tg
    >>> table = tg.nn.Embedding(10, 3, padding_idx=0)
    >>> table(tg.tensor([[1, 2, 0, 0]])).shape
    Size([1, 4, 3])
    """

    weight: Parameter

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Any = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if scale_grad_by_freq or sparse:
            raise NotImplementedError("Embedding: scale_grad_by_freq and sparse are not offered")
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise AssertionError(f"Padding_idx must be within num_embeddings ({num_embeddings}), not {padding_idx}")
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq, self.sparse = False, False
        if _weight is not None:
            if _weight._array.shape != (num_embeddings, embedding_dim):
                raise AssertionError(
                    f"Embedding: the weight has shape {_weight._array.shape}, not ({num_embeddings}, {embedding_dim})"
                )
            self.weight = Parameter(_weight, requires_grad=not _freeze)
            return
        made = creation.empty(num_embeddings, embedding_dim, dtype=dtype, device=device)
        self.weight = Parameter(made, requires_grad=not _freeze)
        self.reset_parameters()

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Any,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Self:
        """A table with these rows (V, D), not trained unless `freeze` is False."""
        if embeddings._array.ndim != 2:
            raise AssertionError(f"Embeddings parameter is expected to be 2-dimensional, not {embeddings._array.shape}")
        rows, columns = embeddings._array.shape
        options = (padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
        return cls(rows, columns, *options, _weight=embeddings, _freeze=freeze)

    def reset_parameters(self) -> None:
        """Draw all rows anew; the padding is zeros."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx].fill_(0.0)

    def forward(self, input: Any) -> Any:
        """(*) -> (*, embedding_dim)."""
        return F.embedding(input, self.weight, self.padding_idx, self.max_norm, self.norm_type)

    def extra_repr(self) -> str:
        """The sizes, and whatever differs from the defaults."""
        usual = {"padding_idx": None, "max_norm": None, "norm_type": 2.0}
        parts = [f"{self.num_embeddings}, {self.embedding_dim}"]
        parts += [f"{k}={getattr(self, k)}" for k, default in usual.items() if getattr(self, k) != default]
        return ", ".join(parts)
