"""`autograd.functional` against PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg


def point(m: Any, shape: tuple[int, ...] = (3,)) -> Any:
    return m.tensor((np.arange(np.prod(shape, dtype=int)) * 0.5 - 0.75).reshape(shape), dtype=m.float64)


def smooth(m: Any) -> Any:
    return lambda x: (m.exp(x) * m.sin(x.flip(0) if x.ndim else x)).sum()


CASES: dict[str, Any] = {
    "vjp": lambda m, f: f.vjp(lambda x: x * x * x, point(m), point(m) + 2),
    "vjp of a scalar": lambda m, f: f.vjp(smooth(m), point(m)),
    "vjp of several inputs": lambda m, f: f.vjp(lambda x, y: x * y, (point(m), point(m) + 1), point(m)),
    "vjp of a constant": lambda m, f: f.vjp(lambda x: m.ones(2, dtype=m.float64), point(m), point(m, (2,))),
    "jvp": lambda m, f: f.jvp(lambda x: m.tanh(x) * x.sum(), point(m), point(m) + 2),
    "jvp of several inputs": lambda m, f: f.jvp(lambda x, y: x * y, (point(m), point(m) + 1), (point(m), point(m))),
    "jvp of a linear function": lambda m, f: f.jvp(lambda x: x * 2, point(m), point(m)),
    "jvp of a constant": lambda m, f: f.jvp(lambda x: m.ones(2, dtype=m.float64), point(m), point(m)),
    "jacobian": lambda m, f: f.jacobian(lambda x: m.exp(x) * x.sum(), point(m)),
    "jacobian of a matrix": lambda m, f: f.jacobian(lambda x: x @ x.T, point(m, (2, 3))),
    "jacobian of several inputs": lambda m, f: f.jacobian(lambda x, y: x * y.sum(), (point(m), point(m, (2,)))),
    "jacobian of a scalar": lambda m, f: f.jacobian(smooth(m), point(m)),
    "jacobian of an unused input": lambda m, f: f.jacobian(lambda x, y: x * 2, (point(m), point(m, (2,)))),
    "jacobian of a constant": lambda m, f: f.jacobian(lambda x: m.ones(2, dtype=m.float64), point(m)),
    "hessian": lambda m, f: f.hessian(smooth(m), point(m)),
    "hessian of a matrix": lambda m, f: f.hessian(lambda x: (x @ x.T).sum() ** 2, point(m, (2, 2))),
    "hessian of a linear function": lambda m, f: f.hessian(lambda x: (x * 2).sum(), point(m)),
    "hessian of a constant": lambda m, f: f.hessian(lambda x: m.ones((), dtype=m.float64), point(m)),
    "hessian at a kink": lambda m, f: f.hessian(lambda x: m.relu(x).sum() + m.abs(x).sum(), point(m)),
    "hessian of several inputs": lambda m, f: f.hessian(lambda x, y: (x * x * y).sum(), (point(m), point(m) + 1)),
    "hvp": lambda m, f: f.hvp(smooth(m), point(m), point(m) + 2),
    "hvp of a linear function": lambda m, f: f.hvp(lambda x: (x * 2).sum(), point(m), point(m)),
    "hvp of a constant": lambda m, f: f.hvp(lambda x: m.ones((), dtype=m.float64), point(m), point(m)),
    "vhp": lambda m, f: f.vhp(smooth(m), point(m), point(m) + 2),
}


def flat(value: Any) -> list[np.ndarray]:
    if isinstance(value, (tuple, list)):
        return [a for v in value for a in flat(v)]
    return [value.detach().numpy()]


@pytest.mark.parametrize("name", CASES)
def test_like_pytorch(name, torch):
    ours = flat(CASES[name](tg, tg.autograd.functional))
    theirs = flat(CASES[name](torch, torch.autograd.functional))
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", ["jacobian", "hessian", "vjp", "jvp"])
def test_results_can_be_differentiated_again(name, torch):
    found = []
    for m in (tg, torch):
        f = m.autograd.functional
        x = point(m).requires_grad_()
        g = {
            "jacobian": lambda f=f, m=m, x=x: f.jacobian(lambda x: m.exp(x) * x.sum(), x, create_graph=True),
            "hessian": lambda f=f, m=m, x=x: f.hessian(smooth(m), x, create_graph=True),
            "vjp": lambda f=f, m=m, x=x: f.vjp(lambda x: x**3, x, point(m) + 2, create_graph=True)[1],
            "jvp": lambda f=f, m=m, x=x: f.jvp(lambda x: x**3, x, point(m) + 2, create_graph=True)[1],
        }[name]()
        (g * g).sum().backward()
        found.append(x.grad.numpy())
    np.testing.assert_allclose(*found, rtol=1e-12)


def test_jvp_and_vjp_are_adjoint():
    """<v, J u> = <J^T v, u>, without any finite difference."""
    f = tg.autograd.functional
    x, u = point(tg), point(tg) + 2

    def g(x: Any) -> Any:
        return tg.stack([x.exp().sum(), (x * x).prod()])

    v = tg.tensor([0.5, -2.0], dtype=tg.float64)
    (_, ju), (_, jv) = f.jvp(g, x, u), f.vjp(g, x, v)
    assert (v * ju).sum().item() == pytest.approx((jv * u).sum().item(), rel=1e-13)


def test_inputs_stay_constants():
    x = point(tg)
    tg.autograd.functional.hessian(smooth(tg), x)
    assert not x.requires_grad
    assert x.grad is None


def test_works_inside_no_grad():
    with tg.no_grad():
        assert tg.autograd.functional.jacobian(lambda x: x * x, point(tg)).shape == (3, 3)
        assert not tg.is_grad_enabled()
