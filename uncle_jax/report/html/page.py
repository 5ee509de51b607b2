"""The page of `uncle report`, from page.html.j2: one file, and nothing from elsewhere."""

from collections.abc import Sequence
from importlib.resources import files

import jinja2

import uncle_jax
from uncle_jax.report.html.content import Part


def page(parts: Sequence[Part], title: str) -> str:
    """The whole page."""
    folder = files("uncle_jax.report.html")

    def text(name: str) -> str:
        return (folder / name).read_text(encoding="utf-8")

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(text("page.html.j2"))
    return template.render(
        title=title,
        parts=parts,
        version=uncle_jax.__version__,
        style=text("page.css"),
        script=text("page.js"),
    )
