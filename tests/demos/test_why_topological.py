"""The three walks: their visits, their answers, and that they are the engine's own rules."""

import math

import pytest

import tinygrad_edu as tg
from demos import why_topological as demo
from tinygrad_edu.engine.node import edge_of


def test_the_visits_and_the_answers(ran):
    done = ran("why_topological", data=False)
    assert done.code == 0
    everything, ways, once = (done.numbers[name] for name in demo.WALKS)
    assert (everything["dc/da"], ways["dc/da"], once["dc/da"]) == (6.0, 4.0, 4.0)
    assert everything["visits"] == ["c: 1", "b: 1", "a: 1", "a: 2", "b: 2", "a: 4", "a: 6"]
    assert ways["visits"] == ["c: 1", "b: 1", "a: 1", "a: 1", "b: 1", "a: 1", "a: 1"]
    assert once["visits"] == ["c: 1", "b: 2", "a: 4"]
    assert done.numbers["deep"] == 1.0
    assert "RecursionError" in done.page


def test_ways_double_and_visits_do_not(ran):
    for depth, right, _, ways, once in ran("why_topological", data=False).numbers["chains"]:
        assert right == 2**depth
        assert ways == f"{right} in {2 ** (depth + 1) - 1:,} visits"
        assert once == f"{right} in {depth + 1} visits"


def test_both_right_walks_agree_with_the_engine_on_another_graph():
    a = tg.tensor(0.3, dtype=tg.float64, requires_grad=True)
    b = a * a
    c = tg.sin(b) + b * a
    c.backward()
    for walk in (demo.way_by_way, demo.topological):
        assert demo.walked(walk, edge_of(2 * tg.sin(a * a)))[0] == pytest.approx(2 * math.cos(0.09) * 0.6)
        assert demo.walked(walk, edge_of(tg.exp(a) * tg.exp(a)))[0] == pytest.approx(2 * math.exp(0.6))
    assert a.grad.item() == pytest.approx(math.cos(0.09) * 0.6 + 3 * 0.09)
