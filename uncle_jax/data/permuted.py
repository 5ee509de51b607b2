"""Permuted benchmarks: every task sees the same digits under its own fixed pixel permutation."""

from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from uncle_jax.data.benchmark import Benchmark
from uncle_jax.data.publishers.prepared import Prepared, describe
from uncle_jax.tasks import Data, InputSpec, holdout

N_TASKS = 10
PLACE = Path("datasets", "data", "digits.csv.gz")  # in scikit-learn's package


def permuted_digits(seed: int, n_tasks: int = N_TASKS) -> Benchmark:
    """scikit-learn's digits, each task under a permutation of its own.

    The split and the permutations follow from `seed`, whatever `n_tasks`.
    """
    spec, splits = digits(seed)
    return _permuted("permuted-digits", spec, splits, seed, n_tasks=n_tasks)


def digits(seed: int) -> tuple[InputSpec, dict[str, Data]]:
    """scikit-learn's 1,797 real handwritten digits (8x8, ten classes), 80 % train, 20 % test.

    As they are; the split follows from `seed`.
    """
    grey, labels = _digits()
    images = np.round(grey * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8, 1)
    train, test = holdout(Data(images, labels.astype(np.int32)), seed, fraction=0.2)
    spec = InputSpec((8, 8, 1), 10, (0.3053,), (0.3760,))
    return spec, {"train": train, "test": test}


def _digits() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's digits [N, 64] from 0 to 16 and their labels [N].

    From its file where that lies as it always has: importing the package takes a second.
    """
    package = find_spec("sklearn")
    place = Path(package.origin).parent / PLACE if package and package.origin else None
    if place is not None and place.is_file():
        table = np.loadtxt(place, delimiter=",")
        return table[:, :-1], table[:, -1]
    from sklearn.datasets import load_digits

    found: Any = load_digits(return_X_y=True)
    return found


def permuted_mnist(
    mnist: Prepared, seed: int, train_images: int | None = None, n_tasks: int = N_TASKS
) -> Benchmark:
    """Permuted-MNIST of the prepared MNIST.

    `train_images`: how many of the 60,000 a task trains on, drawn anew for each task; None: all.
    """
    source = mnist.source
    spec = InputSpec(source.image_shape, source.n_classes, source.mean, source.std)
    remarks = (mnist.remark,) if mnist.remark else ()
    told = {"mnist": describe(mnist)}
    made = _permuted("permuted-mnist", spec, mnist.splits, seed, train_images, n_tasks)
    return replace(made, provenance={**made.provenance, **told}, remarks=remarks)


def _permuted(
    name: str,
    spec: InputSpec,
    splits: dict[str, Data],
    seed: int,
    train_images: int | None = None,
    n_tasks: int = N_TASKS,
) -> Benchmark:
    # As in the authors' benchmark: one RandomState(seed), a permutation of all pixels per task.
    rng = np.random.RandomState(seed)
    pixels = spec.image_shape[0] * spec.image_shape[1]
    permutations = [rng.permutation(pixels) for _ in range(N_TASKS)]
    drawn = [rng.permutation(len(splits["train"].labels))[:train_images] for _ in range(N_TASKS)]
    # Last, so that the first ten stay as they are: more tasks, and ten that nobody learns.
    permutations += [rng.permutation(pixels) for _ in range(n_tasks)]
    drawn = [drawn[task % N_TASKS] for task in range(len(permutations))]

    load = partial(_load, splits, drawn, permutations)
    counts = {"train_images": len(drawn[0]), "test_images": len(splits["test"].labels)}
    return Benchmark(name, spec, n_tasks, load, counts, spare=N_TASKS)


def _load(
    splits: dict[str, Data],
    drawn: list[np.ndarray],
    permutations: list[np.ndarray],
    task: int,
    split: str,
) -> Data:
    images, labels = splits[split]
    if split == "train":
        images, labels = images[drawn[task]], labels[drawn[task]]
    # On the device, which holds the images anyway once they are learned from.
    flat = jnp.asarray(images).reshape(len(images), -1)[:, permutations[task]]
    return Data(flat.reshape(images.shape), labels)
