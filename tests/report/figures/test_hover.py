"""What marks of an SVG say."""

from xml.etree import ElementTree

from uncle_jax.report.figures.drawing import blank, save
from uncle_jax.report.figures.hover import SVG, marks, titled, told


def drawn(tmp_path, words, values=(1.0, 2.0, float("nan"), 3.0)):
    figure = blank(3, 2)
    axes = figure.subplots()
    (line,) = axes.plot(values, marker="o")
    axes.plot([3, 2, 1], marker="s")
    told(line, words)
    save(figure, tmp_path / "a.svg")
    return (tmp_path / "a.svg").read_text(encoding="utf-8")


def titles(svg):
    return [one.text for one in ElementTree.fromstring(svg).iter(f"{{{SVG}}}title")]


def test_each_mark_that_is_drawn_says_its_words(tmp_path):
    svg = drawn(tmp_path, ["a < b", "ü & c", "d"])
    assert titles(svg) == ["a < b", "ü & c", "d"]
    assert "told-" not in svg
    assert titled(svg) == svg


def test_marks_that_are_not_all_drawn_say_nothing_wrong(tmp_path):
    assert titles(drawn(tmp_path, ["only", "two"])) == []


def test_the_same_figure_is_the_same_file(tmp_path):
    assert drawn(tmp_path, ["a", "b", "c"]) == drawn(tmp_path, ["a", "b", "c"])


def test_words_name_row_request_and_value():
    assert marks("ssd", ["L0", "L1", "U0"], [0, 2], [90.0, 10.126]) == [
        "ssd, L0: 90.00",
        "ssd, U0: 10.13",
    ]
