"""Run one of the paper's studies, and show its table with the paper's numbers beside it.

uncle study                                     which there are
uncle study noise                               two cores, minutes; goes on where it was
uncle study beta --seeds 0 1 2 --jobs 2
uncle study annealing --datasets cifar100 --preset laptop
uncle study backbone --preset paper             the paper's setting (a GPU)
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from uncle_jax.cli import table as tables
from uncle_jax.cli.arguments import (
    Parser,
    add_compile_cache,
    add_sources,
    add_studied,
    budget_seconds,
    completing,
    data_choice,
    exit_code,
    parsed,
)
from uncle_jax.errors import UncleError, allowed
from uncle_jax.files import require_writable
from uncle_jax.runs.progress import Download
from uncle_jax.runs.spec import RunSpec
from uncle_jax.studies.catalogue import STUDIES, specs, study
from uncle_jax.studies.finished import Finished
from uncle_jax.studies.table import found, table_of

FORMATS = ("terminal", "markdown", "latex")


def parser() -> Parser:
    """The options of `uncle study`."""
    p = Parser(prog="uncle study", description=__doc__)
    name = p.add_argument("name", nargs="?", metavar="NAME", help=", ".join(STUDIES))
    completing(name, STUDIES)
    add_studied(p)
    p.add_argument("--show", action="store_true", help="run nothing, show what there is")
    form = p.add_argument("--format", default="terminal", help=", ".join(FORMATS))
    completing(form, FORMATS)
    p.add_argument("--output", type=Path, metavar="FILE", help="the table; default: the terminal")
    add_sources(p)
    p.set_defaults(classes_per_task=10, tasks=None)
    add_compile_cache(p)
    return p


def main(argv: list[str] | None = None) -> int:
    """`uncle study`: the exit code."""
    args = parsed(parser(), argv)
    return exit_code(lambda: run(args), "the same command goes on from here", argv is None)


def run(args: argparse.Namespace) -> int:
    """Run what is not run yet, and show the table; 1 if a run failed."""
    if args.name is None:
        for one in STUDIES.values():
            print(f"{one.name:<12}{one.question} ({', '.join(one.tables)})")
        return 0
    asked = study(args.name)
    if args.format not in FORMATS:
        raise allowed("--format", args.format, FORMATS)
    if args.output is not None:
        require_writable(args.output, "--output")
    limit, data = budget_seconds(args), data_choice(args, Download())
    lines = specs(asked, args.preset, tuple(args.seeds), tuple(args.datasets), data)
    failed = False if args.show else run_left(args, [spec for _, spec in lines], limit)
    told = found(lines, Finished([args.runs]))
    if args.show and all(row is None for *_, row in told):
        raise UncleError(f"nothing of it is run in {args.runs}")
    tables.shown([table_of(asked, told, args.preset)], args.format, args.output)
    return 1 if failed else 0


def run_left(args: argparse.Namespace, specs: Sequence[RunSpec], limit: float | None) -> bool:
    """Whether a run failed. All measure MIA, so that studies share the runs that they share."""
    from uncle_jax.cli.grid import run_all
    from uncle_jax.runs import pool
    from uncle_jax.runs.execute import Keeping

    ended = run_all(pool.cells(specs, args.runs), args, Keeping(mia=True), limit)
    return any(one.failed is not None for one in ended)
