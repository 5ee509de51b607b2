"""Answer one request on a store, in a process of its own: learn, unlearn, predict, or look.

uncle request --store DIR init --tasks 10 --image-shape 8 8 1 --classes 10
uncle request --store DIR learn 3 --data TRAIN.npz --test TEST.npz
uncle request --store DIR unlearn 3
uncle request --store DIR predict 5 IMAGES.npz
uncle request --store DIR status | history | verify --test 3=TEST.npz

An .npz holds arrays x (images [N, H, W, D] or [N, H, W], uint8 or floats in 0..1) and y (labels
from 0; predict needs none).
"""

import argparse
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from uncle_jax.cli.arguments import Parser, completing, exit_code, parsed
from uncle_jax.errors import UncleError, allowed
from uncle_jax.methods import registry
from uncle_jax.presets import PRESETS, preset
from uncle_jax.runs.spec import check_seed, set_changes

MOST = 100_000  # tasks, classes, pixels a side
LONGEST_ID = 200
POWERLESS = 99.99  # per cent: what guessing stays under, with very few images
OPS: Any = {"learn": "L", "unlearn": "U"}
STARTED = time.perf_counter()


def parser() -> Parser:
    """The options of `uncle request`."""
    p = Parser(prog="uncle request", description=__doc__)
    p.add_argument("--store", type=Path, required=True, help="the store's folder")
    p.add_argument(
        "--compile-cache",
        default=str(Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "uncle_jax" / "compiled"),
        help="compiled programs, outside any store (they are code); none for no cache",
    )
    commands = p.add_subparsers(dest="command", required=True, parser_class=Parser)
    make = commands.add_parser("init", help="make a store; its settings are fixed from then on")
    make.add_argument("--tasks", type=int, required=True, help="how many tasks it has room for")
    shape = {"nargs": 3, "metavar": ("H", "W", "D"), "help": "of every image; D 1 or 3"}
    make.add_argument("--image-shape", type=int, required=True, **shape)
    make.add_argument("--classes", type=int, required=True, help="of every task")
    dataset = make.add_argument("--dataset", default="permuted-digits", help=", ".join(PRESETS))
    completing(dataset, PRESETS)
    make.add_argument("--preset", default="laptop", help="settings of the dataset's preset")
    method = make.add_argument(
        "--method",
        default="uncle",
        help="one that reads no past data: uncle, refit, hnet, clpu, ...",
    )
    completing(method, registry.METHODS)
    make.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    make.add_argument("--seed", type=int, default=0)
    make.add_argument("--keep-history", action="store_true", help="erase nothing, for research")
    for name in OPS:
        ask = commands.add_parser(name, help=f"{name} a task")
        ask.add_argument("task", type=int)
        ask.add_argument("--id", help="repeating a request of the same id does nothing")
        ask.add_argument("--test", type=Path, help="to measure with; learn keeps a copy of it")
        if name == "learn":
            ask.add_argument("--data", type=Path, required=True, help="to learn from; not kept")
            ask.add_argument("--save-every", type=int, default=5, metavar="K", help="epochs")
    guess = commands.add_parser("predict", help="a line per image: its class")
    guess.add_argument("task", type=int)
    guess.add_argument("images", type=Path)
    commands.add_parser("status", help="which tasks are learned, and what is kept")
    commands.add_parser("history", help="every request, and what was erased")
    check = commands.add_parser(
        "verify", help="check every file; exit code 1 if something is wrong"
    )
    check.add_argument("--test", action="append", default=[], metavar="TASK=FILE")
    check.add_argument(
        "--require-measured",
        action="store_true",
        help="exit code 1 too where a forgotten task could not be measured, or nothing could fail",
    )
    return p


def main(argv: list[str] | None = None) -> int:
    """`uncle request`: the exit code."""
    args = parsed(parser(), argv)
    commands = {
        "init": init,
        "learn": ask,
        "unlearn": ask,
        "predict": predict,
        "status": status,
        "history": history,
        "verify": verify,
    }
    return exit_code(
        lambda: commands[args.command](args), "the same command goes on from here", argv is None
    )


def init(args: argparse.Namespace) -> int:
    """Make a store."""
    usual = preset(args.dataset, args.preset)
    name = args.method
    if name not in registry.METHODS:  # a store names no code to run
        raise allowed("method", name, registry.METHODS)
    config, own = set_changes(args.set, usual.config, [name])
    check_shapes(args)
    if (args.store / "store.json").exists() or (args.store / "LOCK").exists():
        raise UncleError(f"{args.store} already holds a store; choose another folder")
    prepare_cache(args.compile_cache, args.store)
    import jax

    from uncle_jax.engine.learner import identity as identity_of
    from uncle_jax.engine.request import require_no_past
    from uncle_jax.store.recovery import create
    from uncle_jax.tasks import InputSpec

    half = (0.5,) * args.image_shape[2]
    spec = InputSpec(tuple(args.image_shape), args.classes, half, half)
    settings = registry.settings_of(name, registry.find(name), own[name], usual.uncle)
    method = registry.build(name, spec, args.tasks, config, settings)
    require_no_past(method)
    state = method.init(jax.random.key(args.seed))
    identity = identity_of(name, spec, args.tasks, config, settings)
    with create(args.store, state, identity, args.keep_history, seed=args.seed):
        print(f"{args.store}: room for {args.tasks} tasks, none learned{kept(args.keep_history)}")
    return 0


def check_shapes(args: argparse.Namespace) -> None:
    """Raise UncleError unless a store can have such tasks."""
    check_seed(args.seed, "--seed")
    for name, least in (("tasks", 1), ("classes", 2)):
        if not least <= getattr(args, name) <= MOST:
            raise UncleError(f"--{name} must be {least} to {MOST}, not {getattr(args, name)}")
    height, width, depth = args.image_shape
    if not (1 <= height <= MOST and 1 <= width <= MOST and depth in (1, 3)):
        told = " ".join(map(str, args.image_shape))
        raise UncleError(f"--image-shape is H W D, 1 to {MOST} twice, then 1 or 3, not {told}")


def check_id(name: str | None) -> None:
    """Raise UncleError unless `name`, a request's id, is fit to be printed in a line."""
    if name is not None and not (name.isprintable() and name == name.strip() != ""):
        raise UncleError(f"--id {name!r} must be printable, in one line, and not empty")
    if name is not None and len(name) > LONGEST_ID:
        raise UncleError(f"--id has {len(name)} letters (allowed: {LONGEST_ID})")


def ask(args: argparse.Namespace) -> int:
    """Learn or unlearn, and tell where the time went."""
    import jax

    from uncle_jax.data.npz import read_npz
    from uncle_jax.engine import request as requests
    from uncle_jax.engine.learner import learner, template
    from uncle_jax.runs.environment import environment
    from uncle_jax.store.recovery import open_store
    from uncle_jax.store.store import input_spec

    clock = Clock("imports")
    check_id(args.id)
    with open_store(args.store, write=True) as store:
        spec = input_spec(store)
        test = read_npz(args.test, spec)[0] if args.test else None
        data, sha = None, None
        if args.command == "learn":
            data, sha = read_npz(args.data, spec)
        name = args.id or requests.order_id(store, OPS[args.command], args.task)
        order = requests.Order(OPS[args.command], args.task, name, data, sha, test)
        again = requests.repeated(store, order)
        if again:
            tell(store.notes)
            print(f"{name} was answered already, at {again['time']}; nothing done")
            return 0
        if args.command == "unlearn" and (then := requests.already_unlearned(store, args.task)):
            tell(store.notes)
            by = f"by {then['id']}, at {then['time']}"
            print(f"task {args.task} was unlearned already {by}; nothing done")
            return 0
        prepare_cache(args.compile_cache, args.store)
        method = learner(store)
        clock.lap("open")
        state = store.load(template(method))
        clock.lap("restore")
        tell(store.notes)
        told = len(store.notes)
        every = args.save_every if args.command == "learn" else 1
        if every < 1:
            raise UncleError(f"--save-every must be at least 1 epoch, not {every}")
        order = replace(order, environment=environment())
        _, entry = requests.answer(store, method, state, order, every)
        clock.lap("answer")
        tell(store.notes[told:])
        seconds = entry["seconds"]
        parts = {**clock.laps, **seconds}
        parts["save"] = parts.pop("answer") - sum(seconds.values())
        accuracy = ", ".join(f"{task}: {value:.1f}" for task, value in entry["accuracy"].items())
        print(f"{name} is durable; erased: {gone(entry)}{kept(store.keep_history)}")
        print(f"accuracy (%) by task: {accuracy or 'no test data'}")
        total = time.perf_counter() - STARTED
        print("seconds: " + ", ".join(f"{k} {v:.2f}" for k, v in parts.items()), end="")
        print(f", all {total:.2f} ({jax.devices()[0].device_kind})")
        if args.command == "unlearn":
            page = args.store / "certificates" / f"{entry['step']}.txt"
            print(f"\n{page}:\n\n{page.read_text(encoding='utf-8')}")
    return 0


def predict(args: argparse.Namespace) -> int:
    """Print the class of each image."""
    import numpy as np

    from uncle_jax.data.npz import read_images
    from uncle_jax.engine.learner import learner, template
    from uncle_jax.store.recovery import open_store
    from uncle_jax.store.store import input_spec

    with open_store(args.store, write=False) as store:
        images = read_images(args.images, input_spec(store))
        if args.task not in store.tasks["learned"]:
            raise UncleError(f"task {args.task} is not learned (learned: {store.tasks['learned']})")
        prepare_cache(args.compile_cache, args.store)
        method = learner(store)
        state = store.load(template(method))
        tell(store.notes)
    logits = np.asarray(method.logits(state, args.task, images))
    if not np.all(np.isfinite(logits.max(axis=-1, initial=-np.inf))):
        raise UncleError(f"the network of task {args.task} answers with NaN or infinite logits")
    print(*np.argmax(logits, axis=-1).tolist(), sep="\n")
    return 0


def status(args: argparse.Namespace) -> int:
    """Print which tasks are learned, and what is kept."""
    from uncle_jax.store.recovery import open_store
    from uncle_jax.store.store import INFLIGHT

    with open_store(args.store, write=False) as store:
        tell(store.notes)
        print(f"answered: {store.step} requests; room for {store.identity['n_tasks']} tasks")
        for name, tasks in store.tasks.items():
            print(f"{name}: {' '.join(map(str, tasks)) or 'none'}")
        if any((store.folder / INFLIGHT).glob("*.json")):
            print("a request is under way: ask for it again to go on, or for another to drop it")
        print("history: kept, nothing is erased" if store.keep_history else "history: erased")
    return 0


def history(args: argparse.Namespace) -> int:
    """Print every request, and what was erased."""
    from uncle_jax.store.recovery import open_store

    with open_store(args.store, write=False) as store:
        tell(store.notes)
        for entry in store.requests:
            did = f"{entry['op']}{entry['task']}"
            known = entry["accuracy"].items()
            accuracy = ", ".join(f"{task}: {value:.1f}" for task, value in known) or "not measured"
            seconds = sum(entry["seconds"].values())
            print(
                f"{entry['time']}  {did:<5} {entry['id']:<10} {seconds:7.1f} s  accuracy (%) "
                f"{accuracy}; state {entry['state'][:12]}; erased: {gone(entry)}"
            )
        if store.keep_history:
            print("history is kept in this store: nothing but in-request saves is erased")
    return 0


def verify(args: argparse.Namespace) -> int:
    """Check every file, and measure what is left of forgotten tasks."""
    from uncle_jax.data.npz import read_npz
    from uncle_jax.engine.learner import learner, template
    from uncle_jax.evaluation.audit import store as checks
    from uncle_jax.store.recovery import open_store
    from uncle_jax.store.store import input_spec

    with open_store(args.store, write=False) as store:
        spec = input_spec(store)
        tests = {}
        for item in args.test:
            task, equals, file = item.partition("=")
            if not equals or not task.isdecimal():
                raise UncleError(f"--test {item!r} is not TASK=FILE, such as --test 3=test.npz")
            tests[int(task)] = read_npz(Path(file), spec)[0]
        prepare_cache(args.compile_cache, args.store)
        method = learner(store)
        report = checks.verify(store, method, template(method), tests)
        tell(store.notes)
        print(f"ledger: {report.entries} lines, the chain holds")
        failed = show_measured(report, tests)
        if store.keep_history:
            print("history is kept in this store")
        for problem in report.problems:
            print(f"PROBLEM: {problem}")
    failed = bool(report.problems) or (failed and args.require_measured)
    print("verify failed" if failed else "nothing wrong found")
    return 1 if failed else 0


def show_measured(report: Any, tests: Mapping[int, Any]) -> bool:
    """Print what was measured of forgotten tasks; whether any could not be, or could not fail."""
    for m in report.measured:
        shown = f"{m.accuracy:.1f} % of {len(tests[m.task].labels)} images"
        print(f"{m.path}: forgotten task {m.task}: {shown}, guessing stays under {m.bound:.1f}")
    for task, why in sorted(report.unvouched.items()):
        print(f"note: nothing vouches for the test images of task {task}: {why}")
    weak = sorted({m.task for m in report.measured if m.bound >= POWERLESS})
    for task in weak:
        print(f"forgotten task {task}: too few test images, so no network could fail; give more")
    for task in report.unmeasured:
        print(f"forgotten task {task}: not measured, give --test {task}=FILE")
    forgotten = {m.task for m in report.measured} | {*report.unmeasured}
    for task in sorted(tests.keys() - forgotten):
        print(f"task {task} is not forgotten, so its --test measured nothing")
    if not report.measured:
        print("no forgotten task was measured: this says nothing of what the networks answer")
    return bool(weak or report.unmeasured or tests.keys() - forgotten)


def prepare_cache(folder: str, store: Path) -> None:
    """Keep compiled programs in `folder`. Not inside the store: loading one runs what it holds."""
    if folder == "none":
        return
    place = Path(folder).expanduser().resolve()
    if place.is_relative_to(store.resolve()):
        raise UncleError(f"--compile-cache {folder} is inside the store; choose another folder")
    import jax

    jax.config.update("jax_compilation_cache_dir", str(place))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


class Clock:
    """Seconds of one part after another, from the start of the process on."""

    def __init__(self, first: str) -> None:
        self.last = STARTED
        self.laps: dict[str, float] = {}
        self.lap(first)

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name], self.last = now - self.last, now


def gone(entry: Mapping[str, Any]) -> str:
    """What a request erased, in words."""
    return ", ".join(path for path, *_ in entry["erase"]) or "nothing"


def kept(keep_history: bool) -> str:
    """A warning, where history is kept."""
    return " (HISTORY IS KEPT: nothing is erased)" if keep_history else ""


def tell(notes: list[str]) -> None:
    """Print a store's notes."""
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
