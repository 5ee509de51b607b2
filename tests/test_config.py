import dataclasses
import math
import subprocess
import sys

import pytest

from uncle_jax.config import (
    Config,
    Hypernetwork,
    Uncle,
    as_dict,
    filled,
    fingerprint,
    part,
    read_into,
    replace,
)
from uncle_jax.errors import UncleError


def test_text_is_read_as_the_fields_type():
    config = replace(Config(), {"lr": "3e-4", "image_size": "32", "train_images": "none"})
    assert (config.lr, config.image_size, config.train_images) == (3e-4, 32, None)
    own = read_into(Uncle(), {"chunks": "50", "trunk": "8,16", "clip_norm": "none"}, "setting")
    assert (own.chunks, own.trunk, own.clip_norm) == (50, (8, 16), None)
    assert isinstance(hash((config, own)), int)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"chunk": "5"}, "did you mean 'chunks'"),
        ({"chunks": "many"}, "chunks must be a whole number, not 'many'"),
        ({"chunks": "2.5"}, "chunks must be a whole number"),
        ({"lr": "fast"}, "lr must be a number"),
        ({"trunk": "8,x"}, "trunk must be numbers"),
        ({"noise": "gausian"}, "did you mean 'gaussian'"),
        ({"chunks": "0"}, "chunks must be at least 1"),
        ({"lr": "nan"}, "lr must be positive"),
        ({"beta": "-1"}, "beta must not be negative"),
        ({"clip_norm": "-1"}, "clip_norm must be positive or none"),
        ({"trunk": "8,0"}, "trunk must be at least 1"),
        ({"norm_momentum": "1"}, "norm_momentum must be at least 0 and below 1, not 1"),
    ],
)
def test_bad_settings_are_refused_in_one_line(change, message):
    home = Config() if {*change} <= vars(Config()).keys() else Uncle()
    with pytest.raises(UncleError, match=message) as caught:
        read_into(home, change, "setting")
    assert "\n" not in str(caught.value)


def test_settings_are_held_to_their_bounds_when_they_are_made():
    for wrong in ({"trunk": ()}, {"noise": "gausian"}, {"gamma": math.inf}, {"chunks": 0}):
        with pytest.raises(UncleError, match=next(iter(wrong))):
            Uncle(**wrong)


def test_the_part_of_settings_and_what_a_preset_fills():
    uncle = Uncle(gamma=3.0, beta=2.0)
    assert part(Hypernetwork, uncle) == Hypernetwork(beta=2.0)
    assert filled(Hypernetwork(chunks=3), uncle) == Hypernetwork(beta=2.0)
    assert filled(Uncle(), Hypernetwork(beta=2.0)) == Uncle(beta=2.0)
    assert filled(Config(epochs=3), uncle) == Config(epochs=3)


def test_fingerprint_changes_with_any_setting():
    base = fingerprint(as_dict(Config()))
    assert base == fingerprint(as_dict(Config()))
    assert base != fingerprint(as_dict(dataclasses.replace(Config(), width=32)))


def test_settings_and_requests_import_no_jax():
    code = "import sys, uncle_jax.config, uncle_jax.requests; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("trunk", "chunks", "room"),
    [((64, 128, 256), 20, 12), ((128, 256, 512), 200, 2), ((63,), 10, 6)],
)
def test_heads_have_room_for_as_many_networks_as_they_have_features_over_chunks(
    trunk, chunks, room
):
    assert Hypernetwork(trunk=trunk, chunks=chunks).room == room
