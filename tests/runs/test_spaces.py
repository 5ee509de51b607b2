"""What may be chosen: spaces name settings that there are, and every draw can be run."""

import math

import pytest

from uncle_jax.config import as_dict
from uncle_jax.errors import UncleError
from uncle_jax.methods import registry
from uncle_jax.presets import preset
from uncle_jax.runs import spaces

CHOSEN = preset("permuted-digits")


def usual(name):
    return registry.settings_of(name, registry.find(name), {}, CHOSEN.uncle)


@pytest.mark.parametrize("name", spaces.UNLEARNING)
def test_every_method_gets_the_same_number_of_trials(name):
    settings, space = usual(name), spaces.UNLEARNING[name]
    found = spaces.drawn(space, as_dict(settings), 12, name)
    assert math.prod(map(len, space.values())) >= 12
    assert len(found) == 12
    made = [registry.changed(name, settings, choice) for choice in found]
    assert made[0] == settings
    assert len(set(made)) == 12, "none is the settings as they are again"


def test_draws_are_the_same_each_time_and_a_small_space_is_tried_whole():
    few = {"lr": ("1", "2"), "mode": ("a",)}
    assert spaces.drawn(few, {"lr": 1.0, "mode": "a"}, 12, "x") == [{}, {"lr": "2", "mode": "a"}]
    space, values = spaces.UNLEARNING["scrub"], as_dict(usual("scrub"))
    assert spaces.drawn(space, values, 5, "scrub") == spaces.drawn(space, values, 5, "scrub")
    assert spaces.drawn(space, values, 5, "scrub") == spaces.drawn(space, values, 9, "scrub")[:5]


def test_every_method_is_of_a_family_that_learns_alone():
    told = {name: spaces.family(name) for name in registry.METHODS}
    assert {spaces.family(learner) for learner in spaces.FAMILIES.values()} == {*spaces.FAMILIES}
    assert (told["uncle"], told["refit"], told["ssd"]) == ("hypernetwork", "hypernetwork", "derpp")
    with pytest.raises(UncleError, match="your own"):
        spaces.family("mine.py:mine")
