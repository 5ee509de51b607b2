"""What an attack is after: one task, what the attacker has of it, and a state without it."""

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from uncle_jax.core.status import UNLEARNED
from uncle_jax.tasks import Data, InputSpec


class Target(NamedTuple):
    """A task that an attack tries to bring back, with all of its training images."""

    task: int  # the slot that it has, or is given, in the state
    train: Data
    test: Data  # success is measured on these
    spec: InputSpec  # how its images are normalised, and how many classes it has


def drawn(data: Data, most: int) -> np.ndarray:
    """Places of at most so many images, the same every time."""
    return np.random.RandomState(0).permutation(len(data.labels))[:most]


def withheld(state: Any, task: int, key: Array) -> Any:
    """`state` to whom `task` is not learned, with randomness from `key`, and otherwise as it is.

    A retained task that is withheld is what an attack shows its power on. A state of any method.
    """
    changes = {"status": jnp.asarray(state.status).at[task].set(UNLEARNED)}
    if hasattr(state, "key"):  # a state of one's own method may draw nothing
        changes["key"] = key
    return dataclasses.replace(state, **changes)
