"""The gallery: small pictures, tables and links of finished demos, and the one that is kept in docs."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from demos import gallery
from demos.__main__ import DEMOS

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
    first = json.loads((out / "xor.json").read_text(encoding="utf-8"))["tables"][0]
    assert all(f"| {cell} |" in text for cell in first["header"])
    assert all(f"| {bar['what']} | {bar['value']:.4g} | {bar['wanted']} |" in text for bar in done.bars)


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
