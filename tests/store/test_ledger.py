import json

import pytest

from uncle_jax.errors import UncleError
from uncle_jax.store import ledger


@pytest.fixture
def book(tmp_path):
    path, entries = tmp_path / "ledger.jsonl", []
    for number in range(4):
        entries.append(ledger.chain(entries, {"event": "test", "number": number, "b": 1, "a": 2}))
        ledger.append(path, entries[-1])
    return path, entries


def test_what_was_appended_is_read(book):
    path, entries = book
    found = ledger.read(path)
    assert list(found.entries) == entries
    assert found.torn == 0
    assert [entry["n"] for entry in entries] == [0, 1, 2, 3]


@pytest.mark.parametrize("line", [0, 1, 3])
def test_a_changed_line_is_named(book, line):
    path, _ = book
    lines = path.read_text().splitlines(keepends=True)
    lines[line] = lines[line].replace(f'"number": {line}', '"number": 9')
    path.write_text("".join(lines))
    with pytest.raises(ledger.BrokenChain, match=f"breaks at line {line + 1}"):
        ledger.read(path)


def test_a_line_rewritten_with_its_hash_breaks_the_next_one(book):
    path, entries = book
    lines = path.read_text().splitlines()
    lines[1] = json.dumps(ledger.chain(entries[:1], {"event": "another"}), sort_keys=True)
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(ledger.BrokenChain, match="breaks at line 3"):
        ledger.read(path)


def test_a_removed_line_is_named(book):
    path, _ = book
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:1] + lines[2:]))
    with pytest.raises(ledger.BrokenChain, match="breaks at line 2"):
        ledger.read(path)


def test_only_a_last_line_without_its_end_is_torn(book):
    path, entries = book
    with path.open("ab") as file:
        file.write(b'{"half')
    found = ledger.read(path)
    assert (list(found.entries), found.torn) == (entries, 6)
    ledger.cut(path, found.torn)
    assert ledger.read(path).torn == 0


def test_a_full_disk_leaves_no_half_line(book, monkeypatch):
    path, entries = book
    before = path.read_bytes()

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ledger.os, "fsync", full)
    with pytest.raises(UncleError, match="No space left on device"):
        ledger.append(path, ledger.chain(entries, {"event": "late"}))
    assert path.read_bytes() == before
