"""What the commands in experiments/ share: errors in one line, data and settings as arguments.

Importing this module imports no jax, so that `--help` and a wrong argument answer at once.
"""

import argparse
import dataclasses
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

from uncle_jax.config import Config, replace
from uncle_jax.errors import UncleError, allowed
from uncle_jax.methods import registry
from uncle_jax.presets import PRESETS, Preset, preset, presets

SHORTCUTS = (
    "backbone", "epochs", "batch_size", "lr", "beta", "gamma", "burn_in", "noise", "noise_samples",
    "norm_stats",
)  # fmt: skip
"""Settings with an option of their own; `--set` takes these and all others."""


class Parser(argparse.ArgumentParser):
    """Errors in one line, exit code 2; help as the script's docstring has it."""

    def __init__(self, **more: Any) -> None:
        more.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(**more)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message} (see --help)\n")


def exit_code(command: Callable[[], int], on_interrupt: str) -> int:
    """`command`'s exit code: 2 and one line on bad input, 130 with `on_interrupt` on Ctrl-C."""
    try:
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


def add_data(p: argparse.ArgumentParser) -> None:
    """--dataset, --preset, and where data come from."""
    own = "folder:ROOT, npz:ROOT, tfds:NAME"
    p.add_argument("--dataset", default="permuted-digits", help=f"{', '.join(PRESETS)}; {own}")
    p.add_argument("--preset", help="paper (a GPU; the default where there is one) or laptop")
    data = p.add_argument_group("data")
    data.add_argument(
        "--data-dir", type=Path, default=Path("data"),
        help="the publishers' files, in DIR or DIR/NAME; missing ones are downloaded to it",
    )  # fmt: skip
    data.add_argument("--no-download", action="store_true", help="never fetch a missing file")
    data.add_argument(
        "--accept", nargs="+", default=[], metavar="NAME",
        help="data sets that may differ from the publisher's; results say so",
    )  # fmt: skip
    data.add_argument(
        "--substitute", nargs="+", default=[], metavar="TASK=NAME",
        help="five-tasks: another data set in a task's place, as in svhn=cifar10; results say so",
    )  # fmt: skip
    data.add_argument("--classes-per-task", type=int, default=10, help="own data; default 10")
    data.add_argument("--tasks", type=Path, help='own data: JSON, [["cat", "dog"], ["car", ...]]')


def add_settings(p: argparse.ArgumentParser) -> None:
    """--epochs, --lr, ... and --set for every other setting."""
    settings = p.add_argument_group("settings (default: the preset's)")
    for name in SHORTCUTS:
        settings.add_argument("--" + name.replace("_", "-"), metavar="VALUE")
    settings.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any setting: "
        + ", ".join(field.name for field in dataclasses.fields(Config))
        + "; a method's own as METHOD.KEY=VALUE (run.py --dry-run prints them)",
    )


def chosen_preset(args: argparse.Namespace) -> Preset:
    """The preset asked for; `args.preset` becomes its name. Raises UncleError."""
    args.preset = args.preset or next(iter(presets(args.dataset)))
    return preset(args.dataset, args.preset)


def chosen_settings(
    args: argparse.Namespace, config: Config, methods: Iterable[str]
) -> tuple[Config, dict[str, dict[str, str]]]:
    """`config` with what the arguments change, and each method's own changes, still as text.

    Raises UncleError.
    """
    changes = {key: getattr(args, key) for key in SHORTCUTS if getattr(args, key) is not None}
    own: dict[str, dict[str, str]] = {name: {} for name in methods}
    for item in args.set:
        name, key, value = setting(item, own, "--set")
        (changes if name is None else own[name])[key] = value
    return replace(config, changes), own


def setting(
    item: str, methods: Iterable[str], option: str, form: str = "KEY=VALUE, such as chunks=100"
) -> tuple[str | None, str, str]:
    """(method or None, key, value) of "KEY=VALUE" or "METHOD.KEY=VALUE". Raises UncleError."""
    place, equals, value = item.partition("=")
    if not equals:
        raise UncleError(f"{option} {item!r} is not {form}")
    short, dot, key = place.strip().rpartition(".")
    key, value = key.replace("-", "_"), value.strip()
    if not dot:
        return None, key, value
    for name in methods:
        if registry.short(name) == short:
            return name, key, value
    raise UncleError(f"{option} {item!r} is of method {short}, not of {', '.join(methods)}")


def data_choice(args: argparse.Namespace, config: Config, bar: Any) -> Any:
    """Which data, and what may be done to get it. Raises UncleError."""
    from uncle_jax.data.custom import read_tasks
    from uncle_jax.data.load import Choice
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
        config.train_images,
        substitute,
        args.classes_per_task,
        read_tasks(args.tasks) if args.tasks else None,
        config.image_size,
    )
