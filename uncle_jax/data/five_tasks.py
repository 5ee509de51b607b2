"""5-Tasks: SVHN, MNIST, KMNIST, notMNIST and Fashion-MNIST, one data set a task."""

from collections.abc import Mapping, Sequence
from functools import partial

from uncle_jax.data.benchmark import Benchmark
from uncle_jax.data.publishers.prepared import Prepared, describe
from uncle_jax.data.split import subset
from uncle_jax.tasks import Data, InputSpec, TaskSpec

TASKS = ("svhn", "mnist", "kmnist", "notmnist", "fashion_mnist")  # task ids 0 to 4


def five_tasks(
    prepared: Sequence[Prepared], seed: int, train_images: int | None = None
) -> Benchmark:
    """The five data sets in the order of TASKS; another one in a place stands in for it.

    All images are brought to the largest size, 32x32x3 (grey ones repeated); each task keeps its
    own normalisation, as in the authors' code. `train_images`: how many a task trains on, drawn by
    seed; None: all.
    """
    sources = [p.source for p in prepared]
    height, width, channels = (
        max(sizes) for sizes in zip(*(source.image_shape for source in sources), strict=True)
    )

    def widened(values: tuple[float, ...]) -> tuple[float, ...]:
        return values * channels if len(values) == 1 else values

    tasks = tuple(TaskSpec(s.n_classes, widened(s.mean), widened(s.std)) for s in sources)
    n_classes = max(task.n_classes for task in tasks)
    spec = InputSpec((height, width, channels), n_classes, tasks[0].mean, tasks[0].std, tasks)

    load = partial(_load, [one.splits for one in prepared], train_images, seed)
    remarks = [
        f"task {task}: {source.name} stands in for {name}"
        for task, (name, source) in enumerate(zip(TASKS, sources, strict=True))
        if source.name != name
    ]
    remarks += [p.remark for p in prepared if p.remark]
    told = {
        "tasks": [source.name for source in sources],
        "train_images": train_images,
        **{p.source.name: describe(p) for p in prepared},
    }
    return Benchmark("five-tasks", spec, len(tasks), load, told, tuple(remarks))


def _load(
    splits: Sequence[Mapping[str, Data]], images: int | None, seed: int, task: int, split: str
) -> Data:
    data = splits[task][split]
    return subset(data, images, (seed, task)) if split == "train" else data
