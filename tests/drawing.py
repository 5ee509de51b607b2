"""Figures looked at: what is written in them, and whether it overlaps."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.text import Text
from reporting import write_run

from uncle_jax.report.compare import Group, groups
from uncle_jax.report.results import read_run

LONG = " ".join([*(f"L{task}" for task in range(20)), *(f"U{task}" for task in range(10))])


def drawn(plot: Callable[..., None], *args: Any, **more: Any) -> Any:
    """The figure that `plot` saves."""
    figures = []
    saved = Figure.savefig

    def kept(figure: Any, *words: Any, **how: Any) -> None:
        figures.append(figure)
        saved(figure, *words, **how)

    Figure.savefig = kept
    try:
        plot(*args, **more)
    finally:
        Figure.savefig = saved
    return figures[-1]


def group_of(folder: Path, *methods: str, **more: Any) -> Group:
    """Runs of `methods` that answer the same requests, as `reporting.write_run` makes them."""
    places = [write_run(folder / name, name, **more) for name in methods]
    (group,) = groups(run for place in places for run in read_run(place)[0])
    return group


def words(figure: Any) -> list[Text]:
    """Every text of a figure that is seen."""
    figure.canvas.draw()
    hidden = set()  # names of ticks beyond the limits, which are made and not drawn
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        ticks = axis.get_major_ticks()
        hidden |= {tick.label1 for tick in ticks if not low <= tick.get_loc() <= high}
    return [
        text
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and text not in hidden
    ]


def overlapping(figure: Any) -> list[tuple[str, str]]:
    """Pairs of texts that lie over each other, or outside the figure."""
    found = [(text.get_text(), text.get_window_extent()) for text in words(figure)]
    pairs = [
        (one, other)
        for (one, here), (other, there) in itertools.combinations(found, 2)
        if here.shrunk(0.98, 0.9).overlaps(there.shrunk(0.98, 0.9))
    ]
    whole = figure.bbox
    outside = [
        (one, "outside")
        for one, box in found
        if box.x0 < -1 or box.y0 < -1 or box.x1 > whole.x1 + 1 or box.y1 > whole.y1 + 1
    ]
    return pairs + outside
