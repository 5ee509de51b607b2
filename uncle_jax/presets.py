"""Settings for each benchmark, as data."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from uncle_jax.config import Config
from uncle_jax.errors import allowed


@dataclass(frozen=True)
class Preset:
    """One benchmark's settings, and the paper's result for them where there is one."""

    config: Config
    command: str  # what reproduces it
    paper: Mapping[int, Mapping[str, float]] = dataclasses.field(default_factory=dict)  # by seq


# For two CPU cores: a thin ResNet at native size, fewer chunks, half the trunk, gentler steps.
_LAPTOP = Config(
    backbone="thin",
    stem="small",
    width=16,
    image_size=None,
    trunk=(64, 128, 256),
    chunks=20,
    batch_size=128,
    lr=5e-4,
    schedule="cosine",
    unlearn_lr=3e-4,
)


def _laptop(**changes: Any) -> Config:
    return dataclasses.replace(_LAPTOP, **changes)


def _command(dataset: str, name: str) -> str:
    return f"python experiments/run.py --dataset {dataset} --preset {name}"


PRESETS: dict[str, dict[str, Preset]] = {
    "permuted-digits": {
        "laptop": Preset(config=_laptop(epochs=15), command="python experiments/run.py"),
    },
    "permuted-mnist": {
        "paper": Preset(
            config=Config(),
            command=_command("permuted-mnist", "paper --seeds 5 17 42"),
            paper={
                1: {"RA": 96.87, "FA": 10.00, "spill": 0.044, "relapse": 8.703},
                2: {"RA": 97.00, "FA": 9.84},
                3: {"RA": 96.98, "FA": 9.93},
            },
        ),
        "laptop": Preset(
            config=_laptop(stem="strided", epochs=4, train_images=15_000),
            command=_command("permuted-mnist", "laptop"),
        ),
    },
    "five-tasks": {
        "paper": Preset(
            config=Config(backbone="resnet50", epochs=30, beta=1e-3, gamma=1e-1),
            command=_command("five-tasks", "paper --seeds 5 17 42"),
            paper={
                1: {"RA": 94.12, "FA": 10.04, "spill": 0.023, "relapse": 0.539},
                2: {"RA": 95.91, "FA": 9.93},
                3: {"RA": 93.24, "FA": 11.40},
            },
        ),
        "laptop": Preset(
            config=_laptop(stem="strided", epochs=8, train_images=10_000),
            command=_command("five-tasks", "laptop"),
        ),
    },
    "cifar100": {
        "paper": Preset(
            config=Config(backbone="resnet50", epochs=50),
            command=_command("cifar100", "paper --seeds 5 17 42"),
            paper={
                1: {"RA": 62.65, "FA": 10.00, "spill": 0.640, "relapse": 0.507},
                2: {"RA": 66.82, "FA": 10.00},
                3: {"RA": 58.15, "FA": 10.00},
            },
        ),
        "laptop": Preset(
            config=_laptop(stem="strided", epochs=12),
            command=_command("cifar100", "laptop"),
        ),
    },
    "tinyimagenet": {
        "paper": Preset(
            config=Config(backbone="resnet50", epochs=100, beta=1e-2),
            command=_command("tinyimagenet", "paper --seeds 5 17 42"),
            # Table 23; the paper prints no other sequence of this benchmark.
            paper={1: {"RA": 55.24, "FA": 10.00, "spill": 0.722, "relapse": 2.233}},
        ),
        "laptop": Preset(
            config=_laptop(stem="imagenet", epochs=15, train_images=2_500),
            command=_command("tinyimagenet", "laptop"),
        ),
    },
}


# For one's own data (folder:, npz:, tfds:), whatever its size.
OWN_PRESETS: dict[str, Preset] = {
    "laptop": Preset(
        config=_laptop(stem="strided", epochs=12, train_images=10_000),
        command="python experiments/run.py --dataset folder:ROOT",
    ),
    "paper": Preset(
        config=Config(backbone="resnet50", epochs=50),
        command="python experiments/run.py --dataset folder:ROOT --preset paper",
    ),
}


def presets(dataset: str) -> Mapping[str, Preset]:
    """The presets of `dataset` by name, its default first: the paper's, if the paper has it.

    `dataset` "folder:...", "npz:..." and "tfds:..." are one's own. Raises UncleError.
    """
    if ":" in dataset:
        return OWN_PRESETS
    if dataset not in PRESETS:
        raise allowed("dataset", dataset, (*PRESETS, "folder:ROOT", "npz:ROOT", "tfds:NAME"))
    return PRESETS[dataset]


def preset(dataset: str, name: str | None = None) -> Preset:
    """The preset `name` of `dataset`, or its default. Raises UncleError on either."""
    found = presets(dataset)
    name = name or next(iter(found))
    if name not in found:
        raise allowed(f"preset for {dataset}:", name, found)
    return found[name]
