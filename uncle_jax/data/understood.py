"""One's own arrays held to what is documented of them, and what they were understood to be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from uncle_jax.errors import UncleError
from uncle_jax.tasks import Data, as_array, check_labels, check_pixels, hint

SPLITS = ("train", "test")
DARK = 1 / 8  # of the range: images that are nowhere brighter were probably scaled wrongly
APART = 64  # times as bright: splits that differ so were scaled in two ways


@dataclass(frozen=True)
class Known:
    """What a reader knows of own data besides the arrays."""

    files: tuple[str, ...] = ()  # each task's, for messages; () where tasks have none
    classes: Sequence[Sequence[str]] = ()  # each task's class names; () where they are numbers
    lines: tuple[str, ...] = ()  # what else was understood: printed, and kept in config.json
    remarks: tuple[str, ...] = ()  # what any reader of a result must know


NOTHING = Known()


@dataclass(frozen=True)
class Understood:
    """Own arrays, checked."""

    tasks: tuple[Mapping[str, Data], ...]  # {"train": Data, "test": Data} of each
    n_classes: tuple[int, ...]  # of each task
    facts: tuple[Mapping[str, Any], ...]  # of each task and split, for config.json
    lines: tuple[str, ...]  # the same in words, after the reader's own lines
    remarks: tuple[str, ...]


def understand(tasks: Sequence[Mapping[str, Any]], known: Known) -> Understood:
    """`tasks`, {"train": (images, labels), "test": (...)} each, checked.

    Raises UncleError that names task, split and, where there is one, file.
    """
    if not tasks:
        raise UncleError("from_arrays needs at least one task")
    made, counts, facts = [], [], []
    lines, remarks = list(known.lines), list(known.remarks)
    for task, given in enumerate(tasks):
        missing = set(SPLITS) - set(given)
        if missing:
            raise UncleError(f"task {task} lacks {' and '.join(sorted(missing))}")
        what = f"{known.files[task]}: task {task}" if known.files else f"task {task}"
        splits = {split: checked(given[split], f"{what} {split}") for split in SPLITS}
        names = known.classes[task] if known.classes else None
        n_classes, absent = _classes(splits, names, what)
        told = {split: _facts(data, n_classes) for split, data in splits.items()}
        _alike_scaled(told, what)
        remarks += [*absent, *(line for s in SPLITS for line in _odd(splits[s], f"{what} {s}"))]
        if splits["train"].images.dtype != splits["test"].images.dtype:
            kinds = " and ".join(f"{s} {told[s]['dtype']}" for s in SPLITS)
            remarks.append(f"{what}: {kinds}, each read by its own scale")
        lines.append(_line(what, told, n_classes, names))
        made.append(splits)
        counts.append(n_classes)
        facts.append(told)
    return Understood(tuple(made), tuple(counts), tuple(facts), tuple(lines), tuple(remarks))


def checked(pair: Any, what: str) -> Data:
    """(images, labels) of one split as Data. Raises UncleError if they are not as documented."""
    try:
        images, labels = pair
    except (TypeError, ValueError):
        raise UncleError(f"{what}: expected a pair (images, labels)") from None
    images, labels = (np.asarray(as_array(array, what)) for array in (images, labels))
    shape = images.shape
    if images.ndim == 3 and not hint(shape):
        images = images[..., None]
    if images.ndim != 4:
        raise UncleError(
            f"{what}: images must be [N, H, W, D] or, grey, [N, H, W], not {list(shape)}"
            + hint(shape)
        )
    if images.shape[-1] not in (1, 3):
        raise UncleError(
            f"{what}: images are {list(shape)}, so of {shape[-1]} channels "
            f"(allowed: [N, H, W, D] with D 1 or 3){hint(shape)}"
        )
    check_pixels(images, what)
    check_labels(images, labels, what)
    return Data(images, labels)


def _classes(
    splits: Mapping[str, Data], names: Sequence[str] | None, what: str
) -> tuple[int, list[str]]:
    """(how many classes a task has, remarks on those that have no test image)."""
    found = {split: np.unique(data.labels) for split, data in splits.items()}
    for split, labels in found.items():
        if labels[0] < 0:
            raise UncleError(
                f"{what} {split}: labels run from {labels[0]} to {labels[-1]} "
                "(they must start at 0)"
            )
    n = len(names) if names else 1 + max(int(labels[-1]) for labels in found.values())
    if n < 2:
        raise UncleError(
            f"{what}: all labels are 0, so there is a single class (allowed: 2 or more)"
        )
    train = found["train"]
    lacking = _lacking(train, n)
    if lacking and train[0] > 0 and len(train) == 1 + int(train[-1] - train[0]):
        raise UncleError(
            f"{what} train: labels run from {train[0]} to {train[-1]} "
            f"(they must start at 0: subtract {train[0]})"
        )
    if lacking:
        raise UncleError(
            f"{what} train: no image of {_named(lacking, names)}, where classes run from 0 to "
            f"{n - 1} (each needs training images)"
        )
    absent = _lacking(found["test"], n)
    line = f"{what} test: no image of {_named(absent, names)}, which accuracy leaves out"
    return n, [line] if absent else []


def _lacking(labels: np.ndarray, n: int) -> list[int]:
    """The first classes below `n` that are not among `labels` (sorted, unique), at most 100."""
    there = set(labels.tolist())
    return [label for label in range(min(n, len(there) + 100)) if label not in there]


def _named(labels: Sequence[int], names: Sequence[str] | None) -> str:
    words = [repr(names[label]) if names else str(label) for label in labels[:5]]
    more = ", ..." if len(labels) > 5 else ""
    return f"class{'es' if len(labels) > 1 else ''} {', '.join(words)}{more}"


def _facts(data: Data, n_classes: int) -> dict[str, Any]:
    images = data.images
    return {
        "images": len(images),
        "shape": list(images.shape[1:]),
        "dtype": str(images.dtype),
        "range": [round(float(images.min()), 6), round(float(images.max()), 6)],
        "per_class": np.bincount(data.labels.astype(np.int64), minlength=n_classes).tolist(),
    }


def _brightest(told: Mapping[str, Any]) -> float:
    """The largest value, of images scaled to 0..1."""
    return told["range"][1] / (255 if told["dtype"] == "uint8" else 1)


def _alike_scaled(told: Mapping[str, Mapping[str, Any]], what: str) -> None:
    """Raise UncleError where train and test images were plainly scaled in two ways."""
    low, high = sorted(_brightest(told[split]) for split in SPLITS)
    if low > 0 and high / low >= APART:
        ranges = " but ".join(
            f"{s} images {told[s]['dtype']} from {told[s]['range'][0]:g} to {told[s]['range'][1]:g}"
            for s in SPLITS
        )
        raise UncleError(f"{what}: {ranges} (both must be scaled alike)")


def _odd(data: Data, what: str) -> list[str]:
    """Remarks on images that keep the rules and are hardly what was meant."""
    images, bright = data.images, _brightest(_range_of(data.images))
    if len(images) > 1 and (images == images[:1]).all():
        return [f"{what}: all {len(images)} images are alike"]
    if bright < DARK:
        top = "255" if images.dtype == np.uint8 else "1"
        return [f"{what}: no pixel is above {images.max():.4g}, where white is {top}"]
    return []


def _range_of(images: np.ndarray) -> dict[str, Any]:
    return {"dtype": str(images.dtype), "range": [0, float(images.max())]}


def _line(
    what: str, told: Mapping[str, Mapping[str, Any]], n: int, names: Sequence[str] | None
) -> str:
    """One task in words."""
    train, test = (told[split] for split in SPLITS)
    looks = []
    for one in (train, test):
        height, width, depth = one["shape"]
        low, high = one["range"]
        colour = "grey" if depth == 1 else "RGB"
        looks.append(f"{height}x{width} {colour}, {one['dtype']} from {low:.4g} to {high:.4g}")
    look = looks[0] if train["shape"] == test["shape"] else f"{looks[0]} (test: {looks[1]})"
    least, most = min(train["per_class"]), max(train["per_class"])
    each = f"{least}" if least == most else f"{least} to {most}"
    listed = f" ({', '.join(names[:10])}{', ...' if len(names) > 10 else ''})" if names else ""
    return (
        f"{what}: {train['images']} train and {test['images']} test images, {look}; "
        f"{n} classes{listed} of {each} train images"
    )
