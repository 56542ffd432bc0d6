"""Sentences for what goes wrong: what happened, on which shapes and dtypes, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.engine.where import describe

if TYPE_CHECKING:
    from tinygrad_edu.engine.node import Node
    from tinygrad_edu.engine.storage import Storage


def describe_array(value: Any) -> str:
    """`float32 (3, 4)`; Python numbers as they are."""
    if isinstance(value, (np.ndarray, np.generic)):
        return f"{value.dtype} {tuple(value.shape)}"
    return repr(value)


def clash(shapes: list[tuple[int, ...]]) -> str:
    """The two sizes that do not broadcast, if any: `size 3 against size 4 at dimension -1`."""
    longest = max(map(len, shapes), default=0)
    for back in range(1, longest + 1):
        sizes = [s[-back] for s in shapes if len(s) >= back]
        different = sorted({n for n in sizes if n != 1})
        if len(different) > 1:
            return f"size {different[0]} against size {different[1]} at dimension {-back} (counted from the end)"
    return ""


def forward_failed(name: str, arrays: Any, static: dict[str, Any], error: Exception) -> Exception:
    """The error a failed forward should raise: PyTorch's type, our sentence."""
    unsupported = isinstance(error, TypeError) and ("ufunc" in str(error) or "numpy boolean" in str(error))
    if not isinstance(error, (ValueError, IndexError, OverflowError)) and not unsupported:
        return error
    given = ", ".join(describe_array(a) for a in arrays)
    settings = "".join(f", {k}={v!r}" for k, v in static.items())
    sizes = clash([tuple(np.shape(a)) for a in arrays]) if "broadcast" in str(error) else ""
    hint = f": {sizes}; sizes must be equal, or one of them 1" if sizes else f": {error}"
    kind = IndexError if isinstance(error, IndexError) else RuntimeError
    return kind(f"{name}({given}{settings}){hint}")


def freed(node: Node) -> RuntimeError:
    """A second backward needs a value that was released."""
    return RuntimeError(
        f"backward a second time through {node!r}, whose saved values were freed by the first: pass retain_graph=True "
        "to the first backward, or compute the loss again, or detach() the part that should not be walked again"
    )


def overwritten(node: Node, storage: Storage, place: int) -> RuntimeError:
    """A saved value was changed in place before backward."""
    what = f"input {node.op.input_name(place)!r}" if place < len(node.inputs) else "the output"
    return RuntimeError(
        f"{what} of {node.op.name}, called at {describe(node.where)}, is needed for its gradient but was modified by "
        f"an inplace operation at {describe(storage.writer)} (version {storage.version}): use the operation that "
        "returns a new tensor, or modify a clone()"
    )


def wrong_gradient(node: Node, got: tuple[int, ...], wanted: tuple[int, ...]) -> RuntimeError:
    """A rule gave a gradient of a shape its input does not have."""
    return RuntimeError(
        f"the rule of {node.op.name} gave a gradient of shape {got} for an input of shape {wanted}: mend the rule (a "
        "missing sum, or a missing transpose?)"
    )
