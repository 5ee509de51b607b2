"""`uncle audit --store`: attack a task that a store has forgotten, and enter it in its ledger."""

import argparse
from pathlib import Path
from typing import Any

from uncle_jax.cli import look
from uncle_jax.cli.arguments import add_main_net
from uncle_jax.cli.look import tell
from uncle_jax.errors import UncleError
from uncle_jax.runs.process import begin
from uncle_jax.runs.progress import Steps


def add_options(group: Any) -> None:
    """The options of an audit of a store."""
    group.add_argument("--store", type=Path, metavar="DIR", help="audit a store's forgotten task")
    group.add_argument("--task", type=int, help="the one that was unlearned")
    group.add_argument("--data", type=Path, metavar="FILE.npz", help="its images, to attack with")
    group.add_argument("--test", type=Path, metavar="FILE.npz", help="default: a fifth of --data")
    group.add_argument(
        "--never",
        type=Path,
        action="append",
        default=[],
        metavar="FILE.npz",
        help="of a task never learned: the reference",
    )
    group.add_argument(
        "--retained",
        action="append",
        default=[],
        metavar="TASK=FILE.npz",
        help="for the power; default: the test images that the store has kept",
    )
    add_main_net(group)
    group.add_argument("--draws", type=int, default=5, help="of an attack; default 5")
    group.add_argument("--json", action="store_true", help="one object, for a program")


def check(args: argparse.Namespace) -> None:
    """Raise UncleError unless a run or a store is given, and of a store all that it needs."""
    if (args.store is None) == (not args.workdirs):
        raise UncleError("give RUN folders, or --store DIR --task T --data FILE.npz")
    for option in ("task", "data"):
        given = getattr(args, option) is not None
        if given != (args.store is not None):
            needs = "--store needs" if args.store is not None else "without --store there is no"
            raise UncleError(f"{needs} --{option}")


def audit(args: argparse.Namespace) -> int:
    """Attack the task and show what was found; the exit code."""
    from uncle_jax.data.npz import read_npz
    from uncle_jax.engine import audit as audits
    from uncle_jax.engine.learner import learner, template
    from uncle_jax.runs.environment import environment
    from uncle_jax.store import certificate
    from uncle_jax.store.recovery import open_store
    from uncle_jax.store.store import input_spec

    settings = audits.StoreAudit(draws=args.draws)
    with open_store(args.store, write=True) as store:
        spec = input_spec(store)

        def read(path: Path) -> Any:
            return read_npz(path, spec)[0]

        files = (look.task_file(item, "--retained") for item in args.retained)
        retained = {task: read(path) for task, path in files} or None
        evidence = audits.evidence_of(
            store,
            args.task,
            read(args.data),
            None if args.test is None else read(args.test),
            [read(path) for path in args.never],
            retained,
        )
        begin(args.compile_cache, args.store)
        method = learner(store, args.main_net)
        state = store.load(template(method))
        tell(store.notes)
        with Steps(f"task {args.task}") as bar:
            found = audits.audit(
                method, state, evidence, settings, audits.key_of(args.task), bar.on_step, bar.begin
            )
        content = audits.entry_of(store, evidence, found, settings, environment())
        entry = store.record(content)
        told = certificate.attest(entry)
    page = args.store / "certificates" / f"{entry['step']}-audit-{entry['n']}.txt"
    look.show(args, told, [f"{page}:", "", page.read_text(encoding="utf-8").rstrip()])
    return 0
