"""Matrix products of tensors, spelled like PyTorch."""

from __future__ import annotations

from typing import Any

from tinygrad_edu import ops
from tinygrad_edu.engine.value import Value
from tinygrad_edu.functions.promotion import promoted, require_tensor
from tinygrad_edu.functions.shapes import reshape


def matmul(input: Any, other: Any) -> Any:
    """The matrix product: vectors, matrices, and batches of matrices whose leading axes broadcast.

    dA = g @ B^T, dB = A^T @ g.
    """
    if not (isinstance(input, Value) and isinstance(other, Value)):
        require_tensor("matmul", input)
        require_tensor("matmul", other, "other")
    if input._array.dtype != other._array.dtype:
        raise RuntimeError(
            f"matmul: expected both tensors to have the same dtype, but got {input._array.dtype} and "
            f"{other._array.dtype}: cast one of them (.float(), .double())"
        )
    a: tuple[int, ...] = input._array.shape
    b: tuple[int, ...] = other._array.shape
    if not a or not b:
        raise RuntimeError(f"matmul: both arguments need at least 1 dimension, but they have shapes {a} and {b}: use *")
    inner = b[max(len(b) - 2, 0)]
    if a[-1] != inner:
        raise RuntimeError(
            f"matmul: shapes {a} and {b} cannot be multiplied: the last size of the first ({a[-1]}) must equal the "
            f"{'second to last' if len(b) > 1 else 'only'} size of the second ({inner})"
            + (": transpose one of them?" if a[-1] in b or inner in a else "")
        )
    if len(a) > 1 and len(b) > 1:
        return ops.matmul(input, other)
    x = reshape(input, (1, *a)) if len(a) == 1 else input
    y = reshape(other, (*b, 1)) if len(b) == 1 else other
    z = ops.matmul(x, y)
    shape = z._array.shape
    keep = shape[:-2] + (shape[-2:-1] if len(a) > 1 else ()) + (shape[-1:] if len(b) > 1 else ())
    return reshape(z, keep)


def mm(input: Any, mat2: Any) -> Any:
    """The product of two matrices."""
    return _exactly("mm", 2, input, mat2)


def bmm(input: Any, mat2: Any) -> Any:
    """The product of two batches of matrices."""
    return _exactly("bmm", 3, input, mat2)


def dot(input: Any, tensor: Any) -> Any:
    """The inner product of two vectors."""
    return _exactly("dot", 1, input, tensor)


def mv(input: Any, vec: Any) -> Any:
    """A matrix times a vector."""
    require_tensor("mv", input)
    require_tensor("mv", vec, "vec")
    if (input._array.ndim, vec._array.ndim) != (2, 1):
        raise RuntimeError(f"mv: expected a matrix and a vector, got {input._array.shape} and {vec._array.shape}")
    return matmul(input, vec)


def outer(input: Any, vec2: Any) -> Any:
    """The outer product of two vectors: (n,), (m,) -> (n, m)."""
    require_tensor("outer", input)
    require_tensor("outer", vec2, "vec2")
    if (input._array.ndim, vec2._array.ndim) != (1, 1):
        raise RuntimeError(f"outer: expected two vectors, got shapes {input._array.shape} and {vec2._array.shape}")
    a, b = promoted("outer", input, vec2)
    return ops.mul(reshape(a, (-1, 1)), reshape(b, (1, -1)))


def _exactly(name: str, ndim: int, a: Any, b: Any) -> Any:
    for position, value in (("input", a), ("mat2", b)):
        require_tensor(name, value, position)
    if a._array.ndim != ndim or b._array.ndim != ndim:
        raise RuntimeError(f"{name}: both tensors must be {ndim}-d, got shapes {a._array.shape} and {b._array.shape}")
    return matmul(a, b)
