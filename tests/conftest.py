"""Settings of all tests: the hypothesis profile, seeds, and PyTorch as an oracle."""

import os
import random

import numpy as np
import pytest

import tinygrad_edu as tg

pytest_plugins = ["tinygrad_edu.testing.plugin"]
os.environ.setdefault("HYPOTHESIS_PROFILE", "ci")


@pytest.fixture(autouse=True)
def _seeds():
    """The same random numbers in every test, whatever ran before it."""
    random.seed(0)
    np.random.seed(0)
    tg.manual_seed(0)


@pytest.fixture(scope="session")
def torch():
    """PyTorch; tests that compare with it are shown as skipped where it is not installed."""
    return pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")
