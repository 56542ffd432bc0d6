"""Gradients with a kernel of their own: the lines of the rule become one call.

The recording says which values are the gradients of which operation's inputs (`Instruction.pulled`), so nothing has to
be recognised. Between them the lines of the rule are read by nothing else, as a rule, and vanish as dead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_edu.program.body import Body
from tinygrad_edu.program.instruction import Instruction, Line

FUSED = {
    "batch_norm": "batch_norm_grad",
    "layer_norm": "layer_norm_grad",
    "softmax_cross_entropy": "cross_entropy_grad",
    "log_softmax": "log_softmax_grad",
}
"""Operation -> what the emitter calls its gradient: of the upstream gradient, two inputs, and the other results."""


def pullbacks(body: Body) -> Body:
    """One instruction for the gradients of all inputs of an operation, where there is a kernel."""
    makers, fresh, types = body.makers(), body.fresh(), body.types()
    groups: dict[tuple[str, str], dict[int, Instruction]] = {}
    for line in body.lines:
        if isinstance(line, Instruction) and line.pulled and is_fused(makers[line.pulled.of], types):
            groups.setdefault((line.pulled.of, line.pulled.upstream), {})[line.pulled.input] = line
    lines: list[Line] = []
    for line in body.lines:
        pulled = line.pulled if isinstance(line, Instruction) else None
        group = groups.get((pulled.of, pulled.upstream)) if pulled else None
        if not isinstance(line, Instruction) or pulled is None or group is None:
            lines.append(line)
        elif line is next(iter(group.values())):
            lines.append(gradient(makers[pulled.of], pulled.upstream, group, fresh, types))
    return replace(body, lines=tuple(lines))


def is_fused(forward: Instruction, types: dict[str, Any]) -> bool:
    """Whether there is a kernel for the gradient of an instruction: of one float dtype, and with entries."""
    if forward.op not in FUSED or not all(isinstance(i, str) for i in forward.inputs):
        return False
    floats = [dtype for name in forward.names for dtype in [types[name][1]] if dtype.kind == "f"]
    shape = forward.shapes[0] if forward.op != "softmax_cross_entropy" else types[forward.names[0]][0]
    if forward.op == "log_softmax" and (len(shape) != 2 or forward.static["dim"] % 2 != 1):
        return False
    return 0 not in shape and set(floats) in ({np.dtype(np.float32)}, {np.dtype(np.float64)})


def gradient(
    forward: Instruction,
    upstream: str,
    found: dict[int, Instruction],
    fresh: Callable[[str], str],
    types: dict[str, Any],
) -> Instruction:
    """The instruction that gives the gradients; those nobody asked for get names too."""
    given = (forward.outputs[0],) if forward.op == "log_softmax" else (*forward.inputs[:2], *forward.outputs[1:])
    wanted = [name for name in forward.names if types[name][1].kind == "f"]
    names = [found[i].outputs[0] if i in found else fresh(f"d{name}") for i, name in enumerate(wanted)]
    return replace(
        next(iter(found.values())),
        op=FUSED[forward.op],
        inputs=(upstream, *given),
        static=forward.static,
        outputs=tuple(names),
        shapes=tuple(types[name][0] for name in wanted),
        dtypes=tuple(types[name][1] for name in wanted),
        pulled=None,
    )
