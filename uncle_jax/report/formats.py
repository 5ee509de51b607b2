"""A compared `Table` as text: for the terminal, as markdown, LaTeX or CSV."""

import csv
import io
import re
from collections.abc import Sequence

from uncle_jax.report.compare import Group, Table


def as_terminal(table: Table) -> str:
    """Aligned columns, the best followed by *."""
    starred = {column for _, column in table.marked}
    body = [
        [
            cell + ("*" if (i, j) in table.marked else " " if j in starred else "")
            for j, cell in enumerate(line)
        ]
        for i, line in enumerate(table.body)
    ]
    head = [name + (" " if j in starred else "") for j, name in enumerate(table.head)]
    widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if j < 2 else cell.rjust(width)
            for j, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in [head, *body]
    ]
    return "\n".join([table.title, *lines, *(f"  {note}" for note in table.notes), ""])


def as_markdown(table: Table) -> str:
    """A pipe table under a heading, the best in bold."""

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"

    body = [
        line([f"**{cell}**" if (i, j) in table.marked else cell for j, cell in enumerate(cells)])
        for i, cells in enumerate(table.body)
    ]
    columns = [*zip(*table.body, strict=True)] or [()] * len(table.head)
    rule = line(["---" if j < 2 or _prose(cells) else "---:" for j, cells in enumerate(columns)])
    notes = [f"- {note}" for note in table.notes]
    return "\n".join([f"### {table.title}", "", line(table.head), rule, *body, "", *notes, ""])


def _prose(cells: Sequence[str]) -> bool:
    """Whether a column's cells are words, not figures."""
    return any(len(re.findall("[A-Za-z]{3,}", cell)) > 1 for cell in cells)


def as_latex(table: Table) -> str:
    r"""A tabular that needs no package, the best in \textbf."""
    body = [
        [
            rf"\textbf{{{escaped(cell)}}}" if (i, j) in table.marked else escaped(cell)
            for j, cell in enumerate(line)
        ]
        for i, line in enumerate(table.body)
    ]
    head = [escaped(name) for name in table.head]
    lines = [" & ".join(line) + r" \\" for line in [head, *body]]
    return "\n".join(
        [
            rf"\noindent {escaped(table.title)}\par",
            rf"\begin{{tabular}}{{ll{'r' * (len(head) - 2)}}}",
            r"\hline",
            lines[0],
            r"\hline",
            *lines[1:],
            r"\hline",
            r"\end{tabular}\par",
            *(rf"{{\footnotesize {escaped(note)}\par}}" for note in table.notes),
            "",
        ]
    )


def escaped(text: str) -> str:
    """`text` as LaTeX prints it."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {"±": r"$\pm$", "-": "--" if text == "-" else "-"}
    return re.sub(r"[\\~^±#$%&_{}-]", lambda m: special.get(m[0], "\\" + m[0]), text)


def as_csv(groups: Sequence[Group], metrics: Sequence[str], paper_anyway: bool) -> str:
    """One line a row and one number a column; empty: undefined, or not printed by the paper."""
    paper_names = ("RA", "RA_std", "FA", "FA_std", "spill", "relapse", "seconds")
    numbers = [name for metric in metrics for name in (metric, f"{metric}_std")]
    chances = ["chance_RA", "chance_FA"]
    times = ["unlearn_seconds", "minutes_per_seed"]
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    words = ["dataset", "preset", "requests", "remarks", "method", "settings", "changes", "reads"]
    rows.writerow(
        [*words, *numbers, *times, *chances, "seeds", *(f"paper_{name}" for name in paper_names)]
    )
    for group in groups:
        for row in group.rows:
            changed = " ".join(f"{key}={value}" for key, value in row.changes.items())
            told = [group.dataset, group.preset, group.requests, "; ".join(group.remarks)]
            told += [row.method, row.source, changed, row.reads]
            minutes = row.time("wall_seconds")
            values = [value for metric in metrics for value in row.mean_std(metric)]
            values += [row.time("unlearn_seconds"), minutes and minutes / 60]
            values += [group.chance("RA"), group.chance("FA")]
            paper = row.paper if row.same or paper_anyway else None
            theirs = [getattr(paper, name, None) for name in paper_names]
            told += ["" if value is None else f"{value:.4f}" for value in values]
            rows.writerow([*told, row.seeds, *("" if v is None else v for v in theirs)])
    return text.getvalue()
