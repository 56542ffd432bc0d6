"""Names of values: those of the user's variables and of modules' parameters, else generated ones.

The rank of a name says how good it is, the lowest counts:
0 `named_parameters()` of a module, 0.5 what an optimizer calls its numbers, 1 variables where the recording was
opened, 2 variables of functions it called, 3 elements of lists and dictionaries.  What has no name is named after what
it belongs to (`dW` is the gradient of `W`), or `t1`, `t2`, ...
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

import numpy as np

from tinygrad_edu.engine.value import Value
from tinygrad_edu.engine.where import assigned_name
from tinygrad_edu.program.instruction import Draft

MODULE, LIVE, OPENER, CALLED, CONTAINER = 0, 0.5, 1, 2, 3
RESERVED = {*keyword.kwlist, *dir(builtins), "np", "ops", "registry", "step"}


class Frames:
    """The user's frames met while recording, and what their variables are bound to.

    draft_of -- the value an array stands for at this moment, if it is one
    """

    def __init__(self, opener: FrameType | None, draft_of: Callable[[np.ndarray], Draft | None]) -> None:
        self.opener = opener
        self.draft_of = draft_of
        self.frames: dict[int, FrameType] = {} if opener is None else {id(opener): opener}
        self.pending: tuple[FrameType, str] | None = None
        self.paths: dict[str, Any] = {}

    def see(self, frame: FrameType) -> None:
        """An operation is called from this frame: what it assigned before is bound now."""
        self.settle()
        self.frames.setdefault(id(frame), frame)
        name = assigned_name((frame.f_code, frame.f_lasti))
        self.pending = None if name is None else (frame, name)

    def settle(self) -> None:
        """Give the variable the latest operation was assigned to as a name to its value."""
        if self.pending is not None:
            frame, name = self.pending
            self.name_tensor(self.rank(frame), name, frame.f_locals.get(name, frame.f_globals.get(name)))

    def rank(self, frame: FrameType) -> int:
        """How good the names of a frame's variables are."""
        return OPENER if frame is self.opener else CALLED

    def name_tensor(self, rank: float, name: str, value: Any) -> None:
        """Name the value behind a tensor; an input that was not called so when it was first used hardly is."""
        draft = self.draft_of(value._array) if isinstance(value, Value) else None
        if draft is not None:
            late = draft.source is not None and rank in (OPENER, CALLED)
            draft.called(rank + CONTAINER if late else rank, name)

    def name_input(self, draft: Draft, array: np.ndarray) -> None:
        """The variables that hold a new input now (they may hold something else at the end)."""
        for frame in self.frames.values():
            for name, value in frame.f_locals.items():
                if isinstance(value, Value) and value._array is array:
                    draft.called(self.rank(frame), name)

    def finish(self) -> None:
        """Read all variables at the end of the recording, and let go of the frames."""
        self.settle()
        for frame in self.frames.values():
            rank = self.rank(frame)
            for name, value in list(frame.f_locals.items()):
                self.name_tensor(rank, name, value)
                self.name_parts(rank - OPENER, name, value)
                if name == "self" and not is_module(value):
                    for attribute, held in getattr(value, "__dict__", {}).items():
                        self.name_tensor(CONTAINER, attribute, held)
                        self.name_parts(rank - OPENER, attribute, held)
        self.frames.clear()
        self.paths.clear()
        self.opener = self.pending = None

    def name_parts(self, lower: int, name: str, value: Any) -> None:
        """Name the parameters of a module, the tensors in a container, the state of an optimizer."""
        if is_module(value):
            for path, tensor in parts_of(value):
                # A path that is short, or met before in another module, needs the module's name in front
                known = self.paths.setdefault(path, tensor)
                alone = path[0].isalpha() and "." in path and known is tensor
                self.name_tensor(MODULE + lower / 2, path if alone else f"{name}_{path}", tensor)
        elif isinstance(getattr(value, "param_groups", None), list):
            self.name_state(value)
        elif isinstance(value, (list, tuple)) and len(value) <= 1000:
            for i, held in enumerate(value):
                self.name_tensor(CONTAINER, f"{name}_{i}", held)
        elif isinstance(value, dict) and len(value) <= 1000 and not name.startswith("_"):
            for key, held in list(value.items()):
                self.name_tensor(CONTAINER, f"{name}_{key}", held)

    def name_state(self, optimizer: Any) -> None:
        """Name what an optimizer keeps for a parameter after the parameter."""
        for parameter, state in optimizer.state.items():
            owner = self.draft_of(parameter._array)
            for name, held in state.items():
                draft = self.draft_of(held._array) if isinstance(held, Value) else None
                if owner is not None and draft is not None:
                    draft.after.append(("", owner, f"_{name}"))


def is_module(value: Any) -> bool:
    """Whether it has parameters with names."""
    return not isinstance(value, type) and callable(getattr(type(value), "named_parameters", None))


def parts_of(module: Any) -> Iterable[tuple[str, Any]]:
    """(path, tensor) of the parameters and buffers of a module."""
    yield from module.named_parameters()
    yield from getattr(module, "named_buffers", dict)()


def identifier(name: str) -> str:
    """A valid name that hides nothing the emitted code uses."""
    name = re.sub(r"\W", "_", name)
    name = f"t_{name}" if not name or name[0].isdigit() else name
    return f"{name}_" if name in RESERVED else name


def assign_names(drafts: list[Draft]) -> None:
    """Give every value its name, all different.

    An input claims its name first; of several values with one name the last one gets it, as the user sees it after
    the block, and the earlier ones are numbered.
    """
    taken: set[str] = set()
    named: dict[str, list[Draft]] = {}
    for draft in drafts:
        if draft.names:
            _, name = min(draft.names, key=lambda ranked: ranked[0])
            named.setdefault(identifier(name), []).append(draft)
    for base, group in named.items():
        claim(base, [d for d in group if d.source is not None], taken, first=True)
    for base, group in named.items():
        claim(base, [d for d in group if d.source is None], taken)
    count = 0
    for draft in drafts:
        if not draft.name and not draft.after:
            count += 1
            claim(f"{draft.source.role}_1" if draft.source is not None else f"t{count}", [draft], taken)
    follow([d for d in drafts if not d.name], taken)


def follow(drafts: list[Draft], taken: set[str]) -> None:
    """Name values after those they belong to, which may themselves be waiting for a name."""
    groups: dict[tuple[int, str, str], list[Draft]] = {}
    for draft in drafts:
        prefix, owner, suffix = draft.after[0]
        groups.setdefault((owner.number, prefix, suffix), []).append(draft)
    while groups:
        ready = [key for key in sorted(groups) if groups[key][0].after[0][1].name]
        for key in ready:
            group = groups.pop(key)
            prefix, owner, suffix = group[0].after[0]
            claim(identifier(f"{prefix}{owner.name}{suffix}"), group, taken)
        if not ready:
            group = groups.pop(min(groups))
            claim("t", group, taken)


def claim(base: str, group: list[Draft], taken: set[str], first: bool = False) -> None:
    """Name a group after one base: the last one (or the first) exactly so, the others with numbers."""
    chosen = group[0 if first else -1] if group and base not in taken else None
    if chosen is not None:
        chosen.name = base
        taken.add(base)
    stem = re.sub(r"_1$", "", base)
    number = 1 if not first and chosen is not None else 2
    for draft in group:
        if draft is chosen:
            continue
        while f"{stem}_{number}" in taken:
            number += 1
        draft.name = f"{stem}_{number}"
        taken.add(draft.name)
