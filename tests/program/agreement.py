"""One program executed in all its forms: replayed, as exec'd source, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
from emitted import in_python

import tinygrad_edu as tg


def inputs_now(program: tg.Program, given: dict[str, Any]) -> dict[str, np.ndarray]:
    """All inputs of a run, numbers read once."""
    return {i.name: np.asarray(given[i.name] if i.name in given else i.value()) for i in program.inputs}


def written(program: tg.Program) -> dict[str, np.ndarray]:
    """Copies of the memory the program writes."""
    return {i.name: i.array.copy() for i in program.inputs if i.assigned}


def put_back(program: tg.Program, memory: dict[str, np.ndarray]) -> None:
    """The memory as it was."""
    for name, array in memory.items():
        program.input(name).array[...] = array


def exec_source(program: tg.Program) -> Any:
    """The function of the emitted source."""
    scope: dict[str, Any] = {}
    exec(compile(program.source(), "<emitted>", "exec"), scope)
    return scope["step"]


def giving_all(program: tg.Program) -> tg.Program:
    """The program with every computed value as an output."""
    values = [name for line in program.instructions for name in getattr(line, "outputs", ())]
    return tg.Program(program.inputs, program.instructions, dict(zip(values, values, strict=True)))


def assert_same(found: dict[str, Any], expected: dict[str, Any], rtol: float, what: str = "") -> None:
    """Equal names, shapes and dtypes; values up to a tolerance, relative to the largest entry."""
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert isinstance(found[name], np.ndarray), name
        assert found[name].shape == value.shape, name
        assert found[name].dtype == value.dtype, name
        if rtol == 0:
            np.testing.assert_array_equal(found[name], value, err_msg=f"{what} {name}")
        else:
            finite = np.abs(value[np.isfinite(value)], dtype=np.float64) if value.dtype.kind == "f" else np.zeros(1)
            scale = float(np.max(finite, initial=0.0))
            np.testing.assert_allclose(found[name], value, rtol, rtol * scale, err_msg=f"{what} {name}")


def assert_agreement(
    program: tg.Program, compiled: bool = True, rtol: float = 1e-12, emitted: bool = False, **given: Any
) -> Any:
    """run, source and the compiled step give the same outputs and write the same memory; the values of run.

    With `emitted` the code that would be compiled runs as Python.
    """
    now = inputs_now(program, given)
    passed = {i.name: now[i.name] for i in program.inputs if not i.assigned}
    before = written(program)
    values = program.run(**passed)
    after = written(program)

    arguments = {name: before[name].copy() if name in before else array for name, array in now.items()}
    from_source = exec_source(program)(**arguments)
    assert_same(from_source, values, 0, "source")
    assert_same({name: arguments[name] for name in after}, after, 0, "source")

    if compiled or emitted:
        step = program.compile() if compiled else in_python(program.compile())
        put_back(program, before)
        assert_same(step(**passed), values, rtol, "compiled")
        assert_same(written(program), after, rtol, "compiled")
        put_back(program, after)
    return values
