"""The end of a recording: names for all values, roles for the inputs, and what a run gives back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tinygrad_edu.engine.storage import storage_of
from tinygrad_edu.engine.value import Leaf, Value
from tinygrad_edu.program.instruction import ROLES, Assign, Draft, Input, Instruction, Line, Pulled
from tinygrad_edu.program.names import CONTAINER, OPENER, assign_names
from tinygrad_edu.program.recorder import Call, Recorder


def finished(recorder: Recorder) -> tuple[tuple[Input, ...], tuple[Line, ...], dict[str, str]]:
    """The inputs, instructions and outputs of what was recorded, with names."""
    mark_leaves(recorder)
    recorder.frames.finish()
    for root in recorder.roots:
        root.called(OPENER + 0.5, "loss")
    assign_names(recorder.drafts)
    sources = [d for d in recorder.drafts if d.source is not None]
    read = {id(i) for call in recorder.calls for i in call.inputs if isinstance(i, Draft)}
    inputs = [finished_input(recorder, d) for d in sources if id(d) in read or is_live(d)]
    inputs.sort(key=lambda i: ROLES.index(i.role))
    lines = tuple(map(finished_line, recorder.calls))
    return tuple(inputs), lines, outputs_of(recorder)


def is_variable(draft: Draft) -> bool:
    """Whether a variable of the user's holds it, or held it."""
    return any(rank < CONTAINER for rank, _ in draft.names)


def is_live(draft: Draft) -> bool:
    """Whether it is a number to be read at every replay, used or not."""
    return draft.source is not None and draft.source.read is not None


def mark_leaves(recorder: Recorder) -> None:
    """Find the leaves among the inputs that no walk came by: the variables know."""
    for frame in recorder.frames.frames.values():
        for value in list(frame.f_locals.values()):
            if isinstance(value, Value) and isinstance(value._edge, Leaf):
                recorder.leaves[id(value._array)] = value._edge


def finished_input(recorder: Recorder, draft: Draft) -> Input:
    """The input with its name and role."""
    source = draft.source
    assert source is not None
    written = id(source.array) in recorder.assigned
    storage_of(source.array).shown = True  # whoever holds the program sees this memory
    role = source.role
    if role == "input":
        role = "param" if id(source.array) in recorder.leaves else "state" if written else "input"
    leaf = recorder.leaves.get(id(source.array))
    return replace(source, name=draft.name, role=role, assigned=written, leaf=leaf)


def finished_line(call: Call) -> Line:
    """An instruction or assignment with names for its values."""
    given: tuple[Any, ...] = tuple(i.name if isinstance(i, Draft) else i for i in call.inputs)
    if call.op is None:
        return Assign(given[0], given[1], *call.place)
    names = tuple(d.name for d in call.outputs)
    shapes, dtypes = tuple(d.shape for d in call.outputs), tuple(d.dtype for d in call.outputs)
    pulled = call.outputs[0].pulled
    told = None if pulled is None else Pulled(pulled[0].name, pulled[1], pulled[2].name)
    return Instruction(call.op, given, call.static, names, shapes, dtypes, *call.place, told)


def outputs_of(recorder: Recorder) -> dict[str, str]:
    """What a run gives back: the values of variables, the loss, their gradients and those of inputs (`dW` of `W`)."""
    homes = {k.draft.number: k for k in recorder.known.values() if id(k.array) not in recorder.assigned}
    found = {d.name: d.name for d in recorder.drafts if d.source is None and is_variable(d)}
    for owner, grad in recorder.gradients.values():
        if owner.source is not None or is_variable(owner):
            found.setdefault(f"d{owner.name}", grad.name)
    stale = {home.draft.name for home in homes.values() if recorder.is_stale(home)}
    computed = {d.name for d in recorder.drafts if d.source is None}
    return {name: value for name, value in found.items() if value in computed and value not in stale}
