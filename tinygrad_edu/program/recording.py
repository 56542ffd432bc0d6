"""`tg.record()`: everything that happens to tensors inside the block becomes a program."""

from __future__ import annotations

from types import TracebackType

from tinygrad_edu.engine.mode import current, switched
from tinygrad_edu.program.finish import finished
from tinygrad_edu.program.program import Program
from tinygrad_edu.program.recorder import Recorder, user_frame


class record:
    """Record what happens to tensors inside the block: forward, backward, updates.

    Gives a `Program`, which can be printed, replayed and compiled after the block.  Values of Python (numbers, loops,
    conditions, `item()`) are constants of the program; tensors that were made before the block are its inputs.
    Only this thread is recorded.  Raises RuntimeError inside of another recording.

    >>> import tinygrad_edu as tg
    >>> w = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> x = tg.tensor([3.0, 4.0])
    >>> with tg.record() as program:
    ...     loss = (w * x).sum()
    ...     loss.backward()
    >>> program.run(x=[1.0, 1.0]).loss
    array(3., dtype=float32)
    """

    def __enter__(self) -> Program:
        if current.get().recorder is not None:
            raise RuntimeError("a program is being recorded already: one recording cannot be opened inside another")
        self.recorder = Recorder(user_frame())
        self.program = Program((), (), {}, "it is still being recorded: use it after the block")
        self.mode = switched(recorder=self.recorder)
        self.mode.__enter__()
        return self.program

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.mode.__exit__(kind, error, trace)
        recorder = self.recorder
        del self.recorder, self.mode
        if error is None:
            self.program.inputs, self.program.instructions, self.program.outputs = finished(recorder)
            self.program.problem = None
        else:
            recorder.frames.finish()
            self.program.problem = f"the recorded block was left by an error ({type(error).__name__}: {error})"
