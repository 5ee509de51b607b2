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
class TaskSpec:
    """How many classes one task has, and how its images are normalised."""

    n_classes: int
    mean: tuple[float, ...]  # per channel, of images scaled to 0..1
    std: tuple[float, ...]


@dataclass(frozen=True)
class InputSpec:
    """What a main network sees and answers, and how its input is normalised.

    Images of another size, and grey ones, are brought to `image_shape` (steps.fit_images).
    """

    image_shape: tuple[int, int, int]  # H, W, D
    n_classes: int  # Y: the most that any task has; the others' surplus logits are masked
    mean: tuple[float, ...]  # per channel, of images scaled to 0..1
    std: tuple[float, ...]
    tasks: tuple[TaskSpec, ...] = ()  # [T] where tasks differ in the last three; () if none does

    def task(self, task: int) -> TaskSpec:
        """Classes and normalisation of one task."""
        return self.tasks[task] if self.tasks else TaskSpec(self.n_classes, self.mean, self.std)


@dataclass(frozen=True)
class Benchmark:
    """A sequence of classification tasks with a train and a test split each."""

    name: str
    spec: InputSpec
    n_tasks: int
    load: Callable[[int, str], Data] = field(repr=False)  # (task, "train" | "test")
    provenance: Mapping[str, Any] = field(default_factory=dict)  # for config.json
    remarks: tuple[str, ...] = ()  # what a reader of any result must know: stand-ins, subsets

    @staticmethod
    def from_arrays(
        tasks: Sequence[Mapping[str, tuple[Any, Any]]],
        name: str = "own",
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> "Benchmark":
        """A benchmark from one's own arrays: per task {"train": (images, labels), "test": (...)}.

        Images [N, H, W, D] (or [N, H, W]: grey), D 1 or 3; labels [N] from 0. Tasks may differ in
        number of classes, and in size and channels: all are brought to the largest. Mean and std
        default to 0.5 a channel: constants, so that no task's data is kept in them.
        """
        if not tasks:
            raise UncleError("from_arrays needs at least one task")
        splits = []
        for task, given in enumerate(tasks):
            missing = {"train", "test"} - set(given)
            if missing:
                raise UncleError(f"task {task} lacks {' and '.join(sorted(missing))}")
            splits.append({s: _arrays(f"task {task} {s}", given[s]) for s in ("train", "test")})
        shapes = [data.images.shape[1:] for split in splits for data in split.values()]
        height, width, channels = (max(sizes) for sizes in zip(*shapes, strict=True))
        counts = [
            1 + max(int(np.max(data.labels, initial=0)) for data in split.values())
            for split in splits
        ]
        means = tuple(mean) if mean is not None else (0.5,) * channels
        stds = tuple(std) if std is not None else (0.5,) * channels
        differ = len(set(counts)) > 1
        spec = InputSpec(
            (height, width, channels), max(counts), means, stds,
            tuple(TaskSpec(n, means, stds) for n in counts) if differ else (),
        )  # fmt: skip
        for task, split in enumerate(splits):
            for which, data in split.items():
                as_data(data, spec, f"task {task} {which}", task)
        return Benchmark(
            name, spec, len(splits), lambda task, split: splits[task][split], provenance or {}
        )


def _arrays(what: str, pair: tuple[Any, Any]) -> Data:
    images, labels = (np.asarray(array) for array in pair)
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4:
        raise UncleError(f"{what}: images must be [N, H, W, D], not {list(images.shape)}")
    _check_integers(labels, what)
    return Data(images, labels)


def as_data(data: Any, spec: InputSpec, what: str = "data", task: int = 0) -> Data:
    """`data`, an (images, labels) pair of `task`, checked against `spec`. Raises UncleError.

    Any height and width will do; channels must be those of `spec`, or one (grey).
    """
    images, labels = data
    check_images(images, spec, what)
    _check_integers(labels, what)
    if labels.shape != (len(images),) or not len(labels):
        raise UncleError(
            f"{what}: {len(images)} images and labels of shape {list(labels.shape)} "
            "(expected one label an image, and at least one)"
        )
    low, high, n = int(labels.min()), int(labels.max()), spec.task(task).n_classes
    if low < 0 or high >= n:
        raise UncleError(f"{what}: labels run from {low} to {high} (0 to {n - 1})")
    return Data(images, labels)


def _check_integers(labels: Any, what: str) -> None:
    if not np.issubdtype(labels.dtype, np.integer):
        raise UncleError(f"{what}: labels must be integers, not {labels.dtype}")


def check_images(images: Any, spec: InputSpec, what: str = "data") -> None:
    """Raise UncleError unless `images` are [N, H, W, D] uint8 or float with channels of `spec`."""
    channels = spec.image_shape[-1]
    if len(images.shape) != 4 or images.shape[-1] not in (1, channels):
        raise UncleError(
            f"{what}: images are {list(images.shape)}, expected [N, H, W, {channels}]"
            + ("" if channels == 1 else " or, grey, [N, H, W, 1]")
        )
    kind = images.dtype
    if kind != np.uint8 and not np.issubdtype(kind, np.floating):
        raise UncleError(f"{what}: images are {kind} (allowed: uint8 in 0..255, float in 0..1)")


def holdout(data: Data, seed: int, fraction: float = 0.1) -> tuple[Data, Data]:
    """`data` split at random into (rest, a held-out `fraction`), the same for the same seed."""
    order = np.random.RandomState(seed).permutation(len(data.labels))
    cut = max(1, round(fraction * len(order)))
    held, rest = order[:cut], order[cut:]
    return Data(data.images[rest], data.labels[rest]), Data(data.images[held], data.labels[held])
