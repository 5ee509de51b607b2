"""One number of the learner after each request: erosion, the worst task, the paper's Figure 8."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from uncle_jax.errors import UncleError
from uncle_jax.evaluation.metrics import erosion, retain_worst
from uncle_jax.report.compare import Group, Row
from uncle_jax.report.figures.drawing import (
    FONT,
    WIDTHS,
    blank,
    legend_height,
    named,
    request_ticks,
    save,
    styles,
)
from uncle_jax.report.figures.hover import marks, told
from uncle_jax.report.results import SeedRun
from uncle_jax.requests import parse


def plot_erosion(path: Path, group: Group, width: str = "page") -> None:
    """How far the tasks that are learned have fallen since each was learned, after each request.

    The mean over tasks, then over seeds; a line a row of `group`.
    """
    curves = [(row, [erosion_over_time(run) for run in row.runs]) for row in group.rows]
    _draw(path, group, curves, "erosion of what is learned (points)", width)


def plot_magnitude(path: Path, group: Group, width: str = "page") -> None:
    """|| phi || after each request, a line a row of `group`; Figure 8.

    The paper sets UnCLe under `noise=fixed`, `noise_samples=10` and `noise=norm` beside each other.
    Raises UncleError where no row's runs measured it: they are no hypernetworks, or older.
    """
    curves = []
    for row in group.rows:
        found = [[one.get("phi_norm", math.nan) for one in run.measured] for run in row.runs]
        if not np.all(np.isnan(found)):
            curves.append((row, found))
    if not curves:
        raise UncleError("no run has measured the size of phi: only those of hypernetworks do")
    _draw(path, group, curves, "|| phi ||", width)


def plot_worst(path: Path, group: Group, width: str = "page") -> None:
    """The lowest accuracy of a task that is learned, after each request: what RA hides.

    The mean over seeds; a line a row of `group`.
    """
    curves = [(row, [worst_over_time(run) for run in row.runs]) for row in group.rows]
    _draw(path, group, curves, "worst retained task (%)", width)


def worst_over_time(run: SeedRun) -> list[float]:
    """After each request, the lowest accuracy of what is learned; nan where nothing is."""
    return _after_each(run, retain_worst)


def erosion_over_time(run: SeedRun) -> list[float]:
    """After each request, accuracy when learned less accuracy now, the mean over what is learned.

    nan where nothing is.
    """
    return _after_each(run, erosion)


def _after_each(run: SeedRun, metric: Callable[[Any, Any], float]) -> list[float]:
    requests = parse(run.told["requests"])
    ends = range(1, len(requests) + 1)
    return [metric(requests[:end], run.accuracy[:end]) for end in ends]


def _draw(
    path: Path,
    group: Group,
    curves: Sequence[tuple[Row, Sequence[Sequence[float]]]],
    what: str,
    width: str,
) -> None:
    requests, inches = parse(group.requests), WIDTHS[width]
    rows, labels = [row for row, _ in curves], [row.label for row, _ in curves]
    figure = blank(inches, max(0.42 * inches, 1.9) + 0.3 + legend_height(labels, inches))
    axes, handles = figure.subplots(), []
    for (row, found), look in zip(curves, styles(rows), strict=True):
        values = np.array(found, float)
        means = values.mean(0)
        (line,) = axes.plot(means, **look.line())
        there = np.flatnonzero(np.isfinite(means))
        told(line, marks(row.label, requests, there, means[there]))
        if len(values) > 1:
            axes.fill_between(
                range(len(requests)),
                values.min(0),
                values.max(0),
                color=look.color,
                alpha=0.12,
                lw=0,
            )
        handles.append(line)
    axes.set_ylabel(what, fontsize=FONT)
    axes.tick_params(labelsize=FONT - 1, length=2)
    request_ticks(axes, requests, inches - 0.6)
    named(figure, handles, labels, inches)
    save(figure, path, dpi=200)
