"""`python -m demos.gallery`: small pictures of finished demos in docs/gallery, for people who only read."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from demos.__main__ import DEMOS, heading

WIDTH, WIDE, COLOURS = 760, 1600, 256
# A longer table is folded; of one that is longer still only the first rows are shown.
OPEN_ROWS, MOST_ROWS = 12, 40
# Where the first two figures of a demo do not show what it is about, or not in a small picture.
CHOSEN = {
    "worked_example": ("worked_example",),
    "cnn_digits": ("cnn_confusion", "cnn_filters", "cnn_slopes"),
    "cifar_cnn": ("cifar_cnn_curves", "cifar_cnn_confusion", "cifar_cnn_mistakes"),
    "resnet": ("resnet_changes", "resnet_plain_curves", "resnet_augmented_curves", "resnet_features"),
}
HEAD = """# What the demos show

Each part is one demo: `python -m demos NAME` makes its pictures, as SVG and PNG, its tables and its numbers anew, and
`python -m demos all` all of them on one page, where there are more pictures than here. A1 to E2 are the experiments of
five course reports. Pictures of public data sets: see [ATTRIBUTION.md](ATTRIBUTION.md).
"""


def build(out: Path, docs: Path) -> list[str]:
    """Write docs/README.md and its small PNGs from the finished demos in `out`; return the names of those missing."""
    docs.mkdir(parents=True, exist_ok=True)
    parts, contents, missing, shown = [], [], [], set()
    for name in DEMOS:
        if not (out / f"{name}.json").is_file():
            missing.append(name)
            continue
        found = json.loads((out / f"{name}.json").read_text(encoding="utf-8"))
        contents.append(f"* [{heading(name)}](#{name})")
        short = ", in its short form" if found["fast"] else ""
        parts.append(f'<a id="{name}"></a>\n\n## {heading(name)}\n\n`python -m demos {name}`{short}')
        for figure in figures(name, found["figures"]):
            shrink(out / f"{figure['name']}.png", docs / f"{figure['name']}.png")
            shown.add(f"{figure['name']}.png")
            first = re.split(r"(?<=[.?!]) ", figure["caption"])[0]
            parts.append(f"![{first}]({figure['name']}.png)\n\n{figure['caption']}")
        parts += [table(each) for each in found["tables"]]
        if found["bars"]:
            rows = [[bar["what"], f"{bar['value']:.4g}", bar["wanted"]] for bar in found["bars"]]
            parts.append(
                table({"header": ["what must come out", "is", "wanted"], "rows": rows, "caption": "", "marked": []})
            )
    for old in docs.glob("*.png"):
        if old.name not in shown:
            old.unlink()
    parts = [HEAD, "\n".join(contents), *parts]
    (docs / "README.md").write_text("\n\n".join(part.strip() for part in parts) + "\n", encoding="utf-8")
    return missing


def figures(name: str, found: list[dict[str, str]]) -> list[dict[str, str]]:
    """The figures that are shown of a demo."""
    chosen = [figure for figure in found if figure["name"] in CHOSEN.get(name, ())]
    return chosen or found[:2]


def shrink(picture: Path, small: Path) -> None:
    """Write a PNG again with fewer pixels and colours; a long drawing keeps the width its letters need."""
    from PIL import Image

    with Image.open(picture) as image:
        plain = Image.new("RGB", image.size, "white")
        plain.paste(image, mask=image.getchannel("A") if image.mode == "RGBA" else None)
    width = WIDE if plain.width > 4 * plain.height else WIDTH
    plain.thumbnail((width, 4 * WIDTH), Image.Resampling.LANCZOS)
    plain.quantize(COLOURS, dither=Image.Dither.NONE).save(small, optimize=True)


def table(found: dict[str, Any]) -> str:
    """A table in Markdown, rows that are set off in bold: long ones folded, very long ones cut, which they say."""
    rows, caption = found["rows"][:MOST_ROWS], found["caption"]
    cells = [[str(c).replace("|", "\\|").replace("\n", "<br>") for c in row] for row in (found["header"], *rows)]
    for place in found["marked"]:
        if place < len(rows):
            cells[1 + place][0] = f"**{cells[1 + place][0]}**"
    lines = [f"| {' | '.join(row)} |" for row in cells]
    lines.insert(1, "| --- " * len(cells[0]) + "|")
    more = len(found["rows"]) - len(rows)
    notes = [caption] * bool(caption) + [f"The first {MOST_ROWS} rows of {MOST_ROWS + more}."] * (more > 0)
    whole = "\n\n".join(["\n".join(lines), *notes])
    if len(rows) <= OPEN_ROWS:
        return whole
    summary = f"{len(found['rows'])} rows: {', '.join(filter(None, cells[0]))}"
    return f"<details><summary>{summary}</summary>\n\n{whole}\n\n</details>"


def broken(file: Path) -> list[str]:
    """The links of an HTML or Markdown file that lead nowhere: to no file beside it, or no place inside it."""
    text = file.read_text(encoding="utf-8")
    places = set(re.findall(r'\bid="([^"]+)"', text))
    if file.suffix == ".md":
        links = re.findall(r"\]\(([^)\s]+)\)", text)
    else:
        links = re.findall(r'<[a-z][^>]*?\s(?:href|src|xlink:href)="([^"]+)"', text)
    inside = [link for link in links if link.startswith("#") and link[1:] not in places]
    beside = [link for link in links if not re.match(r"#|[a-z]+:", link) and not (file.parent / link).exists()]
    return inside + beside


def main(given: Sequence[str] | None = None) -> int:
    """Run the command line; 1 when a demo is missing or a link is broken."""
    parser = argparse.ArgumentParser(prog="python -m demos.gallery", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out"), metavar="DIR", help="what `demos all` wrote (out)")
    parser.add_argument("--docs", type=Path, default=Path("docs/gallery"), metavar="DIR", help="where the gallery goes")
    options = parser.parse_args(given)
    missing = build(options.out, options.docs)
    for name in missing:
        print(f"gallery: {name} is not finished in {options.out}: python -m demos {name}", file=sys.stderr)
    pages = [options.docs / "README.md", *sorted(options.out.glob("*.html"))]
    lost = [f"{page}: {link}" for page in pages for link in broken(page)]
    for link in lost:
        print(f"gallery: broken link in {link}", file=sys.stderr)
    print(f"{options.docs / 'README.md'}, {len(list(options.docs.glob('*.png')))} pictures")
    return 1 if missing or lost else 0


if __name__ == "__main__":
    sys.exit(main())
