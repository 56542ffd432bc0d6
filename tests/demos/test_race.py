"""The four-way race: losses and counts from the given weights, and without them."""

from functools import partial

import numpy as np
import pytest

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from demos import descent, race, weights
from demos.data import oracle
from demos.report import Report
from demos.together import together
from tinygrad_edu import nn, optim, viz
from tinygrad_edu.datasets import CIS581

# the mean loss at 0, 1, 10, 100 and 500 updates, with the faults, measured with an independent implementation
LOSSES = {
    "sigmoid_l2": (0.205318278430, 0.205106955602, 0.194706371630, 0.148159517729, 0.096809474883),
    "sigmoid_ce": (0.653293977859, 0.651913553909, 0.591023760760, 0.478905280813, 0.259924321269),
    "relu_l2": (0.190214401126, 0.190015315978, 0.181424940823, 0.116731265020, 0.024212311250),
    "relu_ce": (0.645993067589, 0.645415822232, 0.623365229703, 0.413570338529, 0.122264668880),
}
PLAIN = {
    "sigmoid_l2": (0.253410244157, 0.144886784695),
    "sigmoid_ce": (0.699967934611, 0.456476839270),
    "relu_l2": (0.261215130411, 0.149887459539),
    "relu_ce": (0.715586978474, 0.448271217254),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_from_the_given_weights(ran, given_weights, name):
    found = ran("race").numbers
    losses = found[f"first course, {name}"]["losses"]
    np.testing.assert_allclose([losses[k] for k in (0, 1, 10, 100)], LOSSES[name][:4], rtol=1e-9)
    # by then a rounding may have put a ReLU on the other side of its kink
    np.testing.assert_allclose(losses[500], LOSSES[name][4], rtol=1e-9 if "sigmoid" in name else 1e-3)
    losses = found[f"second course, {name}"]["losses"]
    np.testing.assert_allclose([losses[0], losses[100]], PLAIN[name], rtol=1e-9)


def test_counts_from_the_given_weights(ran, given_weights):
    done = ran("race")
    assert done.code == 0
    counts = {name: done.numbers[f"first course, {name}"]["counts"] for name in LOSSES}
    assert counts == {
        "sigmoid_l2": [None, 1556, 1556],
        "sigmoid_ce": [1557, 715, 715],
        "relu_l2": [None, None, pytest.approx(313, rel=0.01)],
        "relu_ce": pytest.approx([512, 237, 237], rel=0.01),
    }
    *_, last = (done.numbers[f"second course, {name}"]["count"] for name in LOSSES)
    assert last == pytest.approx(871, rel=0.01)
    assert len(done.bars) == 6
    assert "14 of the 64 outputs are exactly 0" in done.page


def test_draws_trained_together_are_those_trained_alone(given_weights):
    given = oracle("fc_race_init.npz")
    assert given is not None
    starts = [{name: given[f"handout{k}_{name}"] for name in race.SHAPES} for k in range(3)]
    images, targets = (t.double() for t in CIS581("random").tensors())
    data = images.flatten(1), targets.reshape(64, 1)
    counts, losses = together(starts, tg.relu, F.binary_cross_entropy, data, 0.1, 890, "three")
    assert counts[0] == pytest.approx(871, rel=0.01)
    for start, count, loss in zip(starts, counts, losses, strict=True):
        fit = partial(descent.classify, race.network(start, nn.ReLU), F.binary_cross_entropy, data)
        alone = fit(partial(optim.SGD, lr=0.1), 890, what="one", stop=False)
        assert (alone.solved or -1) == count
        assert alone.losses[-1] == pytest.approx(loss, rel=1e-6)


def test_summed_losses_take_64_times_the_step(ran, given_weights):
    done = ran("race").numbers
    *solved, stuck = (done[f"second course, {name}"]["summed"] for name in LOSSES)
    # steps so long amplify roundings: a change of the weights by 1e-16 moves the first count between 138 and 144
    assert solved == pytest.approx([140, 83, 59], abs=6)
    assert stuck is None


def test_without_data_it_says_what_it_used_and_holds_no_bar(ran):
    done = ran("race", data=False)
    assert done.code == 0
    assert done.bars == []
    assert "drawn by the same rule" in done.page
    assert "initial weights are not here" in done.page
    assert "drawn weights" in done.page
    first = done.numbers["first course, relu_ce"]["losses"]
    assert first[-1] < first[0] / 2


def test_drawn_weights_are_cut_and_not_clamped(tmp_path):
    start = weights.Start(Report("any", viz.Page("title"), tmp_path), "none.npz", {"W1": (100, 40), "b1": (40,)})
    values = start.drawn()["W1"]
    assert abs(values).max() < 0.2
    assert np.unique(values).size == 4000
    assert values.std() == pytest.approx(0.088, abs=0.003)


def test_drawn_weights_are_the_same_for_the_same_name(monkeypatch, tmp_path):
    monkeypatch.setenv("TINYGRAD_EDU_DATA", str(tmp_path))
    start = weights.Start(Report("any", viz.Page("title"), tmp_path, seed=5), "fc_race_init.npz", race.SHAPES)
    first = start("handout0")
    assert start.given is None
    assert start("handout0") is first
    assert not np.array_equal(start("handout1")["W1"], first["W1"])
    assert not np.array_equal(start.drawn()["W1"], start.drawn()["W1"])
    assert (first["b1"] == 0.1).all()
