"""What the commands share: errors in one line, data and settings as arguments, completion.

Importing this module imports no jax, so that `--help` and a wrong argument answer at once.
"""

import argparse
import codecs
import contextlib
import difflib
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn, cast

from uncle_jax.cli.interrupts import stopping
from uncle_jax.cli.settings import choices, values
from uncle_jax.config import Config, Uncle, kinds_of
from uncle_jax.errors import UncleError, allowed, out_of_memory
from uncle_jax.methods import registry
from uncle_jax.own import DATA
from uncle_jax.presets import PRESETS, Preset, preset, presets
from uncle_jax.runs.compiled import THEIRS
from uncle_jax.runs.usual import SOURCES

SHORTCUTS = (
    "backbone",
    "epochs",
    "batch_size",
    "lr",
    "beta",
    "gamma",
    "burn_in",
    "noise",
    "noise_samples",
    "norm_stats",
)
"""Settings with an option of their own; `--set` takes these and all others."""

KINDS = kinds_of(Config) | kinds_of(Uncle)
"""The types of the settings that every learner shares, and of UnCLe's."""


class Help(argparse.RawDescriptionHelpFormatter):
    """Help as the docstring has it, with the longest command's name beside its line."""

    def add_argument(self, action: argparse.Action) -> None:
        super().add_argument(action)
        for command in self._iter_indented_subactions(action):  # argparse forgets their indent
            length = len(self._format_action_invocation(command)) + self._current_indent
            self._action_max_length = max(self._action_max_length, length)


class Parser(argparse.ArgumentParser):
    """Errors in one line that names the nearest, exit code 2; help as the docstring has it."""

    def __init__(self, **more: Any) -> None:
        more.setdefault("formatter_class", Help)
        more.setdefault("allow_abbrev", False)  # an option of tomorrow must not change a script
        super().__init__(**more)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message} (see {self.prog} --help)\n")

    def parse_known_args(  # pyright: ignore[reportIncompatibleMethodOverride]  # its overloads
        self, args: Any = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """As argparse's, but a sub-command's own parser says what it does not know."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}{self._meant(unknown)}")
        return found, unknown

    def _meant(self, unknown: Sequence[str]) -> str:
        flag = next((word.partition("=")[0] for word in unknown if word.startswith("-")), "")
        setting = flag.lstrip("-").replace("-", "_")
        if "--set" in self._option_string_actions and setting in KINDS:
            return f"; did you mean '--set {setting}=VALUE'?"
        # without their dashes, which would make any two options alike
        near = nearest(flag.lstrip("-"), (one[2:] for one in self._option_string_actions))
        return near.replace("'", "'--", 1)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            names = list(map(str, action.choices))
            told = f"invalid choice: {str(value)!r}{nearest(str(value), names)}"
            raise argparse.ArgumentError(action, f"{told} (choose from {', '.join(names)})")


def nearest(word: str, options: Iterable[str]) -> str:
    """ "; did you mean ...?", or nothing where no option is near."""
    near = difflib.get_close_matches(word, list(options), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def complete(p: argparse.ArgumentParser) -> None:
    """Answer the shell's Tab and stop, if it asks and argcomplete is installed."""
    if "_ARGCOMPLETE" not in os.environ:
        return
    try:
        import argcomplete
    except ImportError:
        return
    argcomplete.autocomplete(p)


def parsed(p: argparse.ArgumentParser, argv: list[str] | None) -> argparse.Namespace:
    """The arguments, or the answer to the shell's Tab; exits on --help and on errors."""
    complete(p)
    return p.parse_args(argv)


def completing(action: argparse.Action, words: Iterable[str]) -> None:
    """Let Tab offer `words` as values; argparse's `choices` would refuse all others."""
    offered = tuple(words)
    cast(Any, action).completer = lambda **_: offered


def exit_code(command: Callable[[], int], on_interrupt: str, process: bool = False) -> int:
    """`command`'s exit code: 2 and one line on bad input, 130 with `on_interrupt` on Ctrl-C.

    `process`: this is a process of its own, which Ctrl-C may end at once (cli/interrupts.py).
    """
    encodable(sys.stdout)
    encodable(sys.stderr)
    try:
        with stopping(on_interrupt) if process else contextlib.nullcontext():
            return command()
    except UncleError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever reads, such as head, wants no more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print(f"interrupted: {on_interrupt}", file=sys.stderr)
        return 130
    except Exception as error:
        if (short := out_of_memory(error)) is None:
            raise
        print(f"error: {short}", file=sys.stderr)
        return 2


PLAIN = {"±": "+-", "→": "->", "–": "-", "—": "-", "×": "x", "≤": "<=", "≥": ">="}


def encodable(stream: Any) -> None:
    """Let `stream` print in plain letters what its encoding lacks, such as +- for a plus-minus."""

    def plain(error: UnicodeError) -> tuple[str, int]:
        assert isinstance(error, UnicodeEncodeError)
        missing = error.object[error.start : error.end]
        return "".join(PLAIN.get(letter, "?") for letter in missing), error.end

    if hasattr(stream, "reconfigure") and stream.errors != "uncle-plain":
        codecs.register_error("uncle-plain", plain)
        stream.reconfigure(errors="uncle-plain", line_buffering=True)


def add_data(p: argparse.ArgumentParser) -> None:
    """--dataset, --preset, and where data come from."""
    dataset = p.add_argument(
        "--dataset",
        default="permuted-digits",
        help=f"{', '.join(PRESETS)}; your own: {', '.join(DATA)}",
    )
    completing(dataset, [*PRESETS, *(f"{one.partition(':')[0]}:" for one in DATA[:-1])])
    name = p.add_argument(
        "--preset", help="paper (a GPU; the default where there is one) or laptop"
    )
    completing(name, ["paper", "laptop"])
    data = add_sources(p)
    data.add_argument("--classes-per-task", type=int, default=10, help="own data; default 10")
    data.add_argument("--tasks", type=Path, help='own data: JSON, [["cat", "dog"], ["car", ...]]')


def add_sources(p: argparse.ArgumentParser) -> Any:
    """Where data come from, for a command that knows which; returned to be added to."""
    data = p.add_argument_group("data")
    data.add_argument(
        "--data-dir",
        type=Path,
        default=Path("data"),
        help="the publishers' files, in DIR or DIR/NAME; missing ones are downloaded to it",
    )
    data.add_argument("--no-download", action="store_true", help="never fetch a missing file")
    data.add_argument(
        "--accept",
        nargs="+",
        default=[],
        metavar="NAME",
        help="data sets that may differ from the publisher's; results say so",
    )
    data.add_argument(
        "--substitute",
        nargs="+",
        default=[],
        metavar="TASK=NAME",
        help="five-tasks: another data set in a task's place, as in svhn=cifar10; results say so",
    )
    return data


def add_settings(p: argparse.ArgumentParser) -> None:
    """--epochs, --lr, ... and --set for every other setting."""
    settings = p.add_argument_group("settings (default: the preset's)")
    for name in SHORTCUTS:
        flags = ["--" + name.replace("_", "-"), *(["--main-net"] if name == "backbone" else [])]
        option = settings.add_argument(*flags, metavar=values(KINDS[name]))
        completing(option, choices(KINDS[name]))
    names = list(KINDS)
    any_ = settings.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help=f"any setting: {', '.join(names)}; a method's own, also as METHOD.KEY=VALUE "
        "(uncle list settings METHOD)",
    )
    completing(any_, [f"{name}=" for name in names])


def add_source(p: argparse.ArgumentParser) -> None:
    """--settings."""
    p.add_argument(
        "--settings",
        choices=SOURCES,
        default="authors",
        help="whose settings: the preset's and the methods' authors', or what trials on validation "
        "data chose (uncle tune --all); default %(default)s",
    )


def add_main_net(p: Any) -> None:
    """--main-net, of a store."""
    p.add_argument(
        "--main-net",
        metavar="FILE.py:NET",
        help="the store's main network, if it is your own: init fixes it by its content, and as a "
        "store runs no code by itself every other command is told where it lies",
    )


def add_compile_cache(p: argparse.ArgumentParser) -> None:
    """--compile-cache."""
    p.add_argument(
        "--compile-cache",
        metavar="DIR",
        help=f"compiled programs; none for no cache; default ${THEIRS}, else ~/.cache/uncle_jax",
    )


def add_budget(p: argparse.ArgumentParser) -> None:
    """--budget-minutes."""
    p.add_argument(
        "--budget-minutes", type=float, metavar="M", help="then stop, and go on another time"
    )


def add_many(p: argparse.ArgumentParser) -> None:
    """--jobs, --runs, --budget-minutes and on what: of what runs many."""
    p.add_argument("--jobs", type=int, help="processes at once; default: the cores; 1 on a GPU")
    p.add_argument("--runs", type=Path, default=Path("runs"), help="folder of work directories")
    add_budget(p)
    on = p.add_argument_group("on Ray (docs/clusters.md)")
    on.add_argument("--engine", choices=("processes", "ray"), default="processes")
    on.add_argument("--address", help="of a running cluster, or auto; default: Ray on this machine")
    on.add_argument("--cpus-per-run", type=float, metavar="N", help="default: cores over jobs")
    on.add_argument("--gpus-per-run", type=float, metavar="N", help="default: none")


def add_studied(p: argparse.ArgumentParser) -> None:
    """Which runs of the paper's: --preset, --datasets, --seeds, and those of `add_many`."""
    preset = p.add_argument("--preset", default="laptop", help="laptop (default) or paper")
    completing(preset, ("laptop", "paper"))
    datasets = p.add_argument("--datasets", nargs="+", default=[], metavar="NAME")
    completing(datasets, PRESETS)
    p.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    add_many(p)


def add_log(p: argparse.ArgumentParser) -> None:
    """--log."""
    told = "losses and accuracies as they come: jsonl, tensorboard, wandb"
    p.add_argument("--log", default="", metavar="NAME,...", help=told)


def add_warn_fall(p: Any) -> None:
    """--warn-fall."""
    p.add_argument(
        "--warn-fall",
        type=float,
        default=10.0,
        metavar="POINTS",
        help="say when a retained task has lost so many since it was learned; default 10",
    )


def loggers_asked(args: argparse.Namespace) -> tuple[str, ...]:
    """The loggers of --log. Raises UncleError for what there is not, or what lacks its library."""
    from uncle_jax.runs import loggers

    names = tuple(dict.fromkeys(filter(None, (name.strip() for name in args.log.split(",")))))
    loggers.check(names)
    return names


def budget_seconds(args: argparse.Namespace) -> float | None:
    """What --budget-minutes allows; None: all that it takes. Raises UncleError."""
    if args.budget_minutes is None:
        return None
    if not args.budget_minutes > 0:
        raise UncleError(f"--budget-minutes must be above 0, not {args.budget_minutes}")
    return 60 * args.budget_minutes


def add_method(p: argparse.ArgumentParser, option: str, **more: Any) -> None:
    """--method, or --methods."""
    told = ", ".join(registry.METHODS) + "; your own: FILE.py:FUNCTION"
    completing(p.add_argument(option, help=told, **more), registry.METHODS)


def chosen_preset(args: argparse.Namespace) -> Preset:
    """The preset asked for; `args.preset` becomes its name. Raises UncleError."""
    args.preset = args.preset or next(iter(presets(args.dataset)))
    return preset(args.dataset, args.preset)


def asked_changes(args: argparse.Namespace) -> list[str]:
    """What the arguments change of the settings, as `--set` takes it."""
    shortcuts = {key: getattr(args, key) for key in SHORTCUTS}
    told = [f"{key}={value}" for key, value in shortcuts.items() if value is not None]
    return [*told, *args.set]


def data_choice(args: argparse.Namespace, bar: Any) -> Any:
    """Which data, and what may be done to get it. Raises UncleError."""
    from uncle_jax.data.load import Choice
    from uncle_jax.data.plans import read_tasks
    from uncle_jax.data.publishers.catalogue import SOURCES
    from uncle_jax.data.publishers.prepared import Options

    for name in args.accept:
        if name not in SOURCES:
            raise allowed("data set for --accept", name, SOURCES)
    substitute = {}
    for item in args.substitute:
        task, equals, name = item.partition("=")
        if not equals:
            raise UncleError(f"--substitute {item!r} is not TASK=NAME, such as svhn=cifar10")
        substitute[task] = name
    return Choice(
        Options(args.data_dir, tuple(args.accept), not args.no_download, bar.on_bytes),
        substitute,
        args.classes_per_task,
        read_tasks(args.tasks) if args.tasks else None,
    )
