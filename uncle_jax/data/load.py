"""Benchmarks by name, as `experiments/run.py --dataset` gives it."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from uncle_jax import own
from uncle_jax.config import Config
from uncle_jax.data import custom, plans, pool
from uncle_jax.data import five_tasks as five
from uncle_jax.data.benchmark import Benchmark
from uncle_jax.data.functions import function_benchmark
from uncle_jax.data.permuted import permuted_digits, permuted_mnist
from uncle_jax.data.publishers.catalogue import CIFAR100, MNIST, TINY_IMAGENET, source
from uncle_jax.data.publishers.prepared import Options, Prepared, prepare
from uncle_jax.data.split import split_benchmark
from uncle_jax.errors import UncleError, allowed

PUBLISHED = ("permuted-digits", "permuted-mnist", "five-tasks", "cifar100", "tinyimagenet")


@dataclasses.dataclass(frozen=True)
class Choice:
    """What decides a benchmark besides its name and seed."""

    options: Options = dataclasses.field(default_factory=lambda: Options(Path("data")))
    substitute: Mapping[str, str] = dataclasses.field(default_factory=dict)  # five-tasks only
    classes_per_task: int = 10  # own data only, as the next
    tasks: plans.Tasks | None = None
    train_images: int | None = None  # as config.Config, and so the next
    image_size: int | None = None

    def under(self, config: Config) -> "Choice":
        """This, with what `config` says of images."""
        train, size = config.train_images, config.image_size
        return dataclasses.replace(self, train_images=train, image_size=size)


def load_benchmark(name: str, seed: int, choice: Choice) -> Benchmark:
    """The benchmark `name`, its data made ready. Raises UncleError."""
    if choice.substitute and name != "five-tasks":
        raise UncleError(f"--substitute is for five-tasks, not {name}")
    if own.data_function(name):
        return function_benchmark(name, seed)
    kind, _, where = name.partition(":")
    options, n = choice.options, choice.train_images
    if kind in own.COUNTED:
        n_tasks = own.counted(name)
        if kind == "permuted-digits":
            return permuted_digits(seed, n_tasks)
        return permuted_mnist(prepare(MNIST, options), seed, n, n_tasks)
    if kind == "pool":
        return pool.named(where, seed, options, n)
    if where:
        return _own(kind, where, choice)
    if name == "cifar100":
        return split_benchmark(name, prepare(CIFAR100, options), seed, n)
    if name == "tinyimagenet":
        return split_benchmark(name, prepare(TINY_IMAGENET, options), seed, n)
    if name == "five-tasks":
        return five.five_tasks(_five(choice), seed, n)
    raise allowed("dataset", name, (*PUBLISHED, *own.DATA))


def _five(choice: Choice) -> list[Prepared]:
    for name in choice.substitute:
        if name not in five.TASKS:
            raise allowed("task for --substitute", name, five.TASKS)
    names = [choice.substitute.get(name, name) for name in five.TASKS]
    sources = [source(name) for name in names]
    for task, one in enumerate(sources):
        if one.n_classes != 10:
            raise UncleError(f"{one.name} has {one.n_classes} classes; task {task} needs 10")
    return [prepare(one, choice.options) for one in sources]


def _own(kind: str, where: str, choice: Choice) -> Benchmark:
    if kind == "folder":
        return custom.image_folder(
            Path(where), choice.classes_per_task, choice.tasks, choice.image_size
        )
    if kind == "npz":
        if choice.tasks is not None:
            raise UncleError("--tasks is not for npz:, where a file is a task")
        return custom.npz_folder(Path(where))
    if kind == "tfds":
        data_dir = choice.options.data_dir
        from uncle_jax.data.tfds_sets import tfds_benchmark

        return tfds_benchmark(where, data_dir, choice.classes_per_task, choice.tasks)
    if kind == "csv":
        return custom.image_list(
            Path(where), choice.classes_per_task, choice.tasks, choice.image_size
        )
    if kind == "hf":
        from uncle_jax.data.hf_sets import hf_benchmark

        return hf_benchmark(
            where,
            choice.classes_per_task,
            choice.tasks,
            choice.image_size,
            choice.options.download,
        )
    raise allowed("kind of own data", kind, own.DATA)
