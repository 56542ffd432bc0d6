"""A program: a recorded computation as a flat list of instructions, to print, to replay and to compile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.engine.errors import describe_array
from tinygrad_edu.engine.mode import unrecordable
from tinygrad_edu.engine.storage import wrote
from tinygrad_edu.engine.value import array_of
from tinygrad_edu.engine.where import outside
from tinygrad_edu.program import graph, source
from tinygrad_edu.program.instruction import Assign, Input, Instruction, Line, Values

if TYPE_CHECKING:
    from tinygrad_edu.program.compiled import CompiledStep


class Program:
    """What `tg.record()` gives: the training step as data.

    inputs        -- what it reads and does not compute: batches, parameters, state, numbers read anew at every run
    instructions  -- calls of primitives in the order they happened, and assignments, the only effect
    outputs       -- name -> value: variables of the user's, the loss, gradients (`dW` is that of `W`)

    `print(program)` shows it, `source()` writes it as a Python function, `run()` replays it, `compile()` makes one
    numba function of it.
    """

    def __init__(
        self,
        inputs: tuple[Input, ...],
        instructions: tuple[Line, ...],
        outputs: dict[str, str],
        problem: str | None = None,
    ) -> None:
        self.inputs = inputs
        self.instructions = instructions
        self.outputs = outputs
        self.problem = problem

    @classmethod
    def from_graph(cls, loss: Any) -> Program:
        """The forward and the backward pass behind a scalar tensor, after the fact: before or after `backward()`.

        What was computed without the graph (random masks, the optimizer's work) is not seen.  Raises RuntimeError
        when a leaf or a constant was written in place since the loss was computed.

        >>> import tinygrad_edu as tg
        >>> w = tg.tensor(3.0, requires_grad=True)
        >>> loss = w * w
        >>> tg.Program.from_graph(loss).run().dw
        array(6., dtype=float32)
        """
        return cls(*graph.recorded(loss))

    def __repr__(self) -> str:
        if self.problem:
            return f"<Program: {self.problem}>"
        return f"<Program of {len(self.instructions)} instructions, inputs {', '.join(i.name for i in self.inputs)}>"

    def __str__(self) -> str:
        """Inputs and instructions with shapes, under the user's lines they come from."""
        self.ready()
        return source.listing(self.inputs, self.instructions, self.outputs)

    def source(self) -> str:
        """A Python module with a function `step(inputs...)` on NumPy arrays that does the same, to the last bit.

        It writes into the arrays it is given for parameters and returns a dictionary of outputs.  Raises TypeError
        when a static parameter has no form in source.
        """
        self.ready()
        return source.function(self.inputs, self.instructions, self.outputs)

    def run(self, **inputs: Any) -> Values:
        """Replay: compute every instruction again, and write to the parameters what was written to them.

        inputs -- by name; what is not given is read from the memory the program is bound to.  Hyper-parameters and
        random keys are read anew.  Returns the outputs by name (arrays); gradients are among these, the `.grad` of
        tensors stays what it was.  Raises TypeError for a name that is no
        input, RuntimeError for other shapes or dtypes than the recorded ones.
        """
        values = self.start(inputs)
        for line in self.instructions:
            if isinstance(line, Assign):
                target = self.input(line.target).array
                target[...] = values[line.value]
                wrote(target, outside(2))
            else:
                given = [values[i] if isinstance(i, str) else i for i in line.inputs]
                results = line.primitive.compute(given, line.static)
                check_results(line, results)
                values.update(zip(line.outputs, results, strict=True))
        return Values({name: values[value] for name, value in self.outputs.items()})

    def compile(self, outputs: Any = None, passes: Any = None) -> CompiledStep:
        """One numba function that does the whole step, with the same numbers but for roundings.

        outputs -- the names of the outputs to give back, all when left out.  What only the others need is not computed
        passes  -- what to do to the program first, of `program.passes.PASSES`; everything when left out

        Raises NotImplementedError, naming the line, for a primitive that cannot be compiled.
        """
        from tinygrad_edu.program.compiled import CompiledStep
        from tinygrad_edu.program.passes import PASSES

        self.ready()
        return CompiledStep(self, outputs, PASSES if passes is None else passes)

    def input(self, name: str) -> Input:
        """The input of a name; KeyError when there is none."""
        for found in self.inputs:
            if found.name == name:
                return found
        raise KeyError(name)

    def start(self, given: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The arrays of all inputs for one run."""
        self.ready()
        unrecordable("the run of another program", "run it outside of the recorded block")
        known = {i.name for i in self.inputs}
        for name in given:
            if name not in known:
                raise TypeError(f"the program has no input {name!r}, only {', '.join(sorted(known)) or 'none'}")
        checked = {name: checked_input(self.input(name), value) for name, value in given.items()}
        now = {i.name: i.value() for i in self.inputs}
        return {**now, **checked}

    def ready(self) -> None:
        """Refuse to be used before the recording is over."""
        if self.problem:
            raise RuntimeError(f"this program cannot be used: {self.problem}")


def checked_input(source: Input, value: Any) -> np.ndarray:
    """A given array in the recorded shape and dtype; numbers and lists take the dtype."""
    value = array_of(value)
    if source.assigned:
        raise RuntimeError(
            f"{source.name} is written by the program, in memory of its own: copy what you want there "
            f"({source.name}.copy_(...)) instead of passing it"
        )
    array = value if isinstance(value, np.ndarray) else np.asarray(value, source.dtype)
    if array.shape != source.shape or array.dtype != source.dtype:
        raise RuntimeError(
            f"input {source.name} is {describe_array(array)}, the program was recorded with "
            f"{describe_array(source.array)}: convert it, or record again for these"
        )
    return array


def check_results(line: Instruction, results: tuple[np.ndarray, ...]) -> None:
    """Shapes are part of a program; where they depend on the data it does not fit any more."""
    for array, shape, dtype in zip(results, line.shapes, line.dtypes, strict=True):
        if array.shape != shape or array.dtype != dtype:
            raise RuntimeError(
                f"{line.op} (from the line {line.line!r}) gave {describe_array(array)}, but {dtype} {shape} when it "
                "was recorded: its shape depends on the data (a mask, or a number of classes?), record again"
            )
