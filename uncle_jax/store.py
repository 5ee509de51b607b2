"""A store: one learner's state on disk, its ledger, and nothing of a task that was unlearned.

    STORE/LOCK              held by the one writer (lock.py)
    STORE/ledger.jsonl      what was asked and done (ledger.py); line 1 fixes the settings
    STORE/checkpoints/<n>   the state after n requests (checkpoint.py)
    STORE/mirror/<n>        the same bytes once more
    STORE/inflight/<e>      the request under way, after e epochs
    STORE/data/<task>.npz   test images of a learned task, where some were given
    STORE/certificates/     one for each unlearn request (certificate.py)

A request goes: compute; save the state (its manifest makes it *durable*; it carries the ledger line
to come); mirror it; append that line; remove everything else that could hold an earlier state;
append *erased*. A crash before the manifest leaves the state as it was, one after it is rolled
forward when the store is opened next, before anything else.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from uncle_jax import certificate, checkpoint, durable, ledger, lock
from uncle_jax.checkpoint import Damaged
from uncle_jax.errors import UncleError
from uncle_jax.ledger import Entry
from uncle_jax.state import describe

LEDGER, CHECKPOINTS, MIRROR = "ledger.jsonl", "checkpoints", "mirror"
INFLIGHT, DATA, CERTIFICATES = "inflight", "data", "certificates"
COPIES = (CHECKPOINTS, MIRROR)
FOLDERS = (*COPIES, INFLIGHT, DATA, CERTIFICATES)


class Store:
    """An open store; use it as a context manager, so that its lock is given back."""

    def __init__(self, folder: Path, handle: int, entries: Sequence[Entry], write: bool) -> None:
        self.folder, self.write = folder, write
        self.entries = list(entries)
        self.notes: list[str] = []  # what had to be recovered, in words
        self.resumed: Entry | None = None  # the request that opening it had to finish
        self._handle = handle

    def __enter__(self) -> "Store":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the lock back."""
        if self._handle >= 0:
            lock.release(self._handle)
            self._handle = -1

    @property
    def settings(self) -> dict[str, Any]:
        """What was fixed when the store was made."""
        return self.entries[0]["settings"]

    @property
    def identity(self) -> dict[str, Any]:
        """The part of the settings that a checkpoint must share with them."""
        return self.settings["identity"]

    @property
    def keep_history(self) -> bool:
        return bool(self.settings["keep_history"])

    @property
    def requests(self) -> list[Entry]:
        """The durable entry of every answered request, in order."""
        return [entry for entry in self.entries if entry["event"] == "durable"]

    @property
    def step(self) -> int:
        """How many requests were answered."""
        return len(self.requests)

    @property
    def tasks(self) -> dict[str, list[int]]:
        """Which tasks are learned and which unlearned, by the last request."""
        return self.requests[-1]["tasks"] if self.step else {"learned": [], "unlearned": []}

    def finished(self, identifier: str) -> Entry | None:
        """The durable entry of request `identifier`, if it was answered."""
        return next((entry for entry in self.requests if entry["id"] == identifier), None)

    def load(self, like: Any) -> Any:
        """The state after the last request: from the mirror, if the checkpoint is damaged.

        `like` as in `checkpoint.restore`. Raises Damaged if neither is whole.
        """
        wrong = []
        for copy in COPIES:
            try:
                state = checkpoint.restore(self.folder / copy, self.step, like, self.identity)
            except Damaged as error:
                wrong.append(str(error))
                continue
            if wrong:
                self.notes.append(f"{wrong[0]}; restored from the mirror")
                if self.write:
                    checkpoint.copy(self.folder / MIRROR, self.folder / CHECKPOINTS, self.step)
            return state
        raise Damaged(f"both copies of the state are damaged, nothing is loaded: {wrong[0]}")

    def commit(self, state: Any, facts: Mapping[str, Any]) -> Entry:
        """Make `state`, the answer to a request, durable; then erase what came before it.

        `facts` are told of the request ("id", "op", "task", ...) in its ledger entry, which is
        returned once all is done. Raises UncleError if the disk does not take it: the store is then
        as before, or finishes the request when it is opened next.
        """
        step, tasks = self.step + 1, describe(state)
        content = {
            **facts,
            "event": "durable",
            "time": now(),
            "step": step,
            "tasks": tasks,
            "state_before": self.requests[-1]["state"] if self.step else self.entries[0]["state"],
            "state": checkpoint.tree_hash(state),
            "history_kept": self.keep_history,
            "erase": [
                measure(self.folder, path)
                for path in leftovers(self.folder, step, tasks["learned"], self.keep_history)
            ],
        }
        entry = ledger.chain(self.entries, content)
        checkpoint.save(self.folder / CHECKPOINTS, step, state, self.identity, {"entry": entry})
        return self._finish(entry)

    def _finish(self, entry: Entry) -> Entry:
        """Everything that follows once `entry`'s checkpoint is on the disk; may be repeated."""
        step = entry["step"]
        self._mirror(step)
        if self.step < step:
            self._append(entry)
        for path in leftovers(self.folder, step, entry["tasks"]["learned"], self.keep_history):
            durable.remove(path)
        if self.entries[-1]["event"] == "durable":
            content = {"event": "erased", "time": now(), "id": entry["id"], "step": step}
            self._append(ledger.chain(self.entries, content))
        certificate.write(self.folder / CERTIFICATES, self.entries)
        return entry

    def _append(self, entry: Entry) -> None:
        ledger.append(self.folder / LEDGER, entry)
        self.entries.append(entry)

    def _mirror(self, step: int) -> None:
        """Make the two copies of `step` alike: whichever is whole is copied over the other."""
        for source, target in (COPIES, COPIES[::-1]):
            if intact(self.folder / source, step):
                if not intact(self.folder / target, step):
                    checkpoint.copy(self.folder / source, self.folder / target, step)
                return
        raise Damaged(f"both copies of {self.folder / CHECKPOINTS / str(step)} are damaged")


def create(
    folder: Path, state: Any, identity: Mapping[str, Any], keep_history: bool = False,
    **settings: Any,
) -> Store:  # fmt: skip
    """A new store in `folder`, holding `state` before any request. Raises UncleError.

    `identity` and `settings` (JSON) are fixed from then on. With `keep_history` nothing is erased.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UncleError(f"store {folder} cannot be made ({error.strerror})") from None
    handle = lock.acquire(folder / "LOCK", write=True)
    try:
        durable.refuse_links(folder)
        if exists(folder) or any(_steps(folder)):
            raise UncleError(f"{folder} already holds a store")
        odd = {path.name for path in folder.iterdir()} - {*FOLDERS, LEDGER, "LOCK"}
        if odd:
            raise UncleError(
                f"{folder} is not empty ({min(odd)}); a store needs a folder of its own"
            )
        for name in FOLDERS:
            (folder / name).mkdir(exist_ok=True)
        durable.remove(folder / LEDGER)  # half of a first line, if anything
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
        store._mirror(0)
        store._append(entry)
    except BaseException:
        lock.release(handle)
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
    handle = lock.acquire(folder / "LOCK", write)
    try:
        durable.refuse_links(folder)
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
            lock.release(handle)
            handle = -1
            return open_store(folder, write=True)
        if write:
            _recover(store, book.torn, pending)
    except BaseException:
        if handle >= 0:
            lock.release(handle)
        raise
    return store


def exists(folder: Path) -> bool:
    """Whether `folder` has a ledger with at least one whole line."""
    path = folder / LEDGER
    try:
        return path.is_file() and b"\n" in path.read_bytes()
    except OSError as error:
        raise UncleError(f"cannot read {path} ({error.strerror})") from None


def leftovers(folder: Path, step: int, learned: Sequence[int], keep_history: bool) -> list[Path]:
    """What must be gone once request `step` is durable and the tasks `learned` are what is held.

    Every other checkpoint and its mirror, all of the request under way, test data of other tasks,
    and half-written files. With `keep_history` checkpoints and data stay.
    """
    keep = {name: {str(step), f"{step}.json"} for name in COPIES}
    if keep_history:
        keep[CHECKPOINTS] |= {f"{s}{end}" for s in range(step) for end in ("", ".json")}
    keep[DATA] = {f"{task}.npz" for task in learned}
    keep[INFLIGHT] = set()
    if keep_history:
        keep[DATA] = {path.name for path in (folder / DATA).glob("[0-9]*.npz")}
    found = [path for name in keep for path in sorted((folder / name).glob("*"))]
    halves = sorted((folder / CERTIFICATES).glob(".*"))
    return [path for path in found if path.name not in keep[path.parent.name]] + halves


def measure(folder: Path, path: Path) -> list[Any]:
    """[path relative to the store, files, bytes] of a file or folder."""
    files = [path] if not path.is_dir() else [p for p in path.rglob("*") if not p.is_dir()]
    return [path.relative_to(folder).as_posix(), len(files), sum(f.stat().st_size for f in files)]


def intact(folder: Path, step: int) -> bool:
    """Whether every file of checkpoint `step` in `folder` is as it was written."""
    try:
        checkpoint.check(folder, step)
    except Damaged:
        return False
    return True


def now() -> str:
    """The time, UTC, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


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
    whole = {"durable": ("n", "step", "task"), "erased": ("n", "step")}.get(entry.get("event", ""))
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
        store.resumed = store._finish(unfinished)
        store.notes.append(f"request {unfinished['id']} was durable; it is now finished")
    certificate.write(store.folder / CERTIFICATES, store.entries)
    for path in leftovers(store.folder, store.step, store.tasks["learned"], store.keep_history):
        if path.parent.name != INFLIGHT:  # what midway.py goes on from
            durable.remove(path)
