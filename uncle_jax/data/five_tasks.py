"""5-Tasks: SVHN, MNIST, KMNIST, notMNIST and Fashion-MNIST, one data set a task."""

from collections.abc import Sequence
from dataclasses import replace

from uncle_jax.data.benchmark import Benchmark
from uncle_jax.data.pool import of_prepared, pool
from uncle_jax.data.publishers.prepared import Prepared

TASKS = ("svhn", "mnist", "kmnist", "notmnist", "fashion_mnist")  # task ids 0 to 4


def five_tasks(
    prepared: Sequence[Prepared], seed: int, train_images: int | None = None
) -> Benchmark:
    """The five data sets in the order of TASKS; another one in a place stands in for it.

    A pool (data/pool.py): 32x32x3 (grey images repeated), each task with its own normalisation, as
    in the authors' code. `train_images`: how many a task trains on, drawn by seed; None: all.
    """
    found = pool([of_prepared(one) for one in prepared], seed, train_images, "five-tasks")
    stand_ins = (
        f"task {task}: {one.source.name} stands in for {name}"
        for task, (name, one) in enumerate(zip(TASKS, prepared, strict=True))
        if one.source.name != name
    )
    return replace(found, remarks=(*stand_ins, *found.remarks))
