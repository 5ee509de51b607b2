# PYTHON_ARGCOMPLETE_OK
"""Learn tasks and unlearn them again, on demand, without their data.

uncle run                          permuted digits, a minute on two cores
uncle table runs/*                 compare what was run
uncle list methods                 what there is: methods, datasets, presets, settings
"""

import importlib
import os
import sys
from types import ModuleType

import uncle_jax
from uncle_jax.cli.arguments import Parser, complete

COMMANDS = {
    "run": "learn and unlearn a sequence of tasks, and show what came of it",
    "grid": "many runs at once, on a pool of processes, and their table",
    "study": "one of the paper's studies, the paper's numbers beside it",
    "reproduce": "the paper's tables and figures, its claims tested",
    "request": "answer one request on a store, in a process of its own",
    "table": "compare finished runs",
    "figure": "draw a figure of finished runs",
    "report": "finished runs as one page for a browser",
    "audit": "attack what a run unlearned: does it come back?",
    "tune": "choose unlearning settings on validation data",
    "list": "methods, datasets, presets and settings, a line each",
}
"""By name: its line in the help. The module of each, of that name, has `parser` and `main`."""


def parser(whole: bool = False) -> Parser:
    """What reads the first word; `whole`: and all that may follow it, for completion."""
    p = Parser(prog="uncle", description=__doc__)
    p.add_argument("--version", action="version", version=f"uncle {uncle_jax.__version__}")
    commands = p.add_subparsers(dest="command", title="commands", metavar="COMMAND")
    for name, line in COMMANDS.items():
        parents = [module_of(name).parser()] if whole else []
        commands.add_parser(name, help=line, parents=parents, add_help=False)
    return p


def main(argv: list[str] | None = None) -> int:
    """`uncle`: the exit code of the command that the first word names, or the help."""
    words = sys.argv[1:] if argv is None else argv
    if words and words[0] in COMMANDS:
        if argv is not None:
            return module_of(words[0]).main(words[1:])
        sys.argv = [f"{sys.argv[0]} {words[0]}", *words[1:]]
        return module_of(words[0]).main()  # a process of its own
    p = parser(whole="_ARGCOMPLETE" in os.environ)
    complete(p)
    p.parse_args(words)
    p.print_help()
    return 0


def module_of(name: str) -> ModuleType:
    """The module of a command; imported when asked for, so that others cost nothing."""
    return importlib.import_module(f"uncle_jax.cli.{name}")
