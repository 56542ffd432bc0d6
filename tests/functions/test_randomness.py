"""Random tensors: the same numbers from the same seed, shapes and dtypes as in PyTorch, the right distribution."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg

MADE = {
    "rand": lambda m: m.rand(2, 3),
    "rand of a tuple": lambda m: m.rand((2, 3), dtype=m.float64),
    "rand of nothing": lambda m: m.rand(0, 2),
    "rand of 0-d": lambda m: m.rand(()),
    "randn": lambda m: m.randn(4),
    "randn float64": lambda m: m.randn(4, dtype=m.float64),
    "rand_like": lambda m: m.rand_like(m.ones(2, 2, dtype=m.float64)),
    "randn_like": lambda m: m.randn_like(m.ones(2)),
    "randint": lambda m: m.randint(5, (3, 2)),
    "randint from to": lambda m: m.randint(-3, 4, (5,)),
    "randint dtype": lambda m: m.randint(0, 4, (5,), dtype=m.int32),
    "randperm": lambda m: m.randperm(7),
    "bernoulli": lambda m: m.bernoulli(m.full((3,), 0.5)),
    "normal of tensors": lambda m: m.normal(m.zeros(3), m.ones(3)),
    "normal of numbers": lambda m: m.normal(2.0, 3.0, (4,)),
    "multinomial": lambda m: m.multinomial(m.tensor([1.0, 2.0, 3.0]), 2),
    "multinomial of rows": lambda m: m.multinomial(m.ones(3, 4), 5, replacement=True),
    "uniform_": lambda m: m.zeros(3).uniform_(-1, 1),
    "normal_": lambda m: m.zeros(3, dtype=m.float64).normal_(1, 2),
    "rand that requires grad": lambda m: m.rand(3, requires_grad=True),
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_shapes_and_dtypes(name, torch):
    ours, theirs = MADE[name](tg), MADE[name](torch)
    assert tuple(ours.shape) == tuple(theirs.shape)
    assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch.")
    assert (ours.requires_grad, ours.is_leaf) == (theirs.requires_grad, theirs.is_leaf)


@pytest.mark.parametrize("name", MADE)
def test_the_seed_decides(name):
    def draw(seed: int) -> list[Any]:
        tg.manual_seed(seed)
        return [MADE[name](tg).tolist() for _ in range(4)]

    assert draw(1) == draw(1)
    if "nothing" not in name:
        assert draw(1) != draw(2)
        assert len({str(d) for d in draw(3)}) > 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_distributions(dtype):
    """Mean, variance and range, within five standard errors."""
    n = 40_000
    u, z = tg.rand(n, dtype=dtype).numpy().astype(float), tg.randn(n, dtype=dtype).numpy().astype(float)
    assert ((u >= 0) & (u < 1)).all()
    assert abs(u.mean() - 0.5) < 5 * np.sqrt(1 / 12 / n)
    assert abs(u.var() - 1 / 12) < 5 * np.sqrt(1 / 180 / n)
    assert abs(z.mean()) < 5 / np.sqrt(n)
    assert abs(z.var() - 1) < 5 * np.sqrt(2 / n)
    assert abs((np.abs(z) < 1).mean() - 0.6826895) < 5 * np.sqrt(0.2166 / n)
    assert abs(np.corrcoef(u[:-1], u[1:])[0, 1]) < 5 / np.sqrt(n)


def test_counts_follow_the_weights():
    n = 20_000
    drawn = tg.multinomial(tg.tensor([1.0, 0.0, 3.0]), n, replacement=True).numpy()
    assert abs((drawn == 2).mean() - 0.75) < 5 * np.sqrt(0.1875 / n)
    assert not (drawn == 1).any()
    digits = np.bincount(tg.randint(10, (n,)).numpy(), minlength=10) / n
    assert (np.abs(digits - 0.1) < 5 * np.sqrt(0.09 / n)).all()
    coins = tg.bernoulli(tg.full((n,), 0.2)).numpy()
    assert abs(coins.mean() - 0.2) < 5 * np.sqrt(0.16 / n)
    first = np.array([tg.multinomial(tg.tensor([1.0, 1.0, 2.0]), 3).tolist()[0] for _ in range(2000)])
    assert abs((first == 2).mean() - 0.5) < 5 * np.sqrt(0.25 / 2000)


def test_permutations_and_draws_without_replacement():
    for _ in range(20):
        assert sorted(tg.randperm(9).tolist()) == list(range(9))
        assert sorted(tg.multinomial(tg.ones(5), 5).tolist()) == list(range(5))
    assert len({tuple(tg.randperm(9).tolist()) for _ in range(20)}) > 15


def test_generators_are_independent_and_have_a_state():
    one, two = tg.Generator().manual_seed(5), tg.Generator().manual_seed(5)
    a = tg.randn(3, generator=one)
    tg.randn(10)
    state = two.get_state()
    assert tg.randn(3, generator=two).tolist() == a.tolist()
    two.set_state(state)
    assert tg.randn(3, generator=two).tolist() == a.tolist()
    assert one.initial_seed() == 5
    saved = tg.get_rng_state()
    b = tg.rand(2)
    tg.set_rng_state(saved)
    assert tg.rand(2).tolist() == b.tolist()
    assert isinstance(tg.seed(), int)
    assert tg.manual_seed(3).initial_seed() == tg.initial_seed() == 3


def test_random_tensors_are_constants_and_scale_and_shift_are_recorded():
    mean = tg.zeros(3, requires_grad=True)
    std = tg.ones(3, requires_grad=True)
    x = tg.normal(mean, std)
    assert not tg.randn(3).requires_grad
    assert x.shape == (3,)
    p = tg.full((3,), 0.5, requires_grad=True)
    assert not tg.bernoulli(p).requires_grad
