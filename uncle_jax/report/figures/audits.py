"""Pictures of audits: a point for each task and seed, and what a remedy costs."""

import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from uncle_jax.report.audit import (
    Audited,
    Found,
    level,
    never_found,
    per_seed,
    places_of,
    relearned,
    searched,
)
from uncle_jax.report.figures.drawing import blank, save
from uncle_jax.report.measures import by_seed

COLOURS = {"first": "#d55e00", "later": "#0072b2", "retained": "#009e73", "never": "#777777"}
MARKERS = {"first": "o", "later": "s", "retained": "^", "never": "x"}
NAMES = {
    "first": "unlearned,\nlearned first",
    "later": "unlearned,\nlearned later",
    "retained": "retained,\nwithheld",
    "never": "never\nlearned",
}


def plot_audits(path: Path, rows: Sequence[Audited]) -> None:
    """A column for each row; above embedding search, below relearning.

    Above: the best start of each task and seed, the lines the best on any never-learned task of
    each seed. Below: an epoch of relearning against the control of the same task and seed; what
    lies above the diagonal has a head start.
    """
    width = max(5.2, 3.4 * len(rows))
    figure = blank(width, 6.6)
    axes = figure.subplots(2, len(rows), squeeze=False, sharey="row")
    relearnings = [_relearning(one) for one in rows]
    values = [v for _, here, there in relearnings for v in (*here.values(), *there.values())]
    limits = (min(values) - 3, max(values) + 3) if values else (0.0, 100.0)
    for (above, below), one, pair in zip(axes.T, rows, relearnings, strict=True):
        above.set_title(one.row.label, fontsize=9)
        _searches(above, one)
        _draw_relearning(below, one, pair, limits)
    axes[0, 0].set_ylabel("embedding search:\nbest start (%)")
    axes[1, 0].set_ylabel("relearned for one epoch (%)")
    save(figure, path, dpi=130)


def _searches(axes: Any, one: Audited) -> None:
    places: dict[str, list[float]] = {kind: [] for kind in NAMES}
    for role in ("unlearned", "retained"):
        for _, found in one.found("embedding search", role):
            kind = role if role == "retained" else "later" if found["place"] else "first"
            places[kind].append(max(found["accuracy"]))
    places["never"] = [max(found["accuracy"]) for _, found in never_found(one)]
    for x, (kind, values) in enumerate(places.items()):
        spread = np.linspace(-0.25, 0.25, len(values)) if len(values) > 1 else [0.0] * len(values)
        marker = MARKERS[kind]
        axes.plot([x + dx for dx in spread], values, marker, color=COLOURS[kind], ms=5, ls="")
    for seed in one.audits:
        limit = level(one, seed)
        if limit is not None:
            axes.axhline(limit, color=COLOURS["never"], lw=0.7, ls=":")
    axes.set_xticks(range(len(NAMES)), NAMES.values(), fontsize=7)
    axes.set_xlim(-0.5, len(NAMES) - 0.5)
    axes.set_ylim(0, 102)


Cases = dict[tuple[int, int], float]  # (seed, task) -> per cent


def _relearning(one: Audited) -> tuple[str, Cases, Cases]:
    """(the reference's state, unlearned tasks after one epoch, the same in that state)."""
    state = "swapped" if one.found("relearning", "unlearned", "swapped") else "never"
    return state, relearned(one, "unlearned"), relearned(one, "unlearned", state)


def _draw_relearning(
    axes: Any, one: Audited, pair: tuple[str, Cases, Cases], limits: tuple[float, float]
) -> None:
    state, here, there = pair
    place = places_of(one)
    for kind in ("first", "later"):
        cases = [c for c in here if c in there and (place[c] == 0) == (kind == "first")]
        gain = statistics.fmean(here[c] - there[c] for c in cases) if cases else 0.0
        axes.plot(
            [there[c] for c in cases],
            [here[c] for c in cases],
            MARKERS[kind],
            color=COLOURS[kind],
            ms=5,
            ls="",
            label=f"learned {kind} ({gain:+.1f})" if cases else None,
        )
    axes.plot(limits, limits, color="black", lw=0.7, ls=":")
    axes.set_xlim(*limits)
    axes.set_ylim(*limits)
    axes.set_xlabel(f"control, {state} (%)", fontsize=8)
    if here:
        axes.legend(fontsize=7, loc="lower right")


STATES = {"run": "unlearned", "swapped": "control (swapped)", "never": "never", "kept": "kept"}
STATE_COLOURS = {"run": "#d55e00", "swapped": "#0072b2", "never": "#777777", "kept": "#009e73"}


def plot_curves(path: Path, one: Audited) -> None:
    """Curves of one row, of each state, means over tasks and seeds with the seeds' extremes.

    Relearning from few images and from all against steps or epochs, a linear probe and CKA with the
    state that kept the task against the layer, and accuracy on the line from the state that never
    learned it.
    """
    settings = next(iter(one.audits.values()))["settings"]
    relearning = settings.get("relearning", {})
    counts, steps = (relearning.get(name, []) for name in ("examples", "steps"))
    epochs = relearning.get("epochs", [])
    panels = [
        Panel(f"relearned from {count} images", "steps", steps, "relearning", _few(index))
        for index, count in enumerate(counts)
    ]
    panels += [
        Panel("relearned from all images", "epochs", epochs, "relearning", _every),
        Panel("linear probe", "layer", [], "representation", lambda found: found["probe"]),
        Panel("CKA with kept", "layer", [], "representation", lambda found: found["cka kept"]),
        Panel(
            "line from never",
            "twentieths of the way",
            [],
            "weights",
            lambda found: found["accuracy"],
        ),
    ]
    figure = blank(3.1 * 3, 2.6 * math.ceil(len(panels) / 3))
    axes = figure.subplots(math.ceil(len(panels) / 3), 3, squeeze=False).ravel()
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    for axis, panel in zip(axes, panels, strict=False):
        _draw_panel(axis, panel, one)
    handles, labels = axes[0].get_legend_handles_labels()
    if handles:
        axes[0].legend(handles, labels, fontsize=6)
    figure.suptitle(f"{one.row.label}: {one.place}", fontsize=8)
    save(figure, path, dpi=130)


class Panel(NamedTuple):
    """A part of the figure of curves."""

    title: str
    unit: str  # of what the curve is against
    at: list[Any]  # its points; none: 0, 1, 2, ...
    attack: str
    of: Callable[[Found], Any]  # a finding's curve


def _few(index: int) -> Callable[[Found], Any]:
    return lambda found: np.mean(found["few"], axis=0)[index]


def _every(found: Found) -> Any:
    return np.mean(found["accuracy"], axis=0)


def _draw_panel(axis: Any, panel: Panel, one: Audited) -> None:
    axis.set_title(panel.title, fontsize=8)
    axis.set_xlabel(panel.unit, fontsize=7)
    axis.tick_params(labelsize=7)
    for state, name in STATES.items():
        curves = _per_seed_curves(one, panel.attack, state, panel.of)
        if not len(curves):
            continue
        x, colour = range(curves.shape[1]), STATE_COLOURS[state]
        axis.plot(x, curves.mean(axis=0), "o-", color=colour, ms=3, lw=1, label=name)
        axis.fill_between(x, curves.min(0), curves.max(0), color=colour, alpha=0.15, lw=0)
    if panel.at:
        axis.set_xticks(range(len(panel.at)), [f"{value:g}" for value in panel.at])


def _per_seed_curves(one: Audited, attack: str, state: str, of: Any) -> np.ndarray:
    """[seeds, points] means over unlearned tasks; empty where there is nothing of the kind."""
    seeds = by_seed(one, attack, state, of)
    return np.array([np.mean(np.array(curves, float), axis=0) for curves in seeds.values()])


def plot_tradeoff(path: Path, rows: Sequence[Audited]) -> None:
    """How often a start brings an unlearned task back, against what that costs; a point a row.

    Left against RA, right against a new task's accuracy after its first epoch; means over seeds.
    """
    figure = blank(7.6, 3.6)
    left, right = figure.subplots(1, 2, sharey=True)
    for number, one in enumerate(rows, start=1):
        share = searched(one, "unlearned").share
        new = per_seed(relearned(one, "never"))
        retained = [run.metrics["RA"] for run in one.row.runs if run.seed in one.audits]
        for axes, values in ((left, retained), (right, new)):
            if share is not None and values:
                at = (statistics.fmean(values), 100 * share)
                axes.plot(*at, "o", color=COLOURS["later"], ms=5)
                axes.annotate(str(number), at, (4, 4), textcoords="offset points", fontsize=8)
    names = [f"{number} {one.row.label}" for number, one in enumerate(rows, start=1)]
    figure.supxlabel("\n".join(names), fontsize=6.5, ha="left", x=0.02)
    left.set_ylabel("starts that bring it back (%)")
    left.set_xlabel("RA (%)")
    right.set_xlabel("a new task after one epoch (%)")
    save(figure, path, dpi=130)
