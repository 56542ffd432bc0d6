"""XOR: losses and counts from the given weights, the hidden plane, and many networks trained as one."""

import numpy as np
import pytest

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from demos import xor
from demos.data import oracle
from demos.together import together

# the mean loss at 0, 1, 100, 1000 and 10,000 updates of 0.1, measured with an independent implementation
LOSSES = (0.6942472730, 0.6941917334, 0.6931480643, 0.6931385914, 0.0074048122)


def test_counts_and_losses_from_the_given_weights(ran, given_weights):
    done = ran("xor")
    assert done.code == 0
    slow, fast, linear = (done.numbers[name] for name in xor.SETTINGS)
    assert (slow["count"], fast["count"], linear["count"]) == (5630, 1130, None)
    losses = [*(slow["losses"][k] for k in (0, 1, 100, 1000)), slow["last"]]
    # given to ten decimals
    np.testing.assert_allclose(losses, LOSSES, rtol=1e-9, atol=5e-11)
    assert linear["last"] == pytest.approx(0.693147551, abs=5e-10)
    assert len(done.bars) == 6


def test_most_draws_with_steps_of_one_half_are_solved(ran):
    counts = ran("xor").numbers["as the course wants them, 0.5"]
    assert len(counts) == 100
    assert sum(count > 0 for count in counts) >= 80


def test_without_data_it_says_so_and_the_proof_still_holds(ran):
    done = ran("xor", data=False)
    assert done.code == 0
    assert "initial weights are not here" in done.page
    assert "drawn weights" in done.page
    assert len(done.bars) == 4


def test_networks_trained_together_are_those_trained_alone(given_weights):
    given = oracle("xor_init.npz")
    assert given is not None
    starts = [{name: given[f"init{k}_{name}"] for name in xor.SHAPES} for k in (1, 0)]
    counts, losses = together(starts, tg.tanh, F.binary_cross_entropy, (xor.X, xor.Y), 0.5, 1200, "two")
    assert counts[1] == 1130
    assert (losses < 0.7).all()


def test_six_planes_with_four_points_each(ran):
    picture = (ran("xor").out / "xor_plane.svg").read_text(encoding="utf-8")
    assert picture.count('id="axes_') == 6
