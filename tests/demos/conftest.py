"""Demos run once each in their fast form: with the data there is, and with none."""

import json
import os
from types import SimpleNamespace

import pytest

from demos import __main__ as main
from demos.data import oracle
from tinygrad_edu.datasets.places import VARIABLE


@pytest.fixture(scope="session")
def ran(tmp_path_factory):
    """ran("race"): exit code, printed text, numbers, bars and folder of a demo; `data=False`: without any data file."""
    done = {}

    def once(name, data=True):
        if (name, data) not in done:
            done[name, data] = run(
                name, tmp_path_factory.mktemp(name), None if data else tmp_path_factory.mktemp("none")
            )
        return done[name, data]

    return once


def run(name, out, data):
    with pytest.MonkeyPatch.context() as patch:
        if data is not None:
            patch.setenv(VARIABLE, str(data))
            patch.setenv("no_proxy", "*")
        code = main.main([name, "--fast", "--out", str(out)])
    found = json.loads((out / f"{name}.json").read_text(encoding="utf-8"))
    page = (out / f"{name}.html").read_text(encoding="utf-8")
    return SimpleNamespace(code=code, page=page, numbers=found["numbers"], bars=found["bars"], out=out)


@pytest.fixture
def given_weights():
    """Skips, visibly, where the initial weights of the reports are not at hand."""
    if oracle("fc_race_init.npz") is None:
        pytest.skip(f"the given initial weights are not here: {VARIABLE}={os.environ.get(VARIABLE)}")
