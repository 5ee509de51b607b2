"""What a run shows a person: a line per request, the final table, the picture."""

import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from uncle_jax.engine import Answer, Run
from uncle_jax.metrics import retained

HEADINGS = {
    "RA": "RA  retained tasks, higher is better",
    "FA": "FA  unlearned tasks, best at chance",
    "spill": "spill  retained tasks' change at U",
    "spill_sum": "spill_sum  the same, summed",
    "relapse": "relapse  unlearned tasks' change since U",
    "relapse_signed": "relapse_signed  the same, with sign",
}


def request_line(answer: Answer, n_requests: int, n_tasks: int) -> str:
    """One line on an answered request: all tasks' accuracies, "." for those not seen yet."""
    cells = [
        f"{answer.accuracy[task]:5.1f}" if task in answer.accuracy else "    ."
        for task in range(n_tasks)
    ]
    place = f"[{answer.index + 1:>{len(str(n_requests))}}/{n_requests}]"
    return f"{place} {answer.request!s:<4} {answer.seconds:6.1f} s  {' '.join(cells)}"


def header_line(n_requests: int, n_tasks: int) -> str:
    """The heading over `request_line`s."""
    pad = " " * (2 * len(str(n_requests)) + 3)
    return f"{pad} {'':<4} {'time':>8}  " + " ".join(f"{task:>5}" for task in range(n_tasks))


def table(summary: Mapping[str, Any], paper: Mapping[str, float] | None) -> str:
    """The final table: metrics over seeds, with the paper's beside them where there are any.

    `summary` is summary.json's: metrics, times, `chance` in per cent and `remarks` on the data.
    """
    lines = [f"{'in percentage points':<44} {'ours':>15}" + (f" {'paper':>8}" if paper else "")]
    for name, heading in HEADINGS.items():
        mean, std = summary[name]["mean"], summary[name]["std"]
        ours = "-" if mean is None else f"{mean:.2f} ± {std:.2f}"
        theirs = f" {paper[name]:8.2f}" if paper and name in paper else ""
        lines.append(f"{heading:<44} {ours:>15}{theirs}")
    seeds = summary["RA"]["per_seed"]
    times = ", ".join(
        f"{name} {summary[key]:.1f} s"
        for name, key in (
            ("learn", "learn_seconds"),
            ("unlearn", "unlearn_seconds"),
            ("compile", "compile_seconds"),
            ("all", "wall_seconds"),
        )
        if summary[key] is not None
    )
    lines.append(f"seeds {', '.join(seeds)}; chance {summary['chance']:.1f}; {times}")
    lines += [f"note: {remark}" for remark in summary["remarks"]]
    return "\n".join(lines)


def plot_accuracy(
    path: Path, runs: Iterable[Run], chance: float, title: str, remarks: Iterable[str] = ()
) -> None:
    """accuracy.png: a line per task across the requests, the mean over runs (and their range).

    Triangles mark the moments of learning (up) and unlearning (down); a task is drawn dashed while
    it is unlearned; the dotted line is chance. `remarks` on the data stand below the title.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    runs = list(runs)
    requests = [answer.request for answer in runs[0].answers]
    tasks = sorted({task for _, task in requests})
    figure = Figure(figsize=(max(7.0, 0.55 * len(requests) + 2.5), 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    colours = _colours(len(tasks))
    for colour, task in zip(colours, tasks, strict=True):
        first = next(i for i, (_, t) in enumerate(requests) if t == task)
        values = np.array(
            [[answer.accuracy[task] for answer in run.answers[first:]] for run in runs]
        )
        x, mean = np.arange(first, len(requests)), values.mean(0)
        axes.plot([], [], color=colour, label=f"task {task}")
        for i in x[:-1]:
            style = "-" if task in retained(requests[: i + 1]) else "--"
            axes.plot([i, i + 1], mean[i - first : i - first + 2], style, color=colour, lw=1.6)
        if len(runs) > 1:
            axes.fill_between(x, values.min(0), values.max(0), color=colour, alpha=0.12, lw=0)
        for i, (op, t) in enumerate(requests):
            if t == task:
                marker = "^" if op == "L" else "v"
                axes.plot(i, mean[i - first], marker, color=colour, markersize=8)
    axes.axhline(chance, color="black", linestyle=":", linewidth=1)
    axes.text(len(requests) - 0.55, chance + 1, "chance", fontsize=8, va="bottom", ha="right")
    axes.set_xticks(range(len(requests)), [str(request) for request in requests])
    axes.set_xlim(-0.5, len(requests) - 0.5)
    axes.set_ylim(0, 102)
    axes.set_xlabel("request (L learn ▲, U unlearn ▼; dashed once unlearned)")
    axes.set_ylabel("test accuracy (%)")
    width = int(14 * figure.get_figwidth())  # letters that a line of this size has room for
    lines = [line for remark in remarks for line in textwrap.wrap(remark, width)]
    axes.set_title("\n".join([title, *lines]), fontsize=8 if lines else 11)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, frameon=False)
    figure.savefig(path, dpi=120)


def _colours(n: int) -> list[Any]:
    from matplotlib import colormaps

    return [colormaps["tab10" if n <= 10 else "tab20"](i) for i in range(n)]
