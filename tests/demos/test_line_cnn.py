"""The line pictures: losses and counts from the given weights, and with other pictures and weights."""

import numpy as np

from demos import line_cnn


def test_count_and_losses_from_the_given_weights(ran, given_weights):
    done = ran("line_cnn")
    assert done.code == 0
    assert done.numbers["plain"]["count"] == 20
    losses = done.numbers["plain"]["losses"]
    assert len(losses) == 21
    for k in (0, 1, 5, 10):
        np.testing.assert_allclose(losses[k], line_cnn.LOSSES[k], rtol=1e-9)
    np.testing.assert_allclose(losses[20], line_cnn.LOSSES[20], rtol=1e-5)
    assert len(done.bars) == 4
    assert max(done.numbers["batch normalisation"]) <= 26


def test_without_data_it_says_so_and_still_learns(ran):
    done = ran("line_cnn", data=False)
    assert done.code == 0
    assert done.bars == []
    assert "drawn by the same rule" in done.page
    assert "initial weights are not here" in done.page
    assert "drawn weights" in done.page
    assert all(count <= 300 for count in done.numbers["batch normalisation"])
    assert done.numbers["plain"]["losses"][-1] < done.numbers["plain"]["losses"][0]
