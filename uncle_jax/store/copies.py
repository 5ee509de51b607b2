"""Test images kept in a store while their task is learned."""

import hashlib
import io

import numpy as np

from uncle_jax import files
from uncle_jax.data.npz import read_npz
from uncle_jax.errors import UncleError
from uncle_jax.store.store import DATA, Store, copy_name, input_spec, kept_tests
from uncle_jax.tasks import Data


def write_test(store: Store, task: int, data: Data, step: int | None = None) -> str:
    """Keep a task's test images in the store; its commit erases them with the task.

    `step`: the request that takes classes from the task, whose commit erases the copy before.
    """
    raw = _bytes(data)
    try:
        files.write(store.folder / DATA / copy_name(task, step), raw)
    except OSError as error:
        raise UncleError(
            f"cannot keep the test data ({error.strerror}); nothing was lost"
        ) from None
    return hashlib.sha256(raw).hexdigest()


def digest_of(data: Data) -> str:
    """What the ledger knows test images by: SHA-256 of their copy, the same for the same arrays."""
    return hashlib.sha256(_bytes(data)).hexdigest()


def known_tests(store: Store) -> dict[int, set[str]]:
    """{task: the digests of the test images that its requests were measured with}."""
    known: dict[int, set[str]] = {}
    for entry in store.requests:
        shas = (entry.get("test"), entry.get("measured_with"))
        known.setdefault(entry["task"], set()).update(sha for sha in shas if sha is not None)
    return known


def _bytes(data: Data) -> bytes:
    content = io.BytesIO()
    np.savez(content, x=np.asarray(data.images), y=np.asarray(data.labels))
    return content.getvalue()


def read_tests(store: Store) -> tuple[dict[int, Data], list[int]]:
    """(test data kept of learned tasks, tasks whose copy is damaged and thus not measured)."""
    spec, copies = input_spec(store), kept_tests(store.requests)
    tests, damaged = {}, []
    for task in store.tasks["learned"]:
        if task not in copies:
            continue
        name, sha = copies[task]
        path = store.folder / DATA / name
        if not path.is_file() or files.digest(path) != sha:
            damaged.append(task)
            store.notes.append(f"the test data of task {task} is damaged; it is not measured")
            continue
        tests[task], _ = read_npz(path, spec)
    return tests, damaged
