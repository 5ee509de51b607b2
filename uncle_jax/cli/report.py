"""Finished runs as one page for a browser, which needs no network.

uncle report runs/*                                    report.html
uncle report runs/* --output digits.html --title "Permuted digits, five seeds"

Tables can be sorted, marks of figures and cells say their values when pointed at, and a method's
name leads to the command that made its row.
"""

import argparse
from pathlib import Path

from uncle_jax.cli.arguments import Parser, exit_code, parsed
from uncle_jax.cli.table import finished_runs
from uncle_jax.errors import UncleError
from uncle_jax.files import require_writable, write_whole


def parser() -> Parser:
    """The options of `uncle report`."""
    p = Parser(prog="uncle report", description=__doc__)
    p.add_argument(
        "workdirs", type=Path, nargs="+", metavar="WORKDIR", help="uncle run's --workdir"
    )
    p.add_argument("--output", type=Path, default=Path("report.html"), metavar="FILE.html")
    p.add_argument("--title", default="What was learned, and what was unlearned again")
    return p


def main(argv: list[str] | None = None) -> int:
    """`uncle report`: the exit code."""
    args = parsed(parser(), argv)
    return exit_code(lambda: report(args), "nothing is written", argv is None)


def report(args: argparse.Namespace) -> int:
    """Write the page, and say where."""
    from uncle_jax.report.html.content import content
    from uncle_jax.report.html.page import page

    require_writable(args.output, "--output")
    runs = finished_runs(args.workdirs)
    if not runs:
        raise UncleError("no run is finished yet")
    text = page(content(runs), args.title)
    write_whole(args.output, text)
    print(f"written to {args.output}, {len(text.encode()) / 1e6:.1f} MB")
    return 0
