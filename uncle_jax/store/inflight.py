"""The request under way, on disk every few epochs: after a crash it goes on from there.

It is deterministic from its state, data and carry, so that it ends in the same bits; a save that is
damaged, or of another request, is removed, and the request goes on from an earlier one.
"""

from collections.abc import Mapping
from typing import Any

from uncle_jax import files
from uncle_jax.store import checkpoint
from uncle_jax.store.checkpoint import Damaged
from uncle_jax.store.store import INFLIGHT, Store


class Saves:
    """In-request saves of one learn request, every `every` epochs (a `Inflight`).

    `about`: JSON that tells this request from others, its data included.
    """

    def __init__(self, store: Store, about: Mapping[str, Any], every: int) -> None:
        self._store, self._every = store, every
        self._folder = store.folder / INFLIGHT
        after = store.entries[-1]["hash"]
        self._identity = {**store.identity, "request": {**about, "after": after}}

    def resume(self, carry: Any) -> tuple[int, Any]:
        """(epochs done, carry) of the latest whole save of this request; (0, `carry`) if none."""
        found: tuple[int, Any] | None = None
        for done in reversed(checkpoint.committed(self._folder)):
            try:
                same = checkpoint.manifest(self._folder, done)["identity"] == self._identity
                if same and not found:
                    found = done, checkpoint.restore(self._folder, done, carry, self._identity)
                    self._store.notes.append(f"this request goes on after {done} epochs")
            except Damaged as error:
                self._store.notes.append(f"{error}; not used")
        if found is None:
            self._clear(keep=set())
        return found or (0, carry)

    def after_epoch(self, done: int, carry: Any) -> None:
        """Save `carry` if `done` is a multiple of `every`, then remove the earlier save."""
        if done % self._every:
            return
        # Unflushed: at worst a power cut costs these epochs, and restore notices.
        checkpoint.save(self._folder, done, carry, self._identity, {}, flush=False)
        self._clear(keep={str(done), f"{done}.json"})

    def _clear(self, keep: set[str]) -> None:
        files.remove(*(path for path in self._folder.glob("*") if path.name not in keep))
