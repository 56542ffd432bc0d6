"""Arguments that belong together: inputs that broadcast, convolutions, pooling, and random graphs with reuse.

All but graphs are strategies of a `Call`, inputs and keyword arguments at once, for `check(fn, conv_case())`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tinygrad_edu as tg
from tinygrad_edu.engine import domain
from tinygrad_edu.kernels import conv_size
from tinygrad_edu.testing.calls import Call
from tinygrad_edu.testing.choices import Choices, strategy
from tinygrad_edu.testing.strategies import arrays, broadcastable, real, values


@strategy
def broadcasting(choices: Choices, *kinds: Any) -> Call:
    """Inputs whose shapes broadcast against each other, one of each kind: `broadcasting(real, nonzero)`."""
    kinds = kinds or (real, real)
    return Call(
        [choices.draw(kind(shape)) for kind, shape in zip(kinds, choices.draw(broadcastable(len(kinds))), strict=True)]
    )


def _axis(choices: Choices, largest_kernel: int, largest_stride: int, largest_dilation: int) -> dict[str, int]:
    """Kernel, stride, padding and dilation of one axis, with a size that gives at least one output."""
    kernel, stride = choices.integer(1, largest_kernel), choices.integer(1, largest_stride)
    dilation, padding = choices.integer(1, largest_dilation), choices.integer(0, kernel // 2)
    reach = dilation * (kernel - 1) + 1
    size = max(reach - 2 * padding, 1) + choices.integer(0, 3)
    assert conv_size(size, kernel, stride, (padding, padding), dilation) > 0
    return {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation, "size": size}


@strategy
def conv_case(choices: Choices) -> Call:
    """x (N, C, H, W), w (O, C / groups, h, w) and stride, padding, dilation, groups as `nn.functional.conv2d` has them.

    Odd sizes, windows that overlap or leave entries out, and several groups all occur.
    """
    rows, columns = _axis(choices, 3, 3, 2), _axis(choices, 2, 2, 1)
    groups, per_group, per_output = choices.pick([(1, 1, 1), (1, 2, 1), (1, 1, 2), (2, 1, 1), (2, 1, 2)])
    size, kernel = (rows["size"], columns["size"]), (rows["kernel"], columns["kernel"])
    x = choices.draw(arrays((choices.pick([1, 2]), groups * per_group, *size), domain.real))
    w = choices.draw(arrays((groups * per_output, per_group, *kernel), domain.real))
    return Call([x, w], {k: (rows[k], columns[k]) for k in ("stride", "padding", "dilation")} | {"groups": groups})


@strategy
def pool_case(choices: Choices) -> Call:
    """x (N, C, H, W) and kernel_size, stride, padding as `nn.functional.max_pool2d` has them; windows overlap."""
    rows, columns = _axis(choices, 3, 2, 1), _axis(choices, 2, 3, 1)
    x = choices.draw(real((choices.pick([1, 2]), choices.integer(1, 2), rows["size"], columns["size"])))
    names = {"kernel": "kernel_size", "stride": "stride", "padding": "padding"}
    return Call([x], {name: (rows[k], columns[k]) for k, name in names.items()})


KINDS: dict[str, tuple[int, Any]] = {
    "{} + {}": (2, lambda a, b: a + b),
    "{} * {} / 2": (2, lambda a, b: a * b / 2),
    "{0} / ({1} * {1} + 2)": (2, lambda a, b: a / (b * b + 2)),
    "{} - {}": (2, lambda a, b: a - b),
    "tanh({})": (1, lambda a: tg.tanh(a)),
    "maximum({}, {})": (2, lambda a, b: tg.maximum(a, b)),
    "{}.sum(0, keepdim=True)": (1, lambda a: a.sum(0, keepdim=True) if a.ndim else a * 1),
    "{}.mean(-1, keepdim=True)": (1, lambda a: a.mean(-1, keepdim=True) if a.ndim else a * 1),
    "{}[..., :1]": (1, lambda a: a[..., :1] if a.ndim else a * 1),
    "{}.T": (1, lambda a: a.transpose(-1, -2) if a.ndim == 2 else a * 1),
    "{}.unbind(-1)[0] * {}": (2, lambda a, b: (a.unbind(-1)[0] if a.ndim > 1 else a) * b),
    "cat of {}": (1, lambda a: tg.cat([a, a * 2])[: a.shape[0]] if a.ndim else a * 1),
}


@dataclass(frozen=True)
class Graph:
    """A random function of two tensors x (2, 2) and y that broadcasts to it: values are used again and again.

    steps  -- (kind, positions of what it takes among the earlier values); x and y are values 0 and 1
    """

    steps: tuple[tuple[str, int, int], ...]

    def __call__(self, x: Any, y: Any) -> tuple[Any, Any]:
        """The last two values."""
        values = [x, y]
        for kind, *positions in self.steps:
            count, step = KINDS[kind]
            values.append(step(*(values[i] for i in positions[:count])))
        return values[-1], values[-2]

    def __repr__(self) -> str:
        names = ["x", "y", *(f"v{k}" for k in range(len(self.steps)))]
        lines = [
            f"v{k} = {kind.format(names[i], names[j])}" if KINDS[kind][0] == 2 else f"v{k} = {kind.format(names[i])}"
            for k, (kind, i, j) in enumerate(self.steps)
        ]
        return "; ".join(lines)


def run_graph(graph: Graph, x: Any, y: Any) -> tuple[Any, Any]:
    """The function to check: `check(run_graph, graph_case())`."""
    return graph(x, y)


@strategy
def graphs(choices: Choices, longest: int = 8) -> Graph:
    """A random graph with reuse."""
    count = choices.integer(1, longest)
    kinds = tuple(KINDS)
    steps = ((choices.pick(kinds), choices.integer(0, k + 1), choices.integer(0, k + 1)) for k in range(count))
    return Graph(tuple(steps))


@strategy
def graph_case(choices: Choices, longest: int = 8) -> Call:
    """A random graph with its inputs."""
    y = choices.pick([(2, 2), (2,), (2, 1), (1, 2), ()])
    graph = choices.draw(graphs(longest))
    x = choices.draw(values((2, 2), domain.real))
    return Call([graph, x, choices.draw(values(y, domain.real, 1 / 32))])
