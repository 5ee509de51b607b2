"""The picture of a run: every task across its requests."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from uncle_jax.report.figures.drawing import blank, save
from uncle_jax.requests import Request

WIDEST = 24.0  # inches


def plot_accuracy(
    path: Path,
    requests: Sequence[Request],
    runs: Sequence[Sequence[Mapping[int, float]]],
    chances: Mapping[int, float] | None,
    title: str,
    remarks: Iterable[str] = (),
) -> None:
    """accuracy.png: a line per task across the requests, the mean over runs (and their range).

    `runs[r][i][t]` is the accuracy (per cent) of task t after request i; `chances` by task; None:
    not known.
    Triangles mark the moments of learning (up) and unlearning (down); a task is drawn dashed while
    it is unlearned; dotted is chance, each task's own where they differ. `remarks` on the data
    stand below the title.
    """
    tasks = sorted({one.task for one in requests})
    n = len(requests)
    wanted = max(7.0, 0.55 * n + 2.5)
    figure, crowded = blank(min(wanted, WIDEST), 4.6), wanted > WIDEST
    axes = figure.add_subplot()
    colours = _colours(len(tasks))
    for colour, task in zip(colours, tasks, strict=True):
        first = next(i for i, one in enumerate(requests) if one.task == task)
        values = np.array([[accuracy[task] for accuracy in run[first:]] for run in runs])
        x, mean = np.arange(first, len(requests)), values.mean(0)
        axes.plot([], [], color=colour, label=f"task {task}")
        for start, end in _stretches(requests, task):
            style, stretch = "--" if requests[start].op == "U" else "-", np.arange(start, end + 1)
            axes.plot(stretch, mean[stretch - first], style, color=colour, lw=1.6)
        if len(runs) > 1:
            axes.fill_between(x, values.min(0), values.max(0), color=colour, alpha=0.12, lw=0)
        for i, (op, t, _) in enumerate(requests):
            if t == task:
                marker = {"L": "^", "U": "v", "C": "d"}[op]
                axes.plot(i, mean[i - first], marker, color=colour, markersize=4 if crowded else 8)
    for value in sorted(set((chances or {}).values())):
        of = [i for i, task in enumerate(tasks) if chances and chances[task] == value]
        several = len(of) < len(tasks)  # a line is then of the tasks of its colour
        colour = colours[of[0]] if several and len(of) == 1 else "black"
        axes.axhline(value, color=colour, linestyle=":", linewidth=1)
        named = f" of {', '.join(str(tasks[i]) for i in of)}" if several else ""
        where = (len(requests) - 0.55, value + 1)
        axes.text(*where, f"chance{named}", fontsize=8, va="bottom", ha="right")
    if crowded:
        axes.set_xticks(range(0, n, max(1, n // 20)))
    else:
        axes.set_xticks(range(n), [str(request) for request in requests])
    axes.set_xlim(-0.5, len(requests) - 0.5)
    axes.set_ylim(0, 102)
    of_classes = ", of classes ♦" if any(one.op == "C" for one in requests) else ""
    axes.set_xlabel(f"request (L learn ▲, U unlearn ▼{of_classes}; dashed once unlearned)")
    axes.set_ylabel("test accuracy (%)")
    width = int(14 * figure.get_figwidth())  # letters that a line of this size has room for
    lines = [line for remark in remarks for line in textwrap.wrap(remark, width)]
    axes.set_title("\n".join([title, *lines]), fontsize=8 if lines else 11)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, frameon=False)
    save(figure, path)


def _stretches(requests: Sequence[Request], task: int) -> Iterator[tuple[int, int]]:
    """From each request on `task` to its next, or to the end."""
    places = [i for i, request in enumerate(requests) if request.task == task]
    both = pairwise([*places, len(requests) - 1])
    yield from ((start, end) for start, end in both if start < end)


def _colours(n: int) -> list[Any]:
    from matplotlib import colormaps

    return [colormaps["tab10" if n <= 10 else "tab20"](i) for i in range(n)]
