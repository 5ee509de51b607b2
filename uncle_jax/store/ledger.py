"""The ledger: one JSON line an event, each carrying the hash of the line before it.

Appending is the only change. A line without its newline is what a crash in mid-append leaves; it is
cut off and said to be. Anything else that does not fit is a broken chain, and is never repaired.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from uncle_jax import files
from uncle_jax.errors import UncleError

START = "0" * 64  # what the first line names as the one before it

Entry = dict[str, Any]


class BrokenChain(UncleError):
    """A ledger of which a line was changed, removed or put in."""


class Ledger(NamedTuple):
    """What a ledger file holds."""

    entries: tuple[Entry, ...]
    torn: int  # bytes of a last line that a crash cut short


def chain(entries: Sequence[Entry], content: Mapping[str, Any]) -> Entry:
    """`content` as the entry that follows `entries`: numbered, linked and hashed."""
    entry = {"n": len(entries), "prev": entries[-1]["hash"] if entries else START, **content}
    return json.loads(_line({**entry, "hash": _hash(entry)}))  # as it will be read back


def append(path: Path, entry: Entry) -> None:
    """Add `entry` to the file and flush it to the disk. Raises UncleError if it does not fit."""
    size = path.stat().st_size if path.exists() else 0
    try:
        with path.open("ab") as file:
            file.write(_line(entry))
            file.flush()
            os.fsync(file.fileno())
        files.sync(path.parent)
    except OSError as error:
        if path.exists() and path.stat().st_size > size:
            os.truncate(path, size)
        raise UncleError(f"cannot write to {path} ({error.strerror})") from error


def read(path: Path) -> Ledger:
    """The entries of a ledger file. Raises BrokenChain naming the first line that does not fit."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UncleError(f"cannot read {path} ({error.strerror})") from None
    *lines, torn = raw.split(b"\n")
    entries: list[Entry] = []
    for number, line in enumerate(lines, start=1):
        entry = _parse(line)
        where = f"{path}: the chain breaks at line {number}"
        if entry is None:
            raise BrokenChain(f"{where} (the line was changed after it was written)")
        expected = (len(entries), entries[-1]["hash"] if entries else START)
        if (entry["n"], entry["prev"]) != expected:
            raise BrokenChain(f"{where} (a line before it was removed, or it was put in)")
        entries.append(entry)
    return Ledger(tuple(entries), len(torn))


def cut(path: Path, torn: int) -> None:
    """Remove the `torn` last bytes."""
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - torn)
        os.fsync(file.fileno())


def _parse(line: bytes) -> Entry | None:
    """The entry of a line, if the line is byte for byte what `append` would have written."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    if not isinstance(entry, dict) or not {"n", "prev", "hash"} <= set(entry):
        return None
    unhashed = {key: value for key, value in entry.items() if key != "hash"}
    if entry["hash"] != _hash(unhashed) or _line(entry) != line + b"\n":
        return None
    return entry


def _hash(entry: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()


def _line(entry: Mapping[str, Any]) -> bytes:
    return json.dumps(entry, sort_keys=True).encode() + b"\n"
