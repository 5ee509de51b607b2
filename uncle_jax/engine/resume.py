"""A sequence of requests on a store of its own: the same command again goes on where it stopped."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jax import Array

from uncle_jax import files
from uncle_jax.engine.learner import template
from uncle_jax.engine.request import finite, known_accuracy, procedure
from uncle_jax.errors import UncleError
from uncle_jax.evaluation import classes
from uncle_jax.evaluation.answers import Answer, Run
from uncle_jax.methods.protocol import Method
from uncle_jax.requests import Request, request_of
from uncle_jax.store import checkpoint
from uncle_jax.store import recovery as opening
from uncle_jax.store.inflight import Saves
from uncle_jax.store.store import Store


def open_sequence(
    folder: Path,
    method: Method,
    key: Array,
    identity: Mapping[str, Any],
    fingerprint: str,
    keep_history: bool = False,
) -> tuple[Store, Run]:
    """(the sequence's store in `folder`, what it has answered so far); made if there is none.

    Raises UncleError if the store is another sequence's, in use or damaged.
    """
    if not opening.exists(folder):
        state = method.init(key)
        store = opening.create(folder, state, identity, keep_history, sequence=fingerprint)
        return store, Run(state, ())
    store = opening.open_store(folder, write=True)
    try:
        asked = {"sequence": fingerprint, "keep_history": keep_history}
        for name, value in asked.items():
            if store.settings.get(name) != value:
                raise UncleError(
                    f"{folder} has {name} {store.settings.get(name)}, now {value}; "
                    "choose another --workdir, or add --overwrite"
                )
        checkpoint.compare(store.identity, identity, f"the store in {folder}")
        return store, run_of(store, store.load(template(method)))
    except BaseException:
        store.close()
        raise


def remove(folder: Path) -> None:
    """Remove the store in `folder`, if there is one and nobody uses it."""
    if not (folder / "LOCK").exists():
        return
    handle = files.acquire(folder / "LOCK", write=True)
    try:
        files.remove(folder)
    finally:
        files.release(handle)


def saves(store: Store, every: int, index: int, request: Request) -> Saves:
    """In-request saves, every so many epochs, of the sequence's request `index`."""
    return Saves(store, {"id": f"{index}-{request}"}, every)


def facts_of(store: Store, method: Method, found: Answer) -> dict[str, Any]:
    """A sequence's answer as the facts of its ledger entry; `run_of` reads it back."""
    unlearned = sum(entry["op"] == "U" for entry in store.requests)
    forget = procedure(method, unlearned, found.request.op == "C")
    of_classes = dict[str, float]()
    if found.request.op == "C" and classes.BEFORE in found.measured:
        task, gone = found.request.task, found.request.classes
        after = [found.measured[classes.AFTER.format(task, one)] for one in gone]
        both = {"before": found.measured[classes.BEFORE], "after": sum(after) / len(after)}
        of_classes = finite(both)
    return {
        "id": f"{found.index}-{found.request}",
        "op": found.request.op,
        "task": found.request.task,
        **({"classes": [*found.request.classes]} if found.request.classes else {}),
        "procedure": None if found.request.op == "L" else forget,
        "accuracy_before": known_accuracy(store),
        # null: not finite, which JSON has no word for
        "accuracy": {str(t): v if math.isfinite(v) else None for t, v in found.accuracy.items()},
        **({"class_accuracy": of_classes} if of_classes else {}),
        "seconds": {"optimise": found.seconds, "compile": found.compile_seconds},
        # as text, for some are infinite
        "measured": {name: repr(float(value)) for name, value in found.measured.items()},
    }


def run_of(store: Store, state: Any) -> Run:
    """The sequence that a store has answered so far, ending in `state`."""
    answers = (
        Answer(
            entry["step"] - 1,
            request_of(entry),
            {int(t): math.nan if v is None else v for t, v in entry["accuracy"].items()},
            entry["seconds"]["optimise"],
            entry["seconds"]["compile"],
            {name: float(text) for name, text in entry.get("measured", {}).items()},
        )
        for entry in store.requests
    )
    return Run(state, tuple(answers))
