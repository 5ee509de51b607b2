"""Files that are there after a crash: written whole, flushed to the disk, and hashed.

Every function takes paths inside a store. Symbolic links are never followed: a store from elsewhere
could point one of them outside itself.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from uncle_jax.errors import UncleError

OVERHEAD = 128 * 1024  # bytes of a checkpoint beside its arrays: some twenty small files
Digests = dict[str, list[int | str]]  # relative path -> [bytes, sha256]


def write(path: Path, content: bytes) -> None:
    """Write `path` whole or not at all, and return once it would survive a power cut."""
    with _beside(path) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    sync(path.parent)


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[BinaryIO]:
    """A temporary file that takes `path`'s place at the end, and is gone if there is an error."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def sync(path: Path) -> None:
    """Flush one file, or the list of names in one folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Flush every file and folder below `folder`, and `folder`'s own name."""
    for path in [*sorted(folder.rglob("*")), folder, folder.parent]:
        sync(path)


def remove(*paths: Path) -> None:
    """Remove files and whole folders, where they are there; a link goes, its target stays."""
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for folder in {path.parent for path in paths}:
        if folder.is_dir():
            sync(folder)


def digest(path: Path) -> str:
    """SHA-256 of a file, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests(folder: Path) -> Digests:
    """Size and SHA-256 of every file below `folder`, by relative path."""
    files = sorted(path for path in folder.rglob("*") if not path.is_dir())
    return {
        path.relative_to(folder).as_posix(): [path.lstat().st_size, digest(path)] for path in files
    }


def first_difference(folder: Path, expected: Mapping[str, list[int | str]]) -> str | None:
    """What is wrong with the files below `folder`, as "d/0 is truncated"; None if nothing is."""
    if not folder.is_dir():
        return f"{folder.name}/ is missing"
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))}
    for name, (size, sha) in expected.items():
        path = found.get(name)
        if path is None or path.is_dir():
            return f"{name} is missing"
        if path.lstat().st_size != size:
            return f"{name} has {path.lstat().st_size} bytes instead of {size}"
        if digest(path) != sha:
            return f"{name} was changed"
    extra = [name for name, path in found.items() if name not in expected and not path.is_dir()]
    return f"{extra[0]} does not belong there" if extra else None


def refuse_links(folder: Path) -> None:
    """Raise UncleError if anything below `folder` is not a plain file or folder."""
    for path in folder.rglob("*"):
        mode = path.lstat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            kind = "a symbolic link" if stat.S_ISLNK(mode) else "not a plain file"
            raise UncleError(f"{path} is {kind}; a store holds only plain files and folders")


def require_room(folder: Path, size: int) -> None:
    """Raise OSError unless `size` bytes of arrays fit: Orbax tells of a full disk in tracebacks."""
    if shutil.disk_usage(folder).free < 1.1 * size + OVERHEAD:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def reason(error: BaseException) -> str:
    """The system's words for an error, in one line."""
    if os.strerror(errno.ENOSPC) in str(error):
        return os.strerror(errno.ENOSPC)
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())[:200]


def acquire(path: Path, write: bool, wait: bool = False) -> int:
    """A descriptor that holds the lock file at `path`, alone if `write`, else with other readers.

    The kernel drops the lock when the process ends, however it ends, so none is ever stale; the pid
    in the file only serves the refusal. If another process is in the way, `wait` waits for it;
    otherwise raises UncleError.
    """
    flags = os.O_RDWR | os.O_CREAT if write else os.O_RDONLY
    try:
        handle = os.open(path, flags | os.O_NOFOLLOW, 0o644)  # a link could lead outside
    except OSError as error:
        verb = "written" if write else "read"
        raise UncleError(f"store {path.parent} cannot be {verb} ({error.strerror})") from None
    try:
        how = fcntl.LOCK_EX if write else fcntl.LOCK_SH
        fcntl.flock(handle, how if wait else how | fcntl.LOCK_NB)
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


def write_whole(path: Path, content: str | bytes) -> None:
    """Write `content` to `path` by way of a temporary file beside it, so that none is half-written.

    Raises UncleError, as where the disk is full; the file is then what it was.
    """
    data = content.encode() if isinstance(content, str) else content
    try:
        with _beside(path) as file:
            file.write(data)
            os.fchmod(file.fileno(), 0o644)
    except OSError as error:
        raise UncleError(f"cannot write {path} ({reason(error)})") from None


def require_writable(path: Path, option: str) -> None:
    """Raise UncleError unless a file can be written at `path`, which `option` names.

    For what is written only at the end. Nothing is left there.
    """
    if path.is_dir():
        raise UncleError(f"{option} {path} is a folder; give a file in it")
    if not path.parent.is_dir():
        raise UncleError(f"there is no folder {path.parent} for {option}")
    if path.exists() and not os.access(path, os.W_OK):
        raise UncleError(f"cannot write {option} {path} (Permission denied)")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise UncleError(f"cannot write {option} {path} ({reason(error)})") from None
