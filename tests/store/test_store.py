"""The store: durable requests, erasure that survives a crash, and clear refusals."""

import errno
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import storing
from storing import ask, load, new_store, predicts

from uncle_jax import files
from uncle_jax.engine import request as service
from uncle_jax.engine.learner import template as template_of
from uncle_jax.errors import UncleError
from uncle_jax.store import checkpoint, ledger
from uncle_jax.store import store as stores
from uncle_jax.store.checkpoint import Damaged
from uncle_jax.store.recovery import open_store


class Stop(Exception):
    """What a test interrupts a request with."""


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A store that has learned 0 and 1, unlearned 0, and been stopped while it learned 2."""
    folder = tmp_path_factory.mktemp("template") / "store"
    with new_store(folder) as store:
        for word in ("L0", "L1", "U0"):
            ask(store, word)
        with pytest.raises(Stop):
            ask(store, "L2", on_step=stop_at(40))
    return folder


def stop_at(step):
    def on_step(index, steps, loss):
        if index == step:
            raise Stop

    return on_step


@pytest.fixture(scope="module")
def goal(template, tmp_path_factory):
    """The state that the template reaches once it has learned 2."""
    folder = shutil.copytree(template, tmp_path_factory.mktemp("goal") / "store")
    with open_store(folder, write=True) as store:
        return ask(store, "L2")["state"]


@pytest.fixture
def folder(template, tmp_path):
    return shutil.copytree(template, tmp_path / "store")


def everything(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "LOCK"
    }


def test_an_interrupted_request_goes_on_from_its_last_save(folder, goal, tmp_path):
    with open_store(folder, write=True) as store:
        steps = []
        entry = ask(store, "L2", on_step=lambda index, *_: steps.append(index))
        assert steps[0] == 33  # two of four epochs of 16 steps were saved
        assert entry["state"] == goal
    shutil.rmtree(folder / "inflight")
    whole = new_store(tmp_path / "whole")
    with whole:
        assert [ask(whole, word)["state"] for word in ("L0", "L1", "U0", "L2")][-1] == goal


def test_unlearning_erases_what_it_says(folder):
    with open_store(folder, write=True) as store:
        assert store.tasks == {"learned": [1], "unlearned": [0]}
        asked = next(entry for entry in store.requests if entry["op"] == "U")
        gone = [path for path, *_ in asked["erase"]]
    assert {"checkpoints/2", "mirror/2", "data/0.npz"} <= set(gone)
    assert not any((folder / path).exists() for path in gone)
    assert asked["accuracy_before"]["0"] > 60
    assert predicts(folder, [0]) == []
    # The measurement can fail: task 1 is still there for all to see.
    assert predicts(folder, [1])


def test_keep_history_keeps_it_and_says_so(tmp_path):
    with new_store(tmp_path / "s", keep_history=True) as store:
        ask(store, "L0")
        entry = ask(store, "U0")
        assert entry["history_kept"]
        assert "HISTORY IS KEPT" in (tmp_path / "s/certificates/2.txt").read_text()
    assert {m.path for m in predicts(tmp_path / "s", [0])} == {"checkpoints/1"}
    with open_store(tmp_path / "s", write=True) as store:  # a new start does not erase it either
        assert store.keep_history
    assert predicts(tmp_path / "s", [0])


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
        assert service.order_id(store, "U", 0) == "U0-2"  # the command asked again is that one
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


def flip_or_cut(rng, path):
    """Damage a file: one bit flipped, or its end cut off."""
    raw = bytearray(path.read_bytes())
    if rng.random() < 0.5 and raw:
        raw[rng.integers(len(raw))] ^= 1 << rng.integers(8)
    else:
        raw = raw[: rng.integers(len(raw))] if raw else raw
    path.write_bytes(bytes(raw))


def damage(template, goal, tries, tmp_path):
    """Outcomes of `tries` damaged stores, each asked to learn 2: {outcome: count}."""
    counts = {"restored": 0, "refused": 0}
    names = sorted(everything(template))
    np.random.default_rng(0).shuffle(names)
    for number in range(tries):
        rng = np.random.default_rng(number)
        folder = shutil.copytree(template, tmp_path / "damaged")
        name = names[number % len(names)]
        flip_or_cut(rng, folder / name)
        try:
            with open_store(folder, write=True) as store:
                state = ask(store, "L2", every=99)["state"]
        except UncleError:
            counts["refused"] += 1
        else:
            assert state == goal, f"try {number}: {name} damaged, and a wrong state loaded"
            counts["restored"] += 1
        shutil.rmtree(folder)
    return counts


def test_damage_is_repaired_or_refused(template, goal, tmp_path):
    counts = damage(template, goal, 16, tmp_path)
    assert counts["restored"] > 8


@pytest.mark.soak
def test_damage_is_repaired_or_refused_300_times(template, goal, tmp_path):
    counts = damage(template, goal, 300, tmp_path)
    print(f"\n300 damaged stores: {counts}, none silently wrong")
    assert sum(counts.values()) == 300


def test_both_copies_damaged_is_refused(folder):
    for copy in stores.COPIES:
        data = max((folder / copy / "3").rglob("*"), key=lambda p: p.stat().st_size)
        data.write_bytes(data.read_bytes()[:-1])
    with open_store(folder, write=True) as store, pytest.raises(Damaged, match="both copies"):
        load(store)


def test_a_damaged_copy_is_mended_from_the_other(folder):
    data = max((folder / "checkpoints/3").rglob("*"), key=lambda p: p.stat().st_size)
    data.write_bytes(data.read_bytes()[:-1])
    with open_store(folder, write=True) as store:
        load(store)
        assert "restored from the mirror" in store.notes[-1]
    assert stores.intact(folder / "checkpoints", 3)


def test_two_writers(folder):
    before = everything(folder)
    with open_store(folder, write=True):
        with pytest.raises(UncleError, match=f"in use by process {os.getpid()}"):
            open_store(folder, write=True)
        with pytest.raises(UncleError, match="in use"):
            open_store(folder, write=False)
    assert everything(folder) == before


def test_a_store_of_another_layout_dtype_or_configuration(folder):
    net = storing.learner(normed=False)
    with open_store(folder, write=False) as store:
        with pytest.raises(UncleError, match="differ in structure"):
            store.load(template_of(net))
        store.entries[0]["settings"]["identity"] = storing.identity(normed=False)
        with pytest.raises(UncleError, match="is of another kind: layout"):
            load(store)


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


def test_a_full_disk_loses_nothing(folder, goal, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    for module, name in (
        (checkpoint.ocp.CheckpointManager, "save"), (files, "write"), (files, "sync_tree"),
        (ledger.os, "fsync"), (checkpoint.shutil, "copytree"),
    ):  # fmt: skip
        with open_store(folder, write=True) as store, monkeypatch.context() as patch:
            patch.setattr(module, name, full)
            with pytest.raises(UncleError, match="No space left on device"):
                ask(store, "L2", every=99)
    with open_store(folder, write=True) as store:
        assert store.resumed  # the mirror did not fit; the request itself was durable
        assert store.resumed["state"] == goal
    assert predicts(folder, [0]) == []


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB, where this machine lets tests mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if (
        sys.platform != "linux"
        or subprocess.run(mount, capture_output=True, check=False).returncode
    ):
        pytest.skip("needs the right to mount a file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


# Orbax's threads tell of the full disk too.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("collected")
@pytest.mark.parametrize("checked", [True, False], ids=["found first", "found by Orbax"])
def test_a_disk_that_is_really_full(small_disk, template, goal, checked, monkeypatch):
    told = []
    if not checked:
        monkeypatch.setattr(files, "require_room", lambda folder, size: None)
    for free in (0, 60, 150, 300):  # KiB
        folder = shutil.copytree(template, small_disk / "store")
        ballast = small_disk / "ballast"
        with open_store(folder, write=True) as store:
            left = shutil.disk_usage(small_disk).free
            ballast.write_bytes(bytes(max(0, left - free * 1024)))
            try:
                ask(store, "L2", every=99 if checked else 1)
            except UncleError as error:
                told.append(str(error))
        ballast.unlink()
        with open_store(folder, write=True) as store:
            entry = store.finished("L2-1") or ask(store, "L2")
            assert entry["state"] == goal
        shutil.rmtree(folder)
    assert len(told) >= 2
    assert all("No space left on device" in line for line in told)


def test_a_read_only_store(small_disk, template):
    folder = shutil.copytree(template, small_disk / "store")
    before = everything(folder)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(UncleError, match="cannot be written \\(Read-only file system\\)"):
        open_store(folder, write=True)
    with open_store(folder, write=False) as store:
        load(store)
    assert everything(folder) == before


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
