"""Settings for each benchmark, as data."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from uncle_jax.config import Config, Uncle
from uncle_jax.errors import allowed
from uncle_jax.own import COUNTED, DATA, counted


@dataclass(frozen=True)
class Preset:
    """One benchmark's settings: of every learner, and of UnCLe and what shares settings with it."""

    config: Config
    command: str  # what reproduces it
    uncle: Uncle = Uncle()
    trials: str = ""  # in uncle_jax/trials: what `uncle tune --all` tried; "": nothing was tried


# For two CPU cores: a thin ResNet at native size, fewer chunks, half the trunk, gentler steps.
_LAPTOP = Config(
    backbone="thin",
    stem="small",
    width=16,
    image_size=None,
    batch_size=128,
    lr=5e-4,
    schedule="cosine",
)
_LAPTOP_UNCLE = Uncle(trunk=(64, 128, 256), chunks=20, unlearn_lr=3e-4)


def _laptop(command: str, trials: str = "", **changes: Any) -> Preset:
    return Preset(dataclasses.replace(_LAPTOP, **changes), command, _LAPTOP_UNCLE, trials)


def _command(dataset: str, name: str) -> str:
    return f"uncle run --dataset {dataset} --preset {name}"


PRESETS: dict[str, dict[str, Preset]] = {
    "permuted-digits": {
        "laptop": _laptop("uncle run", "permuted-digits-laptop.json", epochs=15),
        "vit": _laptop("uncle run --preset vit", backbone="vit", width=32, lr=2.5e-4, epochs=30),
    },
    "permuted-mnist": {
        "paper": Preset(
            config=Config(),
            command=_command("permuted-mnist", "paper --seeds 5 17 42"),
        ),
        "laptop": _laptop(
            _command("permuted-mnist", "laptop"), stem="strided", epochs=4, train_images=15_000
        ),
    },
    "five-tasks": {
        "paper": Preset(
            config=Config(backbone="resnet50", epochs=30),
            uncle=Uncle(beta=1e-3, gamma=1e-1),
            command=_command("five-tasks", "paper --seeds 5 17 42"),
        ),
        "laptop": _laptop(
            _command("five-tasks", "laptop"), stem="strided", epochs=8, train_images=10_000
        ),
    },
    "cifar100": {
        "paper": Preset(
            config=Config(backbone="resnet50", epochs=50),
            command=_command("cifar100", "paper --seeds 5 17 42"),
        ),
        "laptop": _laptop(
            _command("cifar100", "laptop"), "cifar100-laptop.json", stem="strided", epochs=12
        ),
    },
    "tinyimagenet": {
        "paper": Preset(
            config=Config(backbone="resnet50", epochs=100),
            uncle=Uncle(beta=1e-2),
            command=_command("tinyimagenet", "paper --seeds 5 17 42"),
        ),
        "laptop": _laptop(
            _command("tinyimagenet", "laptop"), stem="imagenet", epochs=15, train_images=2_500
        ),
    },
}


# For one's own data (own.DATA), whatever its size.
OWN_PRESETS: dict[str, Preset] = {
    "laptop": _laptop(
        "uncle run --dataset folder:ROOT", stem="strided", epochs=12, train_images=10_000
    ),
    "paper": Preset(
        config=Config(backbone="resnet50", epochs=50),
        command="uncle run --dataset folder:ROOT --preset paper",
    ),
}


def presets(dataset: str) -> Mapping[str, Preset]:
    """The presets of `dataset` by name, its default first: the paper's, if the paper has it.

    A `dataset` with a colon is one's own, if it is no benchmark with a number of tasks; pools have
    5-Tasks' presets. Raises UncleError.
    """
    kind = dataset.partition(":")[0]
    if kind in COUNTED:
        counted(dataset)
        return PRESETS[kind]
    if kind == "pool":
        return PRESETS["five-tasks"]
    if ":" in dataset:
        return OWN_PRESETS
    if dataset not in PRESETS:
        raise allowed("dataset", dataset, (*PRESETS, *DATA))
    return PRESETS[dataset]


def preset(dataset: str, name: str | None = None) -> Preset:
    """The preset `name` of `dataset`, or its default. Raises UncleError on either."""
    found = presets(dataset)
    name = name or next(iter(found))
    if name not in found:
        raise allowed(f"preset for {dataset}:", name, found)
    return found[name]
