"""Arrays read back as they were written, under whatever name a folder has."""

import json

import numpy as np
import pytest
import storing
from conftest import same

from uncle_jax.engine.saving import restore, save
from uncle_jax.errors import UncleError
from uncle_jax.store import checkpoint, orbax
from uncle_jax.store.recovery import open_store

NAMES = (
    "[v2]", "a*b?", "two words", "it's \"quoted\"", "line\nbreak", "日本 é", "a" * 200, "{x,y}",
    "~", "$HOME", "%20", "back\\slash", "#1;2&3",
)  # fmt: skip
ARRAYS = {"a": np.arange(6, dtype=np.float32), "b": np.array(3, np.int32)}


@pytest.mark.parametrize("name", NAMES)
def test_arrays_read_back_under_any_name(tmp_path, name, capfd):
    folder = tmp_path / name
    folder.mkdir()
    orbax.write(folder, 3, ARRAYS)
    assert orbax.differing(folder / "3" / "default", ARRAYS) is None
    assert capfd.readouterr() == ("", "")
    assert [path.name for path in folder.iterdir()] == ["3"]


def test_a_difference_is_named(tmp_path):
    orbax.write(tmp_path, 0, ARRAYS)
    place = tmp_path / "0" / "default"
    assert orbax.differing(place, ARRAYS | {"a": ARRAYS["a"] + 1}) == "a"
    nan = {"a": np.array([np.nan, 0.0], np.float32)}
    orbax.write(tmp_path, 1, nan)
    assert orbax.differing(tmp_path / "1" / "default", nan) is None  # by bytes
    assert (
        orbax.differing(tmp_path / "1" / "default", {"a": np.array([np.nan, -0.0], np.float32)})
        == "a"
    )


@pytest.mark.parametrize("name", ["[v2]", "a b\n'é'*"])
def test_a_store_with_an_odd_name_is_written_opened_moved_and_linked(tmp_path, name):
    place = tmp_path / name / "store"
    place.parent.mkdir()
    with storing.new_store(place) as store:
        storing.ask(store, "L0")
        before = checkpoint.tree_hash(storing.load(store))
    moved, link = tmp_path / f"moved {name}", tmp_path / f"link {name}"
    place.parent.rename(moved)
    link.symlink_to(moved)
    for folder in (moved / "store", link / "store"):
        with open_store(folder, write=True) as store:
            assert checkpoint.tree_hash(storing.load(store)) == before


def test_a_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = tmp_path.__class__("[x]")
    storing.new_store(place).close()
    with open_store(place, write=False) as store:
        storing.load(store)


def test_a_state_is_saved_and_restored_under_an_odd_name(tmp_path):
    method = storing.learner()
    state = method.init(storing.jax.random.key(3))
    save(tmp_path / "[a] b", state)
    assert same(restore(tmp_path / "[a] b", method).phi, state.phi)


@pytest.mark.parametrize("how", ["nothing is there", "another array is"])
def test_nothing_older_goes_until_a_checkpoint_has_been_read_back(tmp_path, monkeypatch, how):
    with storing.new_store(tmp_path / "store") as store:
        storing.ask(store, "L0")
        before = checkpoint.tree_hash(storing.load(store))
        real = orbax.write

        def wrong(folder, step, stored):
            other = {name: np.zeros_like(array) for name, array in stored.items()}
            if how != "nothing is there":
                real(folder, step, other)

        monkeypatch.setattr(orbax, "write", wrong)
        with pytest.raises(UncleError, match="read back"):
            storing.ask(store, "U0")
        monkeypatch.undo()
        entries = len(store.requests)
    with open_store(tmp_path / "store", write=True) as store:
        assert checkpoint.tree_hash(storing.load(store)) == before
        assert len(store.requests) == entries == 1
        assert json.dumps(store.tasks) == '{"learned": [0], "unlearned": []}'
