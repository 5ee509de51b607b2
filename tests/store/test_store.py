"""The store: durable requests, erasure that survives a crash, and clear refusals."""

import errno
import shutil
import subprocess
import sys

import numpy as np
import pytest
import storing
from storing import ask, everything, load, new_store, predicts

from uncle_jax import files
from uncle_jax.engine.learner import template as template_of
from uncle_jax.errors import UncleError
from uncle_jax.store import checkpoint, ledger, orbax
from uncle_jax.store import store as stores
from uncle_jax.store.checkpoint import Damaged
from uncle_jax.store.recovery import open_store


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


def test_a_store_of_another_layout_dtype_or_configuration(folder):
    net = storing.learner(normed=False)
    with open_store(folder, write=False) as store:
        with pytest.raises(UncleError, match="differ in structure"):
            store.load(template_of(net))
        store.entries[0]["settings"]["identity"] = storing.identity(normed=False)
        with pytest.raises(UncleError, match="is of another kind: layout"):
            load(store)


def test_a_full_disk_loses_nothing(folder, goal, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    for module, name in (
        (orbax.ocp.CheckpointManager, "save"), (files, "write"), (files, "sync_tree"),
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
