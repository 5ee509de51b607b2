"""A compared `Table` as text: for the terminal, as markdown, LaTeX or CSV."""

import csv
import io
import re
from collections.abc import Sequence

from uncle_jax.report.compare import Group, Table, label_of


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


def print_fitted(table: Table, width: int | None = None) -> None:
    """Print it fitted to the terminal's width, or to `width`; the best bold, and with a *.

    Words stay whole where there is room for that.
    """
    from rich.console import Console
    from rich.table import Table as Fitted
    from rich.text import Text

    console = Console(width=width, highlight=False)
    fitted = Fitted(box=None, title=Text(table.title), title_justify="left", pad_edge=False)
    columns = [*zip(*table.body, strict=True)] or [()] * len(table.head)
    body = [
        [text + "*" * ((i, j) in table.marked) for j, text in enumerate(line)]
        for i, line in enumerate(table.body)
    ]
    widths = _widths([*zip(table.head, *body, strict=True)], console.width)
    for j, (name, cells, wide) in enumerate(zip(table.head, columns, widths, strict=True)):
        side = "left" if j < 2 or _prose(cells) else "right"
        fitted.add_column(Text(name), justify=side, overflow="fold", width=wide)
    for i, line in enumerate(body):
        style = ["bold" if (i, j) in table.marked else "" for j in range(len(line))]
        fitted.add_row(*map(Text, line, style))
    console.print(fitted)
    for note in table.notes:
        console.print(Text(f"  {note}", "dim"))


def _widths(columns: Sequence[Sequence[str]], width: int) -> list[int]:
    """Of columns two apart in a terminal of so many letters: words whole first, then cells."""
    whole = [max(map(len, column)) for column in columns]
    longest = [max(len(w) for text in column for w in text.split() or [""]) for column in columns]
    room = max(width - 2 * (len(columns) - 1), len(columns))
    sizes = range(max(longest), 1, -1)
    least = next((n for n in sizes if sum(min(n, word) for word in longest) <= room), 1)
    found = [max(min(least, word), 1) for word in longest]
    while sum(found) < min(room, sum(whole)):  # to the column that is wrapped most
        at = max(range(len(found)), key=lambda j: whole[j] / found[j])
        found[at] += 1
    return found


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
    r"""A table environment of booktabs: the best in \textbf, the second best underlined."""
    body = [[_marked(table, i, j) for j in range(len(line))] for i, line in enumerate(table.body)]
    head = [escaped(name) for name in table.head]
    lines = ["    " + " & ".join(line) + r" \\" for line in [head, *body]]
    legend = ["best in bold, second best underlined"] if table.second else []
    notes = [escaped(note) for note in [*legend, *table.notes]]
    return "\n".join(
        [
            r"% \usepackage{booktabs}",
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{escaped(table.title)}. {escaped(table.numbers)}.}}",
            rf"  \label{{tab:{_slug(table.label or label_of(table.title))}}}",
            rf"  \begin{{tabular}}{{ll{'r' * (len(head) - 2)}}}",
            r"    \toprule",
            lines[0],
            r"    \midrule",
            *lines[1:],
            r"    \bottomrule",
            r"  \end{tabular}",
            *(rf"  \par{{\footnotesize {note}}}" for note in notes),
            r"\end{table}",
            "",
        ]
    )


def _marked(table: Table, i: int, j: int) -> str:
    text = escaped(table.body[i][j])
    if (i, j) in table.marked:
        return rf"\textbf{{{text}}}"
    return rf"\underline{{{text}}}" if (i, j) in table.second else text


def _slug(title: str) -> str:
    return re.sub("[^a-z0-9]+", "-", title.lower()).strip("-")


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
