"""The recorder: what the engine tells it becomes a flat list of instructions.

A value is recognized by its array: every array met is kept alive while recording, so its `id` stays its own.  After
`x.add_(y)` the array of x stands for the sum, so whatever reads x later reads the sum, and the only trace of writing
in place is an assignment to memory that was there before the recording.
"""

from __future__ import annotations

import bisect
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.engine.mode import current
from tinygrad_edu.engine.node import Node, Output, producer
from tinygrad_edu.engine.primitive import Primitive, registry
from tinygrad_edu.engine.storage import clock
from tinygrad_edu.engine.value import Leaf
from tinygrad_edu.engine.where import PACKAGE, source_line
from tinygrad_edu.program.instruction import Draft, Input
from tinygrad_edu.program.names import LIVE, Frames


class Known(NamedTuple):
    """What an array stands for, since which write (a count)."""

    array: np.ndarray
    draft: Draft
    since: int


class Place(NamedTuple):
    """Where in the user's program something happens."""

    line: str
    layer: tuple[str, ...]
    phase: str


@dataclass
class Call:
    """An instruction whose values have no names yet; `op` None is an assignment of inputs[1] to inputs[0]."""

    op: str | None
    inputs: tuple[Any, ...]
    static: dict[str, Any]
    outputs: tuple[Draft, ...]
    place: Place


@dataclass
class Pulls:
    """The rules of one node being asked.

    forward, upstream -- its (first) result, and the gradient of that
    start  -- the number of calls before;  told: how often the walk told of a gradient;  done: positions of inputs
    """

    node: Node
    forward: Draft
    upstream: Draft
    start: int
    told: int = 0
    done: set[int] = field(default_factory=set)


class Recorder:
    """Collects calls; `opener` is the frame that opened the recording.

    inputs      -- the arrays that are read but not computed, by id, with what they stood for at the start
    known       -- what every array stands for now
    writes      -- the memory that was written in place, in order
    made        -- arrays made of data from outside during the recording
    """

    def __init__(self, opener: FrameType | None) -> None:
        self.frames = Frames(opener, self.meaning)
        self.calls: list[Call] = []
        self.drafts: list[Draft] = []
        self.inputs: dict[int, Known] = {}
        self.known: dict[int, Known] = {}
        self.literals: dict[int, tuple[np.ndarray, Any]] = {}
        self.writes: list[np.ndarray] = []
        self.assigned: set[int] = set()
        self.made_here: dict[int, np.ndarray] = {}
        self.leaves: dict[int, Leaf] = {}
        self.gradients: dict[int, tuple[Draft, Draft]] = {}
        self.roots: list[Draft] = []
        self.stamps: list[int] = []
        self.results: list[tuple[Draft, ...]] = []
        self.started = next(clock)
        self.at: tuple[Node, str] | None = None
        self.walked_from: tuple[int, int] | None = None
        self.pulls: Pulls | None = None

    # what the engine tells

    def call(self, op: Primitive, inputs: tuple[Any, ...], static: dict[str, Any], outputs: tuple[Any, ...]) -> None:
        """An operation on tensors was computed."""
        place = self.place()
        if registry.get(op.name) is not op:
            self.remember([self.same_as_before(op, array) for array in outputs])
            return
        given = tuple(self.value(a) if isinstance(a, np.ndarray) else a for a in inputs)
        if all(id(array) in self.known for array in outputs):
            self.remember([self.known[id(array)].draft for array in outputs])
            return
        drafts = tuple(self.draft(array) for array in outputs)
        self.calls.append(Call(op.name, given, {name: static[name] for name in op.statics}, drafts, place))
        self.remember(drafts)

    def assign(self, target: np.ndarray, value: np.ndarray) -> None:
        """`target[...] = value` was done."""
        place = self.place()
        before = self.known.get(id(target))
        if id(target) in self.made_here or id(target) in self.literals:
            raise RuntimeError(
                f"a tensor made inside the recorded block (shape {target.shape}) is written in place at "
                f"{place.line!r}, and a replay could not tell whether it starts anew or keeps its numbers: make it "
                "before the block if it is to be kept, or use the operation that returns a new tensor"
            )
        new = self.fitted(self.value(value), target, place)
        if before is None or id(target) in self.inputs:
            owner = self.inputs[id(target)].draft if id(target) in self.inputs else self.input(target)
            if new.source is not None or np.may_share_memory(value, target):
                new = self.emit("copy", (new,), {}, new.shape, new.dtype, place)
            self.calls.append(Call(None, (owner, new), {}, (), place))
            self.assigned.add(id(target))
            new.after.append(("", owner, "_new"))
        else:
            self.refuse_views(target, place)
        self.writes.append(target)
        self.known[id(target)] = Known(target, new, len(self.writes))

    def literal(self, array: np.ndarray, value: Any) -> None:
        """An array full of one number was made; it becomes an instruction when it is used."""
        self.literals[id(array)] = (array, array.dtype.type(value))

    def made(self, array: np.ndarray) -> None:
        """An array was made of data from outside."""
        self.made_here[id(array)] = array

    def copied(self, copy: np.ndarray, original: np.ndarray) -> None:
        """`copy` holds what `original` stands for now."""
        self.known[id(copy)] = Known(copy, self.value(original), len(self.writes))

    def relaid(self, new: np.ndarray, old: np.ndarray) -> None:
        """`new` is what `old` was until now: a result, an input bound to the memory, or a leaf."""
        if id(old) in self.known:
            self.refuse_stale(self.known[id(old)])
            self.known[id(new)] = self.known[id(old)]._replace(array=new)
        if id(old) in self.inputs:
            self.inputs[id(new)] = self.inputs[id(old)]._replace(array=new)
            draft = self.inputs[id(new)].draft
            draft.source = draft.source and replace(draft.source, array=new)
        if id(old) in self.literals:
            self.literals[id(new)] = (new, self.literals[id(old)][1])
        if id(old) in self.made_here:
            self.made_here[id(new)] = new
        if id(old) in self.assigned:
            self.assigned.add(id(new))
        if id(old) in self.leaves:
            self.leaves[id(new)] = self.leaves[id(old)]

    def gradient(self, grad: np.ndarray, edge: Any) -> None:
        """`grad` is the gradient (so far) of the loss with respect to what an edge stands for."""
        draft = self.value(grad, "backward")
        owner = self.behind(edge)
        if isinstance(edge, Leaf):
            self.leaves[id(edge.array)] = edge
        if self.pulls is not None:
            self.pull(self.pulls, edge, draft)
        if owner is None or owner is draft:
            return
        source = self.inputs.get(id(grad))
        if source is not None:
            source.draft.after.append(("", owner, "_grad"))
        draft.after.append(("d", owner, ""))
        self.gradients[owner.number] = (owner, draft)
        if id(grad) in self.literals and producer(edge) is not None:
            self.roots.append(owner)

    def walking(self, node: Node | None) -> None:
        """The walk is at a node, whose line and layer what follows belongs to; None when it is over."""
        self.at = None if node is None else (node, "backward")
        self.pulls = None
        if node is not None:
            self.pulls = self.pulls_of(node)
            frame = user_frame()
            self.walked_from = None if frame is None else (id(frame), frame.f_lasti)
            self.leaves.update((id(e.array), e) for e in node.inputs if isinstance(e, Leaf))

    def pulls_of(self, node: Node) -> Pulls | None:
        """What is known of a node before its rules are asked; None where a hook may have changed the gradient."""
        forward = self.behind(Output(node, 0) if node.outputs else node)
        found = None if forward is None else self.gradients.get(forward.number)
        if found is None or (node.special is not None and node.special.hooks):
            return None
        return Pulls(node, found[0], found[1], len(self.calls))

    def pull(self, pulls: Pulls, edge: Any, draft: Draft) -> None:
        """Note which input's rule a value ends: the walk tells of what a rule gave, then of the sum so far."""
        pulls.told += 1
        if pulls.told % 2 == 0:
            return
        i = next((i for i, e in enumerate(pulls.node.inputs) if e is edge and i not in pulls.done), None)
        made = any(draft is out for call in self.calls[pulls.start :] for out in call.outputs)
        if i is not None and made and draft.pulled is None:
            draft.pulled = (pulls.forward, i, pulls.upstream)
        pulls.done.add(-1 if i is None else i)

    def replaying(self, node: Node | None) -> None:
        """What follows is the forward of a node, computed again."""
        self.at = None if node is None else (node, "forward")

    def live(self, array: np.ndarray, name: str, read: Callable[[], Any]) -> None:
        """A number that is read anew at every replay."""
        draft = self.input(array)
        draft.source = Input("", "key" if name == "key" else "hyper", array, read)
        draft.called(LIVE, name)

    # arrays and what they stand for

    def value(self, array: np.ndarray, phase: str | None = None) -> Draft:
        """What an array stands for; one that was never met is an input."""
        known = self.known.get(id(array))
        if known is not None:
            self.refuse_stale(known)
            return known.draft
        if id(array) in self.literals:
            place = self.place()
            place = place if phase is None else place._replace(phase=phase)
            given = (self.literals[id(array)][1],)
            return self.emit("expand", given, {"shape": array.shape}, array.shape, array.dtype, place, array)
        return self.input(array)

    def meaning(self, array: np.ndarray) -> Draft | None:
        """The input an array is, or what it stands for now, if it was met."""
        known = self.inputs.get(id(array)) or self.known.get(id(array))
        return None if known is None else known.draft

    def input(self, array: np.ndarray) -> Draft:
        """A new input, bound to an array."""
        for known in self.known.values():
            if np.may_share_memory(known.array, array) and not self.in_inputs(array):
                raise RuntimeError(
                    f"an array of shape {array.shape} shares memory with the result of an operation (shape "
                    f"{known.array.shape}) but is not the result of one: a program cannot follow what NumPy does "
                    "outside of tensors; use tensor operations inside the recorded block"
                )
        draft = self.draft(array, Input("", "input", array), since=0)
        self.inputs[id(array)] = self.known[id(array)]
        self.refuse_stale(self.known[id(array)])
        self.frames.name_input(draft, array)
        return draft

    def in_inputs(self, array: np.ndarray) -> bool:
        """Whether an array sees the memory of an input."""
        return any(np.may_share_memory(k.array, array) for k in self.inputs.values())

    def draft(self, array: np.ndarray, source: Input | None = None, since: int | None = None) -> Draft:
        """A new value, which the array stands for."""
        draft = Draft(len(self.drafts), array.shape, array.dtype, source)
        self.drafts.append(draft)
        self.known[id(array)] = Known(array, draft, len(self.writes) if since is None else since)
        return draft

    def emit(
        self, op: str, inputs: Any, static: Any, shape: Any, dtype: Any, place: Place, array: np.ndarray | None = None
    ) -> Draft:
        """An instruction of the recorder's own; `array` is what will stand for its result."""
        draft = Draft(len(self.drafts), shape, dtype)
        self.drafts.append(draft)
        if array is not None:
            self.known[id(array)] = Known(array, draft, len(self.writes))
        self.calls.append(Call(op, inputs, static, (draft,), place))
        return draft

    def fitted(self, value: Draft, target: np.ndarray, place: Place) -> Draft:
        """The value in the dtype and shape of what it is assigned to."""
        if value.dtype != target.dtype:
            op = "cast" if target.dtype.kind == "f" else "astype"
            value = self.emit(op, (value,), {"dtype": target.dtype}, value.shape, target.dtype, place)
        if value.shape != target.shape:
            value = self.emit("expand", (value,), {"shape": target.shape}, target.shape, value.dtype, place)
        return value

    def same_as_before(self, op: Primitive, array: np.ndarray) -> Draft:
        """What the result of an unregistered operation (an `autograd.Function`) was computed as by primitives."""
        known = self.known.get(id(array))
        if known is None:
            for earlier in reversed(list(self.known.values())):
                if earlier.array.__array_interface__ == array.__array_interface__:
                    known = self.known[id(array)] = earlier._replace(array=array)
                    break
            else:
                raise RuntimeError(
                    f"{op.name} cannot be recorded in a program: its result of shape {array.shape} does not come "
                    "from tensor operations; write its forward with them"
                )
        self.refuse_stale(known)
        return known.draft

    def remember(self, drafts: Any) -> None:
        """The node made by the latest call, if any, stands for these values."""
        self.stamps.append(next(clock))
        self.results.append(tuple(drafts))

    def behind(self, edge: Any) -> Draft | None:
        """What an edge stands for, if it was met."""
        if isinstance(edge, Leaf):
            known = self.inputs.get(id(edge.array)) or self.known.get(id(edge.array))
            return None if known is None else known.draft
        node = producer(edge)
        if node is None or node.seq < self.started:
            return None
        place = bisect.bisect(self.stamps, node.seq)
        return self.results[place][edge.slot if isinstance(edge, Output) else 0] if place < len(self.stamps) else None

    # what can not be recorded

    def is_stale(self, known: Known) -> bool:
        """Whether the memory was written in place through another array since the array stood for this."""
        return any(np.may_share_memory(known.array, written) for written in self.writes[known.since :])

    def refuse_stale(self, known: Known) -> None:
        """Refuse to read what was overwritten."""
        if self.is_stale(known):
            raise RuntimeError(
                f"a view of shape {known.array.shape} shares memory with a tensor that was written in place after the "
                f"view was taken, and is used at {self.place().line!r}: a program cannot follow writes through views; "
                "take the view again after the write, or clone() it before"
            )

    def refuse_views(self, target: np.ndarray, place: Place) -> None:
        """A write through a computed view would change an input without an assignment to it."""
        for known in self.inputs.values():
            if np.may_share_memory(known.array, target):
                raise RuntimeError(
                    f"{place.line!r} writes in place through a view of shape {target.shape} into a tensor of shape "
                    f"{known.array.shape}: a program cannot follow that; write to the tensor itself (x[i] = value), "
                    "or to a clone() of the view"
                )

    # where

    def place(self) -> Place:
        """Where the user's program is now."""
        if self.at is not None:
            node, phase = self.at
            return Place(source_line(node.where), node.scope, phase)
        frame = user_frame()
        if frame is None:
            return Place("", (), "forward")
        self.frames.see(frame)
        mode = current.get()
        phase = "forward"
        if self.walked_from == (id(frame), frame.f_lasti):
            phase = "backward"
        elif self.walked_from is not None and not mode.grad and not mode.scope:
            phase = "update"
        return Place(source_line((frame.f_code, frame.f_lasti)), mode.scope, phase)


def user_frame() -> FrameType | None:
    """The innermost frame outside of this package."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    return frame
