"""Benchmarks: tasks of labelled images, as plain arrays."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from uncle_jax.errors import UncleError


class Data(NamedTuple):
    """Labelled images: uint8 in 0..255 or float in 0..1."""

    images: Any  # [N, H, W, D]
    labels: Any  # [N] integers in 0..Y-1


@dataclass(frozen=True)
class InputSpec:
    """What a main network sees and answers, and how its input is normalised."""

    image_shape: tuple[int, int, int]  # H, W, D
    n_classes: int  # Y, of every task
    mean: tuple[float, ...]  # per channel, of images scaled to 0..1
    std: tuple[float, ...]


@dataclass(frozen=True)
class Benchmark:
    """A sequence of classification tasks with a train and a test split each."""

    name: str
    spec: InputSpec
    n_tasks: int
    load: Callable[[int, str], Data] = field(repr=False)  # (task, "train" | "test")
    provenance: Mapping[str, Any] = field(default_factory=dict)  # for config.json

    @staticmethod
    def from_arrays(
        tasks: Sequence[Mapping[str, tuple[Any, Any]]],
        name: str = "own",
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> "Benchmark":
        """A benchmark from one's own arrays: per task {"train": (images, labels), "test": (...)}.

        Images [N, H, W, D] (or [N, H, W]: grey), all tasks alike in shape; labels [N] from 0. Mean
        and std default to 0.5 a channel: constants, so that no task's data is kept in them.
        """
        if not tasks:
            raise UncleError("from_arrays needs at least one task")
        splits = []
        for task, given in enumerate(tasks):
            missing = {"train", "test"} - set(given)
            if missing:
                raise UncleError(f"task {task} lacks {' and '.join(sorted(missing))}")
            splits.append({s: _arrays(f"task {task} {s}", given[s]) for s in ("train", "test")})
        shape = splits[0]["train"].images.shape[1:]
        n_classes = 1 + max(int(data.labels.max()) for split in splits for data in split.values())
        spec = InputSpec(
            shape,
            n_classes,
            tuple(mean) if mean is not None else (0.5,) * shape[-1],
            tuple(std) if std is not None else (0.5,) * shape[-1],
        )
        for task, split in enumerate(splits):
            for which, data in split.items():
                as_data(data, spec, f"task {task} {which}")
        return Benchmark(name, spec, len(splits), lambda task, split: splits[task][split])


def _arrays(what: str, pair: tuple[Any, Any]) -> Data:
    images, labels = (np.asarray(array) for array in pair)
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4:
        raise UncleError(f"{what}: images must be [N, H, W, D], not {list(images.shape)}")
    return Data(images, labels)


def as_data(data: Any, spec: InputSpec, what: str = "data") -> Data:
    """`data`, an (images, labels) pair, checked against `spec`. Raises UncleError."""
    images, labels = data
    if tuple(images.shape[1:]) != tuple(spec.image_shape):
        raise UncleError(
            f"{what}: images are {list(images.shape[1:])}, expected {list(spec.image_shape)}"
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise UncleError(f"{what}: labels must be integers, not {labels.dtype}")
    if labels.shape != (len(images),) or not len(labels):
        raise UncleError(
            f"{what}: {len(images)} images and labels of shape {list(labels.shape)} "
            "(expected one label an image, and at least one)"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= spec.n_classes:
        raise UncleError(f"{what}: labels run from {low} to {high} (0 to {spec.n_classes - 1})")
    return Data(images, labels)


def holdout(data: Data, seed: int, fraction: float = 0.1) -> tuple[Data, Data]:
    """`data` split at random into (rest, a held-out `fraction`), the same for the same seed."""
    order = np.random.RandomState(seed).permutation(len(data.labels))
    cut = max(1, round(fraction * len(order)))
    held, rest = order[:cut], order[cut:]
    return Data(data.images[rest], data.labels[rest]), Data(data.images[held], data.labels[held])
