"""What the tasks that remain are worth in the end: the paper's Figures 5 and 7."""

from pathlib import Path

import numpy as np

from uncle_jax.errors import UncleError
from uncle_jax.report.compare import Group
from uncle_jax.report.figures.drawing import FONT, WIDTHS, blank, legend_height, named, save, styles
from uncle_jax.report.figures.hover import told
from uncle_jax.requests import parse, retained


def plot_remaining(path: Path, group: Group, width: str = "page") -> None:
    """Each retained task's accuracy at the end, a point a row of `group`; Figures 5 and 7.

    Means over seeds, with their sample standard deviation. The paper sets UnCLe beside a learner
    that answers no unlearning request (`only-learning`), Figure 7 on every benchmark. Raises
    UncleError where no task remains.
    """
    requests = parse(group.requests)
    tasks = sorted(retained(requests))
    if not tasks:
        raise UncleError(f"no task remains after {group.requests}")
    inches = WIDTHS[width]
    labels = [row.label for row in group.rows]
    figure = blank(inches, 0.36 * inches + 0.5 + legend_height(labels, inches))
    axes = figure.subplots()
    looks, n = styles(group.rows), len(group.rows)
    spread = np.linspace(-1, 1, n) * min(0.32, 0.08 * (n - 1)) if n > 1 else np.zeros(1)
    handles = []
    for row, look, shift in zip(group.rows, looks, spread, strict=True):
        values = np.array([[run.accuracy[-1][task] for task in tasks] for run in row.runs])
        std = values.std(0, ddof=1) if len(values) > 1 else None
        drawn = axes.errorbar(
            np.arange(len(tasks)) + shift,
            values.mean(0),
            yerr=std,
            color=look.color,
            marker=look.marker,
            ms=4 if n < 6 else 3,
            ls="none",
            lw=0.8,
            capsize=1.5,
        )
        ends = zip(tasks, values.mean(0), strict=True)
        told(drawn.lines[0], [f"{row.label}, task {task}: {end:.2f}" for task, end in ends])
        handles.append(drawn)
    for edge in range(len(tasks) - 1):
        axes.axvline(edge + 0.5, color="#dddddd", lw=0.6, zorder=0)
    axes.set_xlim(-0.5, len(tasks) - 0.5)
    axes.set_xticks(range(len(tasks)), [str(task) for task in tasks])
    axes.tick_params(labelsize=FONT, length=2)
    axes.set_xlabel("task that remains", fontsize=FONT)
    axes.set_ylabel("final accuracy (%)", fontsize=FONT)
    named(figure, handles, labels, inches)
    save(figure, path, dpi=200)
