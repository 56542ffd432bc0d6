"""The grad modes, detach and requires_grad, each script run here and in PyTorch."""

from __future__ import annotations

import threading

import pytest
from scripts import assert_same, leaf, outcome, scripts

import tinygrad_edu as tg


def s_requires_grad_off_on_a_result(m):
    (leaf(m) * 2).requires_grad_(False)


def s_requires_grad_off_by_attribute(m):
    (leaf(m) * 2).requires_grad = False


def s_requires_grad_toggled(m):
    x = leaf(m)
    x.requires_grad_(False)
    y = x * 2
    x.requires_grad = True
    (x * y).sum().backward()
    return x.grad, y.requires_grad, x.requires_grad


def s_detach(m):
    x = leaf(m)
    y = x * x
    (y.detach() * x).sum().backward()
    return x.grad, y.detach().requires_grad, y.detach().is_leaf, y.is_leaf, x.is_leaf


def s_leaves(m):
    x = leaf(m)
    c = m.ones(3)
    y = x * 2
    with m.no_grad():
        z = x * 2
    return [v.is_leaf for v in (x, c, y, z)] + [v.requires_grad for v in (x, c, y, z)] + [(c * 2).grad_fn is None]


def s_no_grad(m):
    x = leaf(m)
    found = [m.is_grad_enabled()]
    with m.no_grad():
        found += [m.is_grad_enabled(), (x * 2).requires_grad, m.ones(1, requires_grad=True).requires_grad]
        with m.enable_grad():
            found += [m.is_grad_enabled(), (x * 2).requires_grad]
            with m.no_grad():
                found.append((x * 2).requires_grad)
        found.append((x * 2).requires_grad)
    return [*found, m.is_grad_enabled()]


def s_no_grad_after_an_error(m):
    try:
        with m.no_grad():
            raise ValueError
    except ValueError:
        return m.is_grad_enabled()


def s_decorators(m):
    @m.no_grad()
    def off(x):
        """Doc."""
        return x * 2

    @m.enable_grad()
    def on(x):
        return x * 2

    @m.no_grad
    def bare(x):
        return x * 2

    @m.enable_grad
    def bare_on(x):
        return x * 2

    @m.set_grad_enabled(False)
    def by_flag(x):
        return x * 2

    @m.inference_mode()
    def inference(x):
        return x * 2

    x = leaf(m)
    found = [f(x).requires_grad for f in (off, on, bare, bare_on, by_flag, inference)]
    with m.no_grad():
        found += [f(x).requires_grad for f in (off, on, bare_on)]
    return [*found, off.__name__, off.__doc__, m.is_grad_enabled()]


def s_set_grad_enabled(m):
    x = leaf(m)
    found = []
    m.set_grad_enabled(False)
    found.append((x * 2).requires_grad)
    m.set_grad_enabled(True)
    found.append((x * 2).requires_grad)
    with m.set_grad_enabled(False):
        found.append((x * 2).requires_grad)
    found.append(m.is_grad_enabled())
    with m.no_grad(), m.set_grad_enabled(True):
        found.append((x * 2).requires_grad)
    return [*found, m.is_grad_enabled()]


def s_one_context_used_twice(m):
    context = m.no_grad()
    found = []
    for _ in range(2):
        with context:
            found.append(m.is_grad_enabled())
    return [*found, m.is_grad_enabled()]


def s_modes_belong_to_threads(m):
    found = []
    with m.no_grad():
        thread = threading.Thread(target=lambda: found.append(m.is_grad_enabled()))
        thread.start()
        thread.join()
        found.append(m.is_grad_enabled())
    return found


SCRIPTS = scripts(dict(globals()))


@pytest.mark.parametrize("name", SCRIPTS)
def test_like_pytorch(name, torch):
    assert_same(outcome(tg, SCRIPTS[name]), outcome(torch, SCRIPTS[name]))
