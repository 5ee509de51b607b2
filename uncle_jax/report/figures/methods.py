"""Tasks through a stream under several methods: the paper's Figures 3 and 4, and 9 and 10."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from uncle_jax.errors import UncleError
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
from uncle_jax.requests import Request, parse, retained

PANEL = 0.62  # inches of height of a task


def plot_task(path: Path, group: Group, task: int, width: str = "page") -> None:
    """One task's accuracy after each request, a line a row of `group`; Figures 3 and 4.

    Means over seeds. Grey is where the task is not learned; dotted is a guess. Raises UncleError
    for a task that the requests do not have.
    """
    requests = parse(group.requests)
    known = sorted({one.task for one in requests})
    if task not in known:
        raise UncleError(f"--task {task} is not of {', '.join(map(str, known))}")
    _draw(path, group, [task], requests, width, max(0.42 * WIDTHS[width], 1.9))


def plot_tasks(path: Path, group: Group, width: str = "page") -> None:
    """Every task's accuracy after each request, a panel a task; Figures 9 and 10."""
    requests = parse(group.requests)
    tasks = sorted({one.task for one in requests})
    _draw(path, group, tasks, requests, width, PANEL)


def _draw(
    path: Path,
    group: Group,
    tasks: Sequence[int],
    requests: Sequence[Request],
    width: str,
    each: float,
) -> None:
    inches = WIDTHS[width]
    looks, labels = styles(group.rows), [row.label for row in group.rows]
    figure = blank(inches, each * len(tasks) + 0.3 + legend_height(labels, inches))
    figure.get_layout_engine().set(h_pad=0.02, hspace=0.0)
    panels = figure.subplots(len(tasks), 1, sharex=True, squeeze=False)[:, 0]
    handles: list[Any] = []
    for panel, task in zip(panels, tasks, strict=True):
        handles = [
            _line(panel, row, task, requests, look.line())
            for row, look in zip(group.rows, looks, strict=True)
        ]
        _ground(panel, group, task, requests)
        if len(tasks) > 1:
            panel.set_ylim(-4, 104)
            panel.set_yticks([0, 50, 100])
        panel.tick_params(labelsize=FONT - 1, length=2)
        panel.set_ylabel(
            f"task {task}" if len(tasks) > 1 else f"task {task}: accuracy (%)", size=FONT
        )
    request_ticks(panels[-1], requests, inches - 0.6)
    named(figure, handles, labels, inches)
    save(figure, path, dpi=200)


def _line(axes: Any, row: Row, task: int, requests: Sequence[Request], look: dict[str, Any]) -> Any:
    seen = [i for i, accuracy in enumerate(row.runs[0].accuracy) if task in accuracy]
    means = [np.mean([run.accuracy[i][task] for run in row.runs]) for i in seen]
    front = 3 if row.method == "uncle" else 2
    (line,) = axes.plot(seen, means, **look, zorder=front)
    told(line, marks(f"{row.label}, task {task}", requests, seen, means))
    return line


def _ground(axes: Any, group: Group, task: int, requests: Sequence[Request]) -> None:
    """Grey where the task is not learned, dotted what a guess is worth."""
    for i in range(len(requests)):
        if task not in retained(requests[: i + 1]):
            axes.axvspan(i - 0.5, i + 0.5, color="#ececec", lw=0, zorder=0)
    chances = next((run.chances for row in group.rows for run in row.runs if run.chances), None)
    if chances and task in chances:
        axes.axhline(chances[task], color="black", ls=":", lw=0.7, zorder=1)
