"""Does a store hold together, and does anything left in it still know a forgotten task?

Everything below the store is looked at, not only what belongs there: whatever can be restored is
restored and measured, and a file that nothing explains is a finding, because it cannot be answered
for.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uncle_jax.core.state import with_arrays
from uncle_jax.errors import UncleError
from uncle_jax.evaluation.accuracy import chance, evaluate
from uncle_jax.methods.protocol import Method
from uncle_jax.store import certificate, checkpoint
from uncle_jax.store.copies import digest_of, known_tests
from uncle_jax.store.store import (
    CERTIFICATES,
    CHECKPOINTS,
    COPIES,
    DATA,
    INFLIGHT,
    LEDGER,
    Store,
    copies_of,
    intact,
    kept_tests,
)
from uncle_jax.tasks import Data


@dataclass(frozen=True)
class Measurement:
    """What one restored artefact makes of a forgotten task's test images."""

    path: str  # relative to the store
    task: int
    accuracy: float  # per cent
    bound: float  # per cent; above it the artefact knows more than chance

    @property
    def forgotten(self) -> bool:
        return self.accuracy <= self.bound


@dataclass(frozen=True)
class Report:
    """What `verify` found: `problems` is empty when all is well."""

    entries: int  # in the ledger, whose chain holds (opening the store checks it)
    problems: tuple[str, ...]
    measured: tuple[Measurement, ...]
    unmeasured: tuple[int, ...]  # forgotten tasks without test data
    unvouched: Mapping[int, str]  # task -> why its test data may not be what it was measured with


def verify(store: Store, method: Method, like: Any, tests: Mapping[int, Data]) -> Report:
    """Check the files of a store, and measure all it can restore on the forgotten tasks of `tests`.

    `like`: the shape of the method's state. Files are only read. Raises UncleError if a task is
    given the test images that another was measured with.
    """
    unvouched = _unvouched(store, tests)
    problems = []
    forgotten = store.tasks["unlearned"]
    known = _explained(store)
    for copy in COPIES:
        if not intact(store.folder / copy, store.step):
            problems.append(f"{copy}/{store.step} is damaged")
    for name, content in certificate.expected(store.entries).items():
        path = store.folder / CERTIFICATES / name
        if not path.is_file() or path.read_bytes() != content.encode():
            problems.append(f"{CERTIFICATES}/{name} is not what the ledger says")
    for path in _files(store.folder):
        inside = path.relative_to(store.folder)
        if inside.as_posix() not in known and not _under(inside, known):
            problems.append(f"{inside} does not belong to the store")
    asked = {task: data for task, data in tests.items() if task in forgotten}
    measured, unread = remains(store.folder, method, store.load(like), _leaves(store), asked)
    problems += [f"{where} cannot be restored, so it cannot be measured" for where in unread]
    problems += [
        f"{m.path} predicts forgotten task {m.task}: {m.accuracy:.1f} % "
        f"(guessing stays under {m.bound:.1f} %)"
        for m in measured
        if not m.forgotten
    ]
    return Report(
        len(store.entries),
        tuple(dict.fromkeys(problems)),
        measured,
        tuple(task for task in forgotten if task not in tests),
        unvouched,
    )


def _unvouched(store: Store, tests: Mapping[int, Data]) -> dict[int, str]:
    """{task: why nothing vouches for its test images}. Raises UncleError for another task's."""
    known, told = known_tests(store), {}
    for task, data in tests.items():
        sha = digest_of(data)
        if sha in known.get(task, ()):
            continue
        others = sorted(other for other, shas in known.items() if sha in shas)
        if others:
            raise UncleError(
                f"these are not the test images of task {task}: task {others[0]} was measured with "
                "them (by their digest in the ledger)"
            )
        told[task] = (
            "it was measured with others (by their digest in the ledger)"
            if known.get(task)
            else "none are in the ledger (learn --test, unlearn --test)"
        )
    return told


def remains(
    folder: Path,
    method: Method,
    present: Any,
    leaves: Sequence[Mapping[str, Any]],
    tests: Mapping[int, Data],
) -> tuple[tuple[Measurement, ...], tuple[str, ...]]:
    """(what all checkpoints below `folder` make of the tasks of `tests`, which are unreadable).

    Whoever wrote them and wherever they lie. `present`: the state that is now, for what one lacks;
    `leaves`: how a state's arrays are stored, for one without its manifest.
    """
    measured, unread = [], []
    for place in sorted(mark.parent for mark in folder.rglob("_METADATA")):
        where = place.parent.relative_to(folder).as_posix()
        try:
            own = checkpoint.unseal(place.parents[1] / f"{place.parent.name}.json")["leaves"]
        except checkpoint.Damaged:
            own = leaves
        try:
            arrays = checkpoint.read(place, own)
        except checkpoint.Damaged:
            unread.append(where)
            continue
        for task, data in tests.items():
            states = (
                method.partial(present, arrays, task)
                if method.partial
                else [with_arrays(present, arrays)]
            )
            found = [evaluate(method, state, task, data) for state in states]
            # what answers nan predicts nothing, but what is beside it may
            accuracy = max((value for value in found if math.isfinite(value)), default=0.0)
            measured.append(Measurement(where, task, accuracy, chance(data)))
    return tuple(measured), tuple(unread)


def _explained(store: Store) -> set[str]:
    """Files and folders, relative to the store, that its ledger accounts for."""
    steps = range(store.step + 1) if store.keep_history else (store.step,)
    names = {f"{CHECKPOINTS}/{s}{end}" for s in steps for end in ("", ".json")}
    names |= {f"{copy}/{store.step}{end}" for copy in COPIES for end in ("", ".json")}
    names |= {f"{CERTIFICATES}/{name}" for name in certificate.expected(store.entries)}
    held = {name for name, _ in kept_tests(store.requests).values()}
    if store.keep_history:
        held = {name for _, name, _ in copies_of(store.requests)}
    names |= {f"{DATA}/{name}" for name in held}
    for done in checkpoint.committed(store.folder / INFLIGHT):
        names |= {f"{INFLIGHT}/{done}", f"{INFLIGHT}/{done}.json"}
    return names | {LEDGER, "LOCK"}


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if not path.is_dir())


def _under(path: Path, known: set[str]) -> bool:
    """Whether `path` lies in a folder of `known`."""
    return any(parent.as_posix() in known for parent in path.parents)


def _leaves(store: Store) -> list[dict[str, Any]]:
    """How the arrays of the store's state are stored."""
    whole = next(copy for copy in COPIES if intact(store.folder / copy, store.step))
    return checkpoint.manifest(store.folder / whole, store.step)["leaves"]
