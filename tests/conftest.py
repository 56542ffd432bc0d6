"""Settings of all tests: hypothesis profiles, seeds, and PyTorch as an oracle."""

import os
import random

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings

import tinygrad_edu as tg

_QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile(
    "ci", derandomize=True, deadline=None, max_examples=15, suppress_health_check=_QUIET, database=None
)
settings.register_profile("dev", deadline=None, max_examples=12, suppress_health_check=_QUIET)
settings.register_profile("thorough", deadline=None, max_examples=300, suppress_health_check=_QUIET)
# for when many tests are expected to fail, as after breaking a rule on purpose: no time is spent on shrinking
settings.register_profile("broken", settings.get_profile("ci"), phases=[Phase.generate], report_multiple_bugs=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


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
