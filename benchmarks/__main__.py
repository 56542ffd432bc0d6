"""`python -m benchmarks [NAME]`: run one benchmark, or all; print ratios, write out/benchmarks.json and a chart."""

from __future__ import annotations

import argparse
import importlib

from benchmarks.timing import begin

NAMES = {
    "kernels": "matrix products, convolution and pooling beside NumPy and PyTorch",
    "steps": "one training step of six networks beside PyTorch, JAX, autograd and MyGrad",
    "startup": "import, and the first call with and without compiled kernels on disk",
    "memory": "the most memory a training step needs",
    "tape": "cost per operation of the tape: a chain of 1000 small operations, forward and backward",
    "mnist": "a small CNN on MNIST: accuracy after three epochs, and seconds per epoch",
}
# Not among all: it trains for minutes, and downloads its data where they are not at hand.
ALONE = ("mnist",)


def main() -> None:
    """Parse the command line and run the benchmarks."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measured in one process, as ratios.")
    parser.add_argument("name", nargs="?", choices=NAMES, help="; ".join(f"{k}: {v}" for k, v in NAMES.items()))
    parser.add_argument("--rounds", type=int, default=60, help="interleaved rounds; medians are printed")
    parser.add_argument("--out", default="out", help="the folder for benchmarks.json and benchmarks.png")
    options = parser.parse_args()
    names = [options.name] if options.name else [name for name in NAMES if name not in ALONE]
    begin()
    records = []
    for name in names:
        print(f"\n== {name}: {NAMES[name]}")
        records += importlib.import_module(f"benchmarks.{name}").run(options.rounds) or []
    if records:
        from benchmarks.report import write

        write(records, options.out)


if __name__ == "__main__":
    main()
