"""In-place operations against PyTorch: what it allows gives its gradients here, what it refuses is refused here.

Where we differ is listed: some writes through views raise clearly, and where PyTorch refuses because the operation
itself kept what it overwrites, we keep a copy and give the gradient of the same program without in-place operations.
"""

from __future__ import annotations

from typing import Any

import inplace_scripts
import numpy as np
import pytest
import view_scripts

import tinygrad_edu as tg

SCRIPTS = {**inplace_scripts.SCRIPTS, **view_scripts.SCRIPTS}


def inputs(m: Any) -> tuple[Any, Any]:
    x = m.tensor([0.5, -1.25, 2.0], dtype=m.float64, requires_grad=True)
    w = m.tensor([1.5, 0.25, -0.75], dtype=m.float64, requires_grad=True)
    return x, w


# We raise, clearly: a recorded write to memory that another live tensor with a history sees.
REFUSED_HERE = {"base_written_view_alive", "view_written_base_alive", "constant_view_gets_history"}
# PyTorch refuses, because the operation saved what it overwrites itself; we keep a copy of it.
ALLOWED_HERE = {
    "mul_by_itself": lambda m, x, w: (x * 1) * (x * 1) * w,
    "mul_keeps_old_self": lambda m, x, w: x * 1 * w,
    "sigmoid_then_written": lambda m, x, w: (m.sigmoid(x) + 1) * w,
    "constant_times_variable": lambda m, x, w: w * x,
}


def outcome(m: Any, f: Any) -> Any:
    """(value, gradients), or the stage and the type of the error."""
    x, w = inputs(m)
    stage = "forward"
    try:
        out = f(m, x, w)
        stage = "backward"
        out.backward(m.ones_like(out) * 2)
    except (RuntimeError, IndexError) as error:
        return stage, type(error)
    zeros = np.zeros(3)
    return [out.detach().numpy(), *(zeros if v.grad is None else v.grad.numpy() for v in (x, w))]


@pytest.mark.parametrize("name", SCRIPTS)
def test_like_pytorch(name, torch):
    ours, theirs = outcome(tg, SCRIPTS[name]), outcome(torch, SCRIPTS[name])
    if name in REFUSED_HERE:
        assert isinstance(theirs, list), "PyTorch refuses this too: take it off the list"
        assert ours == ("forward", RuntimeError)
        return
    if name in ALLOWED_HERE and isinstance(theirs, tuple):
        theirs = outcome(torch, ALLOWED_HERE[name])
    assert isinstance(ours, tuple) == isinstance(theirs, tuple), f"ours {ours}\ntheirs {theirs}"
    if isinstance(ours, tuple):
        assert ours == theirs
        return
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("name", ALLOWED_HERE)
def test_what_only_we_allow_has_the_gradient_of_the_same_program_without_writes(name, torch):
    ours, pure = outcome(tg, SCRIPTS[name]), outcome(torch, ALLOWED_HERE[name])
    for a, b in zip(ours, pure, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_the_refusal_names_the_operation_and_both_lines():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    h = x * 2
    loss = (h * h).sum()  # saved here
    h.add_(1)  # written here
    with pytest.raises(RuntimeError) as error:
        loss.backward()
    for part in ("mul", "loss = (h * h).sum()", "h.add_(1)", "test_inplace.py", "inplace operation", "clone()"):
        assert part in str(error.value)


def test_the_refusals_before_backward_say_why():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(RuntimeError, match=r"leaf.*requires grad.*mul_.*no_grad"):
        x.mul_(2)
    y = x * 2
    view = y[:1]
    with pytest.raises(RuntimeError, match=r"add_.*shared with 1 other.*clone\(\)"):
        y.add_(1)
    assert view.tolist() == [2.0], "a refused write has not been carried out"
    with pytest.raises(RuntimeError, match=r"read-only|expanded"):
        x.detach()[:1].expand(2).add_(1)
