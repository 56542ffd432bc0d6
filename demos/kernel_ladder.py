"""Four ways to multiply matrices, each the one before with one idea more, against the peak of the machine."""

from __future__ import annotations

import inspect
from functools import partial

import numpy as np
from tqdm import tqdm

from benchmarks.timing import interleave
from demos.report import Report
from tinygrad_edu import viz
from tinygrad_edu.kernels import ladder
from tinygrad_edu.kernels.jit import jit
from tinygrad_edu.kernels.tile import FOUR, fma, spaced, store, tile_columns, tile_rows, tile_shape, zero

SECONDS = 10

IDEAS = {
    "naive": "three loops, as it is written",
    "by_rows": "k and j change places: memory is read in order, in vectors",
    "unrolled": "eight rows of b at a time: out is loaded and stored an eighth as often",
    "tiled": "a block of out stays in registers for the whole sum",
}
WAITING = """
All four do the same multiplications. What differs is how often a number is fetched for each: the first waits for memory
at every one; the last does dozens with what it has in registers. The peak is measured too: the tile's multiply-adds
again and again on the same few numbers, which never leave the registers. One core, float32; a multiply-add counts as
two operations.
"""
CAPTION = ("How many operations a second each step does, by the size of the matrices; both axes are logarithmic. All "
           "do the same multiplications, and the fewer numbers a step fetches for them, the nearer it comes to the "
           "peak of the machine.")  # fmt: skip


@jit
def spin(a: np.ndarray, b: np.ndarray, out: np.ndarray, count: int) -> int:
    """Do nothing but multiply-adds, `count` times a tile of them; how many operations one time is."""
    shape = tile_shape(a, FOUR)
    acc, rows = zero(shape), spaced(shape, 0, a.shape[1], len(a))
    for _ in range(count):
        acc = fma(acc, a, rows, 0, b, 0)
    store(acc, out, spaced(shape, 0, out.shape[1], len(out)), 0, tile_rows(shape), tile_columns(shape), False)
    return 2 * tile_rows(shape) * tile_columns(shape)


def run(report: Report) -> None:
    """The steps, that they agree, and how fast they are on square matrices of several sizes."""
    steps = ladder.steps()
    report.pre("\n\n".join(inspect.getsource(getattr(step, "py_func", step)) for step in list(steps.values())[:3]))
    report.text("The fourth is what the engine's products run on: kernels/linalg.py, over the tile of kernels/tile.py.")
    report.text(WAITING)
    generator = np.random.default_rng(report.seed)
    sizes, rounds = ((64, 128), 2) if report.fast else ((32, 64, 128, 256, 512), 15)
    rates, tops, away = {name: [] for name in steps}, [], 0.0
    small = [np.full(shape, 0.5, np.float32) for shape in ((16, 1), (1, 256), (16, 256))]
    for n in tqdm(sizes, desc="sizes", leave=False):
        a, b = (generator.standard_normal((n, n)).astype(np.float32) for _ in range(2))
        results = {name: np.empty((n, n), np.float32) for name in steps}
        calls = {name: partial(step, a, b, results[name]) for name, step in steps.items()}
        times = interleave({**calls, "peak": lambda: spin(*small, 100_000)}, rounds)
        exact = a.astype(np.float64) @ b
        for name in steps:
            rates[name].append(2 * n**3 / min(times[name].seconds) / 1e9)
            away = max(away, float(abs(results[name] - exact).max() / abs(exact).max()))
        tops.append(spin(*small, 1) * 100_000 / min(times["peak"].seconds) / 1e9)
    top = max(tops)
    report.bar("largest relative distance of a product from float64's", away, at_most=1e-5)

    last = {name: values[-1] for name, values in rates.items()}
    shares = {n: (f"{v:.1f}", f"{v / top:.1%}", f"{v / last['naive']:.0f}") for n, v in last.items()}
    rows = [[name, idea, *shares[name]] for name, idea in IDEAS.items()]
    header = ["step", "its idea", f"GFLOP/s at {sizes[-1]} x {sizes[-1]}", "of the peak", "times the first"]
    report.table(header, rows, caption=f"Peak measured: {top:.0f} GFLOP/s. Of each, the fastest of {rounds} rounds.")
    report.number("peak", top)
    report.number("sizes", sizes)
    report.number("GFLOP/s", rates)
    if not report.fast:
        report.bar("the tile, times the three loops", last["tiled"] / last["naive"], at_least=5)

    figure = viz.curves({"GFLOP/s (one core, float32)": rates}, xlabel="rows and columns of the matrices", x=sizes)
    axis = figure.axes[0]
    axis.axhline(top, color="black", linewidth=1.2)
    axis.annotate("peak measured", (sizes[0], top), xytext=(0, 4), textcoords="offset points", fontsize=9)
    axis.set_xscale("log", base=2)
    axis.set(yscale="log", xticks=sizes, xticklabels=sizes)
    axis.set_ylim(top=2 * top)
    report.figure("kernel_ladder", figure, CAPTION)
