"""Compare methods: a table of finished runs, a row for each method over its seeds.

uncle table runs/*                                     in the terminal, * marks the best
uncle table runs/* --format markdown --output TABLE.md
uncle table runs/* --format csv --all                  for other programs
uncle table runs/* --against uncle                     differences by seed, tested and corrected
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from uncle_jax.cli.arguments import Parser, completing, exit_code, parsed
from uncle_jax.errors import UncleError, allowed
from uncle_jax.evaluation.metrics import METRICS, OF_MEASURED
from uncle_jax.files import require_writable, write_whole
from uncle_jax.report.compare import SHOWN, Table, groups, table_of
from uncle_jax.report.formats import as_csv, as_latex, as_markdown, as_terminal, print_fitted
from uncle_jax.report.paired import paired
from uncle_jax.report.results import OF_AUDIT, SeedRun, read_run

EVERY = (*METRICS, *OF_MEASURED, *OF_AUDIT)
FORMATS = ("terminal", "markdown", "latex", "csv")


def parser() -> Parser:
    """The options of `uncle table`."""
    p = Parser(prog="uncle table", description=__doc__)
    p.add_argument(
        "workdirs", type=Path, nargs="+", metavar="WORKDIR", help="uncle run's --workdir"
    )
    form = p.add_argument("--format", default="terminal", help=", ".join(FORMATS))
    completing(form, FORMATS)
    p.add_argument("--output", type=Path, metavar="FILE", help="write there, not to the terminal")
    p.add_argument("--all", action="store_true", help="every metric")
    p.add_argument(
        "--columns",
        metavar="NAME,...",
        help=f"these metrics: {', '.join(EVERY)}",
    )
    p.add_argument(
        "--against",
        metavar="ROW",
        help="then every row less this one, seed by seed, and which differences are told from 0",
    )
    p.add_argument(
        "--paper",
        action="store_true",
        help="the paper's numbers even beside runs of other settings",
    )
    return p


def main(argv: list[str] | None = None) -> int:
    """`uncle table`: the exit code."""
    args = parsed(parser(), argv)
    return exit_code(lambda: show(args), "nothing is written", argv is None)


def show(args: argparse.Namespace) -> int:
    """Print the table, or write it."""
    if args.output is not None:
        require_writable(args.output, "--output")
    if args.format not in FORMATS:
        raise allowed("--format", args.format, FORMATS)
    runs = finished_runs(args.workdirs)
    if not runs:
        raise UncleError("no run is finished yet")
    if args.format == "csv":
        if args.against:
            raise UncleError("--against has no csv; choose terminal, markdown or latex")
        written(as_csv(groups(runs), columns(args), args.paper), args.output)
    else:
        shown(compared(args, runs), args.format, args.output)
    return 0


def finished_runs(workdirs: Iterable[Path]) -> list[SeedRun]:
    """The finished seeds of `workdirs`; tells stderr what is not finished. Raises UncleError."""
    runs: list[SeedRun] = []
    for folder in workdirs:
        finished, skipped = read_run(folder)
        runs += finished
        for line in skipped:
            print(f"skipped: {line}", file=sys.stderr)
    return runs


def written(text: str, output: Path | None) -> None:
    """Print `text`, or write it to the file `output`. Raises UncleError."""
    if output is None:
        print(text, end="", flush=True)
        return
    write_whole(output, text)


def shown(tables: Sequence[Table], form: str, output: Path | None = None) -> None:
    """Print tables in one of `FORMATS` but csv, a terminal's fitted to it; or write them."""
    if output is None and form == "terminal" and sys.stdout.isatty():
        for table in tables:
            print_fitted(table)
        return
    render = {"terminal": as_terminal, "markdown": as_markdown, "latex": as_latex}[form]
    written("\n".join(render(table) for table in tables), output)


def columns(args: argparse.Namespace) -> tuple[str, ...]:
    """The metrics that the arguments ask for. Raises UncleError."""
    if args.columns is None:
        return EVERY if args.all else SHOWN
    names = tuple(name.strip() for name in args.columns.split(",") if name.strip())
    for name in names:
        if name not in EVERY:
            raise allowed("metric in --columns:", name, EVERY)
    if not names or len(set(names)) < len(names):
        raise UncleError(f"--columns must name metrics, each once, not {args.columns!r}")
    return names


def compared(args: argparse.Namespace, runs: Sequence[SeedRun]) -> list[Table]:
    """The tables that the arguments ask for. Raises UncleError."""
    metrics, made, found = columns(args), [], groups(runs)
    for group in found:
        made.append(table_of(group, metrics, args.paper))
        if args.against and (differences := paired(group, metrics, args.against)):
            made.append(differences)
    if args.against and len(made) == len(found):
        raise allowed("--against", args.against, [r.label for group in found for r in group.rows])
    return made
