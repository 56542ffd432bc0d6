"""`python -m benchmarks [NAME]`: run one benchmark, or all; print ratios, write out/benchmarks.json and a chart."""

from __future__ import annotations

import argparse
import importlib
import io
import sys
from collections.abc import Sequence

from benchmarks.machine import begin
from benchmarks.report import write

NAMES = {
    "kernels": "matrix products, convolution, pooling, activations and fused kernels beside NumPy, PyTorch and JAX",
    "steps": "one training step of six networks beside PyTorch, torch.compile, JAX, MyGrad and autograd",
    "startup": "import, and the first call with and without compiled kernels on disk",
    "memory": "the most memory a training step needs, beside PyTorch",
    "tape": "cost per operation: a chain of 1000 small operations, forward and backward, beside all peers",
    "mnist": "a small CNN on MNIST: accuracy after three epochs, and seconds per epoch",
}
# Not among all: it trains for minutes, and downloads its data where they are not at hand.
ALONE = ("mnist",)


def positive(text: str) -> int:
    """A whole number above zero."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above zero")
    return number


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measured in one process, as ratios.")
    parser.add_argument("name", nargs="?", choices=NAMES, help="; ".join(f"{k}: {v}" for k, v in NAMES.items()))
    parser.add_argument("--rounds", type=positive, default=60, help="interleaved rounds; medians are printed")
    parser.add_argument("--threads", type=positive, default=1, help="how many every library may use (1)")
    parser.add_argument("--out", default="out", help="the folder for benchmarks.json and benchmarks.png")
    return parser.parse_args(arguments)


def main() -> None:
    """Run the benchmarks and write down what they found."""
    options = parse()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # a file shows each table when it is there
    names = [options.name] if options.name else [name for name in NAMES if name not in ALONE]
    about = begin(options.threads)
    records = []
    for name in names:
        print(f"\n== {name}: {NAMES[name]}")
        records += importlib.import_module(f"benchmarks.{name}").run(options.rounds) or []
    if records:
        write(records, about, options.out)


if __name__ == "__main__":
    main()
