"""What there is, a line each: methods, datasets, presets, or settings.

uncle list methods                 and what each reads when it unlearns
uncle list settings                those that every method shares
uncle list settings scrub          and a method's own, for --set scrub.KEY=VALUE
"""

import argparse
from collections.abc import Sequence
from importlib.metadata import entry_points

from uncle_jax.cli.arguments import Parser, completing, exit_code, parsed
from uncle_jax.cli.settings import described
from uncle_jax.config import Config
from uncle_jax.errors import UncleError
from uncle_jax.methods import registry
from uncle_jax.presets import OWN_PRESETS, PRESETS, Preset
from uncle_jax.runs.spec import OWN

METHODS = {  # here, since importing a method imports jax
    "uncle": ("none", "UnCLe: a hypernetwork whose output for the task is pulled towards noise"),
    "badteacher": ("forget+retain", "BadTeacher on DER++: an untrained teacher for what goes"),
    "scrub": ("forget+retain", "SCRUB on DER++: away from the model before, on that task only"),
    "salun": ("forget+retain", "SalUn on DER++: random labels, on the salient weights only"),
    "jit": ("forget", "JiT on DER++: outputs made smooth around the task's images"),
    "gkt": ("none", "GKT on DER++: a new network is taught by images of a generator"),
    "ssd": ("forget+retain", "SSD on DER++: weights that matter most to the task are dampened"),
    "uniclun": ("forget+retain", "UniCLUN on DER++: BadTeacher with its KL"),
    "derpp": ("none", "DER++ alone: unlearning only removes the task from the buffer"),
    "lwsf": ("latest", "LWSF: unlearns by training on, with the task learned last"),
    "ft": ("all retained data", "reference: fine-tunes on all retained tasks jointly"),
    "rt": ("all retained data", "reference: a new network, trained on all retained tasks"),
    "clpu": ("none", "CLPU: a network for every task, deleted with it"),
    "pall": ("buffer", "PALL: a sparse part of one network for every task, deleted with it"),
    "hnet": ("none", "reference: UnCLe's learner alone; an unlearned task is not held in place"),
    "jit-hnet": ("forget", "JiT on the hypernetwork"),
    "gkt-hnet": ("none", "GKT on the hypernetwork; the forgotten task is never distilled"),
    "rt-hnet": ("all retained data", "reference: a new hypernetwork, trained on what is retained"),
    "refit": ("none", "ours: a new hypernetwork, fitted to the networks that are retained"),
    "only-learning": ("none", "reference: UnCLe that answers no unlearning request"),
    "never": ("none", "control: UnCLe's learner that never learned what is forgotten"),
    "never-derpp": ("none", "control: DER++ that never learned what is forgotten"),
    "delete-head": ("none", "control: DER++ whose unlearning zeroes the task's head alone"),
    "reset": ("none", "control: DER++ whose unlearning draws the network anew"),
}
"""Of each method of the registry: what it reads when it unlearns (`protocol.Reads`), and a line."""

DATASETS = {
    "permuted-digits": "10 tasks of 10 classes: scikit-learn's 8x8 digits, permuted; no download",
    "permuted-mnist": "10 tasks of 10 classes: MNIST, permuted (either as NAME:N, of N tasks)",
    "five-tasks": "5 tasks of 10 classes: SVHN, MNIST, KMNIST, notMNIST, Fashion-MNIST",
    "cifar100": "10 tasks of 10 classes: CIFAR-100, split",
    "tinyimagenet": "20 tasks of 10 classes: Tiny-ImageNet, split",
}
OWN_DATA = {
    "folder:ROOT": "your own: a folder of images a class",
    "csv:FILE": "your own: a list of image files with label and split",
    "npz:ROOT": "your own: .npz files of arrays, a task each",
    "pool:NAMES": "tasks of several data sets, such as pool:mnist,kmnist,cifar100/3,digits",
    "hf:NAME": "your own: a set of Hugging Face's datasets, by name or a folder",
    "tfds:NAME": "your own: a data set of TensorFlow Datasets",
    "FILE.py:FUNCTION": "your own: what a function returns",
}


def parser() -> Parser:
    """The options of `uncle list`."""
    p = Parser(prog="uncle list", description=__doc__)
    what = tuple(LISTS)
    p.add_argument("what", choices=what, metavar="WHAT", help=", ".join(what))
    method = p.add_argument("method", nargs="?", metavar="METHOD", help="settings: of a method")
    completing(method, registry.METHODS)
    return p


def main(argv: list[str] | None = None) -> int:
    """`uncle list`: the exit code."""
    args = parsed(parser(), argv)
    return exit_code(lambda: show(args), "nothing is written", argv is None)


def show(args: argparse.Namespace) -> int:
    """Print the list."""
    if args.method is not None and args.what != "settings":
        raise UncleError(f"uncle list {args.what} takes no METHOD, so no {args.method!r}")
    lines = settings(args.method) if args.method else LISTS[args.what]()
    print(columns(lines))
    return 0


def methods() -> list[tuple[str, ...]]:
    """Name, what it reads when it unlearns, one line; then those of other packages."""
    ours = [(name, f"reads {reads}", line) for name, (reads, line) in METHODS.items()]
    others = sorted(entry_points(group=registry.GROUP).names)
    return [*ours, *((name, "", "of another package installed here") for name in others)]


def datasets() -> list[tuple[str, ...]]:
    """Name as --dataset takes it, one line."""
    return [*DATASETS.items(), *OWN_DATA.items()]


def presets() -> list[tuple[str, ...]]:
    """Data set, preset (the default first), its main settings."""
    places = [*PRESETS.items(), ("your own", OWN_PRESETS)]
    return [(place, name, in_short(one)) for place, named in places for name, one in named.items()]


def in_short(preset: Preset) -> str:
    """A preset's settings that decide how long it takes."""
    told = preset.config
    size = "native size" if told.image_size is None else f"{told.image_size}x{told.image_size}"
    images = "all images" if told.train_images is None else f"{told.train_images} images a task"
    return f"{told.backbone} of width {told.width}, {size}, {told.epochs} epochs, {images}"


def settings(method: str | None = None) -> list[tuple[str, ...]]:
    """Name as --set takes it, what it may be, its default, what the source says of it.

    Of a method, whose import imports jax, its own. Raises UncleError if there is none such.
    """
    place, chosen = "", Config()
    if method is not None:
        place = registry.short(method) + "."
        kind = OWN.get(method)
        chosen = kind() if kind else registry.settings_of(method, registry.find(method), {})
        if chosen is None:
            raise UncleError(f"{method} has no settings of its own (see uncle list settings)")
    return [(place + s.name, s.values, s.default, s.comment) for s in described(chosen)]


LISTS = {"methods": methods, "datasets": datasets, "presets": presets, "settings": settings}


def columns(lines: Sequence[tuple[str, ...]]) -> str:
    """Aligned columns."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
