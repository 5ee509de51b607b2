"""Tasks of several data sets beside each other: `pool:NAME,NAME/TASK,...`, and 5-Tasks."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from uncle_jax.data.benchmark import Benchmark
from uncle_jax.data.permuted import digits
from uncle_jax.data.publishers.catalogue import SOURCES, source
from uncle_jax.data.publishers.prepared import Options, Prepared, describe, prepare
from uncle_jax.data.split import CLASSES_PER_TASK, split_benchmark, subset
from uncle_jax.errors import UncleError, allowed
from uncle_jax.tasks import Data, InputSpec, TaskSpec

DIGITS = "digits"  # scikit-learn's, as they are


class Part(NamedTuple):
    """A task of a pool."""

    name: str
    splits: Mapping[str, Data]  # "train" and "test"
    image_shape: tuple[int, int, int]
    task: TaskSpec
    told: Mapping[str, Any]  # for config.json
    remark: str | None = None


def of_prepared(one: Prepared) -> Part:
    """A whole data set as one task."""
    source = one.source
    task = TaskSpec(source.n_classes, source.mean, source.std)
    return Part(source.name, one.splits, source.image_shape, task, describe(one), one.remark)


def pool(
    parts: Sequence[Part], seed: int, train_images: int | None = None, name: str = "pool"
) -> Benchmark:
    """A task of each of `parts`, in their order.

    All images are brought to the largest size and number of channels; each task keeps its own
    classes and normalisation. `train_images`: how many a task trains on, drawn by seed; None: all.
    """
    height, width, channels = (
        max(sizes) for sizes in zip(*(part.image_shape for part in parts), strict=True)
    )

    def widened(values: tuple[float, ...]) -> tuple[float, ...]:
        return values * channels if len(values) == 1 else values

    own = (part.task for part in parts)
    tasks = tuple(TaskSpec(t.n_classes, widened(t.mean), widened(t.std)) for t in own)
    n_classes = max(task.n_classes for task in tasks)
    spec = InputSpec((height, width, channels), n_classes, tasks[0].mean, tasks[0].std, tasks)

    load = partial(_load, [part.splits for part in parts], train_images, seed)
    told = {"tasks": [part.name for part in parts], "train_images": train_images}
    told |= {part.name: part.told for part in parts}
    remarks = dict.fromkeys(part.remark for part in parts if part.remark)
    return Benchmark(name, spec, len(tasks), load, told, tuple(remarks))


def named(names: str, seed: int, options: Options, train_images: int | None = None) -> Benchmark:
    """The pool of "mnist,cifar100/3,digits": whole data sets, or a task of one that is split.

    Raises UncleError.
    """
    wanted = [word.strip() for word in names.split(",") if word.strip()]
    if len(set(wanted)) < len(wanted):
        raise UncleError(f"pool:{names} has a task twice")
    if not wanted:
        raise UncleError("pool: needs names of data sets, such as pool:mnist,cifar100/3")
    return pool([_part(word, seed, options) for word in wanted], seed, train_images)


def _part(word: str, seed: int, options: Options) -> Part:
    name, slash, which = word.partition("/")
    if name == DIGITS and not slash:
        spec, splits = digits(seed)
        return Part(word, splits, spec.image_shape, spec.task(0), {})
    if name not in SOURCES:
        raise allowed("data set of a pool", name, (DIGITS, *SOURCES))
    found = source(name)
    n = found.n_classes // CLASSES_PER_TASK
    if n == 1 and not slash:
        return of_prepared(prepare(found, options))
    if n == 1 or not (which.isascii() and which.isdigit() and int(which) < n):
        raise UncleError(
            f"pool: {word!r} is no task: {name} is "
            + ("one" if n == 1 else f"{n}, {name}/0 to {name}/{n - 1}")
        )
    whole = prepare(found, options)
    split, task = split_benchmark(name, whole, seed), int(which)
    splits = {part: split.load(task, part) for part in ("train", "test")}
    told = {"class_order": split.provenance["class_order"], **describe(whole)}
    shape = split.spec.image_shape
    return Part(word, splits, shape, split.spec.task(task), told, whole.remark)


def _load(
    splits: Sequence[Mapping[str, Data]], images: int | None, seed: int, task: int, split: str
) -> Data:
    data = splits[task][split]
    return subset(data, images, (seed, task)) if split == "train" else data
