"""The surfaces of one neuron: exact values, extrema, and their closed forms on the whole grid."""

import numpy as np

import tinygrad_edu as tg
from demos import surfaces


def test_exact_values_and_extrema(ran):
    found = ran("surfaces", data=False)
    assert found.code == 0
    assert [bar["met"] for bar in found.bars] == [True, True, True]
    assert found.numbers["valley"] == 101
    at, slope = found.numbers["steepest squared error: at s, slope"]
    np.testing.assert_allclose([at, slope], [np.log(2 + np.sqrt(3)), 1 / (6 * np.sqrt(3))], rtol=1e-12)


def test_surfaces_are_their_closed_forms():
    b, w = np.meshgrid(np.linspace(-5, 5, 21), np.linspace(-5, 5, 21), indexing="ij")
    found = surfaces.surfaces(tg.tensor(w), tg.tensor(b))
    p = 1 / (1 + np.exp(-(w + b)))
    wanted = {
        "answer": p,
        "squared error": (p - 0.5) ** 2,
        "slope of squared error": 2 * (p - 0.5) * p * (1 - p),
        "cross-entropy": -0.5 * (np.log(p) + np.log(1 - p)),
        "slope of cross-entropy": p - 0.5,
    }
    assert set(found) == set(wanted)
    for name, z in wanted.items():
        np.testing.assert_allclose(found[name].numpy(), z, rtol=1e-11, atol=1e-14, err_msg=name)
