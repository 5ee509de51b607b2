"""Verdicts of finished audits as tables: what each attack found, beside its reference and power.

No jax, and nothing is written.
"""

import math
from collections.abc import Sequence

from uncle_jax.evaluation.audit.verdict import LEAK, Interval, holm
from uncle_jax.report.audit import Audited, price_table, relearning_table, search_table
from uncle_jax.report.compare import Table
from uncle_jax.report.measures import Measured, forgetting_scores, measured


def bounds(told: Interval, digits: int = 1) -> str:
    """+1.2 [0.3, 2.1]; of one seed the mean alone."""
    if not math.isfinite(told.mean):
        return "-"
    value = f"{told.mean:+.{digits}f}"
    if not math.isfinite(told.low):
        return value
    return f"{value} [{told.low:.{digits}f}, {told.high:.{digits}f}]"


def verdict_table(one: Audited) -> Table:
    """Every attack on a row: its numbers, its power and what may be said."""
    head = ["attack", "unlearned", "reference", "kept", "gap", "power", "verdict"]
    body = []
    rows = measured(one)
    for row in rows:
        cells = [_one(v) for v in (row.unlearned, row.reference, row.kept)]
        body.append([row.name, *cells, bounds(row.gap), bounds(row.power), row.verdict])
    seeds = " ".join(map(str, sorted(one.audits)))
    notes = [
        f"means over seeds {seeds} and the unlearned tasks that were attacked; gap: unlearned less "
        "reference; power: kept less reference; 95 % intervals over seeds",
        "leak: the gap's interval is above 0; within the reference: it is not, and ends below the "
        "power's; reference: the control, with another task in its place, or else never",
    ]
    if told := forgetting_scores(one):
        notes.append(told)
    if rows:
        notes.append(together(rows))
    return Table(f"verdicts: {one.row.label}", head, body, set(), notes)


def together(rows: Sequence[Measured]) -> str:
    """What all attacks say together, corrected for their number."""
    found, of = leaks(rows)
    told = f"{LEAK} by {', '.join(found)}" if found else "no leak shown"
    return f"corrected for {of} attacks (Holm, 5 %): {told}"


def leaks(rows: Sequence[Measured]) -> tuple[list[str], int]:
    """(attacks that show a leak when corrected for their number, Holm, 5 %; how many there are).

    Those that can say nothing, for want of models, are not among them, nor what an unlearning of
    whatever task would show.
    """
    able = [row for row in rows if not row.few and not row.any_task]
    corrected = holm([row.p for row in able])
    return [row.name for row, p in zip(able, corrected, strict=True) if p < 0.05], len(able)


def verdicts_table(rows: Sequence[Audited]) -> Table:
    """Attacks by methods: verdict, the gap's interval and the power's."""
    found = {one.row.label: {row.name: row for row in measured(one)} for one in rows}
    names = list(dict.fromkeys(name for of in found.values() for name in of))
    body = []
    for name in names:
        cells = [_cell(of.get(name)) for of in found.values()]
        body.append([name, *cells])
    if names:
        cells = [_all(list(of.values())) for of in found.values()]
        body.append(["all, corrected (Holm)", *cells])
    notes = [
        "gap [95 % interval over seeds]; power, likewise; verdict. Gap: the unlearned task's "
        "number less the control's, with another task in its place, or else less that where it "
        "never was; power: where it still is, less the same",
        "seeds: "
        + "; ".join(f"{one.row.label}: {' '.join(map(str, sorted(one.audits)))}" for one in rows),
    ]
    return Table("verdicts", ["attack", *found], body, set(), notes)


def _cell(row: Measured | None) -> str:
    if row is None:
        return "-"
    return f"{bounds(row.gap)}; {bounds(row.power)}; {row.verdict}"


def _all(rows: Sequence[Measured]) -> str:
    found, of = leaks(rows)
    if not of:
        return "-"
    return f"{LEAK} by {len(found)} of {of}" if found else f"no leak shown by {of}"


def _one(value: float) -> str:
    return f"{value:.1f}" if math.isfinite(value) else "-"


def tables(rows: Sequence[Audited]) -> list[Table]:
    """For each place: verdicts, a table of each attack on its own, and one of what runs are worth.

    Of a single row a line an attack, of several a column each.
    """
    result = []
    for place in dict.fromkeys(one.place for one in rows):
        here = [one for one in rows if one.place == place]
        verdicts = verdict_table(here[0]) if len(here) == 1 else verdicts_table(here)
        for table in (verdicts, search_table(here), relearning_table(here), price_table(here)):
            if table.body:
                result.append(table._replace(title=f"{table.title}: {place}"))
    return result
