"""The replay buffer of DER++: a reservoir of M samples a task, with the logits of their moment.

Shapes: T tasks, M samples a task, Y classes of a task, B batch, R replay batch.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import flax.struct
import jax.numpy as jnp
import numpy as np
from jax import Array

from uncle_jax.methods.multihead.network import Rows


@flax.struct.dataclass
class Buffer:
    """Samples of every task that is learned; a frozen pytree."""

    images: Array  # [T, M, H, W, D] uint8: floats are rounded to 1/255
    labels: Array  # [T, M] int32
    logits: Array  # [T, M, Y] of the sample's own head when it was drawn, never refreshed
    count: Array  # [T] int32: samples held


def empty(n_tasks: int, size: int, shape: tuple[int, int, int], n_classes: int) -> Buffer:
    """A buffer that holds nothing."""
    return Buffer(
        jnp.zeros((n_tasks, size, *shape), jnp.uint8),
        jnp.zeros((n_tasks, size), jnp.int32),
        jnp.zeros((n_tasks, size, n_classes)),
        jnp.zeros(n_tasks, jnp.int32),
    )


def reservoir_slots(rng: np.random.Generator, seen: int, batch: int, size: int) -> np.ndarray:
    """[B] the slot that each sample of a batch takes; `size` for those that take none.

    Reservoir sampling (Vitter 1985): sample number n (from 0) takes slot n while there is room,
    then slot j ~ U{0..n} if j < `size`. Of two that take one slot in a batch the later keeps it.
    `seen`: samples before the batch.
    """
    number = seen + np.arange(batch)
    drawn = rng.integers(0, number + 1)
    slots = np.where(number < size, number, drawn)
    slots = np.where(slots < size, slots, size)
    last = {slot: position for position, slot in enumerate(slots.tolist())}
    keeps = np.array([last[slot] == position for position, slot in enumerate(slots.tolist())])
    return np.where(keeps, slots, size).astype(np.int32)


def store(buffer: Buffer, task: int, images: Any, labels: Any, logits: Any, count: int) -> Buffer:
    """`buffer` with `task`'s part replaced by images [M, H, W, D], labels [M], logits [M, Y]."""
    images = jnp.asarray(images)
    if images.dtype != jnp.uint8:
        images = jnp.clip(jnp.round(images * 255), 0, 255).astype(jnp.uint8)
    return Buffer(
        buffer.images.at[task].set(images),
        buffer.labels.at[task].set(jnp.asarray(labels, jnp.int32)),
        buffer.logits.at[task].set(logits),
        buffer.count.at[task].set(count),
    )


def remove(buffer: Buffer, task: int) -> Buffer:
    """`buffer` without `task`'s samples: their arrays are zeros again."""
    return dataclasses.replace(
        buffer,
        images=buffer.images.at[task].set(0),
        labels=buffer.labels.at[task].set(0),
        logits=buffer.logits.at[task].set(0),
        count=buffer.count.at[task].set(0),
    )


def without(buffer: Buffer, task: int, classes: Sequence[int]) -> Buffer:
    """`buffer` without `task`'s samples of `classes`; the others move up, and zeros come after."""
    if not classes:
        return buffer
    n = int(buffer.count[task])
    kept = np.flatnonzero(~np.isin(np.asarray(buffer.labels[task, :n]), np.asarray(classes)))

    def moved(array: Array) -> Array:
        own = jnp.zeros_like(array[task]).at[: len(kept)].set(array[task, kept])
        return array.at[task].set(own)

    images, labels, logits = map(moved, (buffer.images, buffer.labels, buffer.logits))
    return Buffer(images, labels, logits, buffer.count.at[task].set(len(kept)))


def rows(buffer: Buffer, tasks: Sequence[int]) -> Rows:
    """Every sample held of `tasks`."""
    count = np.asarray(buffer.count)
    task = np.repeat(np.asarray(tasks, np.int32), count[list(tasks)])
    item = np.concatenate([np.arange(count[t]) for t in tasks] or [np.arange(0)])
    return Rows(buffer.images[task, item], buffer.labels[task, item], jnp.asarray(task, jnp.int32))


def draw(
    rng: np.random.Generator, count: np.ndarray, tasks: Sequence[int], batch: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(tasks [R], items [R], weights [R]) of a replay batch: as many of each of `tasks`, +-1.

    Weights make the weighted sum a mean over tasks of the mean over each one's samples.
    """
    task = np.resize(np.asarray(tasks, np.int32), batch)
    item = rng.integers(0, count[task]).astype(np.int32)
    each = np.bincount(task, minlength=len(count))
    n_present = len(np.unique(task))
    return task, item, (1 / (each[task] * n_present)).astype(np.float32)
