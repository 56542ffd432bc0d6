"""A compiled program: the emitted function, its workspace, and the calls that look like `Program.run`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.engine.mode import unrecordable
from tinygrad_edu.engine.storage import Writes, clock, owner, storage_of
from tinygrad_edu.engine.where import outside
from tinygrad_edu.kernels.jit import jit_source
from tinygrad_edu.program.body import Body
from tinygrad_edu.program.instruction import Input, Values
from tinygrad_edu.program.passes import PASSES, emitted
from tinygrad_edu.program.program import Program, checked_input


class CompiledStep:
    """One numba function for a whole program, compiled at its first call and kept on disk for the next process.

    Called like `Program.run`: batches by name, outputs by name; parameters are written in place.  Not to be called
    from two threads at once: they would share the workspace.

    source  -- the emitted code, as in the file `path`
    """

    def __init__(
        self, program: Program, outputs: Sequence[str] | None = None, passes: Collection[str] = PASSES
    ) -> None:
        self.program = program
        known = program.outputs
        if isinstance(outputs, str):
            outputs = [outputs]
        for name in outputs or ():
            if name not in known:
                raise ValueError(f"the program has no output {name!r}, only {', '.join(known) or 'none'}")
        chosen = {name: value for name, value in known.items() if outputs is None or name in outputs}
        emission = emitted(Body(program.inputs, program.instructions, chosen), passes)
        self._function = jit_source("step", emission.text, emission.imports)
        self._arenas = [aligned(size, dtype) for dtype, size in emission.arenas.items()]
        arenas = dict(zip(emission.arenas, self._arenas, strict=True))
        self._kept = {
            value: arenas[dtype][offset : offset + int(np.prod(shape))].reshape(shape).transpose(np.argsort(order))
            for value, (dtype, offset, shape, order) in emission.arrays.items()
        }
        self.outputs, self._scalars = emission.outputs, emission.scalars
        self._places = {source.name: place for place, source in enumerate(program.inputs)}
        self._bound = [argument(source) if source.read is None else None for source in program.inputs]
        # Anew at every call: numbers, and what has to be copied into row-major order
        self._read = [(k, s) for k, s in enumerate(program.inputs) if self._bound[k] is not s.array]
        self._leaves = [(source.leaf, source) for source in program.inputs if source.leaf is not None]
        self._written = list({id(s): s for s in (storage_of(i.array) for i in program.inputs if i.assigned)}.values())
        self._memory = {id(owner(i.array)) for i in program.inputs if i.assigned}
        head = "".join(f"{line}\n" for line in emission.imports)
        self.source = f"{head}\n\n{emission.text}"

    @property
    def path(self) -> str:
        """The file of the emitted code."""
        return self._function.py_func.__code__.co_filename

    def __call__(self, **inputs: Any) -> Values:
        """Run the step; see `Program.run`."""
        unrecordable("the run of another program", "run it outside of the recorded block")
        arguments = self._bound.copy()
        for place, source in self._read:
            arguments[place] = argument(source)
        for name, value in inputs.items():
            if name not in self._places:
                self.program.start(inputs)
            source = self.program.inputs[self._places[name]]
            array = argument(source, checked_input(source, value))
            if not source.assigned and isinstance(array, np.ndarray) and id(owner(array)) in self._memory:
                raise RuntimeError(
                    f"the input {name!r} (shape {array.shape}) shares memory with a tensor that the program writes, so "
                    "what it is would depend on when it is read: give a copy (.clone())"
                )
            arguments[self._places[name]] = array
        for leaf, source in self._leaves:
            if leaf.array is not source.array:
                source.value()
        numbers = self._function(*arguments, *self._arenas)
        # What `wrote` does, for all at once
        where, stamp = outside(1), next(clock)
        Writes.last = stamp
        for storage in self._written:
            storage.version += 1
            storage.written, storage.writer = stamp, where
        found: dict[str, Any] = {value: array.copy() for value, array in self._kept.items()}
        for (value, dtype), number in zip(self._scalars.items(), numbers, strict=True):
            found[value] = np.asarray(number, dtype)
        return Values({name: found[value] for name, value in self.outputs.items()})

    def __repr__(self) -> str:
        return f"<CompiledStep of {len(self.program.instructions)} instructions in {self.path}>"


def argument(source: Input, array: np.ndarray | None = None) -> Any:
    """What the function takes for an input: the memory itself where it writes, else a number or a row-major array."""
    array = source.value() if array is None else array
    if source.assigned:
        return array
    return array[()] if array.ndim == 0 else np.ascontiguousarray(array)


def aligned(size: int, dtype: np.dtype, alignment: int = 64) -> np.ndarray:
    """An array whose memory starts at a multiple of the alignment."""
    raw = np.zeros(size * dtype.itemsize + alignment, np.uint8)
    start = -raw.ctypes.data % alignment
    return raw[start : start + size * dtype.itemsize].view(dtype)
