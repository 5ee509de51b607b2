"""What a task is: labelled images, classes and normalisation, and their checks."""

from dataclasses import dataclass
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


def as_data(data: Any, spec: InputSpec, what: str = "data", task: int = 0) -> Data:
    """`data`, an (images, labels) pair of `task`, arrays or lists, checked against `spec`.

    Any height and width will do; channels must be those of `spec`, or one (grey). Raises
    UncleError.
    """
    images, labels = (a if hasattr(a, "shape") else np.asarray(a) for a in data)
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
