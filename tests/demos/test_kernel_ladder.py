"""The ladder of matrix products: that all steps agree, and that the peak does the work it counts."""

import numpy as np

from demos import kernel_ladder


def test_all_steps_give_the_product(ran):
    done = ran("kernel_ladder", data=False)
    assert done.code == 0
    assert len(done.bars) == 1
    rates = done.numbers["GFLOP/s"]
    assert list(rates) == list(kernel_ladder.IDEAS) == ["naive", "by_rows", "unrolled", "tiled"]
    assert all(rate > 0 for values in rates.values() for rate in values)
    assert "total += a[i, k] * b[k, j]" in done.page


def test_the_peak_counts_the_multiply_adds_it_does():
    a, b = np.full((16, 1), 0.5, np.float32), np.full((1, 256), 0.25, np.float32)
    out = np.zeros((16, 256), np.float32)
    operations = kernel_ladder.spin(a, b, out, 8)
    assert 2 * np.count_nonzero(out) == operations
    np.testing.assert_array_equal(out[out > 0], 1.0)
