"""Tasks through a stream under several methods."""

import pytest
from drawing import LONG, drawn, group_of, overlapping

from uncle_jax.errors import UncleError
from uncle_jax.report.figures.methods import plot_task, plot_tasks
from uncle_jax.requests import parse

MANY = ("never", "ft", "rt", "badteacher", "scrub", "salun", "jit", "gkt", "ssd", "derpp", "uncle")


def test_a_line_is_a_row_and_a_point_the_mean_over_seeds(tmp_path):
    group = group_of(tmp_path, "ssd", "uncle", seeds=(0, 1), fa=12.0)
    figure = drawn(plot_task, tmp_path / "task.png", group, 0)
    (axes,) = figure.axes
    lines = [line for line in axes.lines if len(line.get_xdata()) > 2]
    requests = parse(group.requests)
    assert len(lines) == 2
    for line, row in zip(lines, group.rows, strict=True):
        seen = [i for i, one in enumerate(row.runs[0].accuracy) if 0 in one]
        assert list(line.get_xdata()) == seen
        expected = [sum(run.accuracy[i][0] for run in row.runs) / 2 for i in seen]
        assert list(line.get_ydata()) == pytest.approx(expected)
    grey = [patch for patch in axes.patches if patch.get_width() == 1]
    assert len(grey) == sum(i >= 2 for i in range(len(requests))), "from its unlearning on"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["L0", "L1", "U0", "L2"]


def test_a_task_that_there_is_not(tmp_path):
    with pytest.raises(UncleError, match="--task 7 is not of 0, 1, 2"):
        plot_task(tmp_path / "task.png", group_of(tmp_path, "uncle"), 7)


@pytest.mark.parametrize("width", ["column", "page"])
def test_thirty_requests_twenty_tasks_eleven_methods(tmp_path, width):
    group = group_of(tmp_path, *MANY, requests=LONG, dataset="tinyimagenet")
    figure = drawn(plot_task, tmp_path / "task.pdf", group, 3, width)
    assert not overlapping(figure)
    figure = drawn(plot_tasks, tmp_path / "tasks.pdf", group, width)
    assert len(figure.axes) == 20
    assert not overlapping(figure)
