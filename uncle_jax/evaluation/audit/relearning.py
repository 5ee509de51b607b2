"""Relearning: is a forgotten task learned faster than one that never was there?

The method itself learns the task again, for a part of an epoch, an epoch, two, and of few of its
images for few steps; on what the state holds, also where it would begin anew (`Method.onward`). The
references are the same from a state that never learned it, and from one that learned and unlearned
another in its place. Ours; a state of any method.
"""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import jax
import numpy as np
from jax import Array

from uncle_jax.config import Bound, Config, Count, Settings
from uncle_jax.errors import UncleError
from uncle_jax.evaluation.accuracy import evaluate
from uncle_jax.evaluation.audit.target import Target, withheld
from uncle_jax.methods import registry
from uncle_jax.methods.protocol import Method
from uncle_jax.tasks import Data


@dataclass(frozen=True)
class Relearning(Settings):
    """When the accuracy is measured, and how often all of it is done."""

    epochs: Annotated[tuple[float, ...], Bound(above=0)] = (0.5, 1.0, 2.0)  # of all images
    examples: Annotated[tuple[int, ...], Bound(least=1)] = (10, 50)  # few of them, for `steps` each
    steps: Annotated[tuple[int, ...], Bound(least=1)] = (5, 20, 50)
    repeats: Count = 1  # draws of the new embedding and of the order of images


def one_epoch(config: Config) -> Config:
    """`config` of the learner that relearns: one epoch at the full rate."""
    return dataclasses.replace(config, epochs=1, schedule="constant")


def brief(method: Method) -> Method:
    """`method`, learning for one epoch. Raises UncleError unless it knows what made it."""
    if method.origin is None:
        raise UncleError(f"{method.name} does not know what made it, so no other can be made of it")
    name, spec, n_tasks, config, settings, main_net, _ = method.origin
    config = one_epoch(config or Config())
    return registry.build(name, spec, n_tasks, config, settings, main_net)


def relearn(
    method: Method,
    state: Any,
    target: Target,
    settings: Relearning,
    key: Array,
    on_learned: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """[repeats, epochs] test accuracy in per cent after learning `target` for each of `epochs`.

    `method` learns for one epoch (`brief`). So many epochs are an epoch of so many copies of
    the images, each time from `state`, which stays as it is. Equal keys draw equal embeddings.
    `on_learned(times, of)` follows each time.
    """
    total = settings.repeats * len(settings.epochs)
    found: list[float] = []
    for repeat, key_ in enumerate(jax.random.split(key, settings.repeats)):
        start = withheld(state, target.task, key_)
        for part in settings.epochs:
            again = epochs_of(target.train, part, repeat)
            found.append(_after(method, start, target, again))
            if on_learned:
                on_learned(len(found), total)
    return np.reshape(found, (settings.repeats, len(settings.epochs)))


def relearn_few(
    method: Method,
    state: Any,
    target: Target,
    settings: Relearning,
    batch: int,
    key: Array,
    on_learned: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """[repeats, examples, steps] test accuracy in per cent after so many steps on so few images.

    Each time from `state`, as in `relearn`; a step is on `batch` images, the method's batch size.
    """
    shape = (settings.repeats, len(settings.examples), len(settings.steps))
    found: list[float] = []
    for repeat, key_ in enumerate(jax.random.split(key, settings.repeats)):
        start = withheld(state, target.task, key_)
        for few in settings.examples:
            for steps in settings.steps:
                again = images_of(target.train, few, steps * batch, repeat)
                found.append(_after(method, start, target, again))
                if on_learned:
                    on_learned(len(found), math.prod(shape))
    return np.reshape(found, shape)


def _after(method: Method, start: Any, target: Target, data: Data) -> float:
    learned = (method.onward or method.learn)(start, target.task, data)
    return evaluate(method, learned, target.task, target.test)


def epochs_of(data: Data, epochs: float, seed: int) -> Data:
    """Images of so many epochs, as one: in an order drawn by `seed`, again and again."""
    n = len(data.labels)
    return images_of(data, n, max(1, round(epochs * n)), seed)


def images_of(data: Data, few: int, total: int, seed: int) -> Data:
    """`few` of the images, drawn by `seed`, again and again until there are `total`."""
    order = np.random.RandomState(seed).permutation(len(data.labels))
    index = np.resize(order[:few], total)
    return Data(np.asarray(data.images)[index], np.asarray(data.labels)[index])
