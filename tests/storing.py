"""A tiny learner on a store, for the tests of stores and for the processes that they kill.

As a script, `python storing.py WORKDIR [CRASH_AT]` answers SEQUENCE on WORKDIR/store, from where
it stopped, and writes WORKDIR/end.json last. It kills itself with SIGKILL just before its
CRASH_AT-th change to the disk, if one is given.
"""

import dataclasses
import functools
import itertools
import json
import os
import signal
import sys
from pathlib import Path

import jax
import numpy as np
from conftest import HYPER, SPEC, TINY, Small

from uncle_jax.config import Config, Uncle, fingerprint
from uncle_jax.data.benchmark import Benchmark
from uncle_jax.engine import request as service
from uncle_jax.engine import resume as sequence
from uncle_jax.engine.learner import identity as identity_of
from uncle_jax.engine.learner import template
from uncle_jax.engine.sequence import run_sequence
from uncle_jax.evaluation.answers import Run
from uncle_jax.evaluation.audit import store as verify
from uncle_jax.methods.protocol import Method
from uncle_jax.methods.uncle import uncle
from uncle_jax.requests import parse
from uncle_jax.store import checkpoint
from uncle_jax.store import recovery as opening
from uncle_jax.store import store as stores
from uncle_jax.store.store import Store
from uncle_jax.tasks import Data

SEQUENCE = parse("L0 L1 U0 L2 U1")
# Learns and forgets in a few steps.
CONFIG = dataclasses.replace(TINY, epochs=4, lr=1e-2)
SETTINGS = dataclasses.replace(HYPER, burn_in=40, gamma=1.0, unlearn_lr=1e-2, norm_calibration=2)


@functools.cache  # compiles once a process
def learner(config: Config = CONFIG, normed: bool = True) -> Method:
    return uncle(SPEC, 4, config, Small(normed=normed), SETTINGS)


def identity(settings: Uncle = SETTINGS, normed: bool = True) -> dict:
    return identity_of("uncle", SPEC, 4, CONFIG, settings, Small(normed=normed))


def noise(task: int, split: str, n: int) -> Data:
    """Images of noise, labelled by which of the task's three directions they lie along most.

    Unlike blobs, which any network tells apart, a network that never saw the task is at chance.
    """
    directions = np.random.RandomState(100 + task).normal(size=(36, 3))
    images = np.random.RandomState(2 * task + (split == "test")).randint(0, 256, (n, 6, 6, 1))
    labels = np.argmax((images.reshape(n, 36) - 127.5) @ directions, axis=1)
    return Data(images.astype(np.uint8), labels.astype(np.int32))


def benchmark() -> Benchmark:
    tasks = [{"train": noise(t, "train", 256), "test": noise(t, "test", 300)} for t in range(4)]
    return Benchmark.from_arrays(tasks, mean=SPEC.mean, std=SPEC.std)


def answer_sequence(workdir: Path, on_request=lambda entry: None, keep_history=False) -> Run:
    """SEQUENCE on WORKDIR/store, from wherever it stopped; saving within requests every epoch."""
    method = learner()
    store, done = sequence.open_sequence(
        workdir / "store", method, jax.random.key(0), identity(), fingerprint({}), keep_history
    )

    def commit(answer, state):
        on_request(store.commit(state, sequence.facts_of(store, method, answer)))

    with store:
        return run_sequence(
            method, benchmark(), SEQUENCE, jax.random.key(0), None, commit, done,
            functools.partial(sequence.saves, store, 1),
        )  # fmt: skip


def ending(run: Run) -> dict:
    """What an interrupted run must share with an uninterrupted one: every bit of both."""
    return {
        "state": checkpoint.tree_hash(run.state),
        "accuracy": [sorted(answer.accuracy.items()) for answer in run.answers],
    }


def new_store(folder: Path, keep_history: bool = False) -> Store:
    """An empty store in `folder`."""
    state = learner().init(jax.random.key(0))
    return opening.create(folder, state, identity(), keep_history)


def ask(store: Store, word: str, **more) -> dict:
    """Answer a request such as "L3" on an open store; its ledger entry. Test data goes with it."""
    (asked,) = parse(word)
    op, task, classes = asked
    data = {} if op == "U" else {"data": noise(task, "train", 256), "data_sha": f"sha of {task}"}
    if op == "L":
        data["test"] = noise(task, "test", 300)
    every, on_step = more.pop("every", 1), more.pop("on_step", None)
    name = service.order_id(store, asked)
    order = service.Order(op=op, task=task, classes=classes, **{"id": name, **data, **more})
    state = store.load(template(learner()))
    return service.answer(store, learner(), state, order, every, on_step)[1]


def load(store: Store):
    return store.load(template(learner()))


def predicts(folder: Path, tasks: list[int]) -> list[verify.Measurement]:
    """Whatever below `folder` can be restored and predicts one of `tasks` above chance.

    The store is not opened, so that nothing is finished or swept first.
    """
    for copy in stores.COPIES:
        for step in reversed(checkpoint.committed(folder / copy)):
            if not stores.intact(folder / copy, step):
                continue
            leaves = checkpoint.manifest(folder / copy, step)["leaves"]
            like = template(learner())
            present = checkpoint.restore(folder / copy, step, like, identity())
            tests = {task: noise(task, "test", 300) for task in tasks}
            measured, _ = verify.remains(folder, learner(), present, leaves, tests)
            return [m for m in measured if not m.forgotten]
    return []


class Stop(Exception):
    """What a test interrupts a request with."""


def stop_at(step):
    def on_step(index, steps, loss):
        if index == step:
            raise Stop

    return on_step


def everything(folder: Path) -> dict[str, bytes]:
    """Every file of a store with what it holds, the lock apart."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "LOCK"
    }


def crash_at(change: int) -> None:
    """Have this process kill itself before its `change`-th fsync, rename or removal."""
    count = itertools.count(1)

    def counted(function):
        def call(*args, **kwargs):
            if next(count) == change:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)

        return call

    for name in ("fsync", "replace", "rename", "unlink", "rmdir"):
        setattr(os, name, counted(getattr(os, name)))


def main(workdir: Path, change: int | None) -> None:
    if change is not None:
        crash_at(change)
    reported = workdir / "reported.txt"

    def report(entry: dict) -> None:
        with reported.open("a") as file:
            file.write(f"{entry['id']}\n")

    print("ready", flush=True)
    run = answer_sequence(workdir, report)
    (workdir / "end.json").write_text(json.dumps(ending(run)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None)
