"""The Tensor: spelling only.  Every method is a function from `functions`, or a few lines about the graph."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.engine import gradients, inplace
from tinygrad_edu.engine.calls import results_are
from tinygrad_edu.engine.layout import relay
from tinygrad_edu.engine.mode import current, switched, unrecordable
from tinygrad_edu.engine.node import Node, producer, tap
from tinygrad_edu.engine.storage import storage_of, wrote
from tinygrad_edu.engine.value import Cell, Leaf, make, notes
from tinygrad_edu.engine.where import outside
from tinygrad_edu.functions import creation, indexing, promotion, shapes
from tinygrad_edu.functions.memory import Memory
from tinygrad_edu.functions.methods import Methods
from tinygrad_edu.functions.promotion import to_dtype


class RemovableHandle:
    """What `register_hook` returns: `remove()` takes the hook away."""

    def __init__(self, remove: Callable[[], None]) -> None:
        self.remove = remove


@results_are
class Tensor(Methods, Memory):
    """An array that remembers how it was computed.

    Made by `tensor`, `zeros`, `randn` ...; computed by everything else.  With `requires_grad=True`, `backward()` on a
    result puts d(result)/d(tensor) into `.grad`.

    >>> import tinygrad_edu as tg
    >>> x = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4., 6.])
    """

    __slots__ = ()
    __array_priority__ = 1000
    __hash__ = object.__hash__

    def __init__(self, *args: Any) -> None:
        raise TypeError("make tensors with tinygrad_edu.tensor(data), zeros(...), randn(...)")

    # the graph

    @property
    def requires_grad(self) -> bool:
        """Whether a gradient will be computed for this tensor."""
        return self._edge is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Ask for a gradient of this leaf, or stop asking."""
        if producer(self._edge) is not None:
            if not requires_grad:
                raise RuntimeError("you can only change requires_grad flags of leaf tensors: use detach()")
        elif not requires_grad:
            self._edge = None
        elif self._edge is None:
            creation.require_grad(self)
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether it was made rather than computed (all constants are leaves)."""
        return producer(self._edge) is None

    @property
    def grad_fn(self) -> Node | None:
        """The node that computed this tensor."""
        return producer(self._edge)

    @property
    def grad(self) -> Any:
        """The accumulated gradient of a leaf (or of a tensor that retains it), or None."""
        if self._cell is None:
            if producer(self._edge) is not None:
                warnings.warn(
                    "the .grad of a tensor that is not a leaf is not kept: call retain_grad() on it before backward()",
                    stacklevel=2,
                )
            return None
        return self._cell.grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(f"grad must be a Tensor or None, not {type(value).__name__}")
            if value.shape != self.shape or value.dtype != self.dtype:
                raise RuntimeError(
                    f"assigned grad has shape {tuple(value.shape)} and dtype {value.dtype}, the tensor has "
                    f"{tuple(self.shape)} and {self.dtype}: they must be equal"
                )
        noted = notes(self)
        noted.cell = noted.cell or Cell()
        noted.cell.grad = value

    @property
    def retains_grad(self) -> bool:
        """Whether this computed tensor keeps its gradient."""
        return self._notes is not None and self._notes.kept is not None

    def retain_grad(self) -> None:
        """Keep the gradient of this computed tensor in `.grad`."""
        if self._edge is None:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        noted = notes(self)
        if not self.is_leaf and noted.kept is None:
            cell = noted.cell = noted.cell or Cell()

            def keep(g: Any) -> None:
                cell.add(g if g._edge is not None else ops.copy(g))

            noted.kept = (keep, tap(self._edge, keep, keeper=True))

    def _tap(self, hook: Callable[[Any], Any]) -> RemovableHandle:
        """Let `hook` see the gradient of this tensor during the walk."""
        if isinstance(self._edge, Leaf):
            held = self._edge.cell.hooks
            key = object()
            held[key] = hook
            return RemovableHandle(lambda: held.pop(key, None) and None)
        return RemovableHandle(tap(self._edge, hook))

    def register_hook(self, hook: Callable[[Any], Any]) -> RemovableHandle:
        """Call `hook(gradient)` when this tensor's gradient is known; a tensor it returns takes its place."""
        if self._edge is None:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        return self._tap(hook)

    def backward(
        self,
        gradient: Any = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Add d(self)/d(leaf) to `.grad` of every leaf self was computed from.

        gradient -- the upstream gradient, in the shape of self; 1 for a scalar.
        create_graph -- record the backward pass, so that gradients can be differentiated again.
        inputs -- only these tensors' gradients are accumulated.
        """
        inputs = [inputs] if isinstance(inputs, Tensor) else inputs
        if inputs is not None and len(inputs) == 0:
            raise RuntimeError("backward: inputs must not be empty: leave it out to reach all leaves")
        keep = create_graph if retain_graph is None else retain_graph
        gradients.backward([self], [gradient], retain_graph=keep, create_graph=create_graph, inputs=inputs)

    def detach(self) -> Tensor:
        """The same memory, outside of the graph."""
        return make(relay(self)._array)

    def detach_(self) -> Tensor:
        """Leave the graph."""
        self._edge = None
        return self

    @property
    def data(self) -> Tensor:
        """The same memory, outside of the graph."""
        return self.detach()

    @data.setter
    def data(self, value: Tensor) -> None:
        """Replace the memory; the gradient and its cell stay."""
        promotion.require_tensor("data", value)
        if value._array is self._array:
            return
        if current.get().recorder is not None:
            if value._array.shape != self._array.shape or value._array.dtype != self._array.dtype:
                unrecordable("data of another shape or dtype", "set it outside of the recorded block")
            with switched(grad=False):
                inplace.assign(self, value, op="data")
            return
        self._array = relay(value)._array
        leaf = self._edge
        if isinstance(leaf, Leaf):
            leaf.array, leaf.shape, leaf.dtype = self._array, self._array.shape, self._array.dtype
            wrote(self._array, outside(2))

    def assign_(self, value: Any) -> Tensor:
        """Take the numbers of `value` (in place, recorded by programs)."""
        inplace.assign(self, value, op="assign_")
        return self

    def copy_(self, src: Any) -> Tensor:
        """Take the numbers of `src`, broadcast and cast."""
        source = to_dtype(src, self.dtype) if isinstance(src, Tensor) else creation.as_tensor(src, self.dtype)
        wide = source if source.shape == self.shape else shapes.expand(source, *self.shape)
        inplace.assign(self, indexing.covering(self, wide), op="copy_")
        return self

    def clone(self) -> Tensor:
        """A copy, in the graph."""
        return ops.copy(self)

    @property
    def _version(self) -> int:
        return storage_of(self._array).version

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if not self.is_leaf:
            raise RuntimeError(
                "only tensors created explicitly (graph leaves) support deepcopy: use detach() or clone()"
            )
        copied = make(np.array(self._array))
        copied.__class__ = type(self)
        memo[id(self)] = copied
        if self._edge is not None:
            creation.require_grad(copied)
        if self._cell is not None and self._cell.grad is not None:
            copied.grad = self._cell.grad.detach().clone()
        return copied

    def __reduce__(self) -> Any:
        if not self.is_leaf:
            raise RuntimeError("only graph leaves can be pickled: use detach()")
        return (_rebuilt, (type(self), np.array(self._array), self.requires_grad))


def _rebuilt(cls: Any, array: np.ndarray, requires_grad: bool) -> Any:
    """A tensor from its pickled parts."""
    tensor = make(array)
    tensor.__class__ = cls
    return tensor.requires_grad_(requires_grad)
