"""Benchmarks: tasks of labelled images, as plain arrays."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from uncle_jax.data.understood import NOTHING, Known, understand
from uncle_jax.tasks import Data, InputSpec, TaskSpec, holdout, without_classes


@dataclass(frozen=True)
class Benchmark:
    """A sequence of classification tasks with a train and a test split each."""

    name: str
    spec: InputSpec
    n_tasks: int
    load: Callable[[int, str], Data] = field(repr=False)  # (task, "train" | "test")
    provenance: Mapping[str, Any] = field(default_factory=dict)  # for config.json
    remarks: tuple[str, ...] = ()  # what a reader of any result must know: stand-ins, subsets
    understood: tuple[str, ...] = ()  # what own data were taken for, in words
    spare: int = 0  # `load` gives so many more tasks, from n_tasks on, that no run learns

    def held_out(self, seed: int) -> "Benchmark":
        """This benchmark for choosing settings: its test split is a tenth of each task's training
        data, drawn by `seed` and held out from it; the real test split is never loaded."""

        return replace(self, load=partial(_held_out, self.load, seed))

    def n_classes(self, task: int) -> int:
        """How many classes a task has."""
        return self.spec.task(task).n_classes

    def without(self, classes: Mapping[int, Sequence[int]]) -> "Benchmark":
        """This benchmark without the images of some tasks' classes: {task: classes}."""
        return replace(self, load=partial(_without, self.load, classes)) if classes else self

    @staticmethod
    def from_arrays(
        tasks: Sequence[Mapping[str, tuple[Any, Any]]],
        name: str = "own",
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        provenance: Mapping[str, Any] | None = None,
        known: Known = NOTHING,
    ) -> "Benchmark":
        """A benchmark from one's own arrays: per task {"train": (images, labels), "test": (...)}.

        Images [N, H, W, D] (or [N, H, W]: grey), D 1 or 3, uint8 or floats in 0..1; labels [N] from
        0, every class with training images. Tasks may differ in number of classes, and in size and
        channels: all are brought to the largest. Mean and std default to 0.5 a channel: constants,
        so that no task's data is kept in them. Raises UncleError.
        """
        found = understand(tasks, known)
        shapes = [data.images.shape[1:] for split in found.tasks for data in split.values()]
        height, width, channels = (max(sizes) for sizes in zip(*shapes, strict=True))
        means = tuple(mean) if mean is not None else (0.5,) * channels
        stds = tuple(std) if std is not None else (0.5,) * channels
        counts = found.n_classes
        differ = len(set(counts)) > 1
        spec = InputSpec(
            (height, width, channels),
            max(counts),
            means,
            stds,
            tuple(TaskSpec(n, means, stds) for n in counts) if differ else (),
        )
        told = {**(provenance or {}), "found": list(found.facts)}

        load = partial(_stored, found.tasks)
        return Benchmark(name, spec, len(counts), load, told, found.remarks, found.lines)


# What loads is a function of a module with its arguments, so that a Benchmark can be pickled.
def _held_out(load: Callable[[int, str], Data], seed: int, task: int, split: str) -> Data:
    rest, held = holdout(load(task, "train"), seed)
    return rest if split == "train" else held


def _without(
    load: Callable[[int, str], Data], classes: Mapping[int, Sequence[int]], task: int, split: str
) -> Data:
    return without_classes(load(task, split), classes.get(task, ()))


def _stored(tasks: Sequence[Mapping[str, Data]], task: int, split: str) -> Data:
    return tasks[task][split]
