"""What goes wrong is said in one sentence with the way out; what PyTorch computes silently is silent."""

from __future__ import annotations

import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg


def leaf(*values: float) -> Any:
    return tg.tensor(list(values), dtype=tg.float64, requires_grad=True)


def no_grad_needed() -> None:
    tg.ones(3).sum().backward()


def left_by_no_grad() -> None:
    with tg.no_grad():
        y = leaf(1.0, 2.0).sum()
    y.backward()


def not_scalar() -> None:
    (leaf(1.0, 2.0) * 2).backward()


def wrong_gradient_shape() -> None:
    (leaf(1.0, 2.0) * 2).backward(tg.ones(3))


def twice() -> None:
    squares = leaf(1.0, 2.0) ** 2
    loss = squares.sum()
    loss.backward()
    loss.backward()


def overwritten() -> None:
    h = leaf(1.0, 2.0) * 2
    loss = (h * h).sum()
    h.add_(1)
    loss.backward()


def overwritten_output() -> None:
    h = tg.exp(leaf(1.0, 2.0))
    h[0] = 3.0
    h.sum().backward()


def leaf_in_place() -> None:
    leaf(1.0, 2.0).add_(1)


def leaf_in_place_by_index() -> None:
    leaf(1.0, 2.0)[0] = 3.0


def unused() -> None:
    x, y = leaf(1.0), leaf(2.0)
    tg.autograd.grad(x * 2, [x, y])


def constant_input() -> None:
    tg.autograd.grad(leaf(1.0) * 2, tg.ones(1))


def integers_require_grad() -> None:
    tg.tensor([1, 2], requires_grad=True)


def gradient_is_an_array() -> None:
    (leaf(1.0, 2.0) * 2).backward(np.ones(2))


def grad_of_another_shape() -> None:
    leaf(1.0, 2.0).grad = tg.ones(3, dtype=tg.float64)


def numpy_of_a_result() -> None:
    (leaf(1.0, 2.0) * 2).numpy()


def requires_grad_off() -> None:
    (leaf(1.0, 2.0) * 2).requires_grad_(False)


def the_constructor() -> None:
    tg.Tensor([1.0])


def hook_of_another_shape() -> None:
    h = leaf(1.0, 2.0) * 2
    h.register_hook(lambda g: tg.ones(3))
    h.sum().backward()


def nan_found() -> None:
    with tg.autograd.detect_anomaly():
        root = tg.sqrt(leaf(0.0))
        (root * 0).sum().backward()


CONTRACTS: dict[Any, tuple[type[Exception], list[str]]] = {
    no_grad_needed: (RuntimeError, ["does not require grad", "requires_grad=True forgotten", "detach()"]),
    left_by_no_grad: (RuntimeError, ["does not require grad", "no_grad()"]),
    not_scalar: (RuntimeError, ["only for scalar outputs", "(2,)", "sum()", "gradient="]),
    wrong_gradient_shape: (RuntimeError, ["(3,)", "(2,)", "must be equal"]),
    twice: (RuntimeError, ["second time", "pow (2,)", "squares = leaf(1.0, 2.0) ** 2", "retain_graph=True"]),
    overwritten: (RuntimeError, ["input", "mul", "loss = (h * h).sum()", "inplace", "h.add_(1)", "version 1"]),
    overwritten_output: (RuntimeError, ["output of exp", "h = tg.exp(leaf(1.0, 2.0))", "h[0] = 3.0", "clone()"]),
    leaf_in_place: (RuntimeError, ["leaf", "add_", "no_grad()", "clone()"]),
    leaf_in_place_by_index: (RuntimeError, ["leaf", "index assignment", "no_grad()"]),
    unused: (RuntimeError, ["[1]", "not to have been used", "allow_unused=True"]),
    constant_input: (RuntimeError, ["input 0", "does not require grad", "requires_grad_()"]),
    integers_require_grad: (RuntimeError, ["int64", "floating point", ".float()"]),
    gradient_is_an_array: (TypeError, ["tensors or None", "ndarray"]),
    grad_of_another_shape: (RuntimeError, ["(3,)", "(2,)", "float64"]),
    numpy_of_a_result: (RuntimeError, ["requires grad", "detach().numpy()"]),
    requires_grad_off: (RuntimeError, ["leaf", "detach()"]),
    the_constructor: (TypeError, ["tensor(data)"]),
    hook_of_another_shape: (RuntimeError, ["hook", "(2,)", "(3,)"]),
    nan_found: (RuntimeError, ["NaN", "sqrt", "root = tg.sqrt(leaf(0.0))", "anomaly"]),
}  # fmt: skip


@pytest.mark.parametrize("call", CONTRACTS, ids=lambda f: f.__name__)
def test_contract(call):
    kind, parts = CONTRACTS[call]
    with pytest.raises(kind) as caught:
        call()
    for part in parts:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value), "one sentence"


def test_the_grad_of_a_result_warns_and_says_what_to_do():
    y = leaf(1.0) * 2
    with pytest.warns(UserWarning, match=r"not a leaf.*retain_grad\(\)") as caught:
        assert y.grad is None
    assert caught[0].filename == __file__
    y.retain_grad()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert y.grad is None
        assert leaf(1.0).grad is None
        assert tg.ones(1).grad is None


def silent_sums() -> list[Any]:
    """Divisions by zero, logarithms of it, overflows, and their gradients."""
    x = tg.tensor([0.0, -1.0, 1e300], dtype=tg.float64, requires_grad=True)
    small = tg.tensor([1e30, 0.0], requires_grad=True)
    outs = [1 / x, tg.log(x), tg.sqrt(x), x**0.5, x**-1, tg.exp(x), x * x, x / 0, x % 0.0, small * 1e30, small**2]
    outs += [small.double().float() * 1e20, small.softmax(0), small.std(), small.norm(), tg.log_softmax(x, 0)]
    outs += [x.prod(), x.logsumexp(0), tg.sigmoid(-x), tg.tanh(x), x.cumsum(0), x @ x, x.mean(), x.var()]
    for out in outs:
        out.backward(tg.ones_like(out))
    first = tg.autograd.grad(tg.log(x).sum(), x, create_graph=True)[0]
    first.sum().backward()
    return [out.detach() for out in outs]


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_numpys_warnings_made_errors_do_not_stop_a_computation():
    found = silent_sums()
    assert [float(v) for v in found[0]] == [np.inf, -1.0, 1e-300]
    assert np.isnan(found[1].numpy()).tolist() == [False, True, False]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("setting", ["ignore", "warn", "raise"])
def test_the_users_errstate_neither_matters_nor_changes(setting):
    with np.errstate(all=setting):
        before = np.geterr()
        results = [np.array(r) for r in silent_sums()]
        assert np.geterr() == before
    with np.errstate(all="ignore"):
        for a, b in zip(results, silent_sums(), strict=True):
            np.testing.assert_array_equal(a, b.numpy())


def test_importing_leaves_the_users_warnings_alone():
    """Filters of other modules, and NumPy's settings, are what they were."""
    code = (
        "import warnings, numpy as np; before = np.geterr(); import tinygrad_edu as tg; assert np.geterr() == before\n"
        "import sys; x = np.zeros(1); print(1 / x)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "divide by zero" in done.stderr


def test_a_script_prints_no_warning():
    code = "import tinygrad_edu as tg; x = tg.zeros(2, requires_grad=True); tg.log(x).sum().backward(); print(x.grad)"
    for options in ([], ["-W", "error"], ["-W", "always"]):
        done = subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "tensor([inf, inf])"
        assert done.stderr == ""
