"""One writer at a time: an advisory lock that ends with the process that holds it."""

import fcntl
import os
from pathlib import Path

from uncle_jax.errors import UncleError


def acquire(path: Path, write: bool) -> int:
    """A descriptor that holds the lock file at `path`, alone if `write`, else with other readers.

    The kernel drops the lock when the process ends, however it ends, so none is ever stale; the pid
    in the file only serves the refusal. Raises UncleError if another process is in the way.
    """
    flags = os.O_RDWR | os.O_CREAT if write else os.O_RDONLY
    try:
        handle = os.open(path, flags | os.O_NOFOLLOW, 0o644)  # a link could lead outside
    except OSError as error:
        verb = "written" if write else "read"
        raise UncleError(f"store {path.parent} cannot be {verb} ({error.strerror})") from None
    try:
        fcntl.flock(handle, (fcntl.LOCK_EX if write else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
        os.close(handle)
        by = f"process {owner}" if owner.isdigit() else "another process"
        raise UncleError(
            f"store {path.parent} is in use by {by}; try again when it has finished"
        ) from None
    if write:
        try:
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        except OSError:  # a full disk: the lock holds all the same, it just names nobody
            pass
    return handle


def release(handle: int) -> None:
    """Give the lock back."""
    os.close(handle)
