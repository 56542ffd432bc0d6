"""From drawings to files, on a machine without a `dot` program."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

import tinygrad_edu as tg
from tinygrad_edu import viz
from tinygrad_edu.viz import rendering


@pytest.fixture
def drawing():
    a = tg.tensor(2.0, requires_grad=True)
    b = a * a
    return viz.graph(b)


@pytest.fixture
def no_dot(monkeypatch, tmp_path):
    """A PATH on which there is no program at all."""
    monkeypatch.setenv("PATH", str(tmp_path))


def without(monkeypatch, *modules):
    for name in modules:
        monkeypatch.setitem(sys.modules, name, None)


def test_svg_and_png_without_a_dot_program(no_dot, drawing, tmp_path):
    svg = viz.save(drawing, tmp_path / "deep" / "graph.svg")
    assert svg == tmp_path / "deep" / "graph.svg"
    root = ElementTree.parse(svg).getroot()
    assert root.tag.endswith("svg")
    text = "".join(root.itertext())
    assert "float32 ()" in text
    assert viz.save(drawing, tmp_path / "graph.png").read_bytes().startswith(b"\x89PNG")
    assert viz.render(drawing, "dot").decode() == drawing.source


def test_both_edges_of_a_square_are_in_the_picture(no_dot, drawing):
    assert viz.render(drawing).count(b"leaf1&#45;&gt;op1") == 4


def test_the_drawing_shows_itself_in_a_notebook(no_dot, drawing):
    bundle = drawing._repr_mimebundle_()
    assert bundle["image/svg+xml"].startswith("<?xml")
    assert drawing.pipe(format="png").startswith(b"\x89PNG")


def test_the_digraph_renders_itself(no_dot, drawing, tmp_path):
    path = drawing.render(tmp_path / "graph.gv", format="svg")
    assert path == str(tmp_path / "graph.gv.svg")
    assert sorted(os.listdir(tmp_path)) == ["graph.gv", "graph.gv.svg"]
    drawing.render(outfile=tmp_path / "other.svg", format="svg")
    assert (tmp_path / "other.svg").read_bytes().startswith(b"<?xml")


def test_a_dot_program_on_path_is_used(drawing, monkeypatch, tmp_path):
    program = tmp_path / "dot"
    program.write_text(f"#!{sys.executable}\nimport sys; sys.stdin.read(); print('<svg/>', *sys.argv[1:])\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert viz.render(drawing).startswith(b"<svg/> -Kdot -Tsvg")


def test_neither_dot_nor_pygraphviz_says_what_to_install(no_dot, drawing, monkeypatch):
    without(monkeypatch, "pygraphviz")
    with pytest.raises(ImportError, match=r'pip install "tinygrad_edu\[viz\]"'):
        viz.render(drawing)


def test_plots_without_matplotlib_say_what_to_install(monkeypatch):
    without(monkeypatch, "matplotlib", "matplotlib.figure")
    with pytest.raises(ImportError, match=r'pip install "tinygrad_edu\[demos\]"'):
        viz.curves({"loss": {"train": [1.0, 0.5]}})


def test_font_warnings_are_kept_from_the_user_and_nothing_else(capfd):
    with rendering.without_font_warnings():
        os.write(2, b"Fontconfig warning: some file\nWarning: cluster named x not found\n")
    assert capfd.readouterr().err == "Warning: cluster named x not found\n"


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    path.write_text("old")

    def fail(*args):
        raise OSError("no space left")

    monkeypatch.setattr(rendering.os, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        rendering.write_whole(path, b"new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["page.html"]


def test_what_cannot_be_saved_is_said(drawing, tmp_path):
    with pytest.raises(ValueError, match="needs an ending"):
        viz.save(drawing, tmp_path / "graph")
    with pytest.raises(TypeError, match=r"a drawing of .* or a matplotlib Figure, not int"):
        viz.save(3, tmp_path / "graph.svg")


def test_importing_viz_imports_no_drawing_library():
    code = (
        "import sys, tinygrad_edu.viz; "
        "print([m for m in ('graphviz', 'pygraphviz', 'matplotlib', 'sklearn', 'numba') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
