"""Benchmarks: tasks of labelled images, as plain arrays."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from uncle_jax.errors import UncleError
from uncle_jax.tasks import Data, InputSpec, TaskSpec, _check_integers, as_data, holdout


@dataclass(frozen=True)
class Benchmark:
    """A sequence of classification tasks with a train and a test split each."""

    name: str
    spec: InputSpec
    n_tasks: int
    load: Callable[[int, str], Data] = field(repr=False)  # (task, "train" | "test")
    provenance: Mapping[str, Any] = field(default_factory=dict)  # for config.json
    remarks: tuple[str, ...] = ()  # what a reader of any result must know: stand-ins, subsets

    def held_out(self, seed: int) -> "Benchmark":
        """This benchmark for choosing settings: its test split is a tenth of each task's training
        data, drawn by `seed` and held out from it; the real test split is never loaded."""

        def load(task: int, split: str) -> Data:
            rest, held = holdout(self.load(task, "train"), seed)
            return rest if split == "train" else held

        return replace(self, load=load)

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
            (height, width, channels),
            max(counts),
            means,
            stds,
            tuple(TaskSpec(n, means, stds) for n in counts) if differ else (),
        )
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
