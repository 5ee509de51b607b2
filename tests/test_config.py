import dataclasses
import subprocess
import sys

import pytest

from uncle_jax.config import Config, as_dict, fingerprint, replace
from uncle_jax.errors import UncleError
from uncle_jax.presets import OWN_PRESETS, PRESETS, preset


def test_text_is_read_as_the_fields_type():
    config = replace(
        Config(),
        {"chunks": "50", "lr": "3e-4", "trunk": "8,16", "clip_norm": "none", "image_size": "32"},
    )
    assert (config.chunks, config.lr, config.trunk) == (50, 3e-4, (8, 16))
    assert config.clip_norm is None
    assert config.image_size == 32
    assert isinstance(hash(config), int)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"chunk": "5"}, "did you mean 'chunks'"),
        ({"chunks": "many"}, "chunks must be a whole number, not 'many'"),
        ({"chunks": "2.5"}, "chunks must be a whole number"),
        ({"lr": "fast"}, "lr must be a number"),
        ({"trunk": "8,x"}, "trunk must be numbers"),
        ({"noise": "gausian"}, "did you mean 'gaussian'"),
        ({"chunks": "0"}, "chunks must be positive"),
        ({"lr": "nan"}, "lr must be positive"),
        ({"beta": "-1"}, "beta must not be negative"),
        ({"clip_norm": "-1"}, "clip_norm must be positive or none"),
        ({"norm_momentum": "1"}, "norm_momentum must be in"),
    ],
)
def test_bad_settings_are_refused_in_one_line(change, message):
    with pytest.raises(UncleError, match=message) as caught:
        replace(Config(), change)
    assert "\n" not in str(caught.value)


def test_fingerprint_changes_with_any_setting():
    base = fingerprint(as_dict(Config()))
    assert base == fingerprint(as_dict(Config()))
    assert base != fingerprint(as_dict(dataclasses.replace(Config(), beta=0.2)))


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
    config = PRESETS[dataset]["paper"].config
    assert (config.backbone, config.epochs) == (backbone, epochs)
    assert (config.beta, config.gamma) == (beta, gamma)
    assert (config.batch_size, config.lr, config.image_size) == (512, 1e-3, 64)
    assert config.train_images is None
    assert set(PRESETS[dataset]["paper"].paper[1]) == {"RA", "FA", "spill", "relapse"}


def test_the_paper_preset_is_the_papers():
    config = PRESETS["permuted-mnist"]["paper"].config
    assert (config.backbone, config.epochs, config.batch_size) == ("resnet18", 10, 512)
    assert (config.beta, config.gamma, config.burn_in, config.noise_samples) == (0.1, 0.01, 100, 10)
    assert (config.trunk, config.embedding, config.chunks) == ((128, 256, 512), 32, 200)


def test_settings_and_requests_import_no_jax():
    code = "import sys, uncle_jax.config, uncle_jax.requests; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
