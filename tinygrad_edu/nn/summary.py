"""`summary`: what a model is made of, what flows through it, and what that costs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_edu.engine.mode import switched
from tinygrad_edu.engine.node import ancestors
from tinygrad_edu.engine.primitive import Primitive
from tinygrad_edu.engine.storage import owner
from tinygrad_edu.functions.creation import zeros
from tinygrad_edu.functions.promotion import get_default_dtype
from tinygrad_edu.nn.module import Module
from tinygrad_edu.tensor import Tensor

__all__ = ["Summary", "summary"]


@dataclass
class Call:
    """One call of a module, in the order they began.

    name, kind, depth -- the attribute it is known by, its class, how deep inside the model
    shapes            -- of what it returned
    parameters        -- entries of its own parameters, not counted before
    again             -- whether this module was called before
    multiply_adds     -- of matrix products and convolutions in its own forward, without the modules inside
    """

    name: str
    kind: str
    depth: int
    parameters: int
    again: bool
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    multiply_adds: int = 0

    def cells(self) -> list[str]:
        """The line of the table."""
        shapes = ", ".join(map(str, self.shapes)) or "-"
        count = "again" if self.again else f"{self.parameters:,}" if self.parameters else "-"
        name = f"{self.name}: {self.kind}" if self.name else self.kind
        return ["  " * self.depth + name, shapes, count, f"{self.multiply_adds:,}" if self.multiply_adds else "-"]


@dataclass
class Summary:
    """What `summary` found; `print` shows it.

    calls                 -- every call of a module
    parameters, trainable -- entries of all parameters, each counted once, and of those that require grad
    multiply_adds         -- of matrix products and convolutions in one forward pass
    parameter_bytes, input_bytes -- the memory of the parameters and of the input
    kept_bytes            -- the memory of what the graph keeps for the backward pass besides these
    """

    calls: list[Call]
    parameters: int
    trainable: int
    parameter_bytes: int
    input_bytes: int
    kept_bytes: int

    @property
    def multiply_adds(self) -> int:
        """Of all calls."""
        return sum(call.multiply_adds for call in self.calls)

    def __str__(self) -> str:
        rows = [["layer", "output shape", "parameters", "multiply-adds"], *(call.cells() for call in self.calls)]
        wide = [max(len(row[k]) for row in rows) for k in range(4)]
        lines = [f"{a:{wide[0]}}  {b:{wide[1]}}  {c:>{wide[2]}}  {d:>{wide[3]}}".rstrip() for a, b, c, d in rows]
        frozen = self.parameters - self.trainable
        parts = f" ({self.trainable:,} trainable, {frozen:,} frozen)" if frozen else ""
        return "\n".join([
            *lines,
            "-" * max(map(len, lines)),
            f"parameters: {self.parameters:,}{parts}, {size(self.parameter_bytes)}",
            f"one forward pass: {self.multiply_adds:,} multiply-adds; input {size(self.input_bytes)}, "
            f"kept for the backward pass {size(self.kept_bytes)}",
        ])  # fmt: skip

    __repr__ = __str__


def size(count: int) -> str:
    """A number of bytes for people.

    >>> size(80), size(2048), size(3_500_000)
    ('80 B', '2.0 KiB', '3.3 MiB')
    """
    value, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB"):
        if value >= 1024:
            value, unit = value / 1024, larger
    return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"


def summary(model: Module, *inputs: Any) -> Summary:
    """Call a model once and tell, for each of its layers, output shape, parameters and multiply-adds; and its memory.

    inputs -- what the model is called with; a tuple of ints stands for zeros of that shape, in the default dtype

    The model is called in evaluation mode, so running statistics and random numbers stay as they are, and is in the
    mode it was in afterwards.  Multiply-adds are those of matrix products and convolutions, for the whole batch.
    Raises TypeError for a model that is not a Module, and whatever the model itself raises.

    >>> import tinygrad_edu as tg
    >>> print(tg.summary(tg.nn.Sequential(tg.nn.Linear(4, 3), tg.nn.ReLU()), (2, 4)))
    layer        output shape  parameters  multiply-adds
    Sequential   (2, 3)                 -              -
      0: Linear  (2, 3)                15             24
      1: ReLU    (2, 3)                 -              -
    ----------------------------------------------------
    parameters: 15, 60 B
    one forward pass: 24 multiply-adds; input 32 B, kept for the backward pass 24 B
    """
    if not isinstance(model, Module):
        raise TypeError(f"summary: the model must be an nn.Module, not {type(model).__name__}")
    given = [zeros(*i, dtype=get_default_dtype()) if is_shape(i) else i for i in inputs]
    watch = Watch()
    with watch.watching(model), evaluating(model), switched(recorder=watch, grad=True):
        results = model(*given)
    parameters = list(model.parameters())
    arrays = [t._array for t in tensors_in(given)]
    mine = {id(owner(a)) for a in (*(p._array for p in parameters), *(b._array for b in model.buffers()), *arrays)}
    return Summary(
        watch.calls,
        sum(p.numel() for p in parameters),
        sum(p.numel() for p in parameters if p.requires_grad),
        sum(p._array.nbytes for p in parameters),
        sum(a.nbytes for a in arrays),
        sum(m.nbytes for m in kept_memory(tensors_in(results)) if id(m) not in mine),
    )


def is_shape(value: Any) -> bool:
    """Whether it is a tuple of sizes."""
    return isinstance(value, tuple) and bool(value) and all(type(n) is int for n in value)


def tensors_in(value: Any) -> list[Tensor]:
    """The tensors in lists, tuples and dicts within each other."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = value.values()
    if isinstance(value, str | bytes | np.ndarray) or not isinstance(value, Iterable):
        return []
    return [tensor for part in value for tensor in tensors_in(part)]


def kept_memory(results: list[Tensor]) -> list[np.ndarray]:
    """The memory that the graph behind some results holds on to, each piece once."""
    found: dict[int, np.ndarray] = {}
    for node in ancestors(t._edge for t in results if t._edge is not None):
        for saved in node.saved or ():
            for array in saved if isinstance(saved, tuple) else (saved,):
                if isinstance(array, np.ndarray):
                    memory = owner(array)
                    found[id(memory)] = memory
    return list(found.values())


@contextmanager
def evaluating(model: Module) -> Iterator[None]:
    """Evaluation mode; each module is left in the mode it was in."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


class Watch:
    """Listens to the modules of a model, and to the operations they do (a `Recorder` of the engine that counts)."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.inside: list[Call] = []
        self.seen: set[int] = set()

    @contextmanager
    def watching(self, model: Module) -> Iterator[None]:
        """Hooks on all modules while the block runs: first before forward, last after it."""
        with ExitStack() as stack:
            for name, module in model.named_modules():
                before, after = self.enters(name.rpartition(".")[2]), self.leaves
                for handle in (
                    module.register_forward_pre_hook(before),
                    module.register_forward_hook(after),
                ):
                    stack.callback(handle.remove)
            yield

    def enters(self, name: str) -> Any:
        """The hook that opens the line of a module."""

        def hook(module: Module, args: Any) -> None:
            own = {id(p): p.numel() for p in module._parameters.values() if p is not None}
            fresh = sum(n for key, n in own.items() if key not in self.seen)
            again = id(module) in self.seen
            self.seen.update(own, [id(module)])
            self.calls.append(Call(name, type(module).__name__, len(self.inside), fresh, again))
            self.inside.append(self.calls[-1])

        return hook

    def leaves(self, module: Module, args: Any, output: Any) -> None:
        """The hook that notes what a module returned."""
        self.inside.pop().shapes = [tuple(t.shape) for t in tensors_in(output)]

    def call(self, op: Primitive, inputs: tuple[Any, ...], static: dict[str, Any], outputs: tuple[Any, ...]) -> None:
        """The engine computed an operation."""
        if self.inside:
            self.inside[-1].multiply_adds += multiply_adds(op.name, inputs, outputs[0])

    def ignore(self, *anything: Any) -> None:
        """What else a recorder is told."""

    assign = literal = gradient = walking = live = made = copied = relaid = ignore


def multiply_adds(op: str, inputs: tuple[Any, ...], output: np.ndarray) -> int:
    """How many products an operation adds up; only those of matrix products and convolutions count."""
    if op in ("matmul", "linear"):
        return output.size * inputs[0].shape[-1]
    if op == "conv2d":
        return output.size * math.prod(inputs[1].shape[1:])
    if op == "conv2d_to_input":
        return inputs[0].size * math.prod(inputs[1].shape[1:])
    return 0
