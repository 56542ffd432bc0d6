"""Optimizers whose step is one pure function: an update rule.

A rule takes the parameter, its gradient and its state as values and returns the new ones, with operators and
primitives only.  So the same few lines run on bare arrays (an ordinary step: fast, nothing is recorded) and on tensors
(while a program is recorded: each line becomes an instruction, and the results are assigned).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.engine.inplace import assign
from tinygrad_edu.engine.mode import Recorder, current, switched
from tinygrad_edu.engine.quiet import ignore, restore, silence
from tinygrad_edu.engine.storage import wrote
from tinygrad_edu.engine.value import make
from tinygrad_edu.engine.where import Where, outside
from tinygrad_edu.kernels.updates import flat_views
from tinygrad_edu.optim.optimizer import Optimizer

Rule = Callable[..., tuple[Any, ...]]


class RuleOptimizer(Optimizer):
    """What a subclass says:

    rule      -- rule(p, g, *buffers, **numbers, **settings) -> (new p, *new buffers)
    counts    -- whether the state of a parameter counts its steps
    buffers   -- the names of the state tensors, each in the shape of the parameter
    numbers   -- what may change from one step to the next (lr, bias corrections): inputs of a recorded program
    settings  -- what may not: part of a recorded program, which refuses to run when they have changed
    one_pass  -- the rule on arrays in one compiled pass, if there is one
    """

    rule: staticmethod
    counts = False

    def buffers(self, group: dict[str, Any]) -> tuple[str, ...]:
        """The names of the state tensors."""
        return ()

    def numbers(self, group: dict[str, Any], step: int) -> dict[str, float]:
        """The numbers of a parameter's step, the first one being 1 (of any later one when steps are not counted)."""
        raise NotImplementedError

    def settings(self, group: dict[str, Any]) -> dict[str, Any]:
        """The settings that decide what the rule computes."""
        raise NotImplementedError

    def initial(self, group: dict[str, Any]) -> float:
        """The value a state tensor starts with."""
        return 0.0

    def one_pass(self, arrays: list[np.ndarray], numbers: dict[str, float], settings: dict[str, Any]) -> bool:
        """Do what the rule says in one compiled pass, with the same digits, if there is one for these settings.

        It writes into p and the buffers; `arrays` are p, g and the buffers along one axis. Returns whether it did.
        """
        return False

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient; a closure computes the loss again, which is returned."""
        loss = None
        if closure is not None:
            with switched(grad=True):
                loss = closure()
        self._stepped = True
        place = outside(1)
        recorder = current.get().recorder
        for i, group in enumerate(self.param_groups):
            if recorder is None:
                self._compute(group, place)
            else:
                with switched(grad=False):
                    self._record(group, recorder, f"_{i}" if len(self.param_groups) > 1 else "")
        return loss

    def _compute(self, group: dict[str, Any], place: Where | None) -> None:
        """One step on arrays."""
        names, settings = self.buffers(group), self.settings(group)
        numbers: dict[int, dict[str, float]] = {}
        token = silence(ignore)
        try:
            for p in group["params"]:
                g = p.grad
                if g is None:
                    continue
                state, step = self._prepare(p, group, names)
                if step not in numbers:
                    numbers[step] = self.numbers(group, step)
                arrays = [p._array, *(state[name]._array for name in names)]
                flat = flat_views((arrays[0], g._array, *arrays[1:]))
                if flat is None or not self.one_pass(flat, numbers[step], settings):
                    found = self.rule(arrays[0], g._array, *arrays[1:], **numbers[step], **settings)
                    for array, new in zip(arrays, found, strict=True):
                        array[...] = new
                for array in arrays:
                    wrote(array, place)
        finally:
            restore(token)

    def _record(self, group: dict[str, Any], recorder: Recorder, suffix: str) -> None:
        """One step on tensors: instructions of a program, and assignments."""
        names, settings = self.buffers(group), self.settings(group)
        paces: dict[int, Pace] = {}
        for p in group["params"]:
            g = p.grad
            if g is None:
                continue
            state, step = self._prepare(p, group, names)
            if step not in paces:
                paces[step] = Pace(self, group, step, recorder, suffix)
            numbers = paces[step].join(state, p._array.dtype)
            targets = [p, *(state[name] for name in names)]
            for target, new in zip(targets, self.rule(p, g, *targets[1:], **numbers, **settings), strict=True):
                assign(target, new)

    def _prepare(self, p: Any, group: dict[str, Any], names: tuple[str, ...]) -> tuple[dict[str, Any], int]:
        """The state of a parameter, made when it is missing, and the number of this step."""
        if not names and not self.counts:
            return {}, 2
        state = self.state[p]
        fresh = False
        if self.counts and "step" not in state:
            state["step"] = make(np.zeros((), np.float32))
        for name in names:
            if state.get(name) is None:
                fresh = True
                state[name] = make(np.full_like(p._array, self.initial(group)))
        return state, taken(state) if self.counts else 1 if fresh else 2


def taken(state: dict[str, Any]) -> int:
    """Count one more step in a parameter's state."""
    count = state["step"]._array
    count[...] += 1
    return int(count)


class Pace:
    """The numbers of one recorded step, for all parameters of a group that have taken equally many.

    Before each replay the program reads every number once, in any order.  The first reading of a replay counts the
    step; it is told from the others by asking for a number that was read already.
    """

    def __init__(
        self, optimizer: RuleOptimizer, group: dict[str, Any], step: int, recorder: Recorder, suffix: str
    ) -> None:
        self.optimizer = optimizer
        self.group = group
        self.recorder = recorder
        self.suffix = suffix
        self.numbers = optimizer.numbers(group, step)
        self.frozen = self._frozen()
        self.states: list[dict[str, Any]] = []
        self.inputs: dict[np.dtype, dict[str, Any]] = {}
        self.read: set[tuple[str, np.dtype]] = set()

    def _frozen(self) -> Any:
        return (self.optimizer.buffers(self.group), self.optimizer.settings(self.group))

    def join(self, state: dict[str, Any], dtype: np.dtype) -> dict[str, Any]:
        """The numbers as inputs of the program, 0-d tensors of the parameter's dtype."""
        self.states.append(state)
        if dtype not in self.inputs:
            self.inputs[dtype] = {name: self._live(name, dtype) for name in self.numbers}
        return self.inputs[dtype]

    def _live(self, name: str, dtype: np.dtype) -> Any:
        value = make(np.array(self.numbers[name], dtype))
        self.recorder.live(value._array, name + self.suffix, lambda: self._next(name, dtype))
        return value

    def _next(self, name: str, dtype: np.dtype) -> float:
        """The number for the replay that is about to run."""
        if not self.read or (name, dtype) in self.read:
            self.read.clear()
            self._advance()
        self.read.add((name, dtype))
        return self.numbers[name]

    def _advance(self) -> None:
        """Go on to the next step."""
        if self._frozen() != self.frozen:
            raise RuntimeError(
                f"the settings of {type(self.optimizer).__name__} have changed since the program was recorded, from "
                f"{self.frozen[1]} to {self._frozen()[1]}: only {', '.join(self.numbers)} may change, record it again"
            )
        steps = {taken(state) for state in self.states} if self.optimizer.counts else {2}
        if len(steps) > 1:
            raise RuntimeError(
                f"parameters that had taken equally many steps of {type(self.optimizer).__name__} when the program was "
                f"recorded have now taken {sorted(steps)}: record it again"
            )
        self.numbers = self.optimizer.numbers(self.group, steps.pop())
