"""Matplotlib's SVG inside a page."""

from xml.etree import ElementTree

from uncle_jax.report.figures.drawing import blank, save
from uncle_jax.report.html.svg import drawn


def plot(path):
    figure = blank(3, 2)
    axes = figure.subplots()
    axes.plot([1.0, 2.0], color="black", marker="o")
    axes.axvspan(0.2, 0.4, color="#ececec")
    axes.set_ylabel("accuracy")
    save(figure, path)


def test_it_has_the_pages_colours_and_says_what_it_shows():
    svg = drawn(plot, "one", "A line")
    root = ElementTree.fromstring(svg)
    assert (root.get("role"), root.get("aria-label")) == ("img", "A line")
    assert root.get("viewBox")
    assert root.get("width") is None
    assert "#000000" not in svg
    assert "fill: #ffffff" not in svg
    assert "currentColor" in svg
    assert "var(--shade)" in svg
    assert ">accuracy<" in svg, "letters are letters"


def test_two_in_a_page_share_no_name():
    def names(svg):
        return {one.get("id") for one in ElementTree.fromstring(svg).iter()} - {None}

    one, two = drawn(plot, "one", ""), drawn(plot, "two", "")
    assert names(one)
    assert not names(one) & names(two)
    for svg in (one, two):
        known = names(svg)
        for node in ElementTree.fromstring(svg).iter():
            for key, value in node.attrib.items():
                if key.endswith("href"):
                    assert value[1:] in known
                if "url(#" in value:
                    assert value.split("url(#")[1].split(")")[0] in known
