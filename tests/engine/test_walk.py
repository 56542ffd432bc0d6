"""The walk: each node once, in order, whatever the shape of the graph; what is kept and what is freed."""

from __future__ import annotations

import gc
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.engine import gradients
from tinygrad_edu.engine.domain import real
from tinygrad_edu.engine.node import Node, ancestors
from tinygrad_edu.engine.primitive import registry


def leaf(*values: float) -> Any:
    return tg.tensor(values[0] if len(values) == 1 else list(values), dtype=tg.float64, requires_grad=True)


@pytest.fixture
def counted():
    """A primitive x + y that counts how often its rules are asked."""
    calls = {"x": 0, "y": 0}

    @tg.primitive(domain=(real, real))
    def counted_add(x, y):
        """x + y."""
        return x + y

    def count(name: str) -> Any:
        def rule(g: Any) -> Any:
            calls[name] += 1
            return g

        return rule

    counted_add.pullback(x=count("x"), y=count("y"))
    yield counted_add, calls
    del registry["counted_add"]


def test_a_ladder_of_diamonds_visits_each_node_once(counted):
    """2^40 paths, 40 nodes."""
    add, calls = counted
    x = leaf(1.0)
    y = x
    for _ in range(40):
        y = add(y, y)
    y.backward()
    assert calls == {"x": 40, "y": 40}
    assert x.grad.item() == 2.0**40


def test_reuse():
    x = leaf(3.0)
    (x * x + x + x).backward()
    assert x.grad.item() == 2 * 3.0 + 2
    a = leaf(2.0)
    b = a + a
    c = b * b + a
    (c * b).backward()  # (4a^2 + a) 2a = 8a^3 + 2a^2
    assert a.grad.item() == 24 * 4.0 + 4 * 2.0


def test_a_long_and_a_short_path_meet():
    """The node made first waits for the longest path, in whatever order its users were made."""
    x = leaf(1.5)
    start = x * 2
    short = start * 5
    long = start
    for _ in range(10):
        long = long * 1.5
    (short + long).backward()
    assert x.grad.item() == pytest.approx(2 * (5 + 1.5**10), rel=1e-15)


@st.composite
def graphs(draw: Any) -> list[tuple[str, int, int]]:
    """A random graph: each step combines two earlier values (0 and 1 are the leaves)."""
    count = draw(st.integers(1, 14))
    kinds = st.sampled_from(["add", "mul", "sub", "max", "tanh"])
    return [(draw(kinds), draw(st.integers(0, i + 1)), draw(st.integers(0, i + 1))) for i in range(count)]


def run(m: Any, graph: list[tuple[str, int, int]], x: Any, y: Any) -> Any:
    values = [x, y]
    for kind, i, j in graph:
        a, b = values[i], values[j]
        values.append(
            {
                "add": lambda a, b: a + b,
                "mul": lambda a, b: a * b / 2,
                "sub": lambda a, b: a - b,
                "max": lambda a, b: m.maximum(a, b),
                "tanh": lambda a, b: m.tanh(a),
            }[kind](a, b)
        )
    return (values[-1] * values[-2]).sum()


@given(graphs())
def test_random_graphs_have_pytorchs_gradients_of_both_orders(torch, graph):
    found = []
    for m in (tg, torch):
        x = m.tensor([0.5, -1.25], dtype=m.float64, requires_grad=True)
        y = m.tensor([[0.75], [1.5]], dtype=m.float64, requires_grad=True)
        loss = run(m, graph, x, y)
        if not loss.requires_grad:
            return
        first = m.autograd.grad(loss, [x, y], create_graph=True, allow_unused=True)
        used = [g for g in first if g is not None]
        total = sum((g * g).sum() for g in used)
        second = m.autograd.grad(total, [x, y], allow_unused=True) if total.requires_grad else []
        found.append([None if g is None else g.detach().numpy() for g in (*first, *second)])
    assert len(found[0]) == len(found[1])
    for a, b in zip(*found, strict=True):
        if a is None or b is None:
            rest = b if a is None else a
            assert rest is None or not np.any(rest)  # not reached at all, or reached by zeros
        else:
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def nodes_alive() -> int:
    """Among what was made since the collector fell asleep."""
    return sum(type(o) is Node for o in gc.get_objects(generation=0))


@pytest.fixture
def no_collector():
    """The garbage collector sleeps: what is freed is freed by counting references."""
    gc.disable()
    yield
    gc.enable()


LONG = 100_000


def chain(length: int, x: Any) -> Any:
    y = x
    for _ in range(length // 2):
        y = (y * 1.0) + 0.0
    return y


def test_a_chain_of_100000_nodes_is_walked_printed_and_freed(no_collector):
    before = nodes_alive()
    limit = sys.getrecursionlimit()
    x = leaf(2.0)
    y = chain(LONG, x)
    assert nodes_alive() - before == LONG
    assert len(ancestors([y._edge])) == LONG
    assert repr(y) == "tensor(2., dtype=float64, grad_fn=<add>)"
    assert "add" in repr(y.grad_fn)
    y.backward()
    assert x.grad.item() == 1.0
    assert sys.getrecursionlimit() == limit
    del y
    assert nodes_alive() == before


def test_a_long_chain_through_several_outputs_is_walked_and_freed(no_collector):
    before = nodes_alive()
    x = tg.ones(2, requires_grad=True)
    y = x
    for _ in range(LONG // 20):
        a, b = y.split(1)
        y = tg.cat([b, a])
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]
    del a, b, y
    assert nodes_alive() == before


def test_a_recorded_backward_of_a_long_chain_is_freed(no_collector):
    before = nodes_alive()
    x = leaf(2.0)
    y = x
    for _ in range(2000):
        y = y * x
    (g,) = tg.autograd.grad(y, x, create_graph=True)
    del y, g
    assert nodes_alive() == before


USES = {
    "mlp": lambda x: (tg.relu(x @ x.T) @ x).softmax(1).sum(),
    "index": lambda x: x[0, 1] + x[:, None].sum() + x[tg.tensor([1, 1])].sum(),
    "several outputs": lambda x: sum(p.sum() for p in x.split(1)) + x.unbind(1)[0].sum(),
    "reductions": lambda x: x.std() + x.norm() + x.max() + x.max(1).values.sum() + x.prod() + x.logsumexp(0).sum(),
    "in place": lambda x: (x * 1).mul_(x).add_(1).sum(),
    "setitem": lambda x: write(x * 1, x).sum(),
    "cat": lambda x: tg.cat([x, x * 2]).mean(),
}


def write(y: Any, x: Any) -> Any:
    y[0] = x[1]
    return y


@pytest.mark.parametrize("name", USES)
@pytest.mark.parametrize("how", ["dropped", "backward", "create_graph", "retained"])
def test_graphs_are_freed_without_the_collector(name, how, no_collector):
    x = tg.tensor([[0.5, -1.0], [2.0, 0.25]], dtype=tg.float64, requires_grad=True)
    before = nodes_alive()
    loss = USES[name](x)
    assert nodes_alive() > before
    if how == "backward":
        loss.backward()
    elif how == "retained":
        loss.retain_grad()
        loss.backward(retain_graph=True)
    elif how == "create_graph":
        (g,) = tg.autograd.grad(loss, x, create_graph=True)
        if g.requires_grad:
            tg.autograd.grad(g.sum(), x, allow_unused=True)
        del g
    del loss
    assert nodes_alive() == before


def test_saved_values_are_released_by_backward_and_kept_by_retain_graph():
    x = tg.ones(1000, requires_grad=True)
    y = (x * 2).exp()
    loss = (y * y).sum()
    node = y.grad_fn
    loss.backward(retain_graph=True)
    assert node.saved is not None
    loss.backward()
    assert node.saved is None
    with pytest.raises(RuntimeError, match="a second time"):
        loss.backward()


def test_second_backward_is_refused_only_when_a_value_is_missing():
    x = leaf(1.0, 2.0)
    linear = (x + x - 1 - x).reshape(2, 1).sum()
    for _ in range(3):
        linear.backward()
    assert x.grad.tolist() == [3.0, 3.0]
    square = (x * x).sum()
    square.backward()
    with pytest.raises(RuntimeError) as error:
        square.backward()
    for part in ("second time", "mul", "retain_graph=True", "detach()", "square = (x * x).sum()"):
        assert part in str(error.value)


def test_a_shared_part_that_was_freed_is_named():
    x = leaf(2.0)
    shared = x * x
    one, two = shared * 2, shared * 3
    one.backward()
    with pytest.raises(RuntimeError, match=r"shared = x \* x"):
        two.backward()


def test_interior_gradients_do_not_linger():
    """A second walk starts from nothing; only leaves accumulate."""
    x = leaf(2.0)
    h = x * x
    loss = h * 3
    loss.backward(retain_graph=True)
    loss.backward(retain_graph=True)
    assert x.grad.item() == 24.0
    with pytest.warns(UserWarning, match="not a leaf"):
        assert h.grad is None


@pytest.mark.parametrize("how", ["loop of views", "loop of rows", "gather"])
def test_slices_share_one_buffer(how, monkeypatch):
    """Reading an array entry by entry costs one buffer, not one array of zeros per entry."""
    count = 200
    x = tg.ones(count, 50, requires_grad=True)
    made = []
    zeros = np.zeros

    def counting(shape: Any, *args: Any, **kwargs: Any) -> Any:
        out = zeros(shape, *args, **kwargs)
        made.append(out.size)
        return out

    if how == "loop of views":
        loss = sum((x[i] * i).sum() for i in range(count))
    elif how == "loop of rows":
        loss = sum((x.narrow(0, i, 1) * i).sum() for i in range(count))
    else:
        loss = sum((x[[i, i]] * (i / 2)).sum() for i in range(count))
    monkeypatch.setattr(np, "zeros", counting)
    loss.backward()
    monkeypatch.undo()
    assert sum(made) <= 2 * x.numel()
    assert x.grad[:, 0].tolist() == list(map(float, range(count)))


def test_a_gradient_that_is_a_view_is_taken_over_only_when_nobody_else_sees_its_memory():
    rows = np.ones((3, 4))
    assert not gradients.only_seen_by(rows.T)
    turned = np.ones((3, 4)).T
    assert gradients.only_seen_by(turned)
    again = turned.T
    assert not gradients.only_seen_by(turned)
    del again
    assert gradients.only_seen_by(turned)
    assert not gradients.only_seen_by(np.ones(5)[1:])

    # both gradients are views of the very same array, and so is that given to `backward`
    a, b = (tg.ones(2, 3, requires_grad=True) for _ in range(2))
    g = tg.ones(3, 2)
    (a.t() + b.t()).backward(g)
    a.grad.mul_(5)
    assert b.grad.tolist() == [[1] * 3] * 2
    assert g.tolist() == [[1] * 2] * 3
