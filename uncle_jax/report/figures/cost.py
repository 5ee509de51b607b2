"""What a step costs by how many tasks are retained, from a benchmark's JSON."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from uncle_jax.errors import UncleError
from uncle_jax.report.figures.drawing import (
    FONT,
    OURS,
    WIDTHS,
    blank,
    legend_height,
    named,
    save,
    styles_of,
)
from uncle_jax.report.figures.hover import told

Costs = Mapping[str, Sequence[tuple[int, float]]]
"""By line: (tasks retained, seconds of a step), in order."""


def costs(read: Mapping[str, Any]) -> Costs:
    """The lines of benchmarks/retained.py's JSON, or of benchmarks/steps.py's.

    Raises UncleError where it is neither's.
    """
    found: dict[str, dict[int, float]] = {}
    try:
        for row in read["rows"]:
            if "retained" in row:  # of several numbers of slots the first
                for name in ("plain", "learn", "unlearn"):
                    line = found.setdefault(f"{name} step", {})
                    line.setdefault(row["retained"], row[f"{name}_ms"] / 1e3)
            elif "peak_mb" not in row:  # a row of memory
                found.setdefault(row["subject"], {})[row["T"]] = row["seconds"]
    except (KeyError, TypeError) as error:
        raise UncleError(f"no file of benchmarks/retained.py or steps.py ({error})") from None
    return {name: sorted(line.items()) for name, line in found.items()}


def plot_cost(path: Path, lines: Costs, width: str = "page") -> None:
    """Seconds of a step against tasks retained, both by their logarithms; a line a step or form."""
    inches, labels = WIDTHS[width], [*lines]
    figure = blank(inches, 0.42 * inches + 0.3 + legend_height(labels, inches))
    axes, handles = figure.subplots(), []
    ours = next((i for i, name in enumerate(labels) if name in ("unlearn", "unlearn step")), None)
    for name, look in zip(labels, styles_of(len(labels), ours), strict=True):
        tasks, seconds = zip(*lines[name], strict=True)
        (line,) = axes.plot(tasks, seconds, **look.line(), zorder=3 if look == OURS else 2)
        words = zip(tasks, seconds, strict=True)
        told(line, [f"{name}, {count} tasks: {1e3 * spent:.1f} ms" for count, spent in words])
        handles.append(line)
    axes.set_xscale("log")
    axes.set_yscale("log")
    at = sorted({count for line in lines.values() for count, _ in line})
    axes.set_xticks(at, [str(count) for count in at])
    axes.minorticks_off()
    axes.tick_params(labelsize=FONT, length=2)
    axes.set_xlabel("tasks retained", fontsize=FONT)
    axes.set_ylabel("seconds of a step", fontsize=FONT)
    named(figure, handles, labels, inches)
    save(figure, path, dpi=200)
