"""A state saved and restored outside any store."""

import dataclasses

import jax
import pytest
from conftest import HYPER, SPEC, TINY, Small, same

from uncle_jax.engine.saving import restore, save
from uncle_jax.errors import UncleError
from uncle_jax.methods.uncle import uncle
from uncle_jax.store import checkpoint


@pytest.fixture(scope="module")
def method():
    return uncle(SPEC, 2, TINY, Small(), HYPER)


@pytest.fixture(scope="module")
def state(method):
    return method.init(jax.random.key(3))


def data_of(state):
    return jax.tree.map(checkpoint._data, state)


def test_what_is_restored_is_what_was_saved(tmp_path, method, state):
    save(tmp_path / "deep" / "state", state)
    assert same(data_of(restore(tmp_path / "deep" / "state", method)), data_of(state))


def test_a_second_save_takes_the_first_ones_place(tmp_path, method, state):
    save(tmp_path, state)
    save(str(tmp_path), dataclasses.replace(state, n_requests=state.n_requests + 1))
    assert int(restore(tmp_path, method).n_requests) == 1
    assert len(checkpoint.committed(tmp_path)) == 1


def test_a_save_that_fails_leaves_the_first_one(tmp_path, method, state, monkeypatch):
    save(tmp_path, state)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.files, "require_room", full)
    with pytest.raises(UncleError, match="No space"):
        save(tmp_path, state)
    assert same(data_of(restore(tmp_path, method)), data_of(state))


def test_another_configurations_state_is_refused(tmp_path, state):
    save(tmp_path, state)
    other = uncle(SPEC, 2, TINY, Small(), dataclasses.replace(HYPER, embedding=5))
    with pytest.raises(UncleError, match="this configuration wants"):
        restore(tmp_path, other)


def test_an_empty_folder_is_one_line(tmp_path, method):
    with pytest.raises(UncleError, match="holds no saved state"):
        restore(tmp_path / "nothing", method)
