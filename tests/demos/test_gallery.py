"""The gallery: small pictures, tables and links of finished demos, and the one that is kept in docs."""

import importlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from demos import gallery
from demos.__main__ import DEMOS, heading
from demos.report import Report
from tinygrad_edu import viz

pytest.importorskip("matplotlib", reason="matplotlib is not installed: there are no pictures without it")
KEPT = Path(__file__).parent.parent.parent / "docs" / "gallery"


def test_every_finished_demo_gets_its_figures_and_tables(ran, tmp_path):
    done = ran("xor")
    out, docs = tmp_path / "out", tmp_path / "docs"
    shutil.copytree(done.out, out)
    docs.mkdir()
    (docs / "left_over.png").write_bytes(b"")
    missing = gallery.build(out, docs)
    assert missing == [name for name in DEMOS if name != "xor"]
    text = (docs / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"\]\((\w+\.png)\)", text)
    assert shown
    assert {path.name for path in docs.glob("*.png")} == set(shown)
    assert f"## {heading('xor')}\n" in text
    assert heading("xor").startswith("B3: ")
    tables = json.loads((out / "xor.json").read_text(encoding="utf-8"))["tables"]
    assert tables
    assert all(gallery.table(each) in text for each in tables)
    assert all(f"| {bar['what']} | {bar['value']:.4g} | {bar['wanted']} |" in text for bar in done.bars)


def test_the_experiments_are_reproduced_once_each():
    rows = [getattr(importlib.import_module(f"demos.{name}"), "ROW", None) for name in DEMOS]
    expected = ["A1", "A2", "A3", "B1", "B2", "B3", "C1", "C2", "D1", "D2", "D3", "D4", "E1", "E2"]
    assert sorted(filter(None, rows)) == expected


@pytest.mark.parametrize("caption", ["It falls.", "It falls, by 0.5.", "no end", "Is it 0.1"])
def test_every_figure_is_explained_in_two_sentences(tmp_path, caption):
    with pytest.raises(ValueError, match="the figure 'falls' needs two sentences"):
        Report("x", viz.Page("X"), tmp_path).figure("falls", None, caption)


def test_tables_are_shown_whole_folded_or_cut():
    def shown(count):
        rows = [[f"row {k}", "a|b\nc"] for k in range(count)]
        return gallery.table({"header": ["n", ""], "rows": rows, "caption": "It.", "marked": [1, 41]})

    small, long, cut = shown(gallery.OPEN_ROWS), shown(gallery.MOST_ROWS), shown(gallery.MOST_ROWS + 3)
    assert small.startswith("| n |  |\n| --- | --- |\n| row 0 | a\\|b<br>c |\n")
    assert "\n| **row 1** | a" in small
    assert small.endswith("\n\nIt.")
    assert long.startswith("<details><summary>40 rows: n</summary>\n\n| n |")
    assert f"| row {gallery.MOST_ROWS - 1} |" in long
    assert "The first" not in long
    assert f"| row {gallery.MOST_ROWS} |" not in cut
    assert "The first 40 rows of 43." in cut


def test_small_pictures_look_like_the_large_ones(ran, tmp_path):
    image = pytest.importorskip("PIL.Image")
    large = ran("xor").out / "xor_plane.png"
    gallery.shrink(large, tmp_path / "small.png")
    assert (tmp_path / "small.png").stat().st_size < large.stat().st_size
    with image.open(large) as one, image.open(tmp_path / "small.png") as other:
        assert other.width <= gallery.WIDTH
        expected = np.asarray(one.convert("RGB").resize(other.size), float)
        assert abs(np.asarray(other.convert("RGB"), float) - expected).mean() < 6


def test_long_drawings_stay_readable(tmp_path):
    image = pytest.importorskip("PIL.Image")
    for size, width in (((3000, 400), gallery.WIDE), ((1520, 800), gallery.WIDTH), ((700, 100), 700)):
        image.new("RGB", size, "white").save(tmp_path / "large.png")
        gallery.shrink(tmp_path / "large.png", tmp_path / "small.png")
        with image.open(tmp_path / "small.png") as small:
            assert small.width == width


def test_broken_links_are_found(tmp_path):
    page, notes = tmp_path / "page.html", tmp_path / "notes.md"
    page.write_text('<h2 id="here">x</h2><a href="#here"></a><a href="#gone"></a><img alt="" src="no.png">', "utf-8")
    notes.write_text("[a](page.html) [b](https://example.org) ![c](none.png)", "utf-8")
    assert gallery.broken(page) == ["#gone", "no.png"]
    assert gallery.broken(notes) == ["none.png"]


def test_the_page_of_a_demo_has_no_broken_link(ran):
    for page in ran("xor").out.glob("*.html"):
        assert "<a href=" in page.read_text(encoding="utf-8")
        assert gallery.broken(page) == []


def test_the_kept_gallery_is_whole_and_small():
    assert gallery.broken(KEPT / "README.md") == []
    pictures = {path.name for path in KEPT.glob("*.png")}
    assert pictures == set(re.findall(r"\]\((\w+[\w.-]*\.png)\)", (KEPT / "README.md").read_text(encoding="utf-8")))
    assert sum((KEPT / name).stat().st_size for name in pictures) < 3_000_000
