"""Look at a store, and change nothing: what `uncle request` answers from it.

Each prints lines for a person, or with --json one object: the same, for a program.
"""

import argparse
import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uncle_jax.errors import UncleError
from uncle_jax.requests import request_of
from uncle_jax.runs.process import begin

POWERLESS = 99.99  # per cent: what guessing stays under, with very few images


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
        begin(args.compile_cache, args.store)
        method = learner(store, args.main_net)
        state = store.load(template(method))
        tell(store.notes)
    logits = np.asarray(method.logits(state, args.task, images))
    if not np.all(np.isfinite(logits.max(axis=-1, initial=-np.inf))):
        raise UncleError(f"the network of task {args.task} answers with NaN or infinite logits")
    classes = np.argmax(logits, axis=-1).tolist()
    show(args, {"task": args.task, "classes": classes}, [str(c) for c in classes])
    return 0


def status(args: argparse.Namespace) -> int:
    """Print which tasks are learned, and what is kept."""
    from uncle_jax.store.recovery import open_store
    from uncle_jax.store.store import INFLIGHT

    with open_store(args.store, write=False) as store:
        tell(store.notes)
        told = {
            "method": store.identity["method"],
            "answered": store.step,
            "room": store.identity["n_tasks"],
            **store.tasks,
            "under_way": any((store.folder / INFLIGHT).glob("*.json")),
            "history_kept": store.keep_history,
            "notes": store.notes,
        }
    lines = [f"answered: {told['answered']} requests; room for {told['room']} tasks"]
    lines += [f"{n}: {' '.join(map(str, tasks)) or 'none'}" for n, tasks in store.tasks.items()]
    if told["under_way"]:
        lines.append("a request is under way: ask for it again to go on, or for another to drop it")
    kept = store.keep_history
    lines.append("history: kept, nothing is erased" if kept else "history: erased")
    show(args, told, lines)
    return 0


def history(args: argparse.Namespace) -> int:
    """Print every request, and what was erased."""
    from uncle_jax.store.recovery import open_store

    with open_store(args.store, write=False) as store:
        tell(store.notes)
        requests = [
            {
                key: entry[key]
                for key in ("time", "op", "task", "classes", "id", "accuracy", "seconds", "state")
                if key in entry
            }
            | {"erased": [path for path, *_ in entry["erase"]]}
            for entry in store.requests
        ]
        kept = store.keep_history
    lines = [line_of(told) for told in requests]
    if kept:
        lines.append("history is kept in this store: nothing but in-request saves is erased")
    show(args, {"requests": requests, "history_kept": kept}, lines)
    return 0


def line_of(told: Mapping[str, Any]) -> str:
    """A request of `history`, in a line."""
    known = told["accuracy"].items()
    accuracy = ", ".join(f"{task}: {value:.1f}" for task, value in known) or "not measured"
    did, seconds = request_of(told), sum(told["seconds"].values())
    return (
        f"{told['time']}  {did!s:<5} {told['id']:<10} {seconds:7.1f} s  accuracy (%) "
        f"{accuracy}; state {told['state'][:12]}; erased: {', '.join(told['erased']) or 'nothing'}"
    )


def verify(args: argparse.Namespace) -> int:
    """Check every file, and measure what is left of forgotten tasks."""
    from uncle_jax.data.npz import read_npz
    from uncle_jax.engine.learner import learner, template
    from uncle_jax.evaluation.audit import store as checks
    from uncle_jax.store import certificate
    from uncle_jax.store.recovery import open_store
    from uncle_jax.store.store import input_spec

    with open_store(args.store, write=False) as store:
        spec = input_spec(store)
        tests = {}
        for item in args.test:
            task, file = task_file(item, "--test")
            tests[task] = read_npz(file, spec)[0]
        begin(args.compile_cache, args.store)
        method = learner(store, args.main_net)
        report = checks.verify(store, method, template(method), tests)
        audits = [certificate.attest(entry) for entry in store.audits]
        tell(store.notes)
    lines, weak = measured(report, tests)
    for told in audits:
        where = f"after {told['after_requests']} requests"
        lines.append(f"task {told['task']} was audited {where}, at {told['time']}:")
        lines += [certificate.attack_line(one) for one in told["attacks"]]
    failed = bool(report.problems) or (weak and args.require_measured)
    told = {
        "ledger": report.entries,
        "measured": [
            {
                **vars(m),
                "accuracy": m.accuracy if math.isfinite(m.accuracy) else None,
                "images": len(tests[m.task].labels),
                "forgotten": m.forgotten,
            }
            for m in report.measured
        ],
        "unmeasured": list(report.unmeasured),
        "unvouched": {str(task): why for task, why in sorted(report.unvouched.items())},
        "audits": audits,
        "history_kept": store.keep_history,
        "problems": list(report.problems),
        "failed": failed,
    }
    lines = [f"ledger: {report.entries} lines, the chain holds", *lines]
    lines += ["history is kept in this store"] if store.keep_history else []
    lines += [f"PROBLEM: {problem}" for problem in report.problems]
    lines.append("verify failed" if failed else "nothing wrong found")
    show(args, told, lines)
    return 1 if failed else 0


def task_file(item: str, option: str) -> tuple[int, Path]:
    """(task, file) of `option`'s "TASK=FILE". Raises UncleError."""
    task, equals, file = item.partition("=")
    if not equals or not task.isdecimal():
        raise UncleError(f"{option} {item!r} is not TASK=FILE, such as {option} 3=test.npz")
    return int(task), Path(file)


def measured(report: Any, tests: Mapping[int, Any]) -> tuple[list[str], bool]:
    """What was measured of forgotten tasks, and whether any could not be, or could not fail."""
    lines = []
    for m in report.measured:
        shown = f"{m.accuracy:.1f} % of {len(tests[m.task].labels)} images"
        lines.append(
            f"{m.path}: forgotten task {m.task}: {shown}, guessing stays under {m.bound:.1f}"
        )
    for task, why in sorted(report.unvouched.items()):
        lines.append(f"note: nothing vouches for the test images of task {task}: {why}")
    weak = sorted({m.task for m in report.measured if m.bound >= POWERLESS})
    for task in weak:
        lines.append(
            f"forgotten task {task}: too few test images, so no network could fail; give more"
        )
    for task in report.unmeasured:
        lines.append(f"forgotten task {task}: not measured, give --test {task}=FILE")
    forgotten = {m.task for m in report.measured} | {*report.unmeasured}
    for task in sorted(tests.keys() - forgotten):
        lines.append(f"task {task} is not forgotten, so its --test measured nothing")
    if not report.measured:
        lines.append(
            "no forgotten task was measured: this says nothing of what the networks answer"
        )
    return lines, bool(weak or report.unmeasured or tests.keys() - forgotten)


def show(args: argparse.Namespace, told: Mapping[str, Any], lines: list[str]) -> None:
    """Print `told` as JSON, if that is asked for, or `lines`."""
    if args.json:
        print(json.dumps(told, indent=1, allow_nan=False))
    else:
        for line in lines:
            print(line)


def tell(notes: list[str]) -> None:
    """Print a store's notes."""
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
