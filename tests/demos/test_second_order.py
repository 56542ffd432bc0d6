"""Second order: readings, products, the penalty and Newton's method, by their numbers."""

import math

import numpy as np
import pytest

import tinygrad_edu as tg
from demos import second_order as demo


def test_its_bars_and_readings(ran):
    done = ran("second_order", data=False)
    assert done.code == 0
    assert len(done.bars) == 5
    assert done.numbers["readings"] == ["σ(x) * (1 - σ(x))", "(1 - 2 * σ(x)) * σ(x) * (1 - σ(x))"]


def test_newton_is_quadratic_and_descent_is_not(ran):
    found = ran("second_order", data=False).numbers
    newton, descent = found["newton"], found["descent"]
    assert newton[0] == descent[0] == pytest.approx(0.8252642659 - demo.ENTROPY, abs=5e-11)
    assert newton[5] < newton[4] ** 1.5 < newton[3] ** 2.2
    assert newton[-1] <= 1e-15
    assert descent[200] > 1e-4


def test_the_smallest_loss_is_the_entropy_of_the_targets():
    wanted = -(0.01 * math.log(0.01) + 0.99 * math.log(0.99))
    assert pytest.approx(wanted, rel=1e-14) == demo.ENTROPY


def test_the_penalty_is_differentiated_through(torch):
    generator = np.random.default_rng(0)
    W, v, x = generator.standard_normal((5, 3)), generator.standard_normal((1, 5)), generator.standard_normal((7, 3))

    def steepness(lib, W, v, x):
        (slopes,) = lib.autograd.grad((lib.tanh(x @ W.T) @ v.T).sum(), x, create_graph=True)
        return (slopes**2).mean()

    mine = [tg.tensor(a, requires_grad=True) for a in (W, v, x)]
    theirs = [torch.tensor(a, requires_grad=True) for a in (W, v, x)]
    steepness(tg, *mine).backward()
    steepness(torch, *theirs).backward()
    for m, t in zip(mine[:2], theirs[:2], strict=True):
        np.testing.assert_allclose(m.grad.numpy(), t.grad.numpy(), rtol=1e-11, atol=1e-14)
