"""A study's runs as a table, the paper's numbers beside them. No jax, and nothing is written."""

from collections.abc import Iterable, Mapping, Sequence

from uncle_jax.report.compare import Row, Table, number
from uncle_jax.runs.spec import RunSpec
from uncle_jax.studies.catalogue import Line, Study, papers
from uncle_jax.studies.claims import bottomless
from uncle_jax.studies.finished import Finished

Found = Sequence[tuple[Line, RunSpec, Row | None]]


def found(
    lines: Iterable[tuple[Line, RunSpec]], finished: Finished, only_its_seeds: bool = True
) -> Found:
    """Each line's finished seeds, of those it has or of all that there are; None: no seed yet."""
    return [(line, spec, finished.row(spec, only_its_seeds)) for line, spec in lines]


def table_of(asked: Study, lines: Found, preset: str) -> Table:
    """A line a row: its metrics over seeds, each with what the paper prints of it."""
    printed = [papers(asked, line, spec.dataset) for line, spec, _ in lines]
    columns: list[tuple[str, list[str]]] = [
        ("data set", [spec.dataset for _, spec, _ in lines]),
        ("line", [_named(line, spec, row) for line, spec, row in lines]),
    ]
    for metric in asked.metrics:
        columns.append((metric, [_ours(row, metric) for *_, row in lines]))
        theirs = [_theirs(told, metric) for told in printed]
        if set(theirs) != {"-"}:
            columns.append((f"{metric} (paper)", theirs))
    columns.append(("seeds", [row.seeds if row else "-" for *_, row in lines]))
    head = [name for name, _ in columns]
    body = [list(cells) for cells in zip(*(cells for _, cells in columns), strict=True)]
    title = f"{asked.name}, preset {preset}, sequence {asked.seq}: {asked.question}"
    return Table(title, head, body, set(), _notes(asked, lines, preset))


def _notes(asked: Study, lines: Found, preset: str) -> list[str]:
    notes = [f"the paper's {' and '.join(asked.tables)}"]
    if preset != "paper":
        notes.append(
            "(paper): its ResNet-50 (Permuted-MNIST: 18) and its epochs; compare orderings"
        )
    if any(spec.dataset == "permuted-digits" for _, spec, _ in lines):
        notes.append("(paper) beside permuted-digits: Permuted-MNIST's")
    if tuned := sum(row is not None and row.source == "tuned" for *_, row in lines):
        which = "all" if tuned == len(lines) else f"{tuned} of {len(lines)}"
        notes.append(f"settings: {which} lines as trials chose them (tuned), else the authors'")
    if asked.name in ("beta", "gamma"):
        notes.append("the paper does not say which requests its numbers are of")
    missing = sum(row is None for *_, row in lines)
    if missing:
        notes.append(f"{missing} of {len(lines)} lines are not run")
    return notes


def _named(line: Line, spec: RunSpec, row: Row | None) -> str:
    """A line's name, with whose settings it has where that is not what was asked for."""
    return line.name if row is None or row.source == spec.source else f"{line.name} ({row.source}')"


def _ours(row: Row | None, metric: str) -> str:
    if row is None:
        return "-"
    if metric == "seconds":
        return number(row.time("unlearn_seconds"))
    if bottomless(row, metric):
        return "-inf"
    return number(*row.mean_std(metric))


def _theirs(told: Mapping[str, float | None], metric: str) -> str:
    if metric not in told:
        return "-"
    value = told[metric]
    return f"{value:.2f}" if value is not None else "-inf" if metric == "UNI" else "-"
