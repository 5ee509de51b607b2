"""The method that a store's settings name."""

import json
from types import SimpleNamespace

import pytest
import storing
from conftest import HYPER, SPEC, TINY

from uncle_jax.config import LATER, Uncle, as_dict
from uncle_jax.engine.learner import identity, learner, modern
from uncle_jax.errors import UncleError


def test_a_store_names_no_code_to_run(tmp_path):
    (tmp_path / "evil.py").write_text("raise SystemExit('it ran')")
    identity = {"method": f"{tmp_path / 'evil.py'}:mine"}
    with pytest.raises(UncleError, match="unknown method"):
        learner(SimpleNamespace(identity=identity, folder=tmp_path))


def stored(folder, **changes):
    """What `learner` uses of a store of UnCLe's, whose identity has been through JSON."""
    told = json.loads(json.dumps(identity("uncle", SPEC, 4, TINY, HYPER) | changes))
    return SimpleNamespace(identity=told, folder=folder)


def test_a_stores_settings_make_the_method_that_wrote_it(tmp_path):
    method = learner(stored(tmp_path))
    assert (method.name, method.settings) == ("uncle", HYPER)


def test_settings_of_a_later_version_are_refused_by_name(tmp_path):
    store = stored(tmp_path)
    store.identity["settings"]["unheard_of"] = 1
    with pytest.raises(UncleError, match=r"does not know \(.*unheard_of"):
        learner(store)


def test_settings_that_give_another_network_are_refused(tmp_path):
    with pytest.raises(UncleError, match="is of another kind: layout 0000, here "):
        learner(stored(tmp_path, layout="0000"))


def test_a_store_of_when_config_held_uncles_settings_is_read_as_today():
    today = storing.identity()
    older = {key: value for key, value in today.items() if key != "settings"}
    older["config"] = today["config"] | today["settings"]
    assert modern(older, Uncle()) == today
    assert modern(today, Uncle()) == today
    without = modern({**older, "method": "clpu"}, None)  # a method without settings of its own
    assert without["config"] == as_dict(storing.CONFIG)
    assert without["settings"] == {}


def test_the_identity_of_a_network_that_is_not_generated_has_no_chunks():
    plain, other = (identity("clpu", SPEC, n, TINY) for n in (4, 5))
    assert "settings" not in plain
    assert (plain["layout"], plain["n_tasks"]) == (other["layout"], 4)
    assert identity("uncle", SPEC, 4, TINY, HYPER)["layout"] != plain["layout"]


def test_a_store_from_before_some_settings_had_what_they_are_by_default(tmp_path):
    store = stored(tmp_path)
    told = store.identity
    for name in LATER:
        of = "config" if name in told["config"] else "settings"
        del told[of][name]
    assert learner(store).settings == HYPER
    assert modern(told, HYPER)["config"] == as_dict(TINY)
    known = as_dict(HYPER) | as_dict(TINY)
    assert {name: known[name] for name in LATER} == LATER  # HYPER and TINY have the defaults
