"""What figures share."""

import pytest
from reporting import write_run

from uncle_jax.errors import UncleError
from uncle_jax.report.compare import groups
from uncle_jax.report.figures.drawing import OURS, WIDTHS, blank, named, request_ticks, save, styles
from uncle_jax.report.results import read_run
from uncle_jax.requests import parse

LONG = parse(" ".join([*(f"L{t}" for t in range(20)), *(f"U{t}" for t in range(10))]))


def rows(tmp_path, methods):
    runs = [run for name in methods for run in read_run(write_run(tmp_path / name, name))[0]]
    (group,) = groups(runs)
    return group.rows


def test_lines_are_told_apart_in_grey_and_uncle_is_black(tmp_path):
    names = ["ft", "rt", "scrub", "ssd", "jit", "gkt", "salun", "clpu", "derpp", "lwsf", "uncle"]
    found = styles(rows(tmp_path, names))
    assert found[-1] == OURS
    assert len({(one.color, one.linestyle) for one in found}) == len(names)
    assert len({one.marker for one in found}) == len(names), "by the marker alone"
    assert {"marker", "ls", "color", "lw"} <= found[0].line().keys()


@pytest.mark.parametrize("width", WIDTHS)
def test_thirty_requests_do_not_touch(width):
    figure = blank(WIDTHS[width], 2)
    axes = figure.subplots()
    request_ticks(axes, LONG, WIDTHS[width] - 0.6)
    figure.canvas.draw()
    boxes = [label.get_window_extent() for label in axes.get_xticklabels()]
    assert len(boxes) >= 15
    assert not [i for i in range(len(boxes) - 1) if boxes[i].overlaps(boxes[i + 1])]
    assert all(label.get_fontsize() >= 4.5 for label in axes.get_xticklabels())


def test_a_legend_has_room_below(tmp_path):
    figure = blank(3.25, 3)
    axes = figure.subplots()
    labels = [f"a rather long name={i}" for i in range(9)]
    named(figure, [axes.plot([0, 1])[0] for _ in labels], labels, 3.25)
    figure.canvas.draw()
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1
    assert box.y1 <= axes.get_tightbbox().y0


def test_formats(tmp_path):
    for name, head in (("a.png", b"\x89PNG"), ("a.pdf", b"%PDF"), ("a.svg", b"<?xml")):
        save(blank(1, 1), tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(head)
    with pytest.raises(UncleError, match=r"cannot write .*a.docx"):
        save(blank(1, 1), tmp_path / "a.docx")
