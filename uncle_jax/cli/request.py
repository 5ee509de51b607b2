"""Answer one request on a store, in a process of its own: learn, unlearn, predict, or look.

uncle request --store DIR init --tasks 10 --image-shape 8 8 1 --classes 10
uncle request --store DIR learn 3 --data TRAIN.npz --test TEST.npz
uncle request --store DIR unlearn 3
uncle request --store DIR unlearn 5 --class 7 --data TRAIN.npz
uncle request --store DIR predict 5 IMAGES.npz
uncle request --store DIR status | history | verify --test 3=TEST.npz

An .npz holds arrays x (images [N, H, W, D] or [N, H, W], uint8 or floats in 0..1) and y (labels
from 0; predict needs none).
"""

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from uncle_jax.cli import look
from uncle_jax.cli.arguments import (
    Parser,
    add_compile_cache,
    add_main_net,
    add_warn_fall,
    completing,
    exit_code,
    parsed,
)
from uncle_jax.cli.look import tell
from uncle_jax.errors import UncleError, allowed
from uncle_jax.methods import registry
from uncle_jax.presets import PRESETS, preset
from uncle_jax.report import terminal
from uncle_jax.requests import MOST, Request, request_of
from uncle_jax.runs.process import begin
from uncle_jax.runs.progress import Steps
from uncle_jax.runs.spec import check_seed, set_changes

LONGEST_ID = 200
OPS: Any = {"learn": "L", "unlearn": "U"}
# A store lives long, and under the presets, which are the authors', what it retains falls apart
# over hundreds of requests (docs/streams.md).
HELD = {"hold": "solved", "dead": "redraw"}
HOLDING = ("uncle", "hnet")  # refit holds what it retains without
STARTED = time.perf_counter()


def parser() -> Parser:
    """The options of `uncle request`."""
    p = Parser(prog="uncle request", description=__doc__)
    p.add_argument("--store", type=Path, required=True, help="the store's folder")
    add_main_net(p)
    add_compile_cache(p)
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
        add_warn_fall(ask)
        if name == "learn":
            ask.add_argument("--data", type=Path, required=True, help="to learn from; not kept")
        else:
            ask.add_argument(
                "--class",
                dest="classes",
                type=int,
                nargs="+",
                default=[],
                metavar="C",
                help="these classes alone; the task stays, with its others",
            )
            ask.add_argument(
                "--data", type=Path, help="with --class: images of the others, to learn them again"
            )
        ask.add_argument("--save-every", type=int, default=5, metavar="K", help="epochs")
    guess = commands.add_parser("predict", help="a line per image: its class")
    guess.add_argument("task", type=int)
    guess.add_argument("images", type=Path)
    state = commands.add_parser("status", help="which tasks are learned, and what is kept")
    past = commands.add_parser("history", help="every request, and what was erased")
    check = commands.add_parser(
        "verify", help="check every file; exit code 1 if something is wrong"
    )
    check.add_argument("--test", action="append", default=[], metavar="TASK=FILE")
    check.add_argument(
        "--require-measured",
        action="store_true",
        help="exit code 1 too where a forgotten task could not be measured, or nothing could fail",
    )
    for look_at in (guess, state, past, check):
        look_at.add_argument("--json", action="store_true", help="one object, for a program")
    return p


def main(argv: list[str] | None = None) -> int:
    """`uncle request`: the exit code."""
    args = parsed(parser(), argv)
    commands = {
        "init": init,
        "learn": ask,
        "unlearn": ask,
        "predict": look.predict,
        "status": look.status,
        "history": look.history,
        "verify": look.verify,
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
    if args.main_net is not None:
        config = replace(config, backbone=args.main_net)
    check_shapes(args)
    if (args.store / "store.json").exists() or (args.store / "LOCK").exists():
        raise UncleError(f"{args.store} already holds a store; choose another folder")
    begin(args.compile_cache, args.store)
    import jax

    from uncle_jax.engine.learner import identity as identity_of
    from uncle_jax.engine.request import require_no_past
    from uncle_jax.store.recovery import create
    from uncle_jax.tasks import InputSpec

    half = (0.5,) * args.image_shape[2]
    spec = InputSpec(tuple(args.image_shape), args.classes, half, half)
    settings = registry.settings_of(name, registry.find(name), own[name], usual.uncle)
    if name in HOLDING and settings.room >= args.tasks:
        settings = registry.changed(name, settings, HELD | own[name])
    method = registry.build(name, spec, args.tasks, config, settings)
    require_no_past(method)
    with Steps("init"):
        state = method.init(jax.random.key(args.seed))
    identity = identity_of(name, spec, args.tasks, config, settings)
    with create(args.store, state, identity, args.keep_history, seed=args.seed):
        print(f"{args.store}: room for {args.tasks} tasks, none learned{kept(args.keep_history)}")
        if told := terminal.room_line(name, settings, args.tasks):
            print(told)
        if name in HOLDING:
            print(holding(settings, args.tasks))
    return 0


def holding(settings: Any, n_tasks: int) -> str:
    """How a store holds what it retains, and how it could be held better."""
    told = ", ".join(f"{key}={getattr(settings, key)}" for key in HELD)
    if n_tasks <= settings.room or settings.hold == HELD["hold"]:
        return f"what is retained is held by {told} (docs/streams.md)"
    better = ", ".join(f"{key}={value}" for key, value in HELD.items())
    return (
        f"what is retained is held by {told}: heads have room for {settings.room} of {n_tasks} "
        f"tasks; with {terminal.with_room(settings, n_tasks)} it is {better} (docs/streams.md)"
    )


def check_shapes(args: argparse.Namespace) -> None:
    """Raise UncleError unless a store can have such tasks; MOST is of pixels a side, too."""
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
    from uncle_jax.engine.growing import grown
    from uncle_jax.engine.learner import learner, template
    from uncle_jax.evaluation.metrics import fallen
    from uncle_jax.runs.environment import environment
    from uncle_jax.store.recovery import open_store
    from uncle_jax.store.store import input_spec

    clock = Clock("imports")
    check_id(args.id)
    classes = tuple(sorted({*getattr(args, "classes", ())}))
    if args.command == "unlearn" and args.data is not None and not classes:
        raise UncleError("unlearn reads no data; --data goes with --class")
    with open_store(args.store, write=True) as store:
        spec = input_spec(store)
        test = read_npz(args.test, spec)[0] if args.test else None
        data, sha = None, None
        if args.data is not None:
            data, sha = read_npz(args.data, spec)
        asked = Request("C" if classes else OPS[args.command], args.task, classes)
        name = args.id or requests.order_id(store, asked)
        order = requests.Order(asked.op, args.task, name, data, sha, test, classes=classes)
        again = requests.repeated(store, order)
        if again:
            tell(store.notes)
            print(f"{name} was answered already, at {again['time']}; nothing done")
            return 0
        if then := requests.already_unlearned(store, asked):
            tell(store.notes)
            by = f"by {then['id']}, at {then['time']}"
            print(f"{named(asked)} was unlearned already {by}; nothing done")
            return 0
        requests.check(store, asked)
        begin(args.compile_cache, args.store)
        every = args.save_every
        if every < 1:
            raise UncleError(f"--save-every must be at least 1 epoch, not {every}")
        with Steps(f"{name}: restore", compiles=False) as bar:
            method = learner(store, args.main_net)
            clock.lap("open")
            state = store.load(template(method))
            clock.lap("restore")
            tell(store.notes)
            told = len(store.notes)
            room = store.identity["n_tasks"]
            if args.command == "learn" and room <= args.task < MOST:
                method, state = grown(method, state, args.task + 1)
                clock.lap("grow")
                store.notes.append(f"there was room for {room} tasks, now for {args.task + 1}")
            order = replace(order, environment=environment())
            bar.begin(name)
            _, entry = requests.answer(store, method, state, order, every, bar.on_step)
        clock.lap("answer")
        tell(store.notes[told:])
        seconds = entry["seconds"]
        parts = {**clock.laps, **seconds}
        parts["save"] = parts.pop("answer") - sum(seconds.values())
        accuracy = ", ".join(f"{task}: {value:.1f}" for task, value in entry["accuracy"].items())
        print(f"{name} is durable; erased: {gone(entry)}{kept(store.keep_history)}")
        print(f"accuracy (%) by task: {accuracy or 'no test data'}")
        of_class = entry.get("class_accuracy", {})
        if both := " -> ".join(f"{of_class[w]:.1f}" for w in ("before", "after") if w in of_class):
            print(f"accuracy (%) on {named(asked)}: {both}")
        for task, (then, now) in fallen(*measured(store.requests), args.warn_fall).items():
            print(terminal.fall_line(task, then, now))
        if args.command == "learn":
            most = len(store.tasks["learned"])
            if full := terminal.room_line(method.name, method.settings, most):
                print(full)
        total = time.perf_counter() - STARTED
        print("seconds: " + ", ".join(f"{k} {v:.2f}" for k, v in parts.items()), end="")
        print(f", all {total:.2f} ({jax.devices()[0].device_kind})")
        if args.command == "unlearn":
            page = args.store / "certificates" / f"{entry['step']}.txt"
            print(f"\n{page}:\n\n{page.read_text(encoding='utf-8')}")
    return 0


def measured(entries: Sequence[Mapping[str, Any]]) -> tuple[list[Request], list[dict[int, float]]]:
    """A store's requests, and the accuracies after each, by task, of what had test data."""
    asked = [request_of(entry) for entry in entries]
    return asked, [{int(t): v for t, v in entry["accuracy"].items()} for entry in entries]


class Clock:
    """Seconds of one part after another, from the start of the process on."""

    def __init__(self, first: str) -> None:
        self.last = STARTED
        self.laps: dict[str, float] = {}
        self.lap(first)

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name], self.last = now - self.last, now


def named(asked: Request) -> str:
    """What is to be unlearned, in words."""
    if not asked.classes:
        return f"task {asked.task}"
    kind = "class" if len(asked.classes) == 1 else "classes"
    return f"{kind} {' '.join(map(str, asked.classes))} of task {asked.task}"


def gone(entry: Mapping[str, Any]) -> str:
    """What a request erased, in words."""
    return ", ".join(path for path, *_ in entry["erase"]) or "nothing"


def kept(keep_history: bool) -> str:
    """A warning, where history is kept."""
    return " (HISTORY IS KEPT: nothing is erased)" if keep_history else ""
