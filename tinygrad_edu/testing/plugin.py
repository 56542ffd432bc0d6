"""The pytest plug-in: markers for gradient tests, and hypothesis profiles to run them with.

    pytest -m gradient                   only tests made by `given_op`
    pytest --gradients=thorough          with the hypothesis profile `thorough`, and tests marked `thorough`

Profiles: `ci` draws the same cases in every run and never fails for being slow; `dev` draws new ones; `thorough` draws
300 of each; `broken` does not shrink, for many failures at once.  Installing the package installs the plug-in; it
changes nothing until a profile is asked for, with `--gradients`, HYPOTHESIS_PROFILE or `use_profile` in a conftest.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

PROFILES = ("ci", "dev", "thorough", "broken")
VARIABLE = "HYPOTHESIS_PROFILE"

_chosen = ""


def use_profile(name: str) -> None:
    """Make a profile the one of this run; hypothesis must be installed for it to have an effect.

    Raises ValueError for a name that is not in `PROFILES`.
    """
    global _chosen
    if name not in PROFILES:
        raise ValueError(f"there is no profile {name!r}, only {', '.join(PROFILES)}")
    _chosen = name
    try:
        from hypothesis import HealthCheck, Phase, settings
    except ModuleNotFoundError:
        return
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large]
    common: dict[str, Any] = {"deadline": None, "suppress_health_check": quiet}
    fixed = {"derandomize": True, "database": None}
    settings.register_profile("ci", max_examples=15, **common, **fixed)
    settings.register_profile("dev", max_examples=12, **common)
    settings.register_profile("thorough", max_examples=300, **common)
    once = {"phases": [Phase.generate], "report_multiple_bugs": False}
    settings.register_profile("broken", max_examples=15, **common, **fixed, **once)
    settings.load_profile(name)


def profile() -> str:
    """The profile of this run; "" when none was asked for."""
    return _chosen


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("gradients", "gradient tests of tinygrad_edu.testing")
    group.addoption("--gradients", choices=PROFILES, help="the hypothesis profile to run gradient tests with")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "gradient: checks gradients with tinygrad_edu.testing.given_op")
    config.addinivalue_line("markers", "thorough: takes long; runs with --gradients=thorough only")
    asked = config.getoption("--gradients") or os.environ.get(VARIABLE)
    if asked in PROFILES:
        use_profile(asked)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests that `given_op` made, and leave out what takes long."""
    for item in items:
        if getattr(getattr(item, "obj", None), "checks_gradients", False):
            item.add_marker(pytest.mark.gradient)
    if profile() != "thorough":
        long = [item for item in items if item.get_closest_marker("thorough")]
        items[:] = [item for item in items if not item.get_closest_marker("thorough")]
        if long:
            config.hook.pytest_deselected(items=long)
