"""Weights: where a state lies between one that never learned the task and one that still has it.

Both ends have the state's own seed and requests, without the task's and without the unlearnings.
Shares of the way and the line's accuracy are ours; the loss barrier is the field's (Frankle et al.
2020), in steps of 0.05.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from uncle_jax.core.losses import cross_entropy
from uncle_jax.core.precision import vdot
from uncle_jax.evaluation.audit.target import Target
from uncle_jax.methods.protocol import Method

STEPS = 20  # on a line


class Place(NamedTuple):
    """Where the weights of a state are."""

    share: float  # of the way from never to kept, by projection: 0 is never, 1 is kept
    distance: float  # from never, over that of kept


class Line(NamedTuple):
    """The task's network on the straight line from the never-learned state to another."""

    accuracy: np.ndarray  # [21] per cent, on test images
    loss: np.ndarray  # [21] mean cross-entropy

    @property
    def barrier(self) -> float:
        """The most that the loss is above the straight line between its ends."""
        return float(np.max(self.loss - np.linspace(self.loss[0], self.loss[-1], len(self.loss))))


def weights_of(method: Method, state: Any, task: int) -> Array:
    """All weights that `task`'s network comes from, in one row: phi's and the chunk embeddings'.

    Of a method without a hypernetwork those of its network.
    """
    if method.generator is not None:
        tree = (state.phi, state.chunk_emb)
    elif method.network is not None:
        tree = method.network(state, task).params
    else:
        tree = state
    leaves = [jnp.ravel(leaf) for leaf in jax.tree.leaves(tree) if _is_float(leaf)]
    return jnp.concatenate(leaves)


def place(method: Method, task: int, state: Any, never: Any, kept: Any) -> Place:
    """Where `state` lies between the two others. nan if those are the same."""
    start, end, here = (weights_of(method, one, task) for one in (never, kept, state))
    way, gone = end - start, here - start
    length = float(vdot(way, way))
    if not length:
        return Place(float("nan"), float("nan"))
    return Place(float(vdot(gone, way)) / length, float(vdot(gone, gone) / length) ** 0.5)


def between(start: Any, end: Any, share: float) -> Any:
    """The state `share` of the way from `start` to `end`, whose leaves that are no floats it has.

    States of two methods with equal arrays will do.
    """
    leaves, tree = jax.tree.flatten(end)
    mixed = [
        (1 - share) * a + share * b if _is_float(b) else b
        for a, b in zip(jax.tree.leaves(start), leaves, strict=True)
    ]
    return jax.tree.unflatten(tree, mixed)


def line(method: Method, state: Any, never: Any, target: Target) -> Line:
    """Accuracy and loss of `target`'s network on the line from `never` to `state`."""
    labels = jnp.asarray(np.asarray(target.test.labels))
    accuracy, loss = [], []
    for step in range(STEPS + 1):
        one = between(never, state, step / STEPS)
        logits = method.logits(one, target.task, target.test.images)
        accuracy.append(100 * float(jnp.mean(jnp.argmax(logits, axis=-1) == labels)))
        loss.append(float(jnp.mean(cross_entropy(logits, labels))))
    return Line(np.array(accuracy), np.array(loss))


def _is_float(leaf: Any) -> bool:
    return jnp.issubdtype(jnp.asarray(leaf).dtype, jnp.floating)
