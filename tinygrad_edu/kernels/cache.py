"""Where compiled kernels are kept: a folder of the user's own, one subfolder per version of the sources.

Numba notices when the file of a cached function changes, but not when a function that it *calls* changes.
So the subfolder is named by a fingerprint of all kernel sources and of the versions of numba and NumPy:
whatever changes, the old machine code is simply not found any more.

Numba's cache files are pickles, which can run code when they are read. So the folder must belong to this
user and nobody else may write into it; otherwise kernels are compiled afresh in every process, and a warning
says why.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

FOLDER_NAME = re.compile(r"numba-[0-9a-f]{16}")


def _hash_sources() -> str:
    digest = hashlib.sha256()
    package = Path(__file__).parent
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


# Taken while the package is imported: a file edited later belongs to the next process.
_SOURCES = _hash_sources()


def _version(distribution: str) -> str:
    # Here, because importing it takes as long as all the rest of this package.
    import importlib.metadata

    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


@functools.cache
def fingerprint() -> str:
    """Sixteen hex digits that change with any kernel source, with numba and with NumPy."""
    parts = (_SOURCES, _version("numba"), _version("numpy"))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def cache_root() -> Path:
    """The folder with the caches of all versions: `TINYGRAD_EDU_CACHE`, or the system's place for caches."""
    chosen = os.environ.get("TINYGRAD_EDU_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tinygrad_edu"


def cache_folder() -> Path:
    """The folder that this version's compiled kernels go to (it need not exist yet).

    It is `numba-<fingerprint>` inside the folder that the environment variable `TINYGRAD_EDU_CACHE` names, or
    else inside `tinygrad_edu` in `XDG_CACHE_HOME` or `~/.cache` (Linux), `~/Library/Caches` (macOS) or
    `LOCALAPPDATA` (Windows).

    >>> cache_folder().name.startswith("numba-")
    True
    """
    return cache_root() / f"numba-{fingerprint()}"


def clear_cache() -> int:
    """Delete the compiled kernels of every version; return how many files that were.

    Only the folders that this package made are touched, whatever else lies beside them.
    Kernels already compiled in this process go on working.
    """
    root = cache_root()
    if not root.is_dir():
        return 0
    removed = 0
    for folder in root.iterdir():
        if FOLDER_NAME.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
            removed += sum(not path.is_dir() for path in folder.rglob("*"))
            shutil.rmtree(folder)
    _prepare.cache_clear()
    # Functions compiled in this process write here again: it must be there, and private, before they do.
    if cache_folder() in _in_use:
        usable_folder()
    return removed


_in_use: set[Path] = set()


def usable_folder() -> Path | None:
    """`cache_folder()`, made and found private and writable; else None, after one warning that says why."""
    try:
        return _prepare(cache_folder())
    except RuntimeError as error:  # Path.home() found no home
        return _warn_uncached(str(error))


@functools.cache
def _prepare(folder: Path) -> Path | None:
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        problem = _why_not_private(folder)
        if problem:
            return _warn_uncached(f"{folder} {problem}")
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return _warn_uncached(f"cannot write to {folder} ({error.strerror or error})")
    _in_use.add(folder)
    return folder


def _why_not_private(folder: Path) -> str | None:
    """What would let somebody else put files into the folder, in words; Windows guards its own."""
    if os.name != "posix":
        return None
    status = folder.lstat()
    if folder.is_symlink():
        return "is a symbolic link"
    if status.st_uid != os.getuid():
        return "belongs to another user"
    if status.st_mode & 0o022:
        return "can be written to by other users; `chmod 700` it or delete it"
    if status.st_mode & 0o077:
        folder.chmod(0o700)
    return None


@functools.cache
def _warn_uncached(problem: str) -> None:
    warnings.warn(
        f"tinygrad_edu: kernels are compiled anew in every process, because {problem}. "
        "Set TINYGRAD_EDU_CACHE to a folder of your own to keep them.",
        RuntimeWarning,
        stacklevel=2,
    )
