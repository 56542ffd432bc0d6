"""Where in the user's program an operation was called, and what the result is called there.

Only (code object, instruction) is kept: a frame would keep every local alive.
"""

from __future__ import annotations

import dis
import linecache
import os
import sys
from functools import lru_cache
from types import CodeType

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep

Where = tuple[CodeType, int]

# the files of this package met so far: looking a name up is faster than comparing it
_inside: set[str] = set()


def outside(depth: int = 1) -> Where | None:
    """(code, instruction) of the first frame outside this package, or None when there is none."""
    frame = sys._getframe(depth)
    while frame is not None:
        file = frame.f_code.co_filename
        if file not in _inside:
            if not file.startswith(PACKAGE):
                return (frame.f_code, frame.f_lasti)
            _inside.add(file)
        frame = frame.f_back
    return None


def line_number(where: Where) -> int:
    """The line of the source file."""
    code, instruction = where
    number = code.co_firstlineno
    for start, end, line in code.co_lines():
        if start <= instruction < end and line is not None:
            number = line
    return number


def source_line(where: Where | None) -> str:
    """The text of the line, stripped; empty when the source is not at hand."""
    if where is None:
        return ""
    return linecache.getline(where[0].co_filename, line_number(where)).strip()


def describe(where: Where | None) -> str:
    """`file.py:12: y = x * w`, for messages."""
    if where is None:
        return "an unknown line"
    text = source_line(where)
    return f"{os.path.basename(where[0].co_filename)}:{line_number(where)}" + (f": {text}" if text else "")


_STORES = {"STORE_FAST", "STORE_NAME", "STORE_GLOBAL", "STORE_DEREF", "STORE_ATTR"}
_SKIPPED = {"CACHE", "NOP", "COPY", "EXTENDED_ARG", "RESUME", "PRECALL"}


@lru_cache(maxsize=4096)
def assigned_name(where: Where) -> str | None:
    """The variable (or attribute) the result of this very instruction is assigned to, if any.

    `h = sigmoid(z)` names h; in `h = sigmoid(x @ w)` the product has no name of its own.
    """
    code, at = where
    # Python 3.11 stops at the cache entries behind a CALL, so the call is the last instruction not after `at`
    for instruction in dis.get_instructions(code):
        if instruction.offset > at and instruction.opname not in _SKIPPED:
            # Python 3.13 stores a local and goes on with the next in one instruction
            if instruction.opname.startswith("STORE_FAST_"):
                return str(instruction.argval[0])
            if instruction.opname not in _STORES and not instruction.opname.startswith("LOAD"):
                return None
            return _stored_in(code, instruction)
    return None


def _stored_in(code: CodeType, instruction: dis.Instruction) -> str | None:
    """The name a store instruction binds; `self.w = ...` loads `self` between the call and the store."""
    if instruction.opname in _STORES:
        return str(instruction.argval)
    rest = [i for i in dis.get_instructions(code) if i.offset > instruction.offset and i.opname != "CACHE"]
    return str(rest[0].argval) if rest and rest[0].opname == "STORE_ATTR" else None
