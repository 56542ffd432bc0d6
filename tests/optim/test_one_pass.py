"""Compiled updates of whole arrays: the digits of the update rule, its silence, and arrays they are not made for."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import optim
from tinygrad_edu.kernels import updates

CASES = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "maximize": True}),
    ("Adam", {"lr": 0.05}),
    ("Adam", {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1, "maximize": True}),
    ("Adam", {"lr": 0.05, "amsgrad": True}),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.3}),
]


def trained(name, settings, dtype, start=lambda a: a, special=False):
    """Parameters and state after five steps with gradients that are drawn."""
    random = np.random.default_rng(1)
    params = [tg.tensor(start(random.normal(size=shape).astype(dtype)), requires_grad=True) for shape in [(5, 7), ()]]
    optimizer = getattr(optim, name)(params, **settings)
    for _ in range(5):
        for p in params:
            g = random.normal(size=p.shape).astype(dtype)
            if special and g.ndim:
                g[0, :4] = [np.nan, np.inf, -np.inf, np.finfo(dtype).max]
            p.grad = tg.tensor(g)
        optimizer.step()
    return [v.detach().numpy() for p in params for v in (p, *optimizer.state[p].values())]


def same(found, expected):
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "settings"), CASES, ids=lambda v: "-".join(v) if isinstance(v, dict) else v)
def test_one_pass_gives_the_digits_of_the_rule(name, settings, dtype, special):
    with tg.kernels.use("numba"):
        found = trained(name, settings, dtype, special=special)
    with tg.kernels.use("reference"):
        same(found, trained(name, settings, dtype, special=special))


def test_the_rule_is_not_asked_where_there_is_one_pass(monkeypatch):
    def unasked(*args, **settings):
        raise AssertionError("the rule was asked")

    monkeypatch.setattr(optim.Adam, "rule", staticmethod(unasked))
    with tg.kernels.use("numba"):
        trained("Adam", {}, np.float32)
    with tg.kernels.use("reference"), pytest.raises(AssertionError):
        trained("Adam", {}, np.float32)


def test_arrays_that_do_not_lie_in_a_row_take_the_rule():
    w = tg.tensor(np.arange(12.0).reshape(3, 4)).t()
    w.requires_grad_()
    assert not w._array.flags.c_contiguous
    w.grad = tg.ones(4, 3, dtype=tg.float64)
    optim.SGD([w], lr=1.0).step()
    np.testing.assert_array_equal(w.detach().numpy(), np.arange(12.0).reshape(3, 4).T - 1)

    row = np.ones(6, np.float32)
    assert updates.flat_views([row, row[::2]]) is None
    assert updates.flat_views([row, row.astype(np.float64)]) is None
    assert updates.flat_views([row.astype(np.int64)]) is None
    row.flags.writeable = False
    assert updates.flat_views([row]) is None


def test_a_gradient_of_another_dtype_takes_the_rule():
    w = tg.ones(3, requires_grad=True)
    w.grad = tg.ones(3)
    w.grad._array = np.ones(3)
    optim.SGD([w], lr=0.5).step()
    assert w.dtype == tg.float32
    np.testing.assert_array_equal(w.detach().numpy(), 0.5)
