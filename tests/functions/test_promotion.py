"""Dtypes of results: all pairs of dtypes, of tensors with dimensions, 0-d tensors and Python numbers, as in PyTorch."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg

DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
OPERANDS: list[tuple[str, Any]] = [
    *((f"{d}{shape}", (d, shape)) for d in DTYPES for shape in ((2,), ())),
    ("True", True),
    ("3", 3),
    ("1.5", 1.5),
]
FUNCTIONS = {
    "add": lambda m, x, y: x + y,
    "sub": lambda m, x, y: x - y,
    "mul": lambda m, x, y: x * y,
    "div": lambda m, x, y: x / y,
    "floor_divide": lambda m, x, y: x // y,
    "remainder": lambda m, x, y: x % y,
    "pow": lambda m, x, y: x**y,
    "eq": lambda m, x, y: x == y,
    "lt": lambda m, x, y: x < y,
    "maximum": lambda m, x, y: m.maximum(x, y),
    "where": lambda m, x, y: m.where(m.tensor([True, False]), x, y),
    "result_type": lambda m, x, y: m.result_type(x, y),
    "and": lambda m, x, y: x & y,
    "cat": lambda m, x, y: m.cat([x, y]),
    "iadd": lambda m, x, y: x.add_(y),
    "imul": lambda m, x, y: x.mul_(y),
    "copy_": lambda m, x, y: x.copy_(y),
    "setitem": lambda m, x, y: x.__setitem__(slice(0, 2), y) or x,
    "clamp": lambda m, x, y: m.clamp(x, min=y),
}


def operand(m: Any, spec: Any) -> Any:
    if not isinstance(spec, tuple):
        return spec
    dtype, shape = spec
    return m.tensor(np.full(shape, 1).tolist(), dtype=getattr(m, dtype, None) or np.dtype(dtype))


def outcome(m: Any, name: str, x: Any, y: Any) -> str:
    """The dtype and shape of the result, or "error"."""
    if name in IN_PLACE and not isinstance(x, tuple):
        return "no tensor"
    try:
        out = FUNCTIONS[name](m, operand(m, x), operand(m, y))
    except (RuntimeError, TypeError, ValueError, IndexError):
        return "error"
    if not hasattr(out, "dtype"):
        return str(out).removeprefix("torch.")
    return f"{str(out.dtype).removeprefix('torch.')} {tuple(out.shape)}"


IN_PLACE = {"iadd", "imul", "copy_", "setitem"}
# what we take and PyTorch refuses: arithmetic with booleans, and Python numbers as operands of maximum
LENIENT = {
    "maximum": lambda x, y: not isinstance(x, tuple) or not isinstance(y, tuple),
    **dict.fromkeys(("sub", "floor_divide", "remainder", "pow", "clamp"), lambda x, y: boolean(x) or boolean(y)),
}


def boolean(spec: Any) -> bool:
    return spec is True or (isinstance(spec, tuple) and spec[0] == "bool")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_all_pairs(name, torch):
    wrong = []
    for (label_x, x), (label_y, y) in itertools.product(OPERANDS, OPERANDS):
        if not isinstance(x, tuple) and not isinstance(y, tuple):
            continue
        ours, theirs = outcome(tg, name, x, y), outcome(torch, name, x, y)
        lenient = theirs == "error" and name in LENIENT and LENIENT[name](x, y)
        if ours != theirs and not lenient and (name, label_y) != ("pow", "True"):
            wrong.append(f"{name}({label_x}, {label_y}): {ours}, PyTorch {theirs}")
    assert not wrong, f"{len(wrong)} differ\n" + "\n".join(wrong)


UNARY = (
    *("exp", "log", "sqrt", "sin", "sigmoid", "tanh", "relu", "neg", "abs", "sign", "floor", "square", "reciprocal"),
    *("sum", "mean", "prod", "amax", "max", "argmax", "all", "any", "isnan", "isfinite", "logical_not", "isinf"),
)


# booleans as numbers, and PyTorch's any(uint8) -> uint8, kept there for old programs
ODD = {*((name, "bool") for name in ("relu", "abs", "sign", "floor", "argmax")), ("any", "uint8"), ("all", "uint8")}


@pytest.mark.parametrize("name", UNARY)
def test_results_of_one_operand(name, torch):
    wrong = []
    for dtype in DTYPES:
        for shape in ((2,), ()):
            found = []
            for m in (tg, torch):
                try:
                    out = getattr(m, name)(operand(m, (dtype, shape)))
                    found.append(f"{str(out.dtype).removeprefix('torch.')} {tuple(out.shape)}")
                except (RuntimeError, TypeError):
                    found.append("error")
            if found[0] != found[1] and (name, dtype) not in ODD:
                wrong.append(f"{name}({dtype}{shape}): {found[0]}, PyTorch {found[1]}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("dtypes", list(itertools.product(["float32", "float64"], repeat=2)), ids=str)
def test_gradients_of_mixed_dtypes_come_in_the_dtype_of_each_input(dtypes, torch):
    found = []
    for m in (tg, torch):
        x = m.tensor([1.0, 2.0], dtype=getattr(m, dtypes[0]), requires_grad=True)
        y = m.tensor(3.0, dtype=getattr(m, dtypes[1]), requires_grad=True)
        z = m.tensor([[0.5, 1.5]], dtype=getattr(m, dtypes[1]), requires_grad=True)
        ((x * y + z) / m.tensor([2, 4])).sum().backward()
        found.append([(str(v.grad.dtype).removeprefix("torch."), v.grad.tolist()) for v in (x, y, z)])
    assert found[0] == found[1]


def test_python_numbers_are_weak():
    for x in (tg.ones(2), tg.ones(())):
        for number in (2, 2.5, True, np.float64(2.5).item()):
            assert (x + number).dtype == (number * x).dtype == (x / number).dtype == tg.float32


def test_default_dtype_rules_new_floats_only(torch):
    before = tg.get_default_dtype()
    found = []
    try:
        for m in (tg, torch):
            m.set_default_dtype(m.float64)
            news = [m.ones(2), m.tensor(1.5), m.tensor(1), m.zeros(1) + m.ones(1, dtype=m.float32)]
            news += [m.arange(2.0), m.tensor([1, 2]) / 2, m.rand(1), m.linspace(0, 1, 3), m.full((1,), 2.0)]
            found.append([str(t.dtype).removeprefix("torch.") for t in news])
    finally:
        tg.set_default_dtype(before)
        torch.set_default_dtype(torch.float32)
    assert found[0] == found[1]
    with pytest.raises(TypeError, match="floating"):
        tg.set_default_dtype(tg.int64)
