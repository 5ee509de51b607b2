"""Relearning: is a forgotten task learned faster than one that never was there?

The method itself learns the task again, for a part of an epoch, an epoch, two; on what the state
holds, also where it would begin anew (`Method.onward`). The references are the same from a state
that never learned it, and from one that learned and unlearned another in its place. Ours; a state
of any method.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import jax
import numpy as np
from jax import Array

from uncle_jax.config import Bound, Config, Count, Settings
from uncle_jax.evaluation.accuracy import evaluate
from uncle_jax.evaluation.audit.target import Target, withheld
from uncle_jax.methods.protocol import Method
from uncle_jax.tasks import Data


@dataclass(frozen=True)
class Relearning(Settings):
    """When the accuracy is measured, and how often all of it is done."""

    epochs: Annotated[tuple[float, ...], Bound(above=0)] = (0.5, 1.0, 2.0)
    repeats: Count = 1  # draws of the new embedding and of the order of images


def one_epoch(config: Config) -> Config:
    """`config` of the learner that relearns: one epoch at the full rate."""
    return dataclasses.replace(config, epochs=1, schedule="constant")


def relearn(
    method: Method,
    state: Any,
    target: Target,
    settings: Relearning,
    key: Array,
    on_learned: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """[repeats, epochs] test accuracy in per cent after learning `target` for each of `epochs`.

    `method` learns for one epoch (`one_epoch`). So many epochs are an epoch of so many copies of
    the images, each time from `state`, which stays as it is. Equal keys draw equal embeddings.
    `on_learned(times, of)` follows each time.
    """
    total = settings.repeats * len(settings.epochs)
    found: list[float] = []
    for repeat, key_ in enumerate(jax.random.split(key, settings.repeats)):
        start = withheld(state, target.task, key_)
        for part in settings.epochs:
            learn = method.onward or method.learn
            after = learn(start, target.task, epochs_of(target.train, part, repeat))
            found.append(evaluate(method, after, target.task, target.test))
            if on_learned:
                on_learned(len(found), total)
    return np.reshape(found, (settings.repeats, len(settings.epochs)))


def epochs_of(data: Data, epochs: float, seed: int) -> Data:
    """Images of so many epochs, as one: in an order drawn by `seed`, again and again."""
    n = len(data.labels)
    order = np.random.RandomState(seed).permutation(n)
    index = np.resize(order, max(1, round(epochs * n)))
    return Data(np.asarray(data.images)[index], np.asarray(data.labels)[index])
