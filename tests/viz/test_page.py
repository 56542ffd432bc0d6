"""The page: one file, nothing from elsewhere, nothing that runs, everything escaped."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import viz
from tinygrad_edu.viz.svg import inline

HOSTILE = '<script>alert("x")</script> & "quotes" \'too\''
NO_ENDS = {"meta", "img", "br", "hr", "link", "input"}


class Reader(HTMLParser):
    """Collects ids and links, and checks that every element is closed in order."""

    def __init__(self, html):
        super().__init__()
        self.open, self.ids, self.links, self.tags = [], [], [], set()
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag not in NO_ENDS:
            self.open.append(tag)
        self.note(attrs)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.note(attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def note(self, attrs):
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "xlink:href"):
                self.links.append(value)
            assert not name.startswith("on")


@pytest.fixture(scope="module")
def html():
    a = tg.tensor([1.0, 2.0], requires_grad=True)
    loss = (a * a).sum()
    page = viz.Page(f"All of it {HOSTILE}")
    page.heading("One")
    page.text(f"A paragraph {HOSTILE}.\n\nAnother.")
    page.figure(viz.graph(loss, params={HOSTILE: a}), f"A graph {HOSTILE}", fit=False)
    page.heading("Two & more", 3)
    page.figure(viz.graph(loss), "The same again")
    page.figure(viz.curves({"loss (nats)": {"train": [1.0, 0.5], HOSTILE: [1.2, 0.7]}}), "Curves")
    page.figure(viz.confusion(np.eye(3, dtype=int) * 4, ["a", "b", "<script>"]), "Confusion")
    grid = viz.image_grid(np.zeros((3, 1, 4, 4)), ["0", "1", HOSTILE])
    page.figure(viz.plots.picture(grid, "png"), "Images")
    page.heading("One")
    page.table(["name", HOSTILE], [["a", "0.5"], [HOSTILE, "12 %"]], marked=[1], caption=HOSTILE)
    page.pre(f"text {HOSTILE}")
    return page.html()


def test_ids_are_unique_and_links_lead_to_them(html):
    page = Reader(html)
    assert len(page.ids) == len(set(page.ids))
    inner = [link[1:] for link in page.links if link.startswith("#")]
    assert set(inner) <= set(page.ids)
    assert {"one", "two-more", "one-2"} <= set(inner)
    assert set(re.findall(r"url\(#([^)]*)\)", html)) <= set(page.ids)


def test_nothing_comes_from_elsewhere_and_nothing_runs(html):
    page = Reader(html)
    assert all(link.startswith(("#", "data:image/")) for link in page.links)
    without_namespaces = re.sub(r'xmlns(:\w+)?="[^"]*"', "", html)
    assert "://" not in without_namespaces
    assert "@import" not in html
    assert "script" not in page.tags
    assert "default-src 'none'" in html


def test_hostile_text_is_shown_as_text(html):
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 7


def test_table_rows_are_marked_and_numbers_aligned(html):
    assert "<td class=number>0.5</td>" in html
    assert "<td class=number>12 %</td>" in html
    assert html.count("<tr class=marked>") == 1


def test_the_page_is_saved_whole(tmp_path):
    page = viz.Page("Title")
    page.heading("A heading")
    path = page.save(tmp_path / "out" / "index.html")
    assert path.read_text(encoding="utf-8") == page.html()


def test_wrong_parts_are_refused():
    page = viz.Page("Title")
    with pytest.raises(ValueError, match="level must be 2 or 3"):
        page.heading("Top", 1)
    with pytest.raises(ValueError, match="a row has 1 cells, the header has 2"):
        page.table(["a", "b"], [["only one"]])
    with pytest.raises(TypeError, match="takes a drawing"):
        page.figure(3, "A number")
    with pytest.raises(ValueError, match="not an SVG"):
        page.figure("<html></html>", "No SVG")
    with pytest.raises(ValueError, match="not an SVG"):
        page.figure("broken <", "No SVG")


def test_an_svg_from_elsewhere_is_cleaned():
    dirty = """<?xml version="1.0"?>
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" onload="run()" width="9">
<style>*{stroke: red} .a, .b {fill: none}</style><script>run()</script>
<defs><path id="p" d="M0 0"/></defs><use xlink:href="#p" clip-path="url(#p)" onclick="run()"/>
<image xlink:href="http://example.com/x.png"/><a xlink:title="a line"><text>t</text></a>
<foreignObject><b xmlns="http://www.w3.org/1999/xhtml">x</b></foreignObject></svg>"""
    clean = inline(dirty, "f1", "label")
    assert "run()" not in clean
    assert "example.com" not in clean
    assert "foreignObject" not in clean
    assert '<path id="f1-p"' in clean
    assert 'href="#f1-p" clip-path="url(#f1-p)"' in clean
    assert "<g><title>a line</title><text>t</text></g>" in clean
    assert "#f1 *{stroke: red}" in clean
