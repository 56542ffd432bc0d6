"""From a drawing's text to SVG, PNG or PDF: by the `dot` program where it is installed, else by pygraphviz.

pygraphviz's wheels carry Graphviz itself, so nothing has to be installed beside Python packages.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_graphviz_is_not_thread_safe = threading.Lock()
PIXELS_PER_INCH = "144"


def render(drawing: Any, format: str = "svg") -> bytes:
    """A `graphviz.Digraph` as the bytes of an "svg", "png", "pdf" or "dot" file.

    Raises ImportError, saying what to install, where there is neither a `dot` program nor pygraphviz.
    """
    import graphviz

    source = drawing.source
    if format in ("dot", "gv"):
        return source.encode()
    if format == "png":
        source = with_attribute(source, f"dpi={PIXELS_PER_INCH}")
    if shutil.which("dot"):
        return graphviz.Source(source).pipe(format)
    try:
        import pygraphviz
    except ImportError as error:
        raise ImportError(
            "a drawing is rendered by Graphviz, and there is neither a dot program on PATH nor the pygraphviz package "
            'that carries one: pip install "tinygrad_edu[viz]"'
        ) from error
    with _graphviz_is_not_thread_safe, without_font_warnings():
        drawn: Any = pygraphviz.AGraph(string=source).draw(format=format, prog="dot")
        return drawn


def with_attribute(source: str, attribute: str) -> str:
    """The text of a drawing with one more attribute of the whole."""
    head, brace, body = source.partition("{")
    return f"{head}{brace}\n\tgraph [{attribute}]{body}"


@contextmanager
def without_font_warnings() -> Iterator[None]:
    """Graphviz's font library complains about the system's own settings on stderr: let all else through."""
    try:
        real = os.dup(2)
    except OSError:
        yield
        return
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(real, 2)
            os.close(real)
            said.seek(0)
            os.write(2, b"".join(line for line in said if not line.startswith(b"Fontconfig")))


def save(figure: Any, path: str | os.PathLike[str], format: str | None = None) -> Path:
    """Write a drawing (of `graph`) or a plot (a matplotlib Figure) to a file, whole or not at all; return its path.

    format -- from the path's ending (.svg, .png, .pdf; .dot for a drawing's text) unless given.
    Raises ValueError for a path without an ending, TypeError for what is neither a drawing nor a plot.
    """
    path = Path(path)
    kind = format or path.suffix.lstrip(".").lower()
    if not kind:
        raise ValueError(f"viz.save: {path} needs an ending that says the format, such as .svg or .png")
    if hasattr(figure, "savefig"):
        from tinygrad_edu.viz.plots import picture

        content = picture(figure, kind)
    elif hasattr(figure, "source"):
        content = render(figure, kind)
    else:
        raise TypeError(f"viz.save writes a drawing of viz.graph or a matplotlib Figure, not {type(figure).__name__}")
    return write_whole(path, content)


def write_whole(path: Path, content: bytes) -> Path:
    """Write beside the file, then put it in its place: a reader never meets half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(part, 0o666 & ~_umask())
        os.replace(part, path)
    except BaseException:
        os.unlink(part)
        raise
    return path


def _umask() -> int:
    """The permissions new files do not get; it can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
