"""Kernels beside NumPy, PyTorch and JAX, float32: products, convolution, pooling, elementwise functions, fused ones.

Every line checks that all give the same numbers, then times them in turns. PyTorch's convolutions are measured in both
of its memory orders, and a ratio is that of the better one. GFLOP/s count two operations for each multiply-add. MyGrad
and autograd call NumPy for all of these, so that its line is theirs too. Last comes what threads gain.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_edu as tg
from benchmarks import fused, kernel_peers
from benchmarks.kernel_lines import (
    Calls,
    Peers,
    Records,
    agree,
    available,
    channels_last,
    microseconds,
    missing,
    ratio,
    recorded,
    table,
)
from benchmarks.machine import cores, peak, use_threads
from benchmarks.timing import Timing, geometric_mean, interleave, show_table
from tinygrad_edu import kernels
from tinygrad_edu.kernels import linalg

# rows x depth x columns
PRODUCTS = [(64,) * 3, (128,) * 3, (256,) * 3, (512,) * 3, (1024,) * 3]
PRODUCTS += [(128, 784, 20), (784, 128, 20), (128, 784, 256), (784, 128, 256), (128, 20, 10), (10, 784, 30)]
# images, channels, size, outputs, kernel, stride, padding
CONVOLUTIONS = [
    (64, 1, 28, 8, 5, 1, 0),
    (64, 8, 12, 16, 5, 1, 0),
    (64, 1, 28, 32, 3, 1, 0),
    (64, 32, 13, 64, 3, 1, 0),
    (32, 16, 32, 16, 3, 1, 1),
    (32, 32, 16, 32, 3, 1, 1),
    (32, 64, 8, 64, 3, 1, 1),
    (32, 16, 32, 32, 3, 2, 1),
    (32, 3, 32, 16, 3, 1, 1),
]
# images, channels, size; windows of 2 x 2
POOLS = [(64, 8, 24), (64, 32, 26), (64, 64, 10)]
# Of the products, those that take long enough to be shared among threads.
SHARED = [(256,) * 3, (512,) * 3, (1024,) * 3, (784, 128, 256)]
# One number of threads after another, so often.
BLOCKS = 4


def run(rounds: int) -> Records:
    """Print the tables; the numbers as records."""
    count = tg.get_num_threads()
    top = peak(count)
    print(f"peak measured: {top:.0f} GFLOP/s, {count} thread(s) on what is in the nearest cache")
    peers, absent = available()
    records = missing("all kernels", absent) + matmul(rounds, peers, top)
    records += convolution(rounds, peers, top) + pooling(rounds, peers) + fused.run(rounds, peers)
    if cores() > 1 and peers.torch is not None:
        records += sharing(rounds, Peers(peers.torch, False), cores())
        use_threads(count)
    return records


def matmul(rounds: int, peers: Peers, top: float) -> Records:
    """a @ b and a @ b.T: what `kernels.matmul` chooses, the tile alone, NumPy, PyTorch, JAX."""
    records: Records = []
    for transposed in (False, True):
        rows = []
        for m, k, n in PRODUCTS:
            calls = _products(m, k, n, transposed, peers)
            agree(calls, 1e-5)
            line = f"{m}x{k}x{n}{' transposed' if transposed else ''}"
            times = interleave(calls, rounds, title=line)
            records += recorded(line, times)
            rate = 2 * m * k * n / times["ours"].median / 1e9
            alone = 2 * m * k * n / times["tile"].median / 1e9
            cells = [f"{m}x{k}x{n}", microseconds(times["ours"]), f"{rate:.0f}", f"{100 * rate / top:.0f} %"]
            cells += [f"{alone:.0f}", *(ratio(times, peer) for peer in ("numpy", "torch", "jax.jit"))]
            rows.append([*cells, ratio(times, "numpy", "tile")])
        head = ["rows x depth x columns", "us", "GFLOP/s", "of peak", "tile GFLOP/s"]
        head += ["numpy/ours", "torch/ours", "jax.jit/ours", "numpy/tile"]
        show_table(f"matmul, a @ b{'.T' if transposed else ''}", head, rows)
    return records


def _products(m: int, k: int, n: int, transposed: bool, peers: Peers) -> Calls:
    rng = np.random.default_rng(0)
    a = rng.standard_normal((m, k)).astype(np.float32)
    b = rng.standard_normal((n, k) if transposed else (k, n)).astype(np.float32)
    right, loop = (b.T, linalg.gemm_nt) if transposed else (b, linalg.gemm)

    def alone() -> Any:
        out = np.empty((m, n), np.float32)
        loop(a, b, out)
        return out

    calls: Calls = {"ours": lambda: kernels.matmul(a, right), "tile": alone, "numpy": lambda: np.dot(a, right)}
    if peers.torch is not None:
        ta, tb = peers.torch.from_numpy(a), peers.torch.from_numpy(b)
        tb = tb.T if transposed else tb
        calls["torch"] = lambda: peers.torch.mm(ta, tb)
    if peers.jax:
        calls["jax.jit"] = kernel_peers.product(a, b, transposed)
    return calls


def convolution(rounds: int, peers: Peers, top: float) -> Records:
    """The three kernels of convolution beside PyTorch in both memory orders, and JAX."""
    rows, ratios, records = [], [], []
    for case in CONVOLUTIONS:
        images, channels, size, outputs, kernel, stride, padding = case
        out = (size + 2 * padding - kernel) // stride + 1
        work = 2 * images * out * out * outputs * channels * kernel * kernel
        for name, calls in _convolutions(case, peers).items():
            agree(calls, 1e-4)
            times = interleave(calls, rounds, title=f"conv {case} {name}")
            records += recorded(f"conv {case} {name}", times)
            rate = work / times["ours"].median / 1e9
            cells = [f"{images},{channels},{size},{outputs} k{kernel} s{stride} p{padding} {name}"]
            cells += [microseconds(times["ours"]), f"{rate:.0f}", f"{100 * rate / top:.0f} %"]
            if peers.torch is not None:
                cells += [microseconds(times[f"torch {order}"]) for order in ("NCHW", "NHWC")]
                ratios.append(min(times["torch NCHW"].median, times["torch NHWC"].median) / times["ours"].median)
                cells.append(f"{ratios[-1]:.2f}")
            rows.append([*cells, ratio(times, "jax.jit")])
    head = ["images, channels, size, outputs", "us", "GFLOP/s", "of peak"]
    head += ["torch NCHW us", "torch NHWC us", "torch/ours"] * (peers.torch is not None)
    show_table("convolution", [*head, "jax.jit/ours"], rows)
    if ratios:
        print(f"  torch/ours: geometric mean {geometric_mean(ratios):.2f}, least {min(ratios):.2f}")
    return records


def _convolutions(case: tuple[int, ...], peers: Peers) -> dict[str, Calls]:
    images, channels, size, outputs, kernel, stride, padding = case
    rng = np.random.default_rng(0)
    x, w = (
        rng.standard_normal(s).astype(np.float32)
        for s in ((images, channels, size, size), (outputs, channels, kernel, kernel))
    )
    rest = ((stride, stride), ((padding, padding), (padding, padding)), (1, 1), 1)
    g = rng.standard_normal(kernels.conv2d(x, w, *rest).shape).astype(np.float32)
    xs, gs = channels_last(x), channels_last(g)
    ours = {
        "forward": lambda: kernels.conv2d(xs, w, *rest),
        "to weight": lambda: kernels.conv2d_to_weight(xs, gs, (kernel, kernel), *rest),
        "to input": lambda: kernels.conv2d_to_input(gs, w, (size, size), *rest),
    }
    found: dict[str, Calls] = {name: {"ours": call} for name, call in ours.items()}
    for order, (a, b, c) in _orders(peers.torch, x, w, g).items():
        backward = _torch_backward(peers.torch, a, b, c, stride, padding)
        found["forward"][f"torch {order}"] = _torch_forward(peers.torch, a, b, stride, padding)
        found["to weight"][f"torch {order}"] = lambda backward=backward: backward(False, True)[1]
        found["to input"][f"torch {order}"] = lambda backward=backward: backward(True, False)[0]
    for name, call in (kernel_peers.convolutions(x, w, g, stride, padding) if peers.jax else {}).items():
        found[name]["jax.jit"] = call
    return found


def _orders(torch: Any, *arrays: np.ndarray) -> dict[str, list[Any]]:
    """The arrays as PyTorch's tensors in both of its memory orders; nothing without it."""
    if torch is None:
        return {}
    forms = {"NCHW": torch.contiguous_format, "NHWC": torch.channels_last}
    return {
        order: [torch.from_numpy(v).contiguous(memory_format=form) for v in arrays] for order, form in forms.items()
    }


def _torch_forward(torch: Any, x: Any, w: Any, stride: int, padding: int) -> Callable[[], Any]:
    return lambda: torch.nn.functional.conv2d(x, w, stride=stride, padding=padding)


def _torch_backward(torch: Any, x: Any, w: Any, g: Any, stride: int, padding: int) -> Callable[..., Any]:
    settings = (None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1)
    return lambda *wanted: torch.ops.aten.convolution_backward(g, x, w, *settings, [*wanted, False])


def sharing(rounds: int, peers: Peers, count: int) -> Records:
    """The same work in one thread and in `count`, by the clock on the wall, which other programs make wait."""
    lines: dict[str, Calls] = {}
    for case in CONVOLUTIONS:
        lines |= {f"conv {case} {name}": calls for name, calls in _convolutions(case, peers).items()}
    for m, k, n in SHARED:
        calls = _products(m, k, n, False, peers)
        lines[f"matmul {m}x{k}x{n}"] = {"ours": calls["ours"], "torch": calls["torch"]}
    rows, records, gains, ratios = [], [], [], []
    for line, calls in lines.items():
        few, many = (_fastest(times) for times in _by_threads(calls, rounds, count, line))
        gains.append(few["ours"] / many["ours"])
        ratios.append(many["torch"] / many["ours"])
        cells = [f"{few['ours'] * 1e6:.4g}", f"{many['ours'] * 1e6:.4g}", f"{gains[-1]:.2f}"]
        rows.append([line, *cells, f"{few['torch'] / many['torch']:.2f}", f"{ratios[-1]:.2f}"])
        for threads, found in ((1, few), (count, many)):
            about = {"benchmark": "kernels", "line": f"{line}, {threads} thread(s)"}
            records += [about | {"name": peer, "seconds": t, "ratio": t / found["ours"]} for peer, t in found.items()]
    head = ["", "1 thread us", f"{count} threads us", "gain", "torch's gain", f"torch/ours, {count} threads"]
    show_table(f"1 thread and {count} threads", head, rows)
    print(f"  geometric means: gain {geometric_mean(gains):.2f}, torch/ours {geometric_mean(ratios):.2f}")
    return records


def _by_threads(calls: Calls, rounds: int, count: int, title: str) -> list[dict[str, list[float]]]:
    """The seconds of all candidates with one thread, and with `count`."""
    found: list[dict[str, list[float]]] = [{name: [] for name in calls} for _ in range(2)]
    for _ in range(BLOCKS):
        for threads, seconds in zip((1, count), found, strict=True):
            use_threads(threads)
            # Long turns, because threads of PyTorch's keep a core busy for some milliseconds after its own.
            times = interleave(calls, max(1, rounds // (4 * BLOCKS)), least=2e-2, clock=time.perf_counter, title=title)
            for name, timing in times.items():
                seconds[name] += timing.seconds
    return found


def _fastest(seconds: dict[str, list[float]]) -> dict[str, float]:
    """Our median, and that of PyTorch in the better of its memory orders."""
    medians = {name: Timing(values).median for name, values in seconds.items()}
    return {"ours": medians.pop("ours"), "torch": min(medians.values())}


def pooling(rounds: int, peers: Peers) -> Records:
    """Maxima and means of 2 x 2 windows, forward and backward."""
    lines = {f"pool {case} {name}": calls for case in POOLS for name, calls in _pools(*case, peers).items()}
    return table("pooling 2 x 2: images, channels, size", lines, rounds, 1e-5)


def _pools(images: int, channels: int, size: int, peers: Peers) -> dict[str, Calls]:
    from tinygrad_edu.ops.pool import windows

    rng = np.random.default_rng(0)
    x = rng.standard_normal((images, channels, size, size)).astype(np.float32)
    g = rng.standard_normal((images, channels, size // 2, size // 2)).astype(np.float32)
    xs, gs, pair = channels_last(x), channels_last(g), (2, 2)
    spans = windows((size, size), pair, pair, (0, 0), False, True, None, x.dtype)
    at = kernels.max_pool2d(xs, pair, pair, (0, 0), (1, 1), False)[1]
    found: dict[str, Calls] = {
        "max forward": {"ours": lambda: kernels.max_pool2d(xs, pair, pair, (0, 0), (1, 1), False)[0]},
        "max backward": {"ours": lambda: kernels.pool_scatter(gs, at, (size, size))},
        "mean forward": {"ours": lambda: kernels.average_windows(xs, *spans)},
        "mean backward": {"ours": lambda: kernels.spread_windows(gs, (size, size), *spans)},
    }
    for order, (a, c) in _orders(peers.torch, x, g).items():
        for name, call in _torch_pools(peers.torch, a, c).items():
            found[name][f"torch {order}"] = call
    for name, call in (kernel_peers.pools(x, g) if peers.jax else {}).items():
        found[name]["jax.jit"] = call
    return found


def _torch_pools(torch: Any, x: Any, g: Any) -> Calls:
    aten, pool = torch.ops.aten, torch.nn.functional
    _, at = pool.max_pool2d(x, 2, return_indices=True)
    return {
        "max forward": lambda: pool.max_pool2d(x, 2, return_indices=True)[0],
        "max backward": lambda: aten.max_pool2d_with_indices_backward(g, x, [2, 2], [2, 2], [0, 0], [1, 1], False, at),
        "mean forward": lambda: pool.avg_pool2d(x, 2),
        "mean backward": lambda: aten.avg_pool2d_backward(g, x, [2, 2], [2, 2], [0, 0], False, True, None),
    }
