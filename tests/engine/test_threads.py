"""Several threads: gradients of a shared leaf add up, and modes stay where they were set."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import tinygrad_edu as tg


def run(jobs: int, work: Any) -> list[Any]:
    """All jobs at once: they wait for each other before they start."""
    barrier = threading.Barrier(jobs)

    def job(i: int) -> Any:
        barrier.wait()
        return work(i)

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(job, range(jobs)))


def test_gradients_of_a_shared_leaf_add_up():
    x = tg.ones(64, dtype=tg.float64, requires_grad=True)
    shared = (x * 2).detach()

    def work(i: int) -> None:
        for _ in range(50):
            (x * shared * (i + 1)).sum().backward()

    run(8, work)
    assert x.grad.tolist() == [2.0 * 50 * sum(range(1, 9))] * 64


def test_walks_through_a_shared_graph():
    x = tg.ones(16, dtype=tg.float64, requires_grad=True)
    trunk = x * x
    for _ in range(20):
        trunk = trunk * 1.0

    run(6, lambda i: (trunk * (i + 1)).sum().backward(retain_graph=True))
    assert x.grad.tolist() == [2.0 * sum(range(1, 7))] * 16


def test_no_grad_in_one_thread_does_not_reach_another():
    x = tg.ones(2, requires_grad=True)

    def work(i: int) -> list[bool]:
        found = []
        for _ in range(200):
            if i % 2:
                with tg.no_grad():
                    found.append((x * 2).requires_grad)
            else:
                found.append((x * 2).requires_grad)
        return found

    for i, found in enumerate(run(6, work)):
        assert set(found) == {i % 2 == 0}


def test_second_order_in_threads():
    def work(i: int) -> float:
        x = tg.tensor(float(i + 1), dtype=tg.float64, requires_grad=True)
        (g,) = tg.autograd.grad(x**4, x, create_graph=True)
        (h,) = tg.autograd.grad(g, x)
        return h.item()

    assert run(6, work) == [12.0 * (i + 1) ** 2 for i in range(6)]


def test_hooks_and_writes_in_threads():
    def work(i: int) -> tuple[float, int]:
        x = tg.ones(8, dtype=tg.float64, requires_grad=True)
        seen = []
        for k in range(30):
            y = x * (i + 1)
            y.register_hook(lambda g, k=k: seen.append(k))
            y.add_(1)
            (y * 2).sum().backward()
        return x.grad[0].item(), len(seen)

    assert run(6, work) == [(60.0 * (i + 1), 30) for i in range(6)]
