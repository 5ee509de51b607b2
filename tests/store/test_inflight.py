import shutil

import jax.numpy as jnp
import numpy as np
import pytest
from storing import ask, new_store

from uncle_jax.store import checkpoint
from uncle_jax.store.inflight import Saves

CARRY = {"phi": jnp.arange(3.0)}
ABOUT = {"id": "L0-1", "data": "abc"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inflight") / "store"
    new_store(folder).close()
    return folder


@pytest.fixture
def store(made, tmp_path):
    from uncle_jax.store.recovery import open_store

    with open_store(shutil.copytree(made, tmp_path / "store"), write=True) as store:
        yield store


def files(store):
    return sorted(path.name for path in (store.folder / "inflight").iterdir())


def test_the_last_save_is_resumed_and_kept_alone(store):
    saves = Saves(store, ABOUT, every=2)
    assert saves.resume(CARRY) == (0, CARRY)
    for done in range(1, 6):
        saves.after_epoch(done, {"phi": CARRY["phi"] + done})
    assert files(store) == ["4", "4.json"]
    done, carry = Saves(store, ABOUT, every=2).resume(CARRY)
    assert done == 4
    np.testing.assert_array_equal(carry["phi"], CARRY["phi"] + 4)


def test_another_requests_save_is_removed(store):
    Saves(store, ABOUT, every=1).after_epoch(1, CARRY)
    assert Saves(store, {**ABOUT, "data": "other"}, every=1).resume(CARRY)[0] == 0
    assert files(store) == []


def test_a_damaged_save_falls_back_to_an_earlier_one(store):
    saves = Saves(store, ABOUT, every=1)
    saves.after_epoch(1, CARRY)
    kept = store.folder / "kept"
    shutil.copytree(store.folder / "inflight", kept)
    saves.after_epoch(2, CARRY)
    for name in ("1", "1.json"):
        shutil.move(kept / name, store.folder / "inflight" / name)
    (store.folder / "inflight/2/default/_METADATA").write_text("{}")
    assert Saves(store, ABOUT, every=1).resume(CARRY)[0] == 1
    assert "not used" in store.notes[0]


def test_the_next_request_leaves_none(store):
    Saves(store, ABOUT, every=1).after_epoch(1, CARRY)
    ask(store, "L1", every=99)
    assert files(store) == []
    assert checkpoint.committed(store.folder / "checkpoints") == [1]
