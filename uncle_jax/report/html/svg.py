"""Matplotlib's SVG, fit to stand in a page: names of its own, the page's colours, light or dark."""

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

BLACK, WHITE, SHADE, RULE = "#000000", "#ffffff", "#ececec", "#dddddd"


def drawn(draw: Callable[[Path], None], name: str, words: str) -> str:
    """What `draw` writes to a file, as an inline SVG; `name` makes its ids its own, `words` says
    what it shows. Raises what `draw` raises."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.svg"
        draw(path)
        return inline(path.read_text(encoding="utf-8"), name, words)


def inline(svg: str, name: str, words: str) -> str:
    """`svg` without its head, with ids that begin with `name`, in colours of the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", svg)
    svg = svg.replace(BLACK, "currentColor").replace(SHADE, "var(--shade)")
    svg = svg.replace(RULE, "var(--line)")
    svg = svg.replace(f"fill: {WHITE}", "fill: none")
    # text without a colour is black, whatever the page is
    svg = re.sub(r"<text ", '<text fill="currentColor" ', svg)
    head = re.match(r"<svg[^>]*>", svg)
    assert head is not None
    size = re.search(r'viewBox="[^"]+"', head.group())
    view = size.group() if size else ""
    return f'<svg {view} {NAMESPACES} role="img" aria-label="{words}">{svg[head.end() :]}'


NAMESPACES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
