"""The number of threads, work divided among them, and processes forked after that."""

import gc
import multiprocessing
import os
import subprocess
import sys
import threading
import time
import warnings
import weakref
from queue import SimpleQueue
from types import SimpleNamespace

import numpy as np
import pytest
import threadpoolctl

import tinygrad_edu as tg
from tinygrad_edu import kernels
from tinygrad_edu.kernels import conv, linalg, threads

# A test that hangs shall fail: no script here takes a tenth of this.
TIMEOUT = 120


@pytest.fixture(autouse=True)
def as_before():
    """Every test leaves the number of threads, ours and BLAS's, as it was."""
    before = threads._count
    with threadpoolctl.threadpool_limits(limits=None):
        yield
    threads._count = before


def blas_threads():
    return {pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"}


def test_the_cores_are_the_default():
    threads._count = None
    assert tg.get_num_threads() == threads.cores() >= 1


def test_the_number_governs_blas_too():
    for count in (1, 2):
        tg.set_num_threads(count)
        assert tg.get_num_threads() == count
        assert blas_threads() <= {count}


def test_blas_is_asked_how_many_threads_it_has(monkeypatch):
    """It may have fewer than we, by a variable or a limit that somebody else set; some cannot be asked."""
    for count in (1, 2):
        with threadpoolctl.threadpool_limits(count, user_api="blas"):
            assert threads._blas() is None or threads.blas_threads() == count
    threads._count = 3
    for silent in (None, SimpleNamespace(num_threads=None)):
        monkeypatch.setattr(threads, "_blas", lambda silent=silent: silent)
        assert threads.blas_threads() == 3


def test_numbers_that_make_no_sense_are_refused():
    for count, error in [(0, RuntimeError), (-1, RuntimeError), (2.0, TypeError), (True, TypeError)]:
        with pytest.raises(error, match="set_num_threads expects"):
            tg.set_num_threads(count)


@pytest.mark.parametrize("count", [1, 2, 3, 8])
@pytest.mark.parametrize("batch", [0, 1, 2, 7])
def test_parts_are_the_whole_batch_once(count, batch):
    done = np.zeros(batch, int)
    names = set()

    def work(start, stop):
        done[start:stop] += 1
        names.add(threading.get_ident())
        time.sleep(0.005)  # so long that others come for the rest

    threads.over_batch(work, batch, count)
    assert (done == 1).all()
    assert len(names) <= count


def test_work_is_divided_when_each_part_is_worth_it():
    tg.set_num_threads(4)
    assert threads.parts(100, 1.9 * threads.WORTH) == 1
    assert threads.parts(100, 2 * threads.WORTH) == 2
    assert threads.parts(100, 1e6) == 4
    assert threads.parts(3, 1e6) == 3
    assert threads.parts(0, 1e6) == 1
    tg.set_num_threads(1)
    assert threads.parts(100, 1e6) == 1


def test_work_that_is_divided_is_not_divided_again():
    tg.set_num_threads(2)
    found = []
    threads.over_batch(lambda *part: found.append(threads.parts(10, 1e6)), 2, 2)
    assert found == [1, 1]
    assert threads.parts(10, 1e6) == 2


@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_error_in_any_part_is_raised_when_no_part_runs_any_more(place):
    running, ended = [], []

    def work(start, stop):
        running.append(start)
        try:
            time.sleep(0.01)
            if start == place:
                raise IndexError(f"part {start}")
            ended.append(start)
        finally:
            running.remove(start)

    with pytest.raises(IndexError, match=f"part {place}"):
        threads.over_batch(work, 3, 3)
    assert running == []
    assert place not in ended
    threads.over_batch(lambda start, stop: ended.append(start), 3, 3)
    assert sorted(ended[-3:]) == [0, 1, 2]


def test_parts_run_at_the_same_time():
    """Each waits for the other to have begun."""
    both = threading.Barrier(2)
    threads.over_batch(lambda start, stop: both.wait(TIMEOUT), 2, 2)


def without_helpers(monkeypatch):
    monkeypatch.setattr(threads, "_helpers", 0)
    monkeypatch.setattr(threads, "_waiting", SimpleQueue())


def test_nobody_waits_for_threads_that_are_busy(monkeypatch):
    without_helpers(monkeypatch)
    busy, free = threading.Event(), threading.Event()

    def occupy(start, stop):
        if threading.current_thread() is user:
            busy.wait(TIMEOUT)
        else:
            busy.set()
            free.wait(TIMEOUT)

    user = threading.Thread(target=threads.over_batch, args=(occupy, 2, 2))
    user.start()
    assert busy.wait(TIMEOUT)
    calls = []
    threads.over_batch(lambda start, stop: calls.append((start, threading.get_ident())), 2, 2)
    assert calls == [(0, threading.get_ident()), (1, threading.get_ident())]
    free.set()
    user.join(TIMEOUT)
    assert not user.is_alive()


def test_the_caller_does_it_all_where_no_thread_can_be_made(monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    without_helpers(monkeypatch)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    calls = []
    threads.over_batch(lambda *part: calls.append(part), 5, 3)
    assert calls == [(0, 1), (1, 3), (3, 5)]
    assert threads._waiting.empty()


def test_arrays_are_let_go_of_when_the_work_is_done():
    x = np.zeros(8)
    gone = weakref.ref(x)

    def work(start, stop, x=x):
        x[start:stop] += 1

    threads.over_batch(work, 8, 2)
    del work, x
    deadline = time.monotonic() + TIMEOUT
    while gone() is not None and time.monotonic() < deadline:
        time.sleep(0.001)
        gc.collect()
    assert gone() is None


# What is divided: the same numbers


@pytest.fixture
def divide_all(monkeypatch):
    """Everything is worth a thread; the counts of parts are noted."""
    counts = []

    def noting(work, batch, count):
        counts.append(count)
        threads.over_batch(work, batch, count)

    monkeypatch.setattr(threads, "WORTH", 1e-9)
    for module in (conv, linalg):
        monkeypatch.setattr(module, "over_batch", noting)
    return counts


def in_threads(count, call, *args):
    threads._count = count
    return call(*args)


# channels, outputs, kernel, stride, padding, groups: every loop there is, see conv.loop_for
CASES = [
    (3, 5, 3, 1, 1, 1),
    (17, 33, 3, 1, 1, 1),
    (16, 8, 2, 2, 0, 1),
    (4, 6, 3, 2, 1, 2),
    (6, 6, 3, 1, 1, 6),
]


def images(case, dtype=np.float32):
    channels, outputs, kernel, stride, padding, groups = case
    rng = np.random.default_rng(0)
    rest = ((stride,) * 2, ((padding,) * 2,) * 2, (1, 1), groups)
    x = rng.standard_normal((7, channels, 6, 6)).astype(dtype)
    w = rng.standard_normal((outputs, channels // groups, kernel, kernel)).astype(dtype)
    y = rng.standard_normal(kernels.conv2d.reference(x, w, *rest).shape).astype(dtype)
    return x, w, y, rest


@pytest.mark.parametrize("count", [2, 3, 9])
@pytest.mark.parametrize("case", CASES)
def test_images_do_not_depend_on_the_number_of_threads(divide_all, case, count):
    x, w, y, rest = images(case)
    for call in (
        lambda: kernels.conv2d.fast(x, w, *rest),
        lambda: kernels.conv2d_to_input.fast(y, w, (6, 6), *rest),
    ):
        np.testing.assert_array_equal(in_threads(count, call), in_threads(1, call))
    assert divide_all == [min(count, 7)] * 2


@pytest.mark.parametrize("count", [2, 3, 9])
@pytest.mark.parametrize("case", CASES)
def test_gradients_of_weights_are_sums_in_a_fixed_order(divide_all, case, count):
    """For a number of threads always the same bits; for another, no more than the rounding of a sum of its length."""
    x, w, y, (*rest, groups) = images(case)
    size = w.shape[2:]

    def gradient(x, y):
        return kernels.conv2d_to_weight.fast(x, y, size, *rest, groups)

    found = in_threads(count, gradient, x, y)
    for _ in range(5):
        np.testing.assert_array_equal(in_threads(count, gradient, x, y), found)
    assert set(divide_all) == {min(count, 7)}
    whole = [np.rint(2 * a) for a in (x, y)]
    np.testing.assert_array_equal(in_threads(count, gradient, *whole), in_threads(1, gradient, *whole))

    def exact(x, y):
        return kernels.conv2d_to_weight.reference(x.astype(float), y.astype(float), size, *rest, groups)

    bound = (exact(np.ones_like(x), np.ones_like(y)) + 1) * np.finfo(np.float32).eps * exact(np.abs(x), np.abs(y))
    assert (np.abs(found - exact(x, y)) <= bound).all()


def test_sums_of_infinities_are_added_in_silence(divide_all):
    x = np.ones((2, 1, 2, 2), np.float32)
    x[0], x[1] = np.inf, -np.inf
    with warnings.catch_warnings(), np.errstate(all="warn"):
        warnings.simplefilter("error")
        rest = ((1, 1), ((0, 0), (0, 0)), (1, 1), 1)
        found = in_threads(2, kernels.conv2d_to_weight.fast, x, np.ones_like(x), (1, 1), *rest)
    assert np.isnan(found).all()
    assert divide_all == [2]


@pytest.mark.parametrize("count", [2, 5])
@pytest.mark.parametrize("sizes", [(640, 33, 50), (261, 1500, 9)])
def test_products_are_the_same_each_time_and_rounded_like_their_sums(divide_all, sizes, count):
    m, k, n = sizes
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((m, k)).astype(np.float32), rng.standard_normal((k, n)).astype(np.float32)
    bound = (k + 1) * np.finfo(np.float32).eps * (np.abs(a).astype(float) @ np.abs(b))
    for left, right in ((a, b), (np.asfortranarray(a), b), (a, np.asfortranarray(b))):
        found = in_threads(count, linalg.on_tiles, left, right)
        np.testing.assert_array_equal(in_threads(count, linalg.on_tiles, left, right), found)
        assert (np.abs(found - a.astype(float) @ b) <= bound).all()
        whole = np.rint(2 * left), np.rint(2 * right)
        np.testing.assert_array_equal(in_threads(count, linalg.on_tiles, *whole), whole[0] @ whole[1])
    assert divide_all == [min(count, m // 128)] * 9


def test_training_is_the_same_each_time(divide_all):
    def weights():
        tg.manual_seed(0)
        net = tg.nn.Sequential(tg.nn.Conv2d(2, 3, 3), tg.nn.ReLU(), tg.nn.Flatten(), tg.nn.Linear(48, 2))
        optimizer, x = tg.optim.SGD(net.parameters(), lr=0.1), tg.randn(6, 2, 6, 6)
        for _ in range(3):
            optimizer.zero_grad()
            net(x).square().mean().backward()
            optimizer.step()
        return [p.detach().numpy().copy() for p in net.parameters()]

    threads._count = 3
    first = weights()
    assert max(divide_all) == 3
    for a, b in zip(first, weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_users_threads_may_all_call_kernels(divide_all):
    threads._count = 2
    x, w, y, rest = images(CASES[1])

    def everything():
        return [
            kernels.conv2d.fast(x, w, *rest),
            kernels.conv2d_to_input.fast(y, w, (6, 6), *rest),
            kernels.conv2d_to_weight.fast(x, y, (3, 3), *rest),
        ]

    expected, wrong = everything(), []

    def user():
        for _ in range(20):
            for a, b in zip(everything(), expected, strict=True):
                if not np.array_equal(a, b):
                    wrong.append(a - b)

    users = [threading.Thread(target=user) for _ in range(4)]
    for each in users:
        each.start()
    for each in users:
        each.join(TIMEOUT)
    assert not any(each.is_alive() for each in users)
    assert wrong == []


# Processes

WORK = """
import os, signal, sys, threading, time
import numpy as np
import tinygrad_edu as tg
from tinygrad_edu.kernels import threads

threads.WORTH = 1e-9
tg.manual_seed(0)
net = tg.nn.Sequential(tg.nn.Conv2d(2, 20, 3, padding=1), tg.nn.ReLU(), tg.nn.Conv2d(20, 4, 3))
x = tg.arange(6 * 2 * 8 * 8).reshape(6, 2, 8, 8) / 768

def train():
    net.zero_grad()
    loss = (net(x) @ tg.ones(6, 70)).square().mean()
    loss.backward()
    return [float(loss), *(float(p.grad.sum()) for p in net.parameters())]
"""

SERIAL = """
tg.set_num_threads(1)
train()
print(threading.active_count())
"""

FORK = """
tg.set_num_threads(2)
expected = train()
assert threads._helpers == 1
stop = threading.Event()
def meanwhile():
    while not stop.is_set():
        with tg.no_grad():
            net(x)
others = [threading.Thread(target=meanwhile) for _ in range(int(sys.argv[1]))]
for other in others:
    other.start()
for _ in range(5):
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        assert tg.get_num_threads() == 1
        train()
        assert threads._helpers == 0
        tg.set_num_threads(2)
        assert np.allclose(train(), expected, 1e-4)
        assert threads._helpers == 1
        os._exit(7)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7, status
stop.set()
for other in others:
    other.join()
assert np.allclose(train(), expected, 1e-4)
print("fine")
"""

PROCESSES = """
import multiprocessing

def job(i):
    return tg.get_num_threads(), train()

if __name__ == "__main__":
    tg.set_num_threads(2)
    expected = train()
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        found = pool.map_async(job, range(4)).get(60)
    assert all(np.allclose(numbers, expected, 1e-4) for _, numbers in found)
    assert np.allclose(train(), expected, 1e-4)
    print(*{count for count, _ in found})
"""

LOADER = """
from tinygrad_edu.utils.data import DataLoader, Dataset

class Images(Dataset):
    def __len__(self):
        return 32
    def __getitem__(self, i):
        with tg.no_grad():
            return net(x * i).sum()

tg.set_num_threads(2)
train()
batches = [batch.tolist() for batch in DataLoader(Images(), batch_size=4, num_workers=3)]
assert batches == [batch.tolist() for batch in DataLoader(Images(), batch_size=4)]
print(len(batches))
"""

INTERRUPTS = """
def interrupt():
    time.sleep(next(pauses))
    os.kill(os.getpid(), signal.SIGINT)

tg.set_num_threads(2)
expected, caught = train(), 0
pauses = iter(np.random.default_rng(0).uniform(0, 0.02, 40).tolist())
for _ in range(40):
    other = threading.Thread(target=interrupt)
    try:
        other.start()
        while True:
            train()
    except KeyboardInterrupt:
        caught += 1
    other.join()
    assert threads.parts(10, 1e6) == 2
    assert train() == expected
print(caught)
"""

INTERRUPTED_PARTS = """
running = []
def work(start, stop):
    running.append(start)
    try:
        if start == place:
            os.kill(os.getpid(), signal.SIGINT)
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            pass
    finally:
        running.remove(start)

for place in (0, 1):
    try:
        threads.over_batch(work, 2, 2)
        print("no interrupt")
    except KeyboardInterrupt:
        print(running, threads.parts(10, 1e6))
"""

EXIT = """
import atexit
tg.set_num_threads(4)
train()
class Last:
    settings = np.ones((6, 2, 8, 8)), np.ones((3, 2, 3, 3)), (1, 1), ((0, 0), (0, 0)), (1, 1), 1
    def __del__(self, convolve=tg.kernels.conv2d):
        print(convolve(*self.settings)[0, 0, 0, 0])
last = Last()
tg.kernels.conv2d(*last.settings)
atexit.register(lambda: print(len(train())))
"""


def output_of(script, *args):
    """What a script prints; it may neither hang nor print errors."""
    done = subprocess.run(
        [sys.executable, "-c", WORK + script, *args],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env=os.environ | {"TINYGRAD_EDU_QUIET": "1"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split("\n")[:-1]


def test_one_thread_means_that_no_other_is_made():
    assert output_of(SERIAL) == ["1"]


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@needs_fork
@pytest.mark.parametrize("others", [0, 2])
def test_a_child_forked_after_parallel_work_goes_on_in_one_thread(others):
    """Also forked while other threads are at work."""
    assert output_of(FORK, str(others)) == ["fine"]


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_processes_of_a_pool_compute_too(method, tmp_path):
    script = tmp_path / "pool.py"
    script.write_text(WORK + PROCESSES)
    done = subprocess.run(
        [sys.executable, str(script), method],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env=os.environ | {"TINYGRAD_EDU_QUIET": "1"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["1" if method == "fork" else str(threads.cores())]


def test_workers_of_a_loader_divide_their_work_too():
    assert output_of(LOADER) == ["8"]


def test_interrupts_leave_nothing_broken():
    assert output_of(INTERRUPTS) == ["40"]


def test_an_interrupt_waits_for_the_parts_that_have_begun():
    assert output_of(INTERRUPTED_PARTS) == ["[] 2"] * 2


def test_threads_do_not_keep_a_program_from_ending():
    assert output_of(EXIT) == ["5", "18.0"]


def test_warmup_at_the_top_compiles_and_says_how_long_it_took(monkeypatch, capsys):
    monkeypatch.setattr(tg.kernels.registry, "_kernels", {"relu": tg.kernels.relu})
    assert tg.warmup() > 0
    assert "1 kernels ready in" in capsys.readouterr().out
    assert tg.warmup is tg.kernels.warmup


def test_a_thread_that_comes_twice_finds_nothing_left_to_do():
    done = []
    division = threads._Division(lambda start, stop: done.append((start, stop)), 8, 4)
    division.help()
    division.help()
    assert done == [(0, 2), (2, 4), (4, 6), (6, 8)]
    assert division.ended.qsize() == 4
    assert division.wait() == []
