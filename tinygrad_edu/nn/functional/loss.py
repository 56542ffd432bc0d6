"""Losses as functions of tensors.

`reduction` is "none" (one loss per sample), "mean" or "sum"; anything else raises ValueError.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.engine.mode import current
from tinygrad_edu.engine.value import Value
from tinygrad_edu.functions import arithmetic, reductions
from tinygrad_edu.functions.promotion import promoted, require_tensor, to_dtype
from tinygrad_edu.functions.shapes import expand, movedim, reshape
from tinygrad_edu.nn.functional.activation import floating, logsigmoid

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "l1_loss",
    "mse_loss",
    "nll_loss",
]


def legacy(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """The reduction; PyTorch's two deprecated flags win where they are given."""
    if size_average is not None or reduce is not None:
        if any(isinstance(flag, Value) for flag in (size_average, reduce)):
            raise TypeError(
                "a loss is made first and called then: loss = nn.MSELoss(); loss(input, target).  In one call: "
                "F.mse_loss(input, target)"
            )
        reduction = "none" if reduce is False else "sum" if size_average is False else "mean"
        warnings.warn(
            f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead.",
            stacklevel=3,
        )
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction: use 'none', 'mean' or 'sum'")
    return reduction


def reduced(loss: Any, reduction: str, weight: Any = None) -> Any:
    """All losses, their sum, or their mean (weighted, when there is a weight)."""
    if reduction == "none":
        return loss
    if reduction == "sum":
        return reductions.sum(loss)
    return reductions.mean(loss) if weight is None else ops.div(reductions.sum(loss), reductions.sum(weight))


def mse_loss(
    input: Any,
    target: Any,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Any = None,
) -> Any:
    """(input - target)^2; shapes broadcast, with a warning.  The gradient is 2 (input - target), / n for the mean.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.mse_loss(tg.tensor([1.0, 2.0]), tg.tensor([0.0, 4.0]))
    tensor(2.5000)
    """
    reduction = legacy(size_average, reduce, reduction)
    if reduction == "mean" and weight is None and _alike(input, target):
        return ops.mse(input, target)
    error = _difference("mse_loss", input, target)
    return _weighted("mse_loss", ops.pow(error, 2), weight, reduction)


def l1_loss(
    input: Any,
    target: Any,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Any = None,
) -> Any:
    """|input - target|; shapes broadcast, with a warning.  The gradient where they are equal is 0."""
    reduction = legacy(size_average, reduce, reduction)
    return _weighted("l1_loss", ops.abs(_difference("l1_loss", input, target)), weight, reduction)


def _alike(input: Any, target: Any) -> bool:
    """Whether both are floating tensors of one shape and dtype."""
    if not isinstance(input, Value) or not isinstance(target, Value):
        return False
    x, y = input._array, target._array
    return x.shape == y.shape and x.dtype == y.dtype and x.dtype.kind == "f"


def _difference(name: str, input: Any, target: Any) -> Any:
    """input - target, with PyTorch's warning when one has to be repeated."""
    require_tensor(name, input)
    require_tensor(name, target, "target")
    if input._array.shape != target._array.shape:
        warnings.warn(
            f"Using a target size {target._array.shape} that is different to the input size "
            f"{input._array.shape}. This will likely lead to incorrect results due to broadcasting. Please ensure "
            "they have the same size.",
            stacklevel=3,
        )
    return arithmetic.sub_tensors(input, target)


def _weighted(name: str, loss: Any, weight: Any, reduction: str) -> Any:
    if weight is None:
        return reduced(loss, reduction)
    require_tensor(name, weight, "weight")
    if weight._array.shape != loss._array.shape:
        raise ValueError(
            f"{name}: weight and input must have the same size, not {weight._array.shape} and {loss._array.shape}"
        )
    return reduced(ops.mul(*promoted(name, loss, weight)), reduction, weight)


def binary_cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:
    """-(y log x + (1 - y) log(1 - x)) for probabilities x and targets y of one shape; no logarithm is below -100.

    Raises ValueError when the shapes differ, RuntimeError for an input outside of [0, 1].
    """
    reduction = legacy(size_average, reduce, reduction)
    floating("binary_cross_entropy", input)
    floating("binary_cross_entropy", target, "target")
    x, y = input._array, target._array
    if x.shape != y.shape:
        raise ValueError(
            f"binary_cross_entropy: a target of size {y.shape} and an input of size {x.shape}: they must be the same"
        )
    if x.size and not (x.min() >= 0 and x.max() <= 1):
        raise RuntimeError(
            f"binary_cross_entropy: all elements of input should be between 0 and 1, got {x.min()} to {x.max()}: apply "
            "sigmoid first, or use binary_cross_entropy_with_logits"
        )
    loss = ops.bce(input, to_dtype(target, x.dtype))
    return reduced(_times("binary_cross_entropy", loss, weight), reduction)


def _times(name: str, loss: Any, weight: Any, position: str = "weight") -> Any:
    """The loss times a weight that broadcasts to its shape."""
    if weight is None:
        return loss
    require_tensor(name, weight, position)
    return ops.mul(loss, expand(to_dtype(weight, loss._array.dtype), *loss._array.shape))


def binary_cross_entropy_with_logits(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> Any:
    """-(p y log s(x) + (1 - y) log(1 - s(x))) for logits x, targets y of one shape, s the sigmoid, p = pos_weight.

    Stable for any logit; the gradient is s(x) - y when there are no weights.  ValueError when the shapes differ.
    """
    reduction = legacy(size_average, reduce, reduction)
    name = "binary_cross_entropy_with_logits"
    floating(name, input)
    require_tensor(name, target, "target")
    if input._array.shape != target._array.shape:
        raise ValueError(
            f"Target size ({target._array.shape}) must be the same as input size ({input._array.shape}): reshape one "
            "of them (a column from Linear(n, 1) has shape (N, 1), not (N,))"
        )
    y = to_dtype(target, input._array.dtype)
    if pos_weight is None:
        loss = ops.bce_with_logits(input, y)
    else:
        positive = _times(name, logsigmoid(input), pos_weight, "pos_weight")
        loss = ops.neg(y * positive + (1.0 - y) * logsigmoid(ops.neg(input)))
    return reduced(_times(name, loss, weight), reduction)


def nll_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:
    """-input[target] for log-probabilities (N, C), (C,) or (N, C, d1, ...) and classes (N,), () or (N, d1, ...).

    weight       -- (C,): each sample counts as much as its class; the mean divides by the sum of these weights
    ignore_index -- samples of this class count nothing
    """
    reduction = legacy(size_average, reduce, reduction)
    rows, classes = as_rows("nll_loss", input, target)
    ignored, safe = without(classes, ignore_index)
    check_bounds("nll_loss", safe, rows._array.shape[1])
    loss = ops.neg(ops.index(rows, np.arange(len(rows._array)), safe, template=(ops.HOLE, ops.HOLE)))
    counts = importance("nll_loss", rows, safe, weight, ignored)
    return gathered_losses(loss, ignored, counts, weight, reduction, target._array.shape)


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """-log softmax(input)[target] for logits (N, C), (C,) or (N, C, d1, ...).

    target          -- classes (N,), () or (N, d1, ...), or probabilities in the shape of the input
    weight          -- (C,): each sample counts as much as its class; the mean divides by the sum of these weights
    ignore_index    -- samples of this class count nothing
    label_smoothing -- this much of each target is spread evenly over all classes

    Raises ValueError when the sizes do not match, IndexError for a class that does not exist.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.cross_entropy(tg.zeros(2, 4), tg.tensor([0, 3]))
    tensor(1.3863)
    """
    reduction = legacy(size_average, reduce, reduction)
    floating("cross_entropy", input)
    require_tensor("cross_entropy", target, "target")
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"cross_entropy: label_smoothing must be between 0.0 and 1.0, not {label_smoothing}")
    if input._array.ndim and input._array.shape == target._array.shape:
        return _against_probabilities(input, target, weight, ignore_index, reduction, label_smoothing)
    rows, classes = as_rows("cross_entropy", input, target)
    ignored, safe = without(classes, ignore_index)
    counts = importance("cross_entropy", rows, safe, weight, ignored)
    shape = target._array.shape
    loss = gathered_losses(ops.softmax_cross_entropy(rows, safe), ignored, counts, weight, reduction, shape)
    if not label_smoothing:
        return loss
    # this part has its weights already, one per class
    even = gathered_losses(_over_all_classes(rows, weight), ignored, counts, None, reduction, shape)
    return loss * (1.0 - label_smoothing) + even * (label_smoothing / rows._array.shape[1])


def _over_all_classes(rows: Any, weight: Any) -> Any:
    """-sum over classes of weight * log softmax: (M, C) -> (M,)."""
    logs = ops.log_softmax(rows, dim=1)
    return ops.neg(ops.sum(logs if weight is None else logs * to_dtype(weight, logs._array.dtype), dim=(1,)))


def _against_probabilities(
    input: Any, target: Any, weight: Any, ignore_index: int, reduction: str, smoothing: float
) -> Any:
    """-sum over classes of target * log softmax(input); the mean divides by the number of samples."""
    if target._array.dtype.kind != "f":
        raise RuntimeError(
            f"cross_entropy: a target in the shape of the input {input._array.shape} must be floating class "
            f"probabilities, not {target._array.dtype}"
        )
    if ignore_index >= 0:
        raise RuntimeError("cross_entropy: ignore_index is not supported for floating point target")
    axis = 0 if input._array.ndim == 1 else 1
    count = input._array.shape[axis]
    if smoothing:
        target = target * (1.0 - smoothing) + smoothing / count
    loss = ops.log_softmax(input, dim=axis) * to_dtype(target, input._array.dtype)
    if weight is not None:
        require_tensor("cross_entropy", weight, "weight")
        shape = tuple(-1 if i == axis else 1 for i in range(input._array.ndim))
        loss = loss * reshape(to_dtype(weight, loss._array.dtype), shape)
    if reduction == "none":
        return ops.neg(ops.sum(loss, dim=(axis,)))
    total = ops.neg(reductions.sum(loss))
    return total if reduction == "sum" else total / float(input._array.size // max(count, 1) or math.nan)


def as_rows(name: str, input: Any, target: Any) -> tuple[Any, Any]:
    """Input and target as (M, C) and (M,): the class axis comes last, all others are joined."""
    floating(name, input)
    require_tensor(name, target, "target")
    x, t = input._array, target._array
    if t.dtype.kind not in "iu":
        raise RuntimeError(f"{name}: expected the classes as int64, but the target is {t.dtype}: use .long()")
    if not x.ndim:
        raise ValueError(f"{name}: expected an input with 1 or more dimensions, got 0")
    if x.ndim == 1:
        if t.size != 1 or t.ndim > 1:
            raise ValueError(
                f"{name}: an input of shape {x.shape} needs a single class, not a target of shape {t.shape}"
            )
        return reshape(input, (1, -1)), reshape(target, (1,))
    wanted = (x.shape[0], *x.shape[2:])
    if t.shape != wanted:
        raise (ValueError if t.shape[:1] != wanted[:1] else RuntimeError)(
            f"{name}: an input of shape {x.shape} (batch, classes, ...) needs a target of shape {wanted}, not {t.shape}"
        )
    if x.ndim == 2:
        return input, target
    return reshape(movedim(input, 1, -1), (t.size, x.shape[1])), reshape(target, (t.size,))


def without(classes: Any, ignore_index: int) -> tuple[Any, Any]:
    """(which samples are ignored, the classes with 0 in their place); (None, classes) when none is.

    A program being recorded keeps looking when ignore_index is a class that could come later; a negative one that
    comes later is refused as out of bounds.
    """
    if not (classes._array == ignore_index).any() and (ignore_index < 0 or current.get().recorder is None):
        return None, classes
    ignored = ops.eq(classes, ignore_index)
    return ignored, ops.where(ignored, 0, classes)


def check_bounds(name: str, classes: Any, count: int) -> None:
    """Raise IndexError for a class that does not exist."""
    bad = classes._array[(classes._array < 0) | (classes._array >= count)]
    if bad.size:
        raise IndexError(f"{name}: target {bad[0]} is out of bounds for {count} classes")


def importance(name: str, rows: Any, classes: Any, weight: Any, ignored: Any) -> Any:
    """How much each sample counts; None when all count 1."""
    kept = None if ignored is None else to_dtype(ops.logical_not(ignored), rows._array.dtype)
    if weight is None:
        return kept
    require_tensor(name, weight, "weight")
    count = rows._array.shape[1]
    if weight._array.shape != (count,):
        raise RuntimeError(
            f"{name}: weight should be defined either for all {count} classes or not at all, not in shape "
            f"{weight._array.shape}"
        )
    check_bounds(name, classes, count)
    picked = ops.index(to_dtype(weight, rows._array.dtype), classes, template=(ops.HOLE,))
    return picked if kept is None else ops.mul(picked, kept)


def gathered_losses(loss: Any, ignored: Any, counts: Any, weight: Any, reduction: str, shape: tuple[int, ...]) -> Any:
    """Losses (M,) with the ignored ones at 0, weighted, reduced; in the target's shape when not reduced."""
    if ignored is not None:
        loss = ops.where(ignored, 0.0, loss)
    if weight is not None:
        loss = ops.mul(loss, counts)
    if reduction == "none":
        return loss if loss._array.shape == shape else reshape(loss, shape)
    return reduced(loss, reduction, counts)
