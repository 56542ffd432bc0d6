"""An SVG file made fit to stand inside a page: ids of its own, nothing that runs, nothing from elsewhere."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

SVG = "http://www.w3.org/2000/svg"
XLINK = "{http://www.w3.org/1999/xlink}"
REFUSED = {"script", "foreignObject", "metadata", "iframe", "animate", "set"}


def inline(text: str | bytes, prefix: str, label: str = "") -> str:
    """The `<svg>` element of a file for a page in which each `prefix` is used once; `label` is read to the blind.

    Raises ValueError when the text is not an SVG.
    """
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"this is not an SVG: {error}") from error
    if root.tag != f"{{{SVG}}}svg":
        raise ValueError(f"this is not an SVG: its outermost element is {root.tag!r}")
    known = {e.get("id") for e in root.iter() if e.get("id")}
    for parent in list(root.iter()):
        for child in list(parent):
            if not str(child.tag).startswith(f"{{{SVG}}}") or local(child.tag) in REFUSED:
                parent.remove(child)
        clean(parent, prefix, known)
    root.attrib.pop("id", None)
    root.attrib = {"id": prefix, "role": "img", "aria-label": label, "xmlns": SVG, **root.attrib}
    return ElementTree.tostring(root, encoding="unicode")


def local(tag: str) -> str:
    """The name without its namespace."""
    return str(tag).rpartition("}")[2]


def clean(element: ElementTree.Element, prefix: str, known: set[str | None]) -> None:
    """Rename the ids of one element, drop what runs or loads, and turn a link's title into a tooltip."""
    element.tag = local(element.tag)
    title = element.attrib.get(f"{XLINK}title")
    attributes = {}
    for name, value in element.attrib.items():
        name = local(name)
        if name.lower().startswith("on") or (name == "href" and not value.startswith(("#", "data:image/"))):
            continue
        if name == "id" or (name == "href" and value[1:] in known):
            value = f"{prefix}-{value}" if name == "id" else f"#{prefix}-{value[1:]}"
        if name != "title" and name != "space":
            attributes[name] = re.sub(r"url\(#([^)]*)\)", rf"url(#{prefix}-\1)", value)
    element.attrib = attributes
    if element.tag == "style":
        element.text = re.sub(r"(^|})([^{}]*){", rf"\1#{prefix} \2{{", element.text or "")
    if element.tag == "a" and "href" not in attributes:
        element.tag = "g"
        if title:
            tooltip = ElementTree.Element(f"{{{SVG}}}title")
            tooltip.text, tooltip.tag = title, "title"
            element.insert(0, tooltip)
