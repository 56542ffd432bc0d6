"""Where data sets are looked for, where downloads go, and files that are what they should be."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from tinygrad_edu.kernels.cache import cache_root

VARIABLE = "TINYGRAD_EDU_DATA"
CHECKOUT = Path(__file__).resolve().parents[2]


def chosen_folder(root: str | os.PathLike[str] | None) -> Path | None:
    """The folder that was asked for: `root`, or else the one the variable names."""
    chosen = root if root is not None else os.environ.get(VARIABLE)
    return Path(chosen).expanduser() if chosen else None


def data_folders(root: str | os.PathLike[str] | None = None) -> list[Path]:
    """The folders to look into, in order.

    Only `root` if it is given; else only the one that the environment variable `TINYGRAD_EDU_DATA` names; else
    `../shared/data`, from the current folder and from the checkout, and `data` in the user's cache folder.

    >>> [str(folder) for folder in data_folders("here")]
    ['here']
    """
    chosen = chosen_folder(root)
    if chosen is not None:
        return [chosen]
    # Installed, the folder above this package is no checkout.
    starts = [Path.cwd(), CHECKOUT] if (CHECKOUT / "setup.cfg").is_file() else [Path.cwd()]
    beside = [start.parent / "shared" / "data" for start in starts]
    return list(dict.fromkeys([*beside, cache_root() / "data"]))


def download_folder(root: str | os.PathLike[str] | None = None) -> Path:
    """The folder that downloads go to: `root`, the one the variable names, or `data` in the user's cache folder."""
    return chosen_folder(root) or cache_root() / "data"


def first_with(root: str | os.PathLike[str] | None, folder: str, names: list[str], what: str) -> Path:
    """The first `folder` that has all the files; RuntimeError, saying where it was looked, where there is none."""
    places = [place / folder for place in data_folders(root)]
    for place in places:
        if all((place / name).is_file() for name in names):
            return place
    raise RuntimeError(
        f"{what} not found: there is no folder with {', '.join(names)} among {', '.join(map(str, places))}; it cannot "
        f"be downloaded. Give root= or set {VARIABLE} to the folder that has {folder} in it"
    )


class Known(NamedTuple):
    """What a file must be: so many bytes, with this sha256."""

    size: int
    sha256: str


def known_bytes(path: Path, known: Known) -> bytes:
    """The bytes of a file; ValueError, naming it, unless they are the known ones."""
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != known.sha256:
        state = "half a file, or another one" if len(data) < known.size else "damaged, or another file"
        raise ValueError(
            f"{path}: {state}: expected {known.size} bytes with the sha256 {known.sha256}, "
            f"found {len(data)} with {found}"
        )
    return data
