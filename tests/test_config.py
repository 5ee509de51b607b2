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
from uncle_jax.presets import OWN_PRESETS, PRESETS, preset


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


def test_unknown_presets_are_refused():
    with pytest.raises(UncleError, match="did you mean 'permuted-digits'"):
        preset("permuted-digit", "laptop")
    with pytest.raises(UncleError, match="allowed: laptop"):
        preset("permuted-digits", "paper")


def test_the_papers_setting_is_the_default_where_there_is_one():
    for dataset, presets in PRESETS.items():
        expected = presets.get("paper", presets["laptop"])
        assert preset(dataset) is expected
    assert preset("folder:images") is OWN_PRESETS["laptop"]
    with pytest.raises(UncleError, match="allowed: laptop, paper"):
        preset("npz:x", "desktop")


@pytest.mark.parametrize(
    ("dataset", "backbone", "epochs", "beta", "gamma"),
    [  # the authors' configuration files, and Tables 5 and 6
        ("permuted-mnist", "resnet18", 10, 1e-1, 1e-2),
        ("five-tasks", "resnet50", 30, 1e-3, 1e-1),
        ("cifar100", "resnet50", 50, 1e-1, 1e-2),
        ("tinyimagenet", "resnet50", 100, 1e-2, 1e-2),
    ],
)
def test_paper_presets_are_the_authors(dataset, backbone, epochs, beta, gamma):
    paper = PRESETS[dataset]["paper"]
    config, uncle = paper.config, paper.uncle
    assert (config.backbone, config.epochs) == (backbone, epochs)
    assert (uncle.beta, uncle.gamma) == (beta, gamma)
    assert (config.batch_size, config.lr, config.image_size) == (512, 1e-3, 64)
    assert config.train_images is None


def test_the_paper_preset_is_the_papers():
    paper = PRESETS["permuted-mnist"]["paper"]
    config, uncle = paper.config, paper.uncle
    assert (config.backbone, config.epochs, config.batch_size) == ("resnet18", 10, 512)
    assert (uncle.beta, uncle.gamma, uncle.burn_in, uncle.noise_samples) == (0.1, 0.01, 100, 10)
    assert (uncle.trunk, uncle.embedding, uncle.chunks) == ((128, 256, 512), 32, 200)


def test_settings_and_requests_import_no_jax():
    code = "import sys, uncle_jax.config, uncle_jax.requests; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
