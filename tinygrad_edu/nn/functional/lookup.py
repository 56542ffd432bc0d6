"""Looking up rows of a table."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.engine.inplace import assign
from tinygrad_edu.engine.mode import switched
from tinygrad_edu.functions import reductions
from tinygrad_edu.functions.promotion import require_tensor, to_dtype
from tinygrad_edu.nn.functional.activation import floating

__all__ = ["embedding"]


def embedding(
    input: Any,
    weight: Any,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Any:
    """Rows of the weight: (*) int64 or int32, (V, D) -> (*, D).  The gradient of a row is the sum over its uses.

    padding_idx -- this row gets no gradient
    max_norm    -- rows that are used and have a larger norm are scaled down to it first, in place

    Raises IndexError for a row that does not exist, RuntimeError for an index or a weight of the wrong kind,
    NotImplementedError for scale_grad_by_freq and sparse.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.embedding(tg.tensor([2, 0]), tg.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]))
    tensor([[4., 5.],
            [0., 1.]])
    """
    require_tensor("embedding", input)
    table, index = floating("embedding", weight, "weight")._array, input._array
    if table.ndim != 2:
        raise RuntimeError(f"embedding: 'weight' must be 2-D, got shape {list(table.shape)}")
    if index.dtype not in (np.int64, np.int32):
        raise RuntimeError(f"embedding: expected indices of dtype int64 or int32, got {index.dtype}: use .long()")
    if scale_grad_by_freq or sparse:
        raise NotImplementedError("embedding: scale_grad_by_freq and sparse are not offered")
    rows = len(table)
    if index.size and not (index.min() >= 0 and index.max() < rows):
        raise IndexError(
            f"index out of range in self: embedding has rows 0 to {rows - 1}, got {index.min()}..{index.max()}"
        )
    if padding_idx is not None and not -rows <= padding_idx < rows:
        raise AssertionError(f"Padding_idx must be within num_embeddings ({rows}), not {padding_idx}")
    if max_norm is not None:
        _limit_norms(input, weight, max_norm, norm_type)
    result = ops.index(weight, input, template=(ops.HOLE,))
    if padding_idx is None or result._edge is None:
        return result
    padding = ops.reshape(ops.eq(input, padding_idx % rows), shape=(*index.shape, 1))
    return ops.where(padding, result.detach(), result)


def _limit_norms(input: Any, weight: Any, max_norm: float, norm_type: float) -> None:
    """Scale the rows that are used and too long down to `max_norm`, in place."""
    with switched(grad=False):
        size = reductions.norm(weight, norm_type, 1, keepdim=True)
        used = ops.index_add(np.ones(input._array.shape), input, template=(ops.HOLE,), shape=weight._array.shape[:1])
        used = ops.gt(ops.reshape(used, shape=size._array.shape), 0.0)
        long = ops.logical_and(used, ops.gt(size, float(max_norm)))
        scale = ops.where(long, to_dtype(ops.div(float(max_norm), ops.add(size, 1e-7)), size._array.dtype), 1.0)
        assign(weight, ops.mul(weight, scale), op="embedding (max_norm)")
