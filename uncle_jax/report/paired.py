"""Methods held against one of them, seed by seed: which differences are told from noise.

A row's number less the other's on the same seed; a 95 % interval of the mean and a two-sided paired
t-test, corrected for their number within a group (Holm 1979). No jax.
"""

import math
import statistics
from collections.abc import Sequence

from uncle_jax.evaluation.audit.verdict import chance_of, holm, interval
from uncle_jax.report.compare import Group, Row, Table, label_of
from uncle_jax.report.results import SeedRun
from uncle_jax.requests import forgotten, parse

LEVEL = 0.05


def paired(group: Group, metrics: Sequence[str], against: str) -> Table | None:
    """The differences of every row of `group` from the row `against`, by label; None without it.

    Marked is what is told from 0, corrected. FA is how far unlearned tasks are from their chance.
    Sizes (MB_kept, MB_read) are no chance's, and not tested.
    """
    metrics = [metric for metric in metrics if not metric.startswith("MB_")]
    base = next((row for row in group.rows if row.label == against), None)
    if base is None:
        return None
    rows = [row for row in group.rows if row is not base]
    places = [(i, j) for i in range(len(rows)) for j in range(len(metrics))]
    found = {(i, j): differences(rows[i], base, metrics[j]) for i, j in places}
    known = [place for place in places if len(found[place]) > 1]
    chances = holm([two_sided(found[place]) for place in known])
    corrected = dict(zip(known, chances, strict=True))
    body = [
        [row.label, " ".join(map(str, seeds_in_common(row, base))) or "-"]
        + [_cell(found[i, j], corrected.get((i, j))) for j in range(len(metrics))]
        for i, row in enumerate(rows)
    ]
    marked = {(i, j + 2) for (i, j), chance in corrected.items() if chance < LEVEL}
    head = ["method", "seeds in common", *("FA from chance" if m == "FA" else m for m in metrics)]
    notes = [
        f"less {against} on the same seeds: mean [95 % interval] p (two-sided paired t-test)",
        f"p corrected for {len(known)} differences (Holm); marked: below {LEVEL}, either way",
    ]
    numbers = (
        f"Each method less {against} on the same seeds: mean, 95 % interval, and p of a two-sided "
        "paired t-test, corrected (Holm)"
    )
    return Table(
        f"{group.title}: less {against}",
        head,
        body,
        marked,
        notes,
        numbers=numbers,
        label=f"{label_of(group.title)} against {against}",
    )


def two_sided(values: Sequence[float]) -> float:
    """The p-value of a mean that is not 0; 1 of one value, or where all are 0."""
    return min(1.0, 2 * min(chance_of(values), chance_of([-value for value in values])))


def seeds_in_common(row: Row, base: Row) -> list[int]:
    """The seeds that both rows have."""
    theirs = {run.seed for run in base.runs}
    return [run.seed for run in row.runs if run.seed in theirs]


def differences(row: Row, base: Row, metric: str) -> list[float]:
    """A row's metric less another's by seed in common; of FA, its distance from chance.

    [] where one is undefined, or an answer was not finite. "seconds" is an unlearning's.
    """
    if not (row.finite and base.finite):
        return []
    ours = {run.seed: value(run, metric) for run in row.runs}
    theirs = {run.seed: value(run, metric) for run in base.runs}
    found = [ours[seed] - theirs[seed] for seed in seeds_in_common(row, base)]
    return found if all(map(math.isfinite, found)) else []


def value(run: SeedRun, metric: str) -> float:
    """A seed's metric; of FA, how far the unlearned tasks are from their own chances."""
    if metric == "seconds":
        seconds = run.time("unlearn_seconds")
        return math.nan if seconds is None else seconds
    if metric != "FA" or not math.isfinite(run.metrics["FA"]):
        return run.metrics[metric]
    gone, chances = forgotten(parse(run.told["requests"])), run.chances
    if chances is None:
        return math.nan
    return statistics.fmean(abs(run.accuracy[-1][task] - chances[task]) for task in gone)


def _cell(values: Sequence[float], chance: float | None) -> str:
    if not values:
        return "-"
    mean, low, high, _ = interval(values)
    if chance is None:
        return f"{mean:+.2f}"
    return f"{mean:+.2f} [{low:+.2f}, {high:+.2f}] p {chance:.3f}"
