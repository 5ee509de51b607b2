"""What a mark of a figure says when it is pointed at: titles in an SVG, which browsers show.

A figure's lines carry words for each of their marks (`told`); `titled` puts them into the SVG.
"""

import base64
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any
from xml.etree import ElementTree

PREFIX = "told-"
SVG = "http://www.w3.org/2000/svg"


def told(line: Any, words: Sequence[str]) -> None:
    """Have each mark of a Matplotlib line, in order, say its `words`; others than SVG ignore it."""
    text = json.dumps([*words]).encode("utf-8")
    line.set_gid(PREFIX + base64.urlsafe_b64encode(text).decode("ascii"))


def titled(svg: str) -> str:
    """`svg` with a <title> in each mark that has words; a line that lost marks keeps none."""
    if PREFIX not in svg:
        return svg
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    root = ElementTree.fromstring(re.sub(r"<!DOCTYPE[^>]*>", "", svg))
    for group in root.iter(f"{{{SVG}}}g"):
        if not group.get("id", "").startswith(PREFIX):
            continue
        words = json.loads(base64.urlsafe_b64decode(group.attrib.pop("id")[len(PREFIX) :]))
        marks = [*group.iter(f"{{{SVG}}}use")]
        for mark, word in zip(marks, words, strict=False) if len(marks) == len(words) else ():
            ElementTree.SubElement(mark, f"{{{SVG}}}title").text = word
    return ElementTree.tostring(root, encoding="unicode")


def marks(label: str, requests: Sequence[Any], at: Iterable[Any], values: Iterable[Any]) -> list:
    """The words of a line's marks: row, request and value."""
    return [f"{label}, {requests[i]}: {value:.2f}" for i, value in zip(at, values, strict=True)]
