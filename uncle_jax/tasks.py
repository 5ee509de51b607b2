"""What a task is: labelled images, classes and normalisation, and their checks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from uncle_jax.errors import UncleError

SLACK = 1e-3  # how far float images may leave 0..1: as rounding and resizing take them


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

    def __post_init__(self) -> None:
        check_normalisation(self.mean, self.std)


@dataclass(frozen=True)
class InputSpec:
    """What a main network sees and answers, and how its input is normalised.

    Images of another size, and grey ones, are brought to `image_shape` (core/inputs.fit_images).
    Raises UncleError for a normalisation that no such images have.
    """

    image_shape: tuple[int, int, int]  # H, W, D
    n_classes: int  # Y: the most that any task has; the others' surplus logits are masked
    mean: tuple[float, ...]  # per channel, of images scaled to 0..1
    std: tuple[float, ...]
    tasks: tuple[TaskSpec, ...] = ()  # [T] where tasks differ in the last three; () if none does

    def __post_init__(self) -> None:
        for one in (self, *self.tasks):
            check_normalisation(one.mean, one.std, self.image_shape[-1])

    def task(self, task: int) -> TaskSpec:
        """Classes and normalisation of one task."""
        return self.tasks[task] if self.tasks else TaskSpec(self.n_classes, self.mean, self.std)


def check_normalisation(mean: Any, std: Any, channels: int | None = None) -> None:
    """Raise UncleError unless mean and std fit images scaled to 0..1, one value a channel."""
    for name, values in (("mean", mean), ("std", std)):
        if channels is not None and len(values) != channels:
            raise UncleError(
                f"{name} has {len(values)} values for images of {channels} channels "
                "(one a channel is expected)"
            )
        if not all(np.isfinite(value) and 0 <= value <= 1 for value in values):
            scaled = "; are they of 0..255? divide by 255" if np.max(values) > 1 else ""
            raise UncleError(f"{name} {tuple(values)} is not that of images scaled to 0..1{scaled}")
    if not all(value > 0 for value in std):
        raise UncleError(f"std {tuple(std)} must be above 0: images are divided by it")


def as_data(data: Any, spec: InputSpec, what: str = "data", task: int = 0) -> Data:
    """`data`, an (images, labels) pair of `task`, arrays or lists, checked against `spec`.

    Any height and width will do; channels must be those of `spec`, or one (grey). Raises
    UncleError.
    """
    images, labels = (as_array(a, what) for a in data)
    check_images(images, spec, what)
    check_labels(images, labels, what)
    low, high, n = int(labels.min()), int(labels.max()), spec.task(task).n_classes
    if low < 0 or high >= n:
        raise UncleError(f"{what}: labels run from {low} to {high} (0 to {n - 1})")
    return Data(images, labels)


def as_array(given: Any, what: str = "data") -> Any:
    """`given`, an array as it is, anything else as a NumPy array. Raises UncleError."""
    if isinstance(given, np.ma.MaskedArray) and np.ma.is_masked(given):
        raise UncleError(f"{what}: the array is masked (fill in or leave out what is masked)")
    if isinstance(given, np.ndarray) or hasattr(given, "aval"):  # of NumPy, or of JAX
        return given
    try:
        return np.asarray(given)
    except (ValueError, TypeError, RuntimeError) as error:  # ragged lists, tensors elsewhere
        reason = str(error).splitlines()[0]
        raise UncleError(
            f"{what}: no array can be made of {type(given).__name__} ({reason})"
        ) from None


def check_labels(images: Any, labels: Any, what: str) -> None:
    """Raise UncleError unless `labels` are integers, one an image, and there is one at least."""
    if not np.issubdtype(labels.dtype, np.integer):
        raise UncleError(f"{what}: labels must be integers, not {labels.dtype}")
    if labels.shape != (len(images),) or not len(labels):
        raise UncleError(
            f"{what}: {len(images)} images and labels of shape {list(labels.shape)} "
            "(expected one label an image, and at least one)"
        )


def check_images(images: Any, spec: InputSpec, what: str = "data") -> None:
    """Raise UncleError unless `images` are [N, H, W, D] uint8 or float with channels of `spec`.

    Floats must be finite and in 0..1. No image at all is allowed here.
    """
    channels = spec.image_shape[-1]
    shape = tuple(images.shape)
    if len(shape) != 4 or shape[-1] not in (1, channels):
        raise UncleError(
            f"{what}: images are {list(shape)}, expected [N, H, W, {channels}]"
            + ("" if channels == 1 else " or, grey, [N, H, W, 1]")
            + hint(shape)
        )
    check_pixels(images, what)


def hint(shape: tuple[int, ...]) -> str:
    """What images of a wrong shape look like, and how to mend them; or nothing."""
    if len(shape) == 4 and shape[1] in (1, 3):
        return "; it looks as if channels came first: np.moveaxis(images, 1, -1)"
    if len(shape) == 4 and shape[2] in (1, 3):
        return "; it looks as if images came last: np.moveaxis(images, -1, 0)"
    if len(shape) == 3 and shape[-1] in (1, 3):
        return "; it looks like a single image: images[None]"
    if len(shape) == 4 and shape[-1] == 4:
        return "; lay transparent images on a background, and leave the fourth channel out"
    return ""


def check_pixels(images: Any, what: str) -> None:
    """Raise UncleError unless `images` [N, H, W, D] are uint8, or floats that are finite in 0..1.

    The message names the first image that is not, or the range found.
    """
    if 0 in images.shape[1:]:
        raise UncleError(f"{what}: images are {list(images.shape)}, so they have no pixel")
    kind = images.dtype
    if kind == np.uint8:
        return
    if not np.issubdtype(kind, np.floating):
        raise UncleError(f"{what}: images are {kind} (allowed: uint8 in 0..255, float in 0..1)")
    try:
        values = np.asarray(images)
    except TypeError:  # traced by JAX: there are no values to look at
        return
    if not len(values):
        return
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        odd = np.asarray(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))
        raise UncleError(
            f"{what}: image {int(np.argmax(odd))} has pixels that are nan or infinite, as have "
            f"{int(odd.sum())} of {len(odd)} images (allowed: uint8 in 0..255, float in 0..1)"
        )
    if low < -SLACK or high > 1 + SLACK:
        raise UncleError(
            f"{what}: float images run from {low:.4g} to {high:.4g} "
            "(allowed: float in 0..1, or uint8 in 0..255)"
        )


def only_classes(data: Data, classes: Sequence[int]) -> Data:
    """The images of `data` that are of `classes`; there may be none."""
    return _chosen(data, np.isin(np.asarray(data.labels), np.asarray(classes, int)))


def without_classes(data: Data, classes: Sequence[int]) -> Data:
    """The images of `data` that are of none of `classes`, in their order; `data` itself if all."""
    keep = ~np.isin(np.asarray(data.labels), np.asarray(classes, int))
    return data if keep.all() else _chosen(data, keep)


def _chosen(data: Data, which: np.ndarray) -> Data:
    return Data(np.asarray(data.images)[which], np.asarray(data.labels)[which])


def holdout(data: Data, seed: int, fraction: float = 0.1) -> tuple[Data, Data]:
    """`data` split at random into (rest, a held-out `fraction`), the same for the same seed.

    Every class keeps an image in the rest: what is held out gives one back. Raises UncleError where
    nothing can be held out.
    """
    order = np.random.RandomState(seed).permutation(len(data.labels))
    cut = max(1, round(fraction * len(order)))
    held, rest = order[:cut], order[cut:]
    labels = np.asarray(data.labels)
    lost = np.setdiff1d(labels[held], labels[rest])
    if len(lost):
        back = np.asarray([np.flatnonzero(labels[held] == label)[0] for label in lost])
        held, rest = np.delete(held, back), np.concatenate([rest, held[back]])
    if not len(held):
        raise UncleError(
            f"of {len(labels)} images none can be held out: every class has only one left"
        )
    return Data(data.images[rest], data.labels[rest]), Data(data.images[held], data.labels[held])
