"""`python -m tinygrad_edu`, also installed as `tinygrad-edu`: what the package is, and its kernel cache."""

import argparse
import sys
from collections.abc import Sequence

from tinygrad_edu import __version__, kernels

OVERVIEW = """\
tinygrad_edu {version}: a reverse-mode autodiff engine to read, question and train with.

Every derivative is written once. What its rule is fed with decides what comes out:
    arrays          the backward pass             loss.backward()
    tensors         second and higher orders      loss.backward(create_graph=True)
    symbols         the formula as text or LaTeX  tinygrad_edu.explain
    numbers         the worked steps on paper     tinygrad_edu.explain
    a recorder      the whole step as a program   tinygrad_edu.record()

The rest is spelled like PyTorch: Tensor, nn, optim, utils.data.
Compiled kernels are kept in {cache}
    tinygrad-edu warmup           compile them all now
    tinygrad-edu cache [--clear]  show where they are and their size, or delete them"""


def overview() -> str:
    """What the package is and can do, its version, and where compiled kernels are kept."""
    return OVERVIEW.format(version=__version__, cache=kernels.cache_folder().parent)


def cache(clear: bool) -> str:
    """How much the compiled kernels of this and other versions take, and where; with `clear`, delete them."""
    root = kernels.cache_folder().parent
    size = sum(file.stat().st_size for file in root.glob("numba-*/**/*") if file.is_file()) / 1e6
    if clear:
        files = kernels.clear_cache()
        return f"deleted {files} files of compiled kernels, {size:.1f} MB, from {root}"
    return f"{size:.1f} MB of compiled kernels in {root}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; `arguments` defaults to the process's own. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="tinygrad-edu", description="With no command: what the package is.")
    parser.add_argument("--version", action="version", version=f"tinygrad_edu {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command")
    commands.add_parser("warmup", help="compile all kernels now, into the cache")
    cache_parser = commands.add_parser("cache", help="show where compiled kernels are kept, and their size")
    cache_parser.add_argument("--clear", action="store_true", help="delete them")
    options = parser.parse_args(arguments)
    if options.command == "warmup":
        kernels.warmup()
    elif options.command == "cache":
        print(cache(options.clear))
    else:
        print(overview())
    return 0


if __name__ == "__main__":
    sys.exit(main())
