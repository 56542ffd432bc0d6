"""The drawing itself: a `graphviz.Digraph` that needs no `dot` program to be rendered."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import graphviz

from tinygrad_edu.viz.rendering import render, save


class Drawing(graphviz.Digraph):
    """A `graphviz.Digraph` that also renders, and shows itself in a notebook, where there is no `dot` program."""

    def pipe(self, format: str | None = None, *args: Any, encoding: str | None = None, **kwargs: Any) -> Any:
        """The rendered drawing as bytes, or as text when an encoding is given."""
        if shutil.which("dot"):
            return super().pipe(format, *args, encoding=encoding, **kwargs)
        out = render(self, format or self.format)
        return out.decode(encoding) if encoding else out

    def render(self, filename: Any = None, directory: Any = None, *args: Any, **kwargs: Any) -> str:
        """Save the text as `filename`, the drawing beside it, and return the path of the drawing."""
        if shutil.which("dot"):
            return super().render(filename, directory, *args, **kwargs)
        kind = kwargs.get("format") or self.format
        outfile = kwargs.get("outfile")
        if outfile is None:
            text = Path(self.save(filename, directory=directory))
            outfile = f"{text}.{kind}"
            if kwargs.get("cleanup"):
                text.unlink()
        save(self, outfile, format=kind)
        return os.fspath(outfile)
