"""Attack what a finished run unlearned: does it come back?

uncle audit runs/permuted-digits-seq1-uncle            every attack, minutes; verdicts
uncle audit runs/* --figure audit.png                  several runs beside each other
uncle audit runs/A --starts 32 --attacks embedding-search
uncle audit --store DIR --task 3 --data IMAGES.npz --never OTHER.npz    a store's forgotten task

Each finding is kept in RUN/seed<k>/audit.json as it is made: the same command again goes on, and
shows the tables once all is there. RUN/audit.md and RUN/audit.png are of that run alone.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uncle_jax.cli import audit_store
from uncle_jax.cli.arguments import (
    Parser,
    add_budget,
    add_compile_cache,
    add_sources,
    budget_seconds,
    completing,
    data_choice,
    exit_code,
    parsed,
)
from uncle_jax.cli.table import FORMATS, finished_runs, shown
from uncle_jax.errors import UncleError, allowed
from uncle_jax.files import require_writable, write_whole
from uncle_jax.report import audit as report
from uncle_jax.report import verdicts
from uncle_jax.report.formats import as_markdown
from uncle_jax.report.results import SeedRun
from uncle_jax.runs.process import begin
from uncle_jax.runs.progress import Download, Steps

if TYPE_CHECKING:  # it imports JAX, which `--help` need not wait for
    from uncle_jax.runs.attacks import AuditSettings

ATTACKS = {
    name.replace(" ", "-"): name
    for name in (
        "embedding search",
        "relearning",
        "representation",
        "weights",
        "rounding",
        "margins",
        "classes",
    )
}


def parser() -> Parser:
    """The options of `uncle audit`."""
    p = Parser(prog="uncle audit", description=__doc__)
    p.add_argument(
        "workdirs", type=Path, nargs="*", metavar="RUN", help="uncle run's --workdir, finished"
    )
    p.add_argument("--seeds", type=int, nargs="+", help="of these seeds alone; default: all")
    attacks = p.add_argument(
        "--attacks", nargs="+", default=[*ATTACKS], metavar="ATTACK", help=", ".join(ATTACKS)
    )
    completing(attacks, ATTACKS)
    p.add_argument("--starts", type=int, default=16, help="of an embedding search; default 16")
    p.add_argument("--steps", type=int, default=150, help="of an embedding search; default 150")
    start = p.add_argument(
        "--start", default="fresh", help="of an embedding search: fresh, own (the task's), both"
    )
    completing(start, ("fresh", "own", "both"))
    norm = p.add_argument(
        "--norm", default="batch", help="of an embedding search at test: batch, fitted"
    )
    completing(norm, ("batch", "fitted"))
    p.add_argument(
        "--references", type=int, default=2, help="never-learned tasks to attack; default 2"
    )
    p.add_argument("--power", type=int, default=3, help="retained tasks to attack; default 3")
    p.add_argument(
        "--unlearned",
        type=int,
        nargs="+",
        default=[],
        metavar="TASK",
        help="to attack; default: all",
    )
    p.add_argument(
        "--shared", type=Path, metavar="DIR", help="of references; default: .references beside RUN"
    )
    add_budget(p)
    p.add_argument("--show", action="store_true", help="compute nothing, show what there is")
    form = p.add_argument("--format", default="terminal", help=", ".join(FORMATS[:3]))
    completing(form, FORMATS[:3])
    p.add_argument("--output", type=Path, metavar="FILE", help="write there, not to the terminal")
    p.add_argument("--figure", type=Path, metavar="FILE.png", help="a point for each task and seed")
    p.add_argument(
        "--tradeoff", type=Path, metavar="FILE.png", help="attack against RA, a point a run"
    )
    audit_store.add_options(p.add_argument_group("on a store"))
    add_compile_cache(p)
    data = add_sources(p)
    data.add_argument("--classes-per-task", type=int, default=10, help="as the run had it")
    data.add_argument("--tasks", type=Path, help="as the run had it")
    return p


def main(argv: list[str] | None = None) -> int:
    """`uncle audit`: the exit code."""
    args = parsed(parser(), argv)
    then = "the same command goes on from here" if args.store is None else "nothing was entered"
    return exit_code(lambda: audit(args), then, argv is None)


def audit(args: argparse.Namespace) -> int:
    """Attack what is not attacked yet, then show what was found."""
    audit_store.check(args)
    if args.store is not None:
        return audit_store.audit(args)
    if args.format not in FORMATS[:3]:
        raise allowed("--format", args.format, FORMATS[:3])
    seconds = budget_seconds(args)
    for name in args.attacks:
        if name not in ATTACKS:
            raise allowed("--attacks", name, ATTACKS)
    for option in ("output", "figure", "tradeoff"):
        file = getattr(args, option)
        if file is not None:
            require_writable(file, f"--{option}")
    runs = chosen_runs(args)
    left = 0 if args.show else attack(args, runs, seconds)
    if left:
        print(f"{left} of {len(runs)} audits are not finished; the same command goes on")
    rows = report.audited(runs)
    if not rows:
        raise UncleError(
            "none of these runs has an audit.json yet; leave --show out to attack them"
        )
    shown(verdicts.tables(rows), args.format, args.output)
    draw(args, rows)
    return 0


def draw(args: argparse.Namespace, rows: list[report.Audited]) -> None:
    """The pictures that are asked for. Raises UncleError where one cannot be written."""
    from uncle_jax.report.figures.audits import plot_audits, plot_tradeoff

    for path, plot in ((args.figure, plot_audits), (args.tradeoff, plot_tradeoff)):
        if path is not None:
            plot(path, rows)


def chosen_runs(args: argparse.Namespace) -> list[SeedRun]:
    """The finished seeds that are asked for. Raises UncleError if there is none."""
    finished = finished_runs(args.workdirs)
    runs = [run for run in finished if args.seeds is None or run.seed in args.seeds]
    if not runs:
        raise UncleError("no run is finished yet" if args.seeds is None else "no such seed")
    return runs


def attack(args: argparse.Namespace, runs: list[SeedRun], seconds: float | None) -> int:
    """Complete the audits of `runs`, and tell of each finding; how many the time did not do for.

    What is known of a work directory once all its seeds are done is on a page of its own.
    """
    settings = settings_of(args)
    bar = Download()
    data = data_choice(args, bar)
    begin(args.compile_cache)

    from uncle_jax.runs import audit as audits
    from uncle_jax.runs.subject import Watch

    limit = None if seconds is None else time.monotonic() + seconds
    left = 0
    with bar:
        for run in runs:
            with Screen(run) as screen:
                watch = Watch(screen.on_piece, screen.on_step, screen.on_found, screen.on_state)
                told = audits.audit(run, settings, data, watch, args.shared, limit)
                left += not told["complete"]
    for workdir in dict.fromkeys(run.folder.parent for run in runs):
        write_page(workdir)
    return left


def write_page(workdir: Path) -> None:
    """WORKDIR/audit.md and audit.png: all that is known of this run."""
    from uncle_jax.report.figures.audits import plot_curves

    rows = report.audited(finished_runs([workdir]))
    tables = "\n".join(as_markdown(table) for table in verdicts.tables(rows))
    if tables:
        plot_curves(workdir / "audit.png", rows[0])
        write_whole(workdir / "audit.md", f"{tables}\n![curves](audit.png)\n")


def settings_of(args: argparse.Namespace) -> "AuditSettings":
    """What the arguments ask for. Raises UncleError."""
    from uncle_jax.evaluation.audit.embedding_search import EmbeddingSearch
    from uncle_jax.runs.attacks import AuditSettings

    attacks: Any = tuple(told for name, told in ATTACKS.items() if name in args.attacks)
    how: Any = {"start": args.start, "norm": args.norm}
    search = EmbeddingSearch(starts=args.starts, steps=args.steps, **how)
    return AuditSettings(
        search=search,
        tasks=tuple(sorted({*args.unlearned})),
        references=args.references,
        power=args.power,
        attacks=attacks,
    )


class Screen:
    """What a person sees of an audit: a line for each finding, a bar for the one under way."""

    def __init__(self, run: SeedRun) -> None:
        self.run, self.bar = run, Steps(str(run.folder))
        self.on_step = self.bar.on_step

    def __enter__(self) -> "Screen":
        self.bar.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.__exit__()

    def on_piece(self, piece: Any, number: int, of: int) -> None:
        if number == 1:
            self.bar.write(f"{self.run.folder}: {of} attacks", sys.stderr)
        self.bar.begin(f"[{number}/{of}] {piece}")

    def on_state(self, name: str, request: Any) -> None:
        told = f"the {name} reference is made" if request is None else f"{name}: {request} answered"
        self.bar.write(f"  {told}", sys.stderr)

    def on_found(self, found: Any) -> None:
        told = report.headline(found)
        self.bar.write(f"{self.bar.place}: {told} ({found['seconds']:.0f} s)", sys.stderr)
