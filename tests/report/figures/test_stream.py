"""The picture of a run: what is drawn where, and that it is written whole."""

from contextlib import suppress
from itertools import pairwise

import pytest
from matplotlib.figure import Figure

from uncle_jax.errors import UncleError
from uncle_jax.report.figures.stream import plot_accuracy
from uncle_jax.requests import parse

REQUESTS = parse("L0 L1 U0 L2")
RUN = [{0: 90.0}, {0: 90.0, 1: 80.0}, {0: 20.0, 1: 80.0}, {0: 10.0, 1: 80.0, 2: 70.0}]
OTHER = [{task: a + 10 for task, a in seen.items()} for seen in RUN]


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Draws, and returns the axes."""
    figures = []
    save = Figure.savefig

    def kept(figure, *args, **more):
        figures.append(figure)
        return save(figure, *args, **more)

    monkeypatch.setattr(Figure, "savefig", kept)

    def draw(runs, chance=10.0, title="a title", remarks=(), chances=None):
        if chances is None and chance is not None:
            chances = dict.fromkeys(range(3), chance)
        plot_accuracy(tmp_path / "accuracy.png", REQUESTS, runs, chances, title, remarks)
        return figures[-1].axes[0]

    return draw


def segments(axes):
    """(from, to, style) of each line between two requests, of task 0."""
    lines = [line for line in axes.lines if len(line.get_xdata()) > 1]
    return [
        (*map(float, pair), line.get_linestyle())
        for line in lines
        if line.get_color() == axes.lines[0].get_color()
        for pair in pairwise(line.get_ydata())
    ]


def test_a_line_is_dashed_from_its_unlearning_on(drawn, tmp_path):
    axes = drawn([RUN])
    assert segments(axes) == [(90, 90, "-"), (90, 20, "-"), (20, 10, "--")]
    points = [line for line in axes.lines if len(line.get_xdata()) == 1]
    assert [(point.get_marker(), float(point.get_xdata()[0])) for point in points] == [
        ("^", 0),
        ("v", 2),
        ("^", 1),
        ("^", 3),
    ]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["L0", "L1", "U0", "L2"]
    assert [path.name for path in tmp_path.iterdir()] == ["accuracy.png"]
    assert (tmp_path / "accuracy.png").read_bytes().startswith(b"\x89PNG")


def test_the_mean_over_runs_is_drawn_with_their_range(drawn):
    axes = drawn([RUN, OTHER])
    assert segments(axes)[1] == (95, 25, "-")
    assert len(axes.collections) == 3
    assert not drawn([RUN]).collections


def test_chance_is_a_line_where_it_is_known_and_remarks_are_told(drawn):
    def words(axes):
        return [text.get_text() for text in axes.texts]

    assert words(drawn([RUN])) == ["chance"]
    assert words(drawn([RUN], chance=None)) == []
    assert words(drawn([RUN], chances={0: 50.0, 1: 10.0, 2: 10.0})) == [
        "chance of 1, 2",
        "chance of 0",
    ]
    told = drawn([RUN], remarks=["svhn stood in", "word " * 60]).get_title().split("\n")
    assert told[:2] == ["a title", "svhn stood in"]
    assert len(told) > 3  # a long remark is broken into lines


def test_a_picture_that_cannot_be_saved_leaves_the_one_before(drawn, tmp_path, monkeypatch):
    drawn([RUN])
    before = (tmp_path / "accuracy.png").read_bytes()

    def full(*args, **more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(OSError, match="No space left"):
        plot_accuracy(tmp_path / "accuracy.png", REQUESTS, [OTHER], None, "other")
    assert (tmp_path / "accuracy.png").read_bytes() == before


def test_a_long_stream_fits_a_page(tmp_path, monkeypatch):
    sizes = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: sizes.append(figure))
    requests = parse(" ".join(["L0 L1 U0 L0 U1"] * 40))
    run = [{0: 90.0, 1: 80.0}] * 200
    with suppress(OSError, UncleError):  # nothing was saved
        plot_accuracy(tmp_path / "x.png", requests, [run], None, "a title")
    assert sizes[0].get_figwidth() == 24
    assert len(sizes[0].axes[0].get_xticks()) == 20
