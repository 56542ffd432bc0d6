"""The detection pictures: losses and counts from the given weights, and the claim about the second head."""

import numpy as np
import pytest

from demos import detection_cnn


def test_counts_and_losses_from_the_given_weights(ran, given_weights):
    done = ran("detection_cnn")
    assert done.code == 0
    assert done.numbers["counts"] == pytest.approx([68, 803, 73], rel=0.01)
    notes = done.numbers["notes"]
    for k in (0, 1, 5, 10):
        np.testing.assert_allclose([notes["ce"][k], notes["mse"][k]], detection_cnn.LOSSES[k], rtol=1e-9)
    assert notes["width"][-1] == 1.0
    assert notes["width"][68] < 0.6
    assert len(done.bars) == 4


def test_the_claim_has_its_draws_and_no_bar(ran, given_weights):
    done = ran("detection_cnn")
    assert all(len(counts) == 2 and min(counts) > 20 for counts in done.numbers["draws"].values())
    assert not any("second head" in bar["what"] for bar in done.bars)
    assert "the claim is not supported" in done.page


def test_without_data_it_says_so_and_still_learns(ran):
    done = ran("detection_cnn", data=False)
    assert done.code == 0
    assert done.bars == []
    assert "drawn by the same rule" in done.page
    notes = done.numbers["notes"]
    assert notes["ce"][-1] < notes["ce"][0] / 2
    assert notes["mse"][-1] < notes["mse"][0] / 2
