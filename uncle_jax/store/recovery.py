"""Making a store and opening it: whatever a crash left undone is finished before anything else."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uncle_jax import files
from uncle_jax.errors import UncleError
from uncle_jax.store import certificate, checkpoint, ledger
from uncle_jax.store.checkpoint import Damaged
from uncle_jax.store.ledger import Entry
from uncle_jax.store.store import (
    CERTIFICATES,
    CHECKPOINTS,
    COPIES,
    FOLDERS,
    INFLIGHT,
    LEDGER,
    Store,
    now,
)


def create(
    folder: Path,
    state: Any,
    identity: Mapping[str, Any],
    keep_history: bool = False,
    **settings: Any,
) -> Store:
    """A new store in `folder`, holding `state` before any request. Raises UncleError.

    `identity` and `settings` (JSON) are fixed from then on. With `keep_history` nothing is erased.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UncleError(f"store {folder} cannot be made ({error.strerror})") from None
    handle = files.acquire(folder / "LOCK", write=True)
    try:
        files.refuse_links(folder)
        if exists(folder) or any(_steps(folder)):
            raise UncleError(f"{folder} already holds a store")
        odd = {path.name for path in folder.iterdir()} - {*FOLDERS, LEDGER, "LOCK"}
        if odd:
            raise UncleError(
                f"{folder} is not empty ({min(odd)}); a store needs a folder of its own"
            )
        for name in FOLDERS:
            (folder / name).mkdir(exist_ok=True)
        files.remove(folder / LEDGER)  # half of a first line, if anything
        store = Store(folder, handle, (), write=True)
        content = {
            "event": "created",
            "time": now(),
            "format": checkpoint.FORMAT,
            "settings": {"identity": identity, "keep_history": keep_history, **settings},
            "state": checkpoint.tree_hash(state),
        }
        entry = ledger.chain((), content)
        checkpoint.save(folder / CHECKPOINTS, 0, state, identity, {"entry": entry})
        store.mirror(0)
        store.append(entry)
    except BaseException:
        files.release(handle)
        raise
    return store


def open_store(folder: Path, write: bool) -> Store:
    """The store in `folder`, after finishing whatever a crash left undone.

    Without `write` other readers may share it, unless something has to be finished. Raises
    UncleError if it is in use, not a store, of another version, or damaged beyond its mirror.
    """
    if not exists(folder):
        missing = any(_steps(folder))
        raise UncleError(
            f"{folder} has checkpoints but no ledger; it is damaged"
            if missing
            else f"{folder} holds no store (init makes one)"
        )
    handle = files.acquire(folder / "LOCK", write)
    try:
        files.refuse_links(folder)
        book = ledger.read(folder / LEDGER)
        if not book.entries:
            raise UncleError(f"{folder / LEDGER} has no whole line; the store is damaged")
        if book.entries[0].get("format") != checkpoint.FORMAT:
            raise checkpoint.newer(folder / LEDGER, book.entries[0].get("format"))
        for entry in book.entries[1:]:
            _check_entry(entry, folder / LEDGER)
        store = Store(folder, handle, book.entries, write)
        pending = _pending(store)
        if (book.torn or pending or store.entries[-1]["event"] == "durable") and not write:
            files.release(handle)
            handle = -1
            return open_store(folder, write=True)
        if write:
            _recover(store, book.torn, pending)
    except BaseException:
        if handle >= 0:
            files.release(handle)
        raise
    return store


def exists(folder: Path) -> bool:
    """Whether `folder` has a ledger with at least one whole line."""
    path = folder / LEDGER
    try:
        return path.is_file() and b"\n" in path.read_bytes()
    except OSError as error:
        raise UncleError(f"cannot read {path} ({error.strerror})") from None


def _steps(folder: Path) -> list[int]:
    """Steps after a request of which some copy was committed; 0 is not among them."""
    found = {step for copy in COPIES for step in checkpoint.committed(folder / copy)}
    return sorted(found - {0})


def _pending(store: Store) -> Entry | None:
    """The entry of a checkpoint that is durable and not in the ledger yet.

    Raises UncleError unless ledger and checkpoints tell the same story.
    """
    folder, step = store.folder, store.step
    newest = max([0, *_steps(folder)])
    if newest < step:
        raise Damaged(f"{folder} has no checkpoint of request {step}, its last; it is damaged")
    for copy in COPIES:
        try:
            entry = checkpoint.manifest(folder / copy, newest)["record"]["entry"]
        except Damaged:
            continue
        if newest == step + 1 and entry["prev"] == store.entries[-1]["hash"]:
            _check_entry(entry, folder / copy)
            return entry
        last = [e for e in store.entries if e["event"] in ("created", "durable")][-1]
        if newest == step and entry["hash"] == last["hash"]:
            return None
        raise UncleError(
            f"{folder / LEDGER} lacks what checkpoint {newest} was saved after; lines are missing"
        )
    raise Damaged(f"both manifests of checkpoint {newest} in {folder} are damaged")


def _check_entry(entry: Entry, where: Path) -> None:
    """Raise UncleError if an entry lacks what a store relies on: its hash can be anyone's."""
    whole = {
        "durable": ("n", "step", "task"),
        "erased": ("n", "step"),
        "audited": ("n", "step", "task"),
    }.get(entry.get("event", ""))
    tasks = [t for group in entry.get("tasks", {}).values() for t in group]
    if whole is None or not all(type(v) is int for v in [*map(entry.get, whole), *tasks]):
        raise UncleError(f"{where}: entry {entry.get('n')} is not one that this program writes")


def _recover(store: Store, torn: int, pending: Entry | None) -> None:
    """Finish what a crash left undone, and tell of it in `store.notes`."""
    if torn:
        ledger.cut(store.folder / LEDGER, torn)
        store.notes.append(f"the ledger's last line was cut short by a crash ({torn} bytes)")
    for name in FOLDERS:
        (store.folder / name).mkdir(exist_ok=True)
    last = store.requests[-1] if store.step else None
    unfinished = pending or (last if store.entries[-1]["event"] == "durable" else None)
    if unfinished:
        store.resumed = store.finish(unfinished)
        store.notes.append(f"request {unfinished['id']} was durable; it is now finished")
    certificate.write(store.folder / CERTIFICATES, store.entries)
    store.sweep(store.step, spare=INFLIGHT)  # inflight.py goes on from it
