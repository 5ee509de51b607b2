"""What the tasks that remain are worth in the end."""

import pytest
from drawing import LONG, drawn, group_of, overlapping

from uncle_jax.errors import UncleError
from uncle_jax.report.figures.remaining import plot_remaining


def test_a_point_is_a_retained_task_of_a_row(tmp_path):
    group = group_of(tmp_path, "only-learning", "uncle", seeds=(0, 1), ra=80.0)
    figure = drawn(plot_remaining, tmp_path / "remaining.png", group)
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2"]
    points = [container.lines[0] for container in axes.containers]
    assert [list(line.get_ydata()) for line in points] == [[80.5, 80.5], [80.5, 80.5]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["only-learning", "uncle"]


@pytest.mark.parametrize("width", ["column", "page"])
def test_ten_tasks_of_many_methods(tmp_path, width):
    methods = ("ft", "rt", "badteacher", "scrub", "salun", "ssd", "clpu", "derpp", "uncle")
    group = group_of(tmp_path, *methods, requests=LONG, dataset="tinyimagenet")
    assert not overlapping(drawn(plot_remaining, tmp_path / "remaining.pdf", group, width))


def test_nothing_remains(tmp_path):
    with pytest.raises(UncleError, match="no task remains after L0 L1 U1 U0"):
        plot_remaining(tmp_path / "a.png", group_of(tmp_path, "uncle", requests="L0 L1 U1 U0"))
