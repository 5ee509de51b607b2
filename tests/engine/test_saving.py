"""A state saved and restored outside any store."""

import dataclasses
import json

import jax
import pytest
from conftest import HYPER, SPEC, TINY, Small, same

from uncle_jax.engine.saving import restore, save
from uncle_jax.errors import UncleError
from uncle_jax.methods import registry
from uncle_jax.methods.uncle import only_learning, uncle
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
    with pytest.raises(UncleError, match="embedding 4, here 5"):
        restore(tmp_path, other)


def test_an_empty_folder_is_one_line(tmp_path, method):
    with pytest.raises(UncleError, match="holds no saved state"):
        restore(tmp_path / "nothing", method)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"config": dataclasses.replace(TINY, lr=0.5)}, "lr 0.001, here 0.5"),
        ({"settings": dataclasses.replace(HYPER, gamma=9.0)}, "gamma 0.01, here 9.0"),
        ({"spec": dataclasses.replace(SPEC, mean=(0.1,))}, r"mean \[0.5\], here \[0.1\]"),
        ({"make": only_learning}, "method uncle, here only-learning"),
    ],
)
def test_a_state_of_other_settings_is_refused_whatever_its_shapes(tmp_path, state, change, told):
    save(tmp_path, state)
    asked = {"make": uncle, "spec": SPEC, "config": TINY, "settings": HYPER} | change
    other = asked["make"](asked["spec"], 2, asked["config"], Small(), asked["settings"])
    with pytest.raises(UncleError, match=told):
        restore(tmp_path, other)


def test_a_state_that_does_not_say_what_made_it_is_held_to_its_shapes(tmp_path, method, state):
    """Of a method of one's own, or of an earlier version."""
    save(tmp_path, dataclasses.replace(state, made_by=""))
    assert same(data_of(restore(tmp_path, method)), data_of(state))


@pytest.mark.parametrize("name", registry.METHODS)
def test_every_methods_state_says_what_made_it_and_keeps_saying_it(name):
    net = Small(2 * SPEC.n_classes) if "multihead" in registry.METHODS[name] else Small()
    settings = registry.settings_of(name, registry.find(name), {}, HYPER)
    method = registry.build(name, SPEC, 2, TINY, settings, net)
    state = jax.eval_shape(method.init, jax.random.key(0))
    assert json.loads(state.made_by)["method"] == name
