"""audit.json of finished audits as one table: what comes back, beside what never was there.

No jax, and nothing is written. Over the seeds of a work directory; a task and a seed are one case.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from uncle_jax.evaluation.metrics import erosion_worst
from uncle_jax.report.compare import Row, Table, groups
from uncle_jax.report.results import SeedRun, read_json
from uncle_jax.requests import parse

Found = Mapping[str, Any]  # one of audit.json's `found`


class Audited(NamedTuple):
    """The audited seeds of a work directory's row."""

    place: str  # its group's data and requests: rows of one place can be compared
    row: Row
    audits: Mapping[int, Mapping[str, Any]]  # by seed: audit.json

    def found(self, attack: str, role: str, state: str = "run") -> list[tuple[int, Found]]:
        """(seed, finding) of an attack on tasks of a role in a state."""
        return [
            (seed, found)
            for seed, audit in sorted(self.audits.items())
            for found in audit["found"]
            if (found["piece"]["attack"], found["piece"]["role"]) == (attack, role)
            and found["piece"]["state"] == state
        ]


def audited(runs: Iterable[SeedRun]) -> list[Audited]:
    """The rows of finished runs, of one group or more, that have audits. Raises UncleError."""
    result = []
    for group in groups(runs):
        place = group.title
        for row in group.rows:
            told = {run.seed: read_json(run.folder / "audit.json") for run in row.runs}
            there = {seed: audit for seed, audit in told.items() if audit is not None}
            if there:
                result.append(Audited(place, row, there))
    return result


def never_found(one: Audited) -> list[tuple[int, Found]]:
    """The embedding searches of never-learned tasks, in the run's state or the reference's.

    Where every task was learned: of the unlearned ones, where they never were.
    """
    found = [
        *one.found("embedding search", "never"),
        *one.found("embedding search", "never", "never"),
    ]
    return found or one.found("embedding search", "unlearned", "never")


def searches(
    one: Audited, role: str, wanted: Callable[[Found], bool] | None = None
) -> list[tuple[int, Found]]:
    """(seed, finding) of the embedding searches of tasks of `role`, those that are `wanted`."""
    given = never_found(one) if role == "never" else one.found("embedding search", role)
    return [(seed, found) for seed, found in given if wanted is None or wanted(found)]


def level(one: Audited, seed: int, without: int | None = None) -> float | None:
    """The best that a start reaches on any never-learned task of a seed, but for task `without`."""
    best = [
        max(found["accuracy"])
        for s, found in never_found(one)
        if s == seed and found["piece"]["task"] != without
    ]
    return max(best, default=None)


class Search(NamedTuple):
    """Embedding searches of one kind of task, over tasks and seeds."""

    cases: int
    back: int  # of them: those that any start brings above the reference's level
    share: float | None  # of starts above that level
    best: float  # the mean over cases of the best start, per cent
    most: float  # the best start of all


def searched(one: Audited, role: str, wanted: Callable[[Found], bool] | None = None) -> Search:
    """What the searches of tasks of `role` came to; a never-learned one's level is the others'."""
    cases = searches(one, role, wanted)
    above, starts, back = 0, 0, 0
    for seed, found in cases:
        limit = level(one, seed, found["piece"]["task"] if role == "never" else None)
        if limit is not None:
            count = sum(value > limit for value in found["accuracy"])
            above, starts, back = above + count, starts + len(found["accuracy"]), back + (count > 0)
    best = [max(found["accuracy"]) for _, found in cases]
    share = above / starts if starts else None
    return Search(len(cases), back, share, statistics.fmean(best), max(best))


def relearned(
    one: Audited, role: str, state: str = "run", epochs: float = 1.0
) -> dict[tuple[int, int], float]:
    """{(seed, task): accuracy after so many epochs of relearning}, the mean over repeats."""
    result = {}
    for seed, found in one.found("relearning", role, state):
        at = one.audits[seed]["settings"]["relearning"]["epochs"].index(epochs)
        values = [repeat[at] for repeat in found["accuracy"]]
        result[seed, found["piece"]["task"]] = statistics.fmean(values)
    return result


def advantage(one: Audited, state: str, places: Callable[[int], bool]) -> tuple[str, int]:
    """(mean ± std over seeds of the head start against a reference's `state`, cases).

    Points after one epoch, of unlearned tasks whose place in the order of learning is wanted.
    """
    place = places_of(one)
    here, there = relearned(one, "unlearned"), relearned(one, "unlearned", state)
    cases = [case for case in here if case in there and places(place[case])]
    gains = {case: here[case] - there[case] for case in cases}
    return spread(per_seed(gains), signed=True), len(gains)


def places_of(one: Audited) -> dict[tuple[int, int], int]:
    """{(seed, task): place in the order of learning} of the unlearned tasks that were relearned."""
    return {
        (seed, found["piece"]["task"]): found["place"]
        for seed, found in one.found("relearning", "unlearned")
    }


def spread(values: Sequence[float], signed: bool = False, digits: int = 1) -> str:
    """Mean ± sample standard deviation of values, one a seed; - for none, or one not defined."""
    if not values or not all(map(math.isfinite, values)):
        return "-"
    mean = f"{statistics.fmean(values):{'+' if signed else ''}.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.{digits}f}"


def per_seed(values: Mapping[tuple[int, int], float]) -> list[float]:
    """The mean over the tasks of each seed."""
    seeds: dict[int, list[float]] = {}
    for (seed, _), value in values.items():
        seeds.setdefault(seed, []).append(value)
    return [statistics.fmean(of) for _, of in sorted(seeds.items())]


ROLES = (
    ("unlearned, learned first", "unlearned", lambda found: found["place"] == 0),
    ("unlearned, learned later", "unlearned", lambda found: found["place"] != 0),
    ("retained, withheld (power)", "retained", None),
    ("never learned (reference)", "never", None),
)


def search_gain(one: Audited, wanted: Callable[[Found], bool]) -> str:
    """What the best start on an unlearned task has over that in the state that never learned it.

    Mean ± std over seeds, in points; - where that was not searched.
    """
    here, there = (
        {(seed, found["piece"]["task"]): max(found["accuracy"]) for seed, found in cases}
        for cases in (
            searches(one, "unlearned", wanted),
            one.found("embedding search", "unlearned", "never"),
        )
    )
    gains = {case: here[case] - there[case] for case in here if case in there}
    return spread(per_seed(gains), signed=True)


def search_table(rows: Sequence[Audited]) -> Table:
    """Embedding search: how many tasks come back, and how far."""
    head = ["method", "tasks", "found", "starts above", "best, mean", "best of all"]
    paired = any(one.found("embedding search", "unlearned", "never") for one in rows)
    body = []
    for one in rows:
        for name, role, wanted in ROLES:
            if not searches(one, role, wanted):
                continue
            told = searched(one, role, wanted)
            share = "-" if told.share is None else f"{100 * told.share:.0f} %"
            found = "-" if told.share is None else f"{told.back} of {told.cases}"
            line = [one.row.label, name, found, share, f"{told.best:.1f}", f"{told.most:.1f}"]
            gain = search_gain(one, wanted) if role == "unlearned" and wanted else "-"
            body.append([*line, gain] if paired else line)
    notes = [
        "test accuracy (%) of the best start; found: any start above the best of all starts on "
        "never-learned tasks of the same seed (of a never-learned task: on the others)",
    ]
    if paired:
        head.append("minus never")
        notes.append(
            "minus never: the best start less the best on the same task where it was never learned"
        )
    return Table("embedding search", head, body, set(), notes)


def relearning_table(rows: Sequence[Audited]) -> Table:
    """Relearning: accuracy after an epoch, and the head start against the references."""
    head = ["method", "tasks", "after 1 epoch", "swapped", "never", "minus swapped", "minus never"]
    body = []
    for one in rows:
        for name, places in (
            ("unlearned, learned first", lambda place: place == 0),
            ("unlearned, learned later", lambda place: place != 0),
        ):
            where = {case for case, place in places_of(one).items() if places(place)}
            if not where:
                continue
            cells = []
            for state in ("run", "swapped", "never"):
                known = relearned(one, "unlearned", state)
                cells.append(spread(per_seed({c: v for c, v in known.items() if c in where})))
            cells += [advantage(one, state, places)[0] for state in ("swapped", "never")]
            body.append([one.row.label, name, *cells])
        for name, role in (
            ("retained, withheld (power)", "retained"),
            ("never learned: a new task", "never"),
        ):
            if known := relearned(one, role):
                cells = [spread(per_seed(known)), *["-"] * 4]
                body.append([one.row.label, name, *cells])
    notes = [
        "test accuracy (%) after one epoch of learning the task (again), mean over tasks, ± over "
        "seeds; swapped: the same requests had another task in its place; never: none",
    ]
    return Table("relearning", head, body, set(), notes)


def worst_loss(run: SeedRun) -> float | None:
    """What the retained task that lost most lost since it was learned, in points; None: no task."""
    worst = erosion_worst(parse(run.told["requests"]), run.accuracy)
    return None if math.isnan(worst) else worst


def price_table(rows: Sequence[Audited]) -> Table:
    """What the runs are worth otherwise, so that a remedy is read beside its price."""
    metrics = ("RA", "FA", "spill", "relapse")
    head = ["method", "seeds", *metrics, "worst loss", "new task", "s/unlearning"]
    body = []
    for one in rows:
        runs = [run for run in one.row.runs if run.seed in one.audits]
        cells = [spread([run.metrics[name] for run in runs], digits=2) for name in metrics]
        lost = [loss for run in runs if (loss := worst_loss(run)) is not None]
        seconds = replace(one.row, runs=tuple(runs)).time("unlearn_seconds")
        body.append(
            [
                one.row.label,
                " ".join(str(run.seed) for run in runs),
                *cells,
                spread(lost, digits=2),
                spread(per_seed(relearned(one, "never"))),
                "-" if seconds is None else f"{seconds:.1f}",
            ]
        )
    notes = [
        "worst loss: of the retained task that lost most since it was learned (points); new task: "
        "a never-learned one after one epoch (%)",
    ]
    return Table("what it costs", head, body, set(), notes)


def _tenth(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def headline(found: Found) -> str:
    """What a finding came to, in few numbers."""
    attack = found["piece"]["attack"]
    if attack == "relearning":
        columns = zip(*found["accuracy"], strict=True)
        return ", ".join(f"{statistics.fmean(column):.1f}" for column in columns)
    if attack == "classes":
        few = ", ".join(" ".join(map(_tenth, row)) for row in found["few"][0])
        probes = " ".join(map(_tenth, found["probe"]))
        return f"{few}; linear probe {probes}"
    if attack == "representation":
        return ", ".join(
            f"{layer} {'-' if value is None else f'{value:.1f}'}"
            for layer, value in zip(found["layers"], found["probe"], strict=True)
        )
    if attack == "weights":
        share, most = found["share"], max(found["accuracy"])
        return f"{100 * share:.1f} % of the way to kept; {most:.1f} at best on the line from never"
    if attack == "margins":
        means = [statistics.fmean(found[split]) for split in ("members", "others")]
        return "mean of members {:+.2f}, of others {:+.2f}".format(*means)
    if attack == "rounding":
        return ", ".join("-" if value is None else f"{value:.1f}" for value in found["accuracy"])
    return " ".join(f"{value:.0f}" for value in sorted(found["accuracy"], reverse=True))
