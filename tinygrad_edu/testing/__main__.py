"""`python -m tinygrad_edu.testing`: the kill table of the engine's own rules."""

import argparse
import sys
from collections.abc import Sequence

from tinygrad_edu.engine.primitive import registry
from tinygrad_edu.testing.kills import HEAD, all_kills, summary


def main(arguments: Sequence[str] | None = None) -> int:
    """Print which wrong versions of which rules are noticed, and by what; 1 when one survives."""
    parser = argparse.ArgumentParser(
        prog="python -m tinygrad_edu.testing",
        description="Make every gradient rule wrong in every way people get one wrong, and show what notices it.",
    )
    parser.add_argument("names", nargs="*", help="primitives, or `walk` for the engine itself; none: everything")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in registry and name != "walk"]
    if unknown:
        parser.error(f"there is no primitive {unknown[0]!r}")
    print(HEAD)
    found = []
    for kills in all_kills(options.names):
        print(kills, flush=True)
        found.append(kills)
    print(summary(found))
    return int(any(k.survivors for k in found))


if __name__ == "__main__":
    sys.exit(main())
