"""The call of a primitive written out for its inputs, where the cost per operation matters most.

`Primitive.__call__` is the definition; the source made here does the same in a single frame, without a loop:

    >>> from tinygrad_edu import ops
    >>> print(ops.neg.__call__.source)
    def call(x):
        if x.__class__ is not Tensor and not isinstance(x, Value):
            return otherwise(x)
        a0, e0 = x._array, x._edge
        try:
            out = forward(a0)
        except Exception as error:
            out = op.again((a0,), error, EMPTY)
        if out.__class__ is not ndarray:
            out = asarray(out)
        mode = current()
        result = new(Tensor)
        result._array = out
        result._notes = None
        if e0 is not None and mode.grad and op.ruled:
            result._edge = node = Node()
            try:
                node.plan = plan = plans[1]
            except KeyError:
                node.plan = plan = op.plan(1, 1)
            if plan.keeps:
                k0, kz = plan.keep
                node.saved = (a0 if k0 else None, out if kz else None)
            else:
                node.saved = (None, None)
            node.inputs = (e0,)
            node.static = EMPTY
            node.shape = out.shape
            node.dtype = out.dtype
            node.seq = clock()
            frame = getframe(1)
            node.code = code = frame.f_code
            node.instruction = frame.f_lasti
            if code is not known[0]:
                if code.co_filename.startswith(PACKAGE):
                    node.code, node.instruction = outside(2) or nowhere
                else:
                    known[0] = code
            node.scope = mode.scope
            node.special = None
        else:
            result._edge = None
        if mode.recorder is not None:
            mode.recorder.call(op, (a0,), EMPTY, (out,))
        return result
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from sys import _getframe
from types import CodeType
from typing import Any

import numpy as np

from tinygrad_edu.engine.mode import current
from tinygrad_edu.engine.node import Node
from tinygrad_edu.engine.primitive import Primitive, nowhere
from tinygrad_edu.engine.quiet import ignore, restore, silence
from tinygrad_edu.engine.storage import clock
from tinygrad_edu.engine.value import Value, constant
from tinygrad_edu.engine.where import PACKAGE, outside

# What the source names besides the primitive. Tensor stands for Value until the public class is known.
_shared: dict[str, Any] = {
    "EMPTY": {},
    "NUMBERS": (float, int),
    "PACKAGE": PACKAGE,
    "__name__": __name__,
    "Node": Node,
    "Tensor": Value,
    "Value": Value,
    "asarray": np.asarray,
    "clock": clock.__next__,
    "constant": constant,
    "current": current.get,
    "getframe": _getframe,
    "ignore": ignore,
    "known": [None],
    "ndarray": np.ndarray,
    "new": object.__new__,
    "nowhere": nowhere,
    "outside": outside,
    "restore": restore,
    "silence": silence,
}
_scopes: list[dict[str, Any]] = []


def results_of_calls_are(cls: type[Value]) -> None:
    """Let all calls, those written already too, return instances of `cls`."""
    for scope in (_shared, *_scopes):
        scope["Tensor"] = cls


def written_call(
    op: Primitive,
    otherwise: Callable[..., Any],
    kinds: str | None = None,
    mixed: bool = True,
    numbers: bool = False,
    forward: Callable[..., Any] | None = None,
) -> Any:
    """`op` on tensors that share one floating dtype; `otherwise` for everything else.

    kinds    -- the dtype kinds the first input may have; None: any
    mixed    -- others may have other dtypes, if not floating ones: classes, say
    numbers  -- the last input may be a Python number, where the first is floating
    forward  -- a kernel that computes the same, faster for what it will be called with
    """
    scope = {
        **_shared,
        "op": op,
        "forward": forward or op.forward,
        "plans": op.plans,
        "defaults": op.defaults,
        "kinds": kinds,
    }
    scope["otherwise"] = otherwise
    source = "\n".join(_source(op, kinds, mixed, numbers))
    exec(_code(source), scope)
    _scopes.append(scope)
    call = scope["call"]
    call.source = source
    call.__name__ = call.__qualname__ = op.name
    return call


@cache
def _code(source: str) -> CodeType:
    """The source compiled, once for all primitives with the same names of inputs."""
    # a file name inside the package: the call is no line of the user's
    return compile(source, f"{PACKAGE}<call of a primitive>", "exec")


def _source(op: Primitive, kinds: str | None, mixed: bool, numbers: bool) -> list[str]:
    """The lines of the call."""
    names, count = op.inputs, len(op.inputs)
    passed = ", ".join((*names, "**static") if op.statics else names)
    arrays, static = ", ".join(f"a{i}" for i in range(count)), "static" if op.statics else "EMPTY"
    tupled = f"({arrays}{',' * (count == 1)})"
    lines = [f"def call({passed}):"]
    for i in range(count):
        lines += _unwrapped(names, i, f"return otherwise({passed})", kinds, mixed, numbers and i == count - 1)
    if op.defaults:
        lines.append("    static = {**defaults, **static}")
    # Operators warn in the name of the line they stand in, and there is a filter for ours; NumPy's functions do not.
    loud = bool(op.statics) or count > 2
    return [
        *lines,
        *["    token = silence(ignore)"] * loud,
        "    try:",
        f"        out = forward({arrays}{', **static' * bool(op.statics)})",
        "    except Exception as error:",
        f"        out = op.again({tupled}, error, {static})",
        *["    finally:", "        restore(token)"] * loud,
        "    if out.__class__ is not ndarray:",
        "        out = asarray(out)",
        "    mode = current()",
        "    result = new(Tensor)",
        "    result._array = out",
        "    result._notes = None",
        *_node(names, static),
        "    else:",
        "        result._edge = None",
        "    if mode.recorder is not None:",
        f"        mode.recorder.call(op, {tupled}, {static}, (out,))",
        "    return result",
    ]


def _unwrapped(
    names: tuple[str, ...], i: int, otherwise: str, kinds: str | None, mixed: bool, number: bool
) -> list[str]:
    """Array and edge of one input, once it is sure that the call can take it."""
    name, array = names[i], f"    a{i}, e{i} = {names[i]}._array, {names[i]}._edge"
    tests = []
    if i == 0 and kinds is not None:
        tests = ["    if a0.dtype.kind not in kinds:", f"        {otherwise}"]
    if i == 0 and len(names) > 1:
        tests.append("    dtype = a0.dtype")
    elif i and not mixed:
        tests = [f"    if a{i}.dtype is not dtype:", f"        {otherwise}"]
    elif i:
        tests = [f"    if a{i}.dtype is not dtype and a{i}.dtype.kind == 'f':"]
        tests += ["        if dtype.kind == 'f':", f"            {otherwise}", f"        dtype = a{i}.dtype"]
    if not number:
        test = f"    if {name}.__class__ is not Tensor and not isinstance({name}, Value):"
        return [test, f"        {otherwise}", array, *tests]
    return [
        f"    if {name}.__class__ is Tensor or isinstance({name}, Value):",
        *("    " + line for line in (array, *tests)),
        f"    elif {name}.__class__ in NUMBERS and dtype.kind == 'f':",
        f"        a{i}, e{i} = {name}, None",
        "    else:",
        f"        {otherwise}",
    ]


def _node(names: tuple[str, ...], static: str) -> list[str]:
    """The node behind the result, where a gradient may be asked for."""
    count = len(names)
    if count == 1:
        lines, needs = ["    if e0 is not None and mode.grad and op.ruled:"], "1"
        edges = "e0,"
    else:
        mask = " | ".join(f"({1 << i} if e{i} is not None else 0)" for i in range(count))
        lines, needs = [f"    if mode.grad and (needs := ({mask}) & op.ruled):"], "needs"
        edges = ", ".join(f"e{i} if e{i} is not None else constant({name})" for i, name in enumerate(names))
    kept, saved = ", ".join(f"k{i}" for i in range(count)), ", ".join(f"a{i} if k{i} else None" for i in range(count))
    body = [
        "result._edge = node = Node()",
        "try:",
        f"    node.plan = plan = plans[{needs}]",
        "except KeyError:",
        f"    node.plan = plan = op.plan({needs}, {count})",
        "if plan.keeps:",
        f"    {kept}, kz = plan.keep",
        f"    node.saved = ({saved}, out if kz else None)",
        "else:",
        f"    node.saved = ({', '.join(['None'] * (count + 1))})",
        f"node.inputs = ({edges})",
        f"node.static = {static}",
        "node.shape = out.shape",
        "node.dtype = out.dtype",
        "node.seq = clock()",
        "frame = getframe(1)",
        "node.code = code = frame.f_code",
        "node.instruction = frame.f_lasti",
        "if code is not known[0]:",
        "    if code.co_filename.startswith(PACKAGE):",
        "        node.code, node.instruction = outside(2) or nowhere",
        "    else:",
        "        known[0] = code",
        "node.scope = mode.scope",
        "node.special = None",
    ]
    return lines + ["        " + line for line in body]
