"""What a program is made of: inputs, instructions in static single assignment, and assignments, the only effect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.engine.primitive import Primitive, registry
from tinygrad_edu.engine.value import Leaf

PHASES = ("forward", "backward", "update")
ROLES = ("input", "param", "state", "hyper", "key")


@dataclass(frozen=True, eq=False)
class Input:
    """Something a program reads that it does not compute.

    name   -- its name in the program
    role   -- "input" (a batch), "param" (a leaf that requires grad), "state" (other memory the program writes),
              "hyper" or "key" (numbers read anew at every replay)
    array  -- the memory it is bound to: what is read when nothing is given, and what assignments write
    read   -- for "hyper" and "key": gives the number of the next replay
    assigned -- whether the program writes it
    leaf   -- for "param": the edge of the tensor, which knows when the tensor gets other memory
    """

    name: str
    role: str
    array: np.ndarray
    read: Callable[[], Any] | None = None
    assigned: bool = False
    leaf: Leaf | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype:
        """Of the array."""
        return self.array.dtype

    def value(self) -> np.ndarray:
        """What it is now: the number read anew, or the bound memory.

        Raises RuntimeError when the tensor has got other memory since it was recorded.
        """
        if self.leaf is not None and self.leaf.array is not self.array:
            raise RuntimeError(
                f"{self.name} has got other memory since the program was recorded (was its data replaced?): record "
                "again, or copy numbers into it (copy_, load_state_dict) instead"
            )
        return self.array if self.read is None else np.asarray(self.read(), self.dtype)


class Pulled(NamedTuple):
    """What the result of an instruction is: the gradient of one input of an earlier instruction.

    of        -- the first result of that instruction
    input     -- the position of the input
    upstream  -- the gradient of that result
    """

    of: str
    input: int
    upstream: str


@dataclass(frozen=True)
class Instruction:
    """One call of a primitive: `outputs = op(*inputs, **static)`.

    op               -- the primitive's name
    inputs           -- the names of values, and numbers
    outputs          -- the names of the results, with their `shapes` and `dtypes`
    line, layer      -- the user's source text and the modules it happened in; a gradient has those of its operation
    phase            -- "forward", "backward" or "update"
    pulled           -- where it ends the rule for one input of an operation: which one
    """

    op: str
    inputs: tuple[Any, ...]
    static: dict[str, Any]
    outputs: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[np.dtype, ...]
    line: str = ""
    layer: tuple[str, ...] = ()
    phase: str = "forward"
    pulled: Pulled | None = None

    @property
    def primitive(self) -> Primitive:
        """The primitive registered under the name; RuntimeError when there is none any more."""
        found = registry.get(self.op)
        if found is None:
            raise RuntimeError(f"the primitive {self.op!r} (from the line {self.line!r}) is not registered any more")
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """The values it reads."""
        return tuple(i for i in self.inputs if isinstance(i, str))


@dataclass(frozen=True)
class Assign:
    """`target[...] = value`: the memory of an input takes the numbers of a value of the same shape and dtype.

    Nothing reads the target after it: what does so in the user's program reads `value` here.
    """

    target: str
    value: str
    line: str = ""
    layer: tuple[str, ...] = ()
    phase: str = "update"

    @property
    def names(self) -> tuple[str, ...]:
        """The value it reads."""
        return (self.value,)


Line = Instruction | Assign


class Values(dict[str, np.ndarray]):
    """Named arrays: `values["loss"]`, or `values.loss` where a dictionary has no attribute of that name."""

    def __getattr__(self, name: str) -> np.ndarray:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"no value named {name!r}; there are {', '.join(self) or 'none'}") from None


@dataclass
class Draft:
    """A value while it is recorded, before it has a name.

    number   -- its place in the order of definition
    names    -- (rank, name): what the user calls it, the lowest rank counts
    after    -- (prefix, value, suffix): named after another value, such as d and the name of what it is a gradient of
    pulled   -- (forward result, position of the input, gradient of that result) if it ends the rule for that input
    """

    number: int
    shape: tuple[int, ...]
    dtype: np.dtype
    source: Input | None = None
    names: list[tuple[float, str]] = field(default_factory=list)
    after: list[tuple[str, Draft, str]] = field(default_factory=list)
    name: str = ""
    pulled: tuple[Draft, int, Draft] | None = None

    def called(self, rank: float, name: str) -> None:
        """Note what the user calls it."""
        if not name.startswith("_"):
            self.names.append((rank, name))
