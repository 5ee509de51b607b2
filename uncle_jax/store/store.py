"""A store: one learner's state on disk, its ledger, and nothing of a task that was unlearned.

    STORE/LOCK              held by the one writer (files.py)
    STORE/ledger.jsonl      what was asked and done (ledger.py); line 1 fixes the settings
    STORE/checkpoints/<n>   the state after n requests (checkpoint.py)
    STORE/mirror/<n>        the same bytes once more
    STORE/inflight/<e>      the request under way, after e epochs
    STORE/data/<task>.npz   test images of a learned task, where some were given; <task>-<n>.npz of
                            what request n left of its classes
    STORE/certificates/     one for each unlearn request, and for each audit (certificate.py)

A request goes: compute; save the state (its manifest makes it *durable*; it carries the ledger line
to come); mirror it; append that line; remove everything else that could hold an earlier state;
append *erased*. A crash before the manifest leaves the state as it was, one after it is rolled
forward when the store is opened next, before anything else.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from uncle_jax import files
from uncle_jax.core.status import describe
from uncle_jax.errors import UncleError
from uncle_jax.store import certificate, checkpoint, ledger
from uncle_jax.store.checkpoint import Damaged
from uncle_jax.store.ledger import Entry
from uncle_jax.tasks import InputSpec, TaskSpec

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
            files.release(self._handle)
            self._handle = -1

    @property
    def settings(self) -> dict[str, Any]:
        """What was fixed when the store was made."""
        return self.entries[0]["settings"]

    @property
    def identity(self) -> dict[str, Any]:
        """The part of the settings that a checkpoint must share with them; its room can grow."""
        return self._with_room(self.requests[-1] if self.step else {})

    def _with_room(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """The identity of the state after `entry`."""
        identity = self.settings["identity"]
        return {**identity, "n_tasks": entry.get("n_tasks", identity["n_tasks"])}

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
        requests = [*self.requests, {**facts, "step": step, "tasks": tasks}]
        content = {
            **facts,
            "event": "durable",
            "time": now(),
            "step": step,
            "tasks": tasks,
            "state_before": self.requests[-1]["state"] if self.step else self.entries[0]["state"],
            "state": checkpoint.tree_hash(state),
            "history_kept": self.keep_history,
            "edition": certificate.EDITION,
            "erase": [
                measure(self.folder, path)
                for path in leftovers(self.folder, step, requests, self.keep_history)
            ],
        }
        entry = ledger.chain(self.entries, content)
        identity = self._with_room(entry)
        checkpoint.save(self.folder / CHECKPOINTS, step, state, identity, {"entry": entry})
        return self.finish(entry)

    def finish(self, entry: Entry) -> Entry:
        """Everything that follows once `entry`'s checkpoint is on the disk; may be repeated."""
        step = entry["step"]
        self.mirror(step)
        if self.step < step:
            self.append(entry)
        self.sweep(step)
        if self.entries[-1]["event"] == "durable":
            content = {"event": "erased", "time": now(), "id": entry["id"], "step": step}
            self.append(ledger.chain(self.entries, content))
        certificate.write(self.folder / CERTIFICATES, self.entries)
        return entry

    def sweep(self, step: int, spare: str | None = None) -> None:
        """Remove all `leftovers` but those in folder `spare`. Raises UncleError if it cannot."""
        paths = leftovers(self.folder, step, self.requests, self.keep_history)
        try:
            files.remove(*(path for path in paths if path.parent.name != spare))
        except OSError as error:
            raise UncleError(
                f"{error.filename or self.folder} cannot be erased ({error.strerror}); it goes on "
                "when the store is opened next"
            ) from error

    def record(self, content: Mapping[str, Any]) -> Entry:
        """Add what an audit found ("event" audited) to the ledger, and write its certificate."""
        entry = ledger.chain(self.entries, content)
        self.append(entry)
        certificate.write(self.folder / CERTIFICATES, self.entries)
        return entry

    @property
    def audits(self) -> list[Entry]:
        """What audits found of forgotten tasks, in order."""
        return [entry for entry in self.entries if entry["event"] == "audited"]

    def append(self, entry: Entry) -> None:
        """Add `entry` to the ledger."""
        ledger.append(self.folder / LEDGER, entry)
        self.entries.append(entry)

    def mirror(self, step: int) -> None:
        """Make the two copies of `step` alike: whichever is whole is copied over the other."""
        for source, target in (COPIES, COPIES[::-1]):
            if intact(self.folder / source, step):
                if not intact(self.folder / target, step):
                    checkpoint.copy(self.folder / source, self.folder / target, step)
                return
        raise Damaged(f"both copies of {self.folder / CHECKPOINTS / str(step)} are damaged")


def copy_name(task: int, step: int | None = None) -> str:
    """Of a task's test images; `step`: of the request that took classes from it, if one did."""
    return f"{task}.npz" if step is None else f"{task}-{step}.npz"


def copies_of(entries: Iterable[Mapping[str, Any]]) -> Iterator[tuple[int, str, str]]:
    """(task, file name, digest) of the test images that each request kept, if it did."""
    for entry in entries:
        if entry.get("test") is not None:
            step = entry["step"] if entry["op"] == "C" else None
            yield entry["task"], copy_name(entry["task"], step), entry["test"]


def kept_tests(requests: Sequence[Mapping[str, Any]]) -> dict[int, tuple[str, str]]:
    """{learned task: (file name, digest)} of the test images that are held after `requests`."""
    found = dict[int, tuple[str, str]]()
    for entry in requests:
        task = entry["task"]
        # Classes that are gone are in the copy before. Some methods do not unlearn.
        if entry["op"] == "C" or (entry["op"] == "U" and task not in entry["tasks"]["learned"]):
            found.pop(task, None)
        found |= {task: (name, sha) for task, name, sha in copies_of([entry])}
    return found


def leftovers(
    folder: Path, step: int, requests: Sequence[Mapping[str, Any]], keep_history: bool
) -> list[Path]:
    """What must be gone once request `step`, the last of `requests`, is durable.

    Every other checkpoint and its mirror, all of the request under way, test data but what is held,
    and half-written files. With `keep_history` checkpoints and data stay.
    """
    keep = {name: {str(step), f"{step}.json"} for name in COPIES}
    if keep_history:
        keep[CHECKPOINTS] |= {f"{s}{end}" for s in range(step) for end in ("", ".json")}
    keep[DATA] = {name for name, _ in kept_tests(requests).values()}
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


def input_spec(store: Store) -> InputSpec:
    """The input that a store's settings name."""
    told: dict[str, Any] = store.identity["spec"]
    tasks = tuple(
        TaskSpec(t["n_classes"], tuple(t["mean"]), tuple(t["std"])) for t in told["tasks"]
    )
    height, width, channels = told["image_shape"]
    return InputSpec(
        (height, width, channels), told["n_classes"], tuple(told["mean"]), tuple(told["std"]), tasks
    )
