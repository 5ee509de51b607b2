"""Split benchmarks: a data set's classes, in an order drawn by seed, ten to a task."""

from collections.abc import Mapping
from functools import partial

import numpy as np

from uncle_jax.data.benchmark import Benchmark
from uncle_jax.data.publishers.prepared import Prepared, describe
from uncle_jax.errors import UncleError
from uncle_jax.tasks import Data, InputSpec

CLASSES_PER_TASK = 10


def class_order(n_classes: int, seed: int) -> list[int]:
    """The class order that the authors' runs had for `seed`.

    They use Avalanche, which calls torch.manual_seed(seed) and torch.randperm(n): a Fisher-Yates
    shuffle by remainders of the Mersenne Twister's 32-bit words, repeated here.
    """
    words = np.random.RandomState(seed)
    order = list(range(n_classes))
    for index in range(n_classes - 1):
        word = int(words.randint(0, 2**32, dtype=np.uint64))
        other = index + word % (n_classes - index)
        order[index], order[other] = order[other], order[index]
    return order


def split_benchmark(
    name: str, prepared: Prepared, seed: int, train_images: int | None = None
) -> Benchmark:
    """Tasks of ten classes each, labelled 0 to 9 in the order drawn.

    `train_images`: how many images a task trains on, drawn by seed; None: all.
    """
    source = prepared.source
    order = class_order(source.n_classes, seed)
    tasks = np.asarray(order).reshape(-1, CLASSES_PER_TASK)
    spec = InputSpec(source.image_shape, CLASSES_PER_TASK, source.mean, source.std)

    load = partial(_load, prepared.splits, tasks, train_images, seed)
    told = {"class_order": order, "train_images": train_images, source.name: describe(prepared)}
    remarks = (prepared.remark,) if prepared.remark else ()
    return Benchmark(name, spec, len(tasks), load, told, remarks)


def select(data: Data, relabel: Mapping[int, int]) -> Data:
    """The images whose label is a key of `relabel`, with the label it maps to."""
    index = np.flatnonzero(np.isin(data.labels, list(relabel)))
    table = np.full(1 + max(*relabel, int(np.max(data.labels, initial=0))), -1, np.int32)
    table[list(relabel)] = list(relabel.values())
    if not len(index):
        raise UncleError(f"no image of classes {', '.join(map(str, relabel))}")
    return Data(data.images[index], table[data.labels[index]])


def subset(data: Data, n: int | None, seed: tuple[int, int]) -> Data:
    """`n` of the images, drawn by `seed` and kept in their order; all if there are no more."""
    if n is None or n >= len(data.labels):
        return data
    index = np.sort(np.random.RandomState(seed).permutation(len(data.labels))[:n])
    return Data(data.images[index], data.labels[index])


def _load(
    splits: Mapping[str, Data],
    tasks: np.ndarray,
    images: int | None,
    seed: int,
    task: int,
    split: str,
) -> Data:
    data = select(splits[split], {int(c): i for i, c in enumerate(tasks[task])})
    return subset(data, images, (seed, task)) if split == "train" else data
