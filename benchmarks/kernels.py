"""Kernels beside NumPy and PyTorch, float32: matrix products, convolution, pooling, and what threads gain.

Every line checks that all give the same numbers, then times them in turns. PyTorch is measured in both of its memory
orders, and a ratio is that of the better one. GFLOP/s count two operations for each multiply-add. With one thread,
times are those it spent computing, so that what else runs on the machine counts less.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import tinygrad_edu as tg
from benchmarks.machine import cores, peak, use_threads
from benchmarks.timing import Timing, check_equal, geometric_mean, interleave, optional, show_table
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
Calls = dict[str, Callable[[], Any]]
Records = list[dict[str, Any]]


def run(rounds: int) -> Records:
    """Print the tables; the numbers as records."""
    count = tg.get_num_threads()
    top = peak(count)
    print(f"peak measured: {top:.0f} GFLOP/s, {count} thread(s) on what is in the nearest cache")
    torch = optional("torch")
    if torch is None:
        print("PyTorch is not installed: NumPy only")
    records = matmul(rounds, torch, top)
    if torch is not None:
        records += convolution(rounds, torch, top) + pooling(rounds, torch)
        if cores() > 1:
            records += sharing(rounds, torch, cores())
            use_threads(count)
    return records


def timed(calls: Calls, rounds: int) -> dict[str, Timing]:
    """The candidates in turns."""
    return interleave(calls, rounds)


def recorded(line: str, times: Mapping[str, Timing]) -> Records:
    """A record for each candidate."""
    ours = times["ours"].median
    return [
        {"benchmark": "kernels", "line": line, "name": name, "seconds": t.median, "spread": t.spread}
        | {"ratio": t.median / ours}
        for name, t in times.items()
    ]


def matmul(rounds: int, torch: Any, top: float) -> Records:
    """a @ b and a @ b.T: what `kernels.matmul` chooses, the tile alone, NumPy, PyTorch."""
    records: Records = []
    for transposed in (False, True):
        rows = []
        for m, k, n in PRODUCTS:
            calls = _products(m, k, n, transposed, torch)
            check_equal({name: call() for name, call in calls.items()}, 1e-5)
            times = timed(calls, rounds)
            records += recorded(f"{m}x{k}x{n}{' transposed' if transposed else ''}", times)
            rate = 2 * m * k * n / times["ours"].median / 1e9
            alone = 2 * m * k * n / times["tile"].median / 1e9
            cells = [f"{m}x{k}x{n}", _microseconds(times["ours"]), f"{rate:.0f}", f"{100 * rate / top:.0f} %"]
            cells += [f"{alone:.0f}", *(_ratio(times, peer) for peer in ("numpy", "torch") if peer in times)]
            rows.append([*cells, f"{times['numpy'].median / times['tile'].median:.2f}"])
        head = ["rows x depth x columns", "us", "GFLOP/s", "of peak", "tile GFLOP/s", "numpy/ours"]
        head += ["torch/ours"] * (torch is not None) + ["numpy/tile"]
        show_table(f"matmul, a @ b{'.T' if transposed else ''}", head, rows)
    return records


def _products(m: int, k: int, n: int, transposed: bool, torch: Any) -> Calls:
    rng = np.random.default_rng(0)
    a = rng.standard_normal((m, k)).astype(np.float32)
    b = rng.standard_normal((n, k) if transposed else (k, n)).astype(np.float32)
    right, loop = (b.T, linalg.gemm_nt) if transposed else (b, linalg.gemm)

    def alone() -> Any:
        out = np.empty((m, n), np.float32)
        loop(a, b, out)
        return out

    calls: Calls = {"ours": lambda: kernels.matmul(a, right), "tile": alone, "numpy": lambda: np.dot(a, right)}
    if torch is not None:
        ta, tb = torch.from_numpy(a), torch.from_numpy(b)
        tb = tb.T if transposed else tb
        calls["torch"] = lambda: torch.mm(ta, tb)
    return calls


def convolution(rounds: int, torch: Any, top: float) -> Records:
    """The three kernels of convolution beside PyTorch in both memory orders."""
    rows, ratios, records = [], [], []
    for case in CONVOLUTIONS:
        images, channels, size, outputs, kernel, stride, padding = case
        out = (size + 2 * padding - kernel) // stride + 1
        work = 2 * images * out * out * outputs * channels * kernel * kernel
        for name, calls in _convolutions(case, torch).items():
            check_equal({name: call() for name, call in calls.items()}, 1e-4)
            times = timed(calls, rounds)
            best = min(times["torch NCHW"].median, times["torch NHWC"].median)
            ratios.append(best / times["ours"].median)
            records += recorded(f"conv {case} {name}", times)
            rate = work / times["ours"].median / 1e9
            rows.append(
                [
                    f"{images},{channels},{size},{outputs} k{kernel} s{stride} p{padding} {name}",
                    _microseconds(times["ours"]),
                    f"{rate:.0f}",
                    f"{100 * rate / top:.0f} %",
                    _microseconds(times["torch NCHW"]),
                    _microseconds(times["torch NHWC"]),
                    f"{ratios[-1]:.2f}",
                ]
            )
    head = ["images, channels, size, outputs", "us", "GFLOP/s", "of peak", "torch NCHW us", "torch NHWC us", "ratio"]
    show_table("convolution", head, rows)
    print(f"  geometric mean {geometric_mean(ratios):.2f}, least {min(ratios):.2f}")
    return records


def _convolutions(case: tuple[int, ...], torch: Any) -> dict[str, Calls]:
    images, channels, size, outputs, kernel, stride, padding = case
    rng = np.random.default_rng(0)
    x, w = (
        rng.standard_normal(s).astype(np.float32)
        for s in ((images, channels, size, size), (outputs, channels, kernel, kernel))
    )
    rest = ((stride, stride), ((padding, padding), (padding, padding)), (1, 1), 1)
    g = rng.standard_normal(kernels.conv2d(x, w, *rest).shape).astype(np.float32)
    xs, gs = _last(x), _last(g)
    ours = {
        "forward": lambda: kernels.conv2d(xs, w, *rest),
        "to weight": lambda: kernels.conv2d_to_weight(xs, gs, (kernel, kernel), *rest),
        "to input": lambda: kernels.conv2d_to_input(gs, w, (size, size), *rest),
    }
    found: dict[str, Calls] = {name: {"ours": call} for name, call in ours.items()}
    for order, form in (("NCHW", torch.contiguous_format), ("NHWC", torch.channels_last)):
        a, b, c = (torch.from_numpy(v).contiguous(memory_format=form) for v in (x, w, g))
        backward = _torch_backward(torch, a, b, c, stride, padding)
        found["forward"][f"torch {order}"] = _torch_forward(torch, a, b, stride, padding)
        found["to weight"][f"torch {order}"] = lambda backward=backward: backward(False, True)[1]
        found["to input"][f"torch {order}"] = lambda backward=backward: backward(True, False)[0]
    return found


def _torch_forward(torch: Any, x: Any, w: Any, stride: int, padding: int) -> Callable[[], Any]:
    return lambda: torch.nn.functional.conv2d(x, w, stride=stride, padding=padding)


def _torch_backward(torch: Any, x: Any, w: Any, g: Any, stride: int, padding: int) -> Callable[..., Any]:
    settings = (None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1)
    return lambda *wanted: torch.ops.aten.convolution_backward(g, x, w, *settings, [*wanted, False])


def sharing(rounds: int, torch: Any, count: int) -> Records:
    """The same work in one thread and in `count`, by the clock on the wall, which other programs make wait."""
    lines: dict[str, Calls] = {}
    for case in CONVOLUTIONS:
        lines |= {f"conv {case} {name}": calls for name, calls in _convolutions(case, torch).items()}
    for m, k, n in SHARED:
        calls = _products(m, k, n, False, torch)
        lines[f"matmul {m}x{k}x{n}"] = {"ours": calls["ours"], "torch": calls["torch"]}
    rows, records, gains, ratios = [], [], [], []
    for line, calls in lines.items():
        few, many = (_fastest(times) for times in _by_threads(calls, rounds, count))
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


def _by_threads(calls: Calls, rounds: int, count: int) -> list[dict[str, list[float]]]:
    """The seconds of all candidates with one thread, and with `count`."""
    found: list[dict[str, list[float]]] = [{name: [] for name in calls} for _ in range(2)]
    for _ in range(BLOCKS):
        for threads, seconds in zip((1, count), found, strict=True):
            use_threads(threads)
            # Long turns, because threads of PyTorch's keep a core busy for some milliseconds after its own.
            times = interleave(calls, max(1, rounds // (4 * BLOCKS)), least=2e-2, clock=time.perf_counter)
            for name, timing in times.items():
                seconds[name] += timing.seconds
    return found


def _fastest(seconds: dict[str, list[float]]) -> dict[str, float]:
    """Our median, and that of PyTorch in the better of its memory orders."""
    medians = {name: Timing(values).median for name, values in seconds.items()}
    return {"ours": medians.pop("ours"), "torch": min(medians.values())}


def pooling(rounds: int, torch: Any) -> Records:
    """Maxima and means of 2 x 2 windows, forward and backward."""
    rows, records = [], []
    for case in POOLS:
        for name, calls in _pools(*case, torch).items():
            check_equal({name: call() for name, call in calls.items()}, 1e-5)
            times = timed(calls, rounds)
            records += recorded(f"pool {case} {name}", times)
            cells = [f"{case[0]},{case[1]},{case[2]} {name}", *(_microseconds(times[peer]) for peer in times)]
            rows.append([*cells, _ratio(times, "torch NCHW"), _ratio(times, "torch NHWC")])
    head = ["images, channels, size", "us", "torch NCHW us", "torch NHWC us", "NCHW/ours", "NHWC/ours"]
    show_table("pooling 2 x 2", head, rows)
    return records


def _pools(images: int, channels: int, size: int, torch: Any) -> dict[str, Calls]:
    from tinygrad_edu.ops.pool import windows

    rng = np.random.default_rng(0)
    x = rng.standard_normal((images, channels, size, size)).astype(np.float32)
    g = rng.standard_normal((images, channels, size // 2, size // 2)).astype(np.float32)
    xs, gs, pair = _last(x), _last(g), (2, 2)
    spans = windows((size, size), pair, pair, (0, 0), False, True, None, x.dtype)
    at = kernels.max_pool2d(xs, pair, pair, (0, 0), (1, 1), False)[1]
    found: dict[str, Calls] = {
        "max forward": {"ours": lambda: kernels.max_pool2d(xs, pair, pair, (0, 0), (1, 1), False)[0]},
        "max backward": {"ours": lambda: kernels.pool_scatter(gs, at, (size, size))},
        "mean forward": {"ours": lambda: kernels.average_windows(xs, *spans)},
        "mean backward": {"ours": lambda: kernels.spread_windows(gs, (size, size), *spans)},
    }
    for order, form in (("NCHW", torch.contiguous_format), ("NHWC", torch.channels_last)):
        a, c = (torch.from_numpy(v).contiguous(memory_format=form) for v in (x, g))
        for name, call in _torch_pools(torch, a, c).items():
            found[name][f"torch {order}"] = call
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


def _last(x: np.ndarray) -> np.ndarray:
    """The same numbers in channels-last memory."""
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def _microseconds(timing: Timing) -> str:
    return f"{timing.median * 1e6:.4g} ± {100 * timing.spread:.0f} %"


def _ratio(times: dict[str, Timing], peer: str) -> str:
    return f"{times[peer].median / times['ours'].median:.2f}"
