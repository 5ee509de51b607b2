"""Make the paper's tables and figures, its numbers beside ours, and say which claims hold here.

uncle reproduce --list                          every one: what, done, left, verdict, command
uncle reproduce --only table8,figure8           these; goes on where it was
uncle reproduce --datasets permuted-digits --budget-minutes 60
uncle reproduce --show --also results/*         run nothing: the page of what there is

The page and its pictures are written to --output (reproduced.md, and a folder reproduced). Runs are
found by what they are, in --runs and in the folders of --also.
"""

import argparse
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from uncle_jax.cli.arguments import (
    Parser,
    add_compile_cache,
    add_sources,
    add_studied,
    budget_seconds,
    data_choice,
    exit_code,
    parsed,
)
from uncle_jax.cli.study import run_left
from uncle_jax.cli.table import shown
from uncle_jax.errors import UncleError, allowed
from uncle_jax.files import require_writable, write_whole
from uncle_jax.report.compare import Group, Table, groups
from uncle_jax.runs.progress import Download
from uncle_jax.studies.cost import in_words, minutes
from uncle_jax.studies.finished import Finished
from uncle_jax.studies.items import ITEMS, chosen
from uncle_jax.studies.page import command, page
from uncle_jax.studies.progress import Asked, Part, parts, to_run, verdict


def parser() -> Parser:
    """The options of `uncle reproduce`."""
    p = Parser(prog="uncle reproduce", description=__doc__)
    p.add_argument("--list", action="store_true", help="run and write nothing: a line for each")
    p.add_argument("--only", metavar="NAMES", help=f"of {', '.join(ITEMS)}; default: all")
    add_studied(p)
    p.add_argument(
        "--also", type=Path, nargs="+", default=[], metavar="FOLDER", help="more finished runs"
    )
    p.add_argument("--show", action="store_true", help="run nothing, write what there is")
    p.add_argument("--output", type=Path, default=Path("reproduced.md"), metavar="FILE.md")
    add_sources(p)
    p.set_defaults(classes_per_task=10, tasks=None)
    add_compile_cache(p)
    return p


def main(argv: list[str] | None = None) -> int:
    """`uncle reproduce`: the exit code."""
    args = parsed(parser(), argv)
    return exit_code(lambda: reproduce(args), "the same command goes on from here", argv is None)


def reproduce(args: argparse.Namespace) -> int:
    """List, or run what is not run and write the page; 1 if a run failed."""
    if args.preset not in ("laptop", "paper"):
        raise allowed("--preset", args.preset, ("laptop", "paper"))
    limit, data = budget_seconds(args), data_choice(args, Download())
    asked = Asked(args.preset, tuple(args.seeds), tuple(args.datasets), data)
    items = chosen(args.only)
    _check_datasets(args, items)
    if missing := [folder for folder in args.also if not folder.is_dir()]:
        raise UncleError(f"--also: there is no folder {missing[0]}")
    folders = [args.runs, *args.also]
    known = parts(items, asked, Finished(folders))
    if args.list:
        shown([listed(known, asked)], "terminal")
        return 0
    require_writable(args.output, "--output")
    failed = False
    if not args.show and (left := to_run(known)):
        failed = run_left(args, left, limit)
        known = parts(items, asked, Finished(folders))
    drawn = _drawn(known, args.output.with_suffix(""))
    write_whole(args.output, page(known, asked, drawn, args.output))
    shown([listed(known, asked)], "terminal")
    print(f"written to {args.output}")
    return 1 if failed else 0


def _check_datasets(args: argparse.Namespace, items: Sequence[Any]) -> None:
    there = list(dict.fromkeys(name for item in items for name in item.datasets(args.preset)))
    for name in args.datasets:
        if name not in there:
            raise allowed(f"data set of these tables, preset {args.preset}:", name, there)


def listed(of: Sequence[Part], asked: Asked) -> Table:
    """A line for each item."""
    body = []
    for _, group in groupby(of, key=lambda part: part.item.name):
        mine = [*group]
        done, wanted = (sum(column) for column in zip(*(p.done for p in mine), strict=True))
        cost = in_words(minutes(spec for part in mine for spec in part.left))
        item, told = mine[0].item, verdict(mine)
        row = [item.name, item.title, f"{done} of {wanted}", cost, told]
        body.append([*row, command(item, asked)])
    head = ["what", "of what", "runs", "left", "the paper's claims", "command"]
    notes = [
        f"runs: of seeds {' '.join(map(str, asked.seeds))}; left: on two cores, about",
        "runs that tables share are made once, so less is left than the sum",
        "table 4 (the requests) is `uncle list datasets`; figures 1 and 2 are drawings of the idea",
    ]
    return Table(f"the paper's tables and figures, preset {asked.preset}", head, body, set(), notes)


def _drawn(of: Sequence[Part], folder: Path) -> dict[tuple[str, str], Path | str]:
    """The pictures of what there is, in `folder`; in words what cannot be drawn."""
    result: dict[tuple[str, str], Path | str] = {}
    for part in of:
        if part.item.figure and part.run:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{part.item.name.replace(' ', '')}-{part.dataset}.png"
            try:
                _draw(part, path)
                result[part.item.name, part.dataset] = path
            except UncleError as error:
                result[part.item.name, part.dataset] = str(error)
    return result


def _draw(part: Part, path: Path) -> None:
    from uncle_jax.cli.figure import draw_group

    runs = [run for *_, row in part.lines if row is not None for run in row.runs]
    draw_group(part.item.figure, path, _one(groups(runs)), part.item.task)


def _one(found: Sequence[Group]) -> Group:
    """Of runs of one data set and sequence: the group with the most rows (data can differ)."""
    return max(found, key=lambda group: len(group.rows))
