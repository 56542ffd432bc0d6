"""The pytest plug-in, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import tinygrad_edu as tg
from tinygrad_edu.testing import given_op, real
from tinygrad_edu.testing.plugin import PROFILES, use_profile

ROOT = Path(__file__).parent.parent.parent

TESTS = """
import time
import pytest
from hypothesis import settings
import tinygrad_edu as tg
from tinygrad_edu.testing import given_op, real

started = []

@given_op(lambda x: x * x, real((2,)))
def test_square(case):
    time.sleep(0.25 * (not started))  # as long as compiling may take: more than hypothesis allows
    started.append(1)
    case.verify()

@pytest.mark.thorough
def test_long():
    pass

def test_profile():
    print("examples", settings.default.max_examples, settings.default.derandomize)
"""


def run(folder: Path, *arguments: str) -> str:
    (folder / "test_mine.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "tinygrad_edu.testing.plugin", "-p", "no:cacheprovider", "-rA"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(folder)}
    done = subprocess.run(
        [*command, "--strict-markers", *arguments], cwd=folder, capture_output=True, text=True, env=environment
    )
    return done.stdout + done.stderr


def test_without_asking_nothing_changes(tmp_path):
    said = run(tmp_path)
    assert "examples 100 False" in said
    assert "2 passed, 1 deselected" in said


@pytest.mark.parametrize(("name", "examples"), [("ci", "15 True"), ("dev", "12 False"), ("thorough", "300 False")])
def test_profiles(tmp_path, name, examples):
    said = run(tmp_path, f"--gradients={name}")
    assert f"examples {examples}" in said
    assert ("3 passed" if name == "thorough" else "2 passed, 1 deselected") in said


def test_gradient_tests_can_be_selected(tmp_path):
    assert "1 passed, 2 deselected" in run(tmp_path, "-m", "gradient")
    assert "gradient: checks gradients" in run(tmp_path, "--markers")


def test_this_run_has_a_profile_and_a_wrong_name_is_refused():
    assert set(PROFILES) == {"ci", "dev", "thorough", "broken"}
    with pytest.raises(ValueError, match="there is no profile 'fast'"):
        use_profile("fast")


@given_op(tg.ops.sigmoid)
def test_given_op_draws_cases_of_a_primitive(case):
    case.verify()


class TestMethod:
    @given_op(lambda x, k: x * k, real((2, 3)), 3.0)
    def test_given_op_on_a_method(self, case):
        assert case.subject.name == "<lambda>"
        assert case.inputs[1] == 3.0
        case.verify()
