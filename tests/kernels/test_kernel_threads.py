"""The number of threads, batches divided among them, and processes forked after that."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import threadpoolctl

import tinygrad_edu as tg
from tinygrad_edu.kernels import threads


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    """Every test leaves the number of threads, ours and BLAS's, as it was."""
    before = threads._chosen
    with threadpoolctl.threadpool_limits(limits=None):
        yield
    threads._chosen = before
    threads._drop_pool()


def blas_threads():
    return {pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"}


def test_the_cores_are_the_default():
    threads._chosen = None
    assert tg.get_num_threads() == threads.cores() >= 1


def test_the_number_governs_blas_too():
    for count in (1, 2):
        tg.set_num_threads(count)
        assert tg.get_num_threads() == count
        assert blas_threads() <= {count}


def test_numbers_that_make_no_sense_are_refused():
    for count, error in [(0, RuntimeError), (-1, RuntimeError), (2.0, TypeError), (True, TypeError)]:
        with pytest.raises(error, match="set_num_threads expects"):
            tg.set_num_threads(count)


@pytest.mark.parametrize("count", [1, 2, 3, 8])
@pytest.mark.parametrize("batch", [0, 1, 2, 7])
def test_parts_are_the_whole_batch_once(count, batch):
    tg.set_num_threads(count)
    done = np.zeros(batch, int)
    names = set()

    def work(start, stop):
        done[start:stop] += 1
        names.add(threading.get_ident())

    threads.over_batch(work, batch, 1e6)
    assert (done == 1).all()
    assert len(names) <= count


def test_little_work_stays_in_one_piece():
    tg.set_num_threads(4)
    calls = []
    threads.over_batch(lambda *part: calls.append(part), 100, 1.9 * threads.WORTH)
    assert calls == [(0, 100)]
    threads.over_batch(lambda *part: calls.append(part), 100, 2 * threads.WORTH)
    assert sorted(calls[1:]) == [(0, 50), (50, 100)]


def test_work_that_is_divided_is_not_divided_again():
    tg.set_num_threads(2)
    calls = []

    def outer(start, stop):
        threads.over_batch(lambda *part: calls.append(part), 10, 1e6)

    threads.over_batch(outer, 2, 1e6)
    assert calls == [(0, 10), (0, 10)]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_error_in_any_part_is_raised_when_all_have_ended(place):
    tg.set_num_threads(3)
    ended = []

    def work(start, stop):
        if start == place:
            raise IndexError(f"part {start}")
        ended.append(start)

    with pytest.raises(IndexError, match=f"part {place}"):
        threads.over_batch(work, 3, 1e6)
    assert sorted(ended) == [i for i in range(3) if i != place]
    threads.over_batch(lambda start, stop: ended.append(start), 3, 1e6)
    assert sorted(ended[2:]) == [0, 1, 2]


def test_compiled_loops_run_side_by_side():
    tg.set_num_threads(2)
    x = np.random.default_rng(0).standard_normal((64, 1000))
    found = np.empty_like(x)

    def work(start, stop):
        found[start:stop] = tg.kernels.exp(x[start:stop])

    threads.over_batch(work, len(x), 1e6)
    np.testing.assert_array_equal(found, tg.kernels.exp(x))


FORK = """
import os, sys
import numpy as np
import tinygrad_edu as tg
from tinygrad_edu.kernels import threads

tg.set_num_threads(2)
x = tg.randn(256, 256)
done = []
threads.over_batch(lambda start, stop: done.append(tg.kernels.exp(x._array[start:stop])), 256, 1e6)
assert len(done) == 2
(x @ x).sum()
child = os.fork()
if child == 0:
    assert tg.get_num_threads() == 1
    calls = []
    threads.over_batch(lambda *part: calls.append(part), 10, 1e6)
    assert calls == [(0, 10)]
    w = tg.randn(256, 256, requires_grad=True)
    tg.softmax(tg.sigmoid(x @ w), 1).sum().backward()
    tg.set_num_threads(2)
    threads.over_batch(lambda *part: calls.append(part), 10, 1e6)
    assert len(calls) == 3
    sys.stdout.write("child fine\\n")
    sys.stdout.flush()
    os._exit(0)
_, status = os.waitpid(child, 0)
assert status == 0, status
threads.over_batch(lambda start, stop: done.append(start), 256, 1e6)
assert len(done) == 4
print("parent fine")
"""

LOADER = """
import tinygrad_edu as tg
from tinygrad_edu.kernels import threads
from tinygrad_edu.utils.data import DataLoader, Dataset

class Squares(Dataset):
    def __len__(self):
        return 32
    def __getitem__(self, i):
        rows = []
        threads.over_batch(lambda start, stop: rows.append(stop - start), 8, 1e6)
        return tg.sigmoid(tg.full((8,), float(i))).sum() * 0 + i * i + sum(rows) - 8

tg.set_num_threads(2)
threads.over_batch(lambda start, stop: None, 8, 1e6)
total = sum(float(batch.sum()) for batch in DataLoader(Squares(), batch_size=4, num_workers=3))
print(total == sum(i * i for i in range(32)))
"""


def output_of(script):
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[:-1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_forked_after_parallel_work_goes_on_in_one_thread():
    assert sorted(output_of(FORK)) == ["child fine", "parent fine"]


def test_workers_of_a_loader_divide_their_work_too():
    assert output_of(LOADER) == ["True"]


def test_warmup_at_the_top_compiles_and_says_how_long_it_took(monkeypatch, capsys):
    monkeypatch.setattr(tg.kernels.registry, "_kernels", {"relu": tg.kernels.relu})
    assert tg.warmup() > 0
    assert "1 kernels ready in" in capsys.readouterr().out
    assert tg.warmup is tg.kernels.warmup
