"""Downloads that are whole or not there: mirrors in turn, progress, checked before they get their name."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

CHUNK = 1 << 16
TIMEOUT = 30.0
STALE = 24 * 3600.0


class MirrorFailed(Exception):
    """Why one address did not give the file."""


def fetch(urls: Iterable[str], target: Path, check: Callable[[Path], Any], *, limit: int) -> Path:
    """Download to `target` from the first address that gives a good file.

    check -- called with the path of what was received; raises ValueError unless it is good
    limit -- the most bytes to accept

    The bytes go to a file of another name, which is renamed once it is whole and checked, and removed when anything
    goes wrong (Ctrl-C too): `target` never is half a file, and the next call starts anew.

    Raises RuntimeError with the reason of every address when none gives a good file, OSError where `target` cannot be
    written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep(target)
    reasons = []
    for url in urls:
        part = target.with_name(f"{target.name}.{uuid.uuid4().hex}.part")
        try:
            with open(part, "xb") as file:
                for chunk in _received(url, target.name, limit):
                    file.write(chunk)
            check(part)
            os.replace(part, target)
            return target
        except (MirrorFailed, ValueError) as error:
            reasons.append(f"{url}: {error}".replace(str(part), "what came"))
        finally:
            part.unlink(missing_ok=True)
    raise RuntimeError(
        f"could not download {target.name}:\n"
        + "".join(f"  {reason}\n" for reason in reasons)
        + f"Without a network: get the file elsewhere and put it into {target.parent.absolute()}"
    )


def _received(url: str, name: str, limit: int) -> Iterator[bytes]:
    """The body piece by piece, a progress bar meanwhile.  Raises MirrorFailed for all that networks do."""
    from tqdm import tqdm

    try:
        with urlopen(Request(url, headers={"User-Agent": "tinygrad_edu"}), timeout=TIMEOUT) as response:
            expected = _expected(response, limit)
            with tqdm(total=expected, unit="B", unit_scale=True, unit_divisor=1024, desc=name) as bar:
                while chunk := response.read(CHUNK):
                    bar.update(len(chunk))
                    if bar.n > limit:
                        raise MirrorFailed(f"it sends more than the {limit} bytes expected")
                    yield chunk
                if expected is not None and bar.n < expected:
                    raise MirrorFailed(f"the connection closed after {bar.n} of {expected} bytes")
    except HTTPError as error:
        raise MirrorFailed(f"HTTP {error.code} {error.reason}") from error
    except URLError as error:
        raise MirrorFailed(f"no connection ({error.reason})") from error
    except (OSError, HTTPException) as error:
        raise MirrorFailed(f"the connection broke ({error or type(error).__name__})") from error


def _expected(response: Any, limit: int) -> int | None:
    """The length the server announces, if it does."""
    length = response.headers.get("Content-Length", "")
    if not length.isdigit():
        return None
    if int(length) > limit:
        raise MirrorFailed(f"it offers {length} bytes where at most {limit} are expected")
    return int(length)


def _sweep(target: Path) -> None:
    """Remove what downloads of this file left behind that were killed; younger ones may still be running."""
    for part in target.parent.glob(f"{target.name}.*.part"):
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > STALE:
                part.unlink()
