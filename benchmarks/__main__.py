"""`python -m benchmarks NAME`: run one benchmark and print its ratios."""

from __future__ import annotations

import argparse
import importlib

NAMES = {
    "kernels": "matrix products, convolution and pooling beside NumPy and PyTorch",
    "tape": "cost per operation of the tape: a chain of 1000 small operations, forward and backward",
    "mnist": "a small CNN on MNIST: accuracy after three epochs, and seconds per epoch",
}


def main() -> None:
    """Parse the command line and run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measured in one process, as ratios.")
    parser.add_argument("name", choices=NAMES, help="; ".join(f"{k}: {v}" for k, v in NAMES.items()))
    parser.add_argument("--rounds", type=int, default=60, help="interleaved rounds; medians are printed")
    options = parser.parse_args()
    importlib.import_module(f"benchmarks.{options.name}").run(options.rounds)


if __name__ == "__main__":
    main()
