"""Freed memory is used again: the pages of a step are not fetched from the system anew."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

STEPS = """
import resource
import numpy as np
import tinygrad_edu

def pages():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def step():
    return sum(float(a[0]) for a in [np.ones(600_000, np.float32) for _ in range(4)])

for _ in range(3):
    step()
before = pages()
for _ in range(10):
    step()
print((pages() - before) // 10)
"""


def pages_per_step(**settings):
    kept = {name: value for name, value in os.environ.items() if "MALLOC" not in name and name != "GLIBC_TUNABLES"}
    done = subprocess.run(
        [sys.executable, "-c", STEPS], capture_output=True, text=True, env=kept | settings, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of glibc's malloc")
def test_a_step_takes_the_memory_of_the_one_before():
    assert pages_per_step() < 10
    # about 2300 pages of 4096 bytes
    assert pages_per_step(TINYGRAD_EDU_MALLOC="default") > 500
    assert pages_per_step(MALLOC_TRIM_THRESHOLD_="1000", MALLOC_MMAP_THRESHOLD_="100000") > 500
