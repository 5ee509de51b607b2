"""The settings for each benchmark."""

import pytest

from uncle_jax.errors import UncleError
from uncle_jax.presets import OWN_PRESETS, PRESETS, preset


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
