"""Making and opening a store: what a crash left is finished, and what is no store refused."""

import json
import os

import pytest
from storing import Stop, ask, everything, new_store, predicts

from uncle_jax import files
from uncle_jax.engine import request as service
from uncle_jax.errors import UncleError
from uncle_jax.requests import Request
from uncle_jax.store import ledger
from uncle_jax.store import store as stores
from uncle_jax.store.recovery import open_store


@pytest.mark.parametrize("crash", ["mirror", "ledger", "half", "erased"])
def test_a_crash_after_durable_is_finished_first(tmp_path, crash, monkeypatch):
    with new_store(tmp_path / "s") as store:
        ask(store, "L0")
        real = files.remove

        def fail(*args, **kwargs):
            raise Stop

        def half(*paths):
            real(*paths[:3])
            if len(paths) > 3:
                fail()

        with monkeypatch.context() as patch:
            if crash == "mirror":
                patch.setattr(store, "mirror", fail)
            elif crash == "half":
                patch.setattr(files, "remove", half)
            else:
                append, wanted = ledger.append, {"ledger": "durable", "erased": "erased"}[crash]
                patch.setattr(
                    stores.ledger, "append",
                    lambda p, e: fail() if e["event"] == wanted else append(p, e),
                )  # fmt: skip
            with pytest.raises(Stop):
                ask(store, "U0")
    # Even a reader finishes it before it answers.
    with open_store(tmp_path / "s", write=False) as store:
        assert "is now finished" in store.notes[0]
        assert (
            service.order_id(store, Request("U", 0)) == "U0-2"
        )  # the command asked again is that one
        assert store.finished("U0-2")
        assert [entry["event"] for entry in store.entries[-2:]] == ["durable", "erased"]
    assert predicts(tmp_path / "s", [0]) == []
    assert (tmp_path / "s/certificates/2.txt").exists()
    with open_store(tmp_path / "s", write=False) as store:
        assert store.notes == []


def test_a_crash_before_durable_leaves_all_as_it_was(folder, monkeypatch):
    before = everything(folder)
    with open_store(folder, write=True) as store:
        real = files.write

        def fail(path, content):
            if path.name == "4.json":
                raise Stop
            real(path, content)

        monkeypatch.setattr(files, "write", fail)
        with pytest.raises(Stop):
            ask(store, "U1")
        monkeypatch.undo()
    assert (folder / "checkpoints" / "4").exists()
    with open_store(folder, write=True) as store:
        assert store.step == 3
    assert everything(folder) == before


def test_a_torn_ledger_line_is_cut_and_told(folder):
    with (folder / "ledger.jsonl").open("ab") as file:
        file.write(b'{"accuracy": {"0"')
    with open_store(folder, write=False) as store:
        assert "cut short by a crash (17 bytes)" in store.notes[0]
        assert store.step == 3


def test_lost_ledger_lines_are_noticed(folder):
    lines = (folder / "ledger.jsonl").read_text().splitlines(keepends=True)
    (folder / "ledger.jsonl").write_text("".join(lines[:-3]))
    with pytest.raises(UncleError, match="lines are missing"):
        open_store(folder, write=True)
    # The last two alone are what a crash just after "durable" leaves, and come back.
    (folder / "ledger.jsonl").write_text("".join(lines[:-2]))
    with open_store(folder, write=True) as store:
        assert store.step == 3
    assert (folder / "ledger.jsonl").read_text().splitlines(keepends=True)[:-1] == lines[:-1]


def test_two_writers(folder):
    before = everything(folder)
    with open_store(folder, write=True):
        with pytest.raises(UncleError, match=f"in use by process {os.getpid()}"):
            open_store(folder, write=True)
        with pytest.raises(UncleError, match="in use"):
            open_store(folder, write=False)
    assert everything(folder) == before


def test_a_store_of_a_newer_version(folder):
    before = everything(folder)
    first, *_ = ledger.read(folder / "ledger.jsonl").entries
    entry = ledger.chain((), {**first, "n": 0, "format": 2, "prev": ledger.START})
    del entry["hash"]
    entry = ledger.chain((), entry)
    (folder / "ledger.jsonl").write_text(json.dumps(entry, sort_keys=True) + "\n")
    with pytest.raises(UncleError, match="format 2, this version reads 1; update"):
        open_store(folder, write=True)
    after = everything(folder)
    assert {n: b for n, b in after.items() if n != "ledger.jsonl"} == {
        n: b for n, b in before.items() if n != "ledger.jsonl"
    }


def test_a_store_with_a_link_is_refused(folder, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    (folder / "inflight" / "9").symlink_to(precious)
    with pytest.raises(UncleError, match="symbolic link"):
        open_store(folder, write=True)
    assert (precious / "file").exists()


def test_a_crafted_entry_cannot_name_a_path(folder):
    book = list(ledger.read(folder / "ledger.jsonl").entries)
    forged = {**book[-2], "step": "../../../escaped"}
    for key in ("n", "prev", "hash"):
        del forged[key]
    lines = [*book[:-2], ledger.chain(book[:-2], forged)]
    text = "".join(json.dumps(line, sort_keys=True) + "\n" for line in lines)
    (folder / "ledger.jsonl").write_text(text)
    with pytest.raises(UncleError, match="not one that this program writes"):
        open_store(folder, write=True)


def test_what_is_not_a_store(tmp_path, folder):
    with pytest.raises(UncleError, match="holds no store"):
        open_store(tmp_path, write=True)
    with pytest.raises(UncleError, match="already holds a store"):
        new_store(folder)
    with pytest.raises(UncleError, match="is not empty"):
        new_store(tmp_path)
    (folder / "ledger.jsonl").unlink()
    with pytest.raises(UncleError, match="has checkpoints but no ledger"):
        open_store(folder, write=True)
