"""A publisher's archive: found or downloaded, and checked before anything reads it.

Nothing is ever extracted to disk: members are read from the archive, and one whose name could
escape a folder is refused all the same, since a publisher's archive has none.
"""

import fcntl
import gzip
import hashlib
import http.client
import tarfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from uncle_jax.errors import UncleError

BLOCK = 1 << 20
Progress = Callable[[str, int, int], None]
"""Called as progress(file name, bytes so far, bytes in all) while a file is downloaded."""


@dataclass(frozen=True)
class Archive:
    """One file that a publisher hands out."""

    name: str
    url: str
    size: int  # bytes
    checksum: str  # "sha256:..." or "md5:..." of the file
    # The same of what is inside ("" for a gzipped file's content): true where it was packed anew.
    contents: tuple[tuple[str, str], ...] = field(default=())


@dataclass(frozen=True)
class Found:
    """An archive on disk, and how far it is known to be the publisher's."""

    path: Path
    checksum: str  # what was found
    verified: str  # "publisher", "contents" or "no"


def locate(archive: Archive, folders: tuple[Path, ...]) -> Path | None:
    """The archive in the first of `folders` that has it; a `.gz` may be there unpacked."""
    names = [archive.name]
    if archive.name.endswith(".gz") and not archive.name.endswith(".tar.gz"):
        names.append(archive.name.removesuffix(".gz"))
    paths = [folder / name for folder in folders for name in names]
    return next((path for path in paths if path.is_file()), None)


def check(archive: Archive, path: Path, accept: bool, hint: str) -> Found:
    """`path` compared with what the publisher hands out.

    Raises UncleError, with the expected and the found checksum, if it is another file and `accept`
    is not set; `hint` is how the user would set it.
    """
    algorithm, _, expected = archive.checksum.partition(":")
    found = file_digest(path, algorithm)
    if found == expected:
        return Found(path, archive.checksum, "publisher")
    if archive.contents and _same_contents(archive, path):
        return Found(path, f"{algorithm}:{found}", "contents")
    if not accept:
        size = path.stat().st_size
        raise UncleError(
            f"{path} is not the publisher's {archive.name}: {algorithm} {found}, {size:,} bytes "
            f"(expected {expected}, {archive.size:,} bytes); delete it to download it again, "
            f"or {hint}"
        )
    return Found(path, f"{algorithm}:{found}", "no")


def file_digest(path: Path, algorithm: str) -> str:
    """Hexadecimal digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _same_contents(archive: Archive, path: Path) -> bool:
    for member, checksum in archive.contents:
        algorithm, _, expected = checksum.partition(":")
        try:
            if member:
                with open_tar(path) as tar:
                    raw = read_member(tar, member)
            else:
                raw = read_gzip(path)
        except UncleError:
            return False  # unreadable is not the same; `check` goes on to say what it is
        if hashlib.new(algorithm, raw).hexdigest() != expected:
            return False
    return True


def download(archive: Archive, folder: Path, progress: Progress | None = None) -> Path:
    """Fetch `archive` into `folder`, going on where an earlier try stopped. Raises UncleError.

    It gets its name only once its checksum is the publisher's; until then it is `NAME.part`.
    """
    path, part = folder / archive.name, folder / f"{archive.name}.part"
    have = part.stat().st_size if part.is_file() else 0
    whole = True
    request = urllib.request.Request(archive.url, headers={"User-Agent": "uncle-jax"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            folder.mkdir(parents=True, exist_ok=True)
            if answer.status != http.client.PARTIAL_CONTENT:
                have = 0  # the server sends the whole file again
            with part.open("ab") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not have:
                    file.truncate(0)
                while block := answer.read(BLOCK):
                    file.write(block)
                    have += len(block)
                    if progress:
                        progress(archive.name, have, archive.size)
            whole = answer.length == 0  # all that the server announced is here
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:  # that one: all is here
            raise _unreachable(archive, folder, str(error)) from None
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError) as error:
        raise _unreachable(archive, folder, str(getattr(error, "reason", error))) from None
    except BlockingIOError:
        busy = f"another process is downloading {archive.name}; try again later"
        raise UncleError(busy) from None
    except OSError as error:
        raise _unreachable(archive, folder, error.strerror or str(error)) from None
    if part.stat().st_size < archive.size and not whole:
        raise _unreachable(archive, folder, f"it broke off after {have:,} of {archive.size:,}")
    algorithm, _, expected = archive.checksum.partition(":")
    found = file_digest(part, algorithm)
    if found != expected:
        part.unlink()
        raise UncleError(
            f"{archive.url} sent another file: {algorithm} {found} (expected {expected}); "
            "it was deleted"
        )
    return part.rename(path)


def _unreachable(archive: Archive, folder: Path, why: str) -> UncleError:
    return UncleError(
        f"missing {archive.name} in {folder.absolute()}, and {archive.url} could not be fetched "
        f"({why}); put the file there yourself or pass its folder with --data-dir"
    )


def read_gzip(path: Path) -> bytes:
    """What a gzipped file holds; a file that is not gzipped is returned as it is."""
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, error) from None


@contextmanager
def open_tar(path: Path) -> Iterator[tarfile.TarFile]:
    """A tar, gzipped or not, whose damage and unsafe members raise UncleError."""
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                _refuse_escape(path, member.name)
            yield tar
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise _damaged(path, error) from None


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """A zip whose damage and unsafe members raise UncleError."""
    try:
        with zipfile.ZipFile(path) as file:
            for name in file.namelist():
                _refuse_escape(path, name)
            yield file
    # RuntimeError: a damaged header asks for a password or an unknown compression.
    except (zipfile.BadZipFile, OSError, EOFError, zlib.error, RuntimeError) as error:
        raise _damaged(path, error) from None


def read_member(archive: tarfile.TarFile | zipfile.ZipFile, name: str | tarfile.TarInfo) -> bytes:
    """The bytes of one member. Raises UncleError that names it if it is not there."""
    try:
        if isinstance(archive, zipfile.ZipFile):
            return archive.read(str(name))
        file = cast(BinaryIO | None, archive.extractfile(name))
    except KeyError:
        file = None
    if file is None:
        where = archive.filename if isinstance(archive, zipfile.ZipFile) else archive.name
        raise UncleError(f"{where} lacks the member {name}; download it again")
    return file.read()


def _refuse_escape(path: Path, name: str) -> None:
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts:
        raise UncleError(f"{path} has the member {name!r}, which points outside; it is refused")


def _damaged(path: Path, error: Exception) -> UncleError:
    return UncleError(f"{path} is damaged ({first_line(error)}); download it again")


def first_line(error: Exception) -> str:
    """What `error` says, in one line: tarfile, pickle and TFDS take several."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(":,")
