"""What the page of `uncle report` says, as data; report/html/page.py says it in HTML. No jax."""

import html
import math
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from uncle_jax.errors import UncleError
from uncle_jax.report.audit import audited
from uncle_jax.report.compare import SHOWN, Group, Row, Table, groups, table_of
from uncle_jax.report.figures import methods, over_time, remaining
from uncle_jax.report.html.svg import drawn
from uncle_jax.report.origin import command_of
from uncle_jax.report.paired import paired
from uncle_jax.report.paper import MAIN, theirs
from uncle_jax.report.results import SeedRun
from uncle_jax.report.verdicts import tables
from uncle_jax.requests import TABLE_4, forgotten, parse, retained

MORE = ("erosion", "UNI", "MIA_confidence", "relearn", "MB_kept", "MB_read", "BWT", "FWT")
"""Shown beside `SHOWN` where some run has them."""


class Cell(NamedTuple):
    """A cell of a table."""

    text: str
    title: str = ""  # what it says when pointed at
    anchor: str = ""  # where on the page it leads
    best: bool = False


class Grid(NamedTuple):
    """A table of the page."""

    title: str
    head: Sequence[str]
    body: Sequence[Sequence[Cell]]
    notes: Sequence[str]


class Figure(NamedTuple):
    """A picture of the page."""

    title: str
    svg: str


class Origin(NamedTuple):
    """Where a row comes from."""

    name: str
    anchor: str
    command: str
    facts: Sequence[tuple[str, str]]


class Stream(NamedTuple):
    """A row request by request."""

    name: str
    tasks: Sequence[int]
    lines: Sequence[tuple[str, Sequence[tuple[str, str]]]]  # request; each task's (text, state)


class Part(NamedTuple):
    """A group of rows that can be compared."""

    title: str
    anchor: str
    question: str
    results: Grid
    differences: Grid | None
    figures: Sequence[Figure]
    audits: Sequence[Grid]
    streams: Sequence[Stream]
    amiss: Sequence[str]  # what does not match, and what was not run
    origins: Sequence[Origin]


def content(runs: Sequence[SeedRun]) -> list[Part]:
    """A part for each group of finished runs. Raises UncleError."""
    return [_part(group, f"g{i}") for i, group in enumerate(groups(runs))]


def _part(group: Group, name: str) -> Part:
    anchors = {row.label: f"{name}-r{i}" for i, row in enumerate(group.rows)}
    runs = [run for row in group.rows for run in row.runs]
    return Part(
        group.title,
        name,
        _question(group),
        _results(group, anchors),
        _differences(group),
        _figures(group, name),
        [_grid(table) for table in tables(audited(runs))],
        [_stream(row) for row in group.rows],
        _amiss(group),
        [_origin(row, anchors[row.label]) for row in group.rows],
    )


def _question(group: Group) -> str:
    requests = parse(group.requests)
    learned, gone = {one.task for one in requests}, forgotten(requests)
    names = "one method" if len(group.rows) == 1 else f"{len(group.rows)} methods"
    seeds = {run.seed for row in group.rows for run in row.runs}
    return (
        f"{len(learned)} tasks are learned and {len(gone)} of them unlearned again, in "
        f"{len(requests)} requests: what is kept, what is left, and what comes back, under {names} "
        f"and {len(seeds)} seed{'s' if len(seeds) > 1 else ''}?"
    )


def _results(group: Group, anchors: dict[str, str]) -> Grid:
    """The table of methods: cells tell each seed's value, names lead to where rows come from."""
    runs = [run for row in group.rows for run in row.runs]
    more = [name for name in MORE if any(math.isfinite(run.metrics[name]) for run in runs)]
    table = table_of(group, (*SHOWN, *more), paper_anyway=True)
    body = []
    for i, (row, cells) in enumerate(zip(group.rows, table.body, strict=True)):
        line = [Cell(cells[0], f"where {cells[0]} comes from", anchors[row.label])]
        for j, (column, text) in enumerate(zip(table.head[1:], cells[1:], strict=True), start=1):
            line.append(Cell(text, _by_seed(row, column), best=(i, j) in table.marked))
        body.append(line)
    return Grid("Methods", table.head, body, table.notes)


def _by_seed(row: Row, column: str) -> str:
    if column not in row.runs[0].metrics:
        return ""
    return "; ".join(f"seed {run.seed}: {run.metrics[column]:.2f}" for run in row.runs)


def _differences(group: Group) -> Grid | None:
    """Every row less UnCLe's; None where there is no such row, or one seed alone."""
    against = next((row for row in group.rows if row.method == "uncle"), None)
    if against is None or len(against.runs) < 2:
        return None
    table = paired(group, SHOWN, against.label)
    if table is None or not table.body:
        return None
    return _grid(table)._replace(title=f"Each less {against.label}, seed by seed")


def _grid(table: Table) -> Grid:
    body = [
        [Cell(text, best=(i, j) in table.marked) for j, text in enumerate(line)]
        for i, line in enumerate(table.body)
    ]
    return Grid(table.title, table.head, body, table.notes)


def _figures(group: Group, name: str) -> list[Figure]:
    """The pictures that can be drawn of the group."""
    wanted: list[tuple[str, str, Callable[..., None]]] = [
        ("tasks", "Every task's accuracy, request by request", methods.plot_tasks),
        ("remaining", "What the tasks that remain are worth at the end", remaining.plot_remaining),
        ("erosion", "How far learned tasks have fallen since", over_time.plot_erosion),
        ("magnitude", "The size of the hypernetwork's parameters", over_time.plot_magnitude),
    ]
    made = []
    for short, title, plot in wanted:
        words = html.escape(f"{title}: {group.dataset}, {', '.join(r.label for r in group.rows)}")
        try:
            svg = drawn(partial(plot, group=group), f"{name}-{short}", words)
        except UncleError:
            continue  # nothing of the kind was measured, or no task remains
        made.append(Figure(title, svg))
    return made


def _stream(row: Row) -> Stream:
    """Means over seeds: each task after each request."""
    requests = parse(row.runs[0].told["requests"])
    tasks = sorted({one.task for one in requests})
    lines = []
    for i, request in enumerate(requests):
        kept, seen = retained(requests[: i + 1]), forgotten(requests[: i + 1])
        cells = []
        for task in tasks:
            if task not in row.runs[0].accuracy[i]:
                cells.append(("", "unseen"))
                continue
            mean = statistics.fmean(run.accuracy[i][task] for run in row.runs)
            state = "kept" if task in kept else "gone" if task in seen else "unseen"
            cells.append((f"{mean:.1f}" if math.isfinite(mean) else "not finite", state))
        lines.append((str(request), cells))
    return Stream(row.label, tasks, lines)


def _amiss(group: Group) -> list[str]:
    """What is not the paper's setting, what is broken, and what was not run."""
    told = []
    if others := [row.label for row in group.rows if row.paper is not None and not row.same]:
        told.append(
            f"not in the paper's setting, so its numbers are another network's: {', '.join(others)}"
        )
    if bad := [row.label for row in group.rows if not row.finite]:
        told.append(f"answers that are not finite: {', '.join(bad)}")
    if bad := [row.label for row in group.rows if row.finite and row.broken]:
        told.append(f"broken, RA near chance: {', '.join(bad)}")
    every = {run.seed for row in group.rows for run in row.runs}
    for row in group.rows:
        if missing := sorted(every - {run.seed for run in row.runs}):
            told.append(f"{row.label}: seeds {' '.join(map(str, missing))} were not run")
    sequences = TABLE_4.get(group.dataset, ())
    if group.requests in sequences:
        printed = MAIN.get((theirs(group.dataset), sequences.index(group.requests) + 1), {})
        if absent := [name for name in printed if name not in {row.method for row in group.rows}]:
            told.append(f"of the paper's table not run: {', '.join(absent)}")
    attacked = [any((run.folder / "audit.json").exists() for run in row.runs) for row in group.rows]
    if not any(attacked):
        told.append("nothing was attacked (uncle audit), so nothing is known of what comes back")
    elif not all(attacked):
        spared = [row.label for row, one in zip(group.rows, attacked, strict=True) if not one]
        told.append(f"not attacked (uncle audit): {', '.join(spared)}")
    return told


def _origin(row: Row, anchor: str) -> Origin:
    told = row.runs[0].told
    device, versions = told.get("device") or {}, told.get("versions") or {}
    minutes = [run.times["wall_seconds"] / 60 for run in row.runs if run.times["wall_seconds"]]
    facts = [
        ("seeds", row.seeds),
        ("settings", f"{row.source}'s" if row.source == "authors" else row.source),
        ("changed", ", ".join(f"{k}={v}" for k, v in row.changes.items()) or "nothing"),
        ("reads when unlearning", row.reads),
        ("device", f"{device.get('kind', '?')}, {device.get('cpus', '?')} cores"),
        ("processor", str(told.get("processor") or "not said")),
        ("versions", ", ".join(f"{k} {v}" for k, v in versions.items()) or "not said"),
        ("commit", ", ".join(sorted({str(run.told.get("commit", "?")) for run in row.runs}))),
        ("started", min(str(run.told.get("started", "?")) for run in row.runs)),
        ("minutes a seed", f"{statistics.fmean(minutes):.1f}" if minutes else "not said"),
        ("folders", ", ".join(str(run.folder) for run in row.runs)),
        ("data", "; ".join(row.runs[0].remarks) or "the publisher's"),
    ]
    return Origin(row.label, anchor, command_of(told, [run.seed for run in row.runs]), facts)
