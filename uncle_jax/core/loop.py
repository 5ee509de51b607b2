"""Epochs: which images each batch holds, at which learning rate, and the loop around the steps.

And what most steps carry, and how they go down.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
from jax import Array

from uncle_jax.config import Config
from uncle_jax.core.scanned import Step, even, take

OnStep = Callable[[int, int, Array], None]
"""Called as on_step(step, steps, loss) after each optimiser step; `loss` is still on the device."""


class Inflight(Protocol):
    """What keeps a long learn request's progress, so that it can go on after a crash.

    A carry is a method's own pytree: what its epochs hand on to each other.
    """

    def resume(self, carry: Any) -> tuple[int, Any]:
        """(epochs done, the carry after them); (0, `carry`) if nothing was kept."""
        ...

    def after_epoch(self, done: int, carry: Any) -> None:
        """Keep `carry`, as it is after `done` epochs, or not."""
        ...


class Progress(NamedTuple):
    """Who is told of a request's steps, and what keeps its epochs; nobody and nothing if None."""

    on_step: OnStep | None = None
    inflight: Inflight | None = None


class Batch(NamedTuple):
    """What a learn request's steps differ by."""

    images: np.ndarray  # [B] int32: which
    lr: np.float32


Draw = Callable[[int, np.ndarray, np.float32], Any]
"""(step from 0, index [B] of the batch's images, learning rate) -> what the step differs by."""


class TrainState(NamedTuple):
    """A network in training, and what a step donates to the next."""

    params: Any
    stats: Any  # running norm statistics
    optimiser: Any


def part_of(on_step: OnStep | None, done: int, total: int) -> OnStep | None:
    """`on_step` for a part of a request: its steps come after `done` others, of `total` in all."""
    if on_step is None:
        return None

    def tell(step: int, steps: int, loss: Array) -> None:
        del steps  # the part's own
        on_step(done + step, total, loss)

    return tell


def descend(params: Any, updates: Any, lr: Array | np.float32 | float) -> Any:
    """params - lr * updates, leaf by leaf; optax's directions point uphill until then."""
    return jax.tree.map(lambda p, u: p - lr * u, params, updates)


def learning_rate(config: Config, step: int, steps_per_epoch: int) -> float:
    """The learning rate of optimiser step `step` of a learn request, by `config.schedule`."""
    if config.schedule == "constant":
        return config.lr
    if config.schedule == "cosine":
        total = config.epochs * steps_per_epoch
        return cosine(config.lr, step, total)
    decays = step // steps_per_epoch // config.schedule_epochs
    return config.lr * config.schedule_factor**decays


def cosine(lr: float, step: int, steps: int) -> float:
    """The learning rate of step `step` (from 0) of `steps`: `lr` at first, falling to 0."""
    return lr * 0.5 * (1 + math.cos(math.pi * step / steps))


def steps_per_epoch(n: int, batch_size: int) -> int:
    """Batches that hold each of `n` images once, the last one filled up."""
    return math.ceil(n / batch_size)


def epoch_order(key: Array, epoch: int, n: int, batch_size: int) -> np.ndarray:
    """[S, B] which images each batch of an epoch holds: every one, in an order drawn from `key`.

    The last batch is filled up with the epoch's first images again, so that all have one size.
    """
    order = np.asarray(jax.random.permutation(jax.random.fold_in(key, epoch), n))
    return np.resize(order, (steps_per_epoch(n, batch_size), batch_size))


def run_epochs(
    config: Config,
    key: Array,
    n: int,
    carry: Any,
    step: Step,
    progress: Progress,
    draw: Draw = lambda _, index, lr: Batch(index, lr),
) -> Any:
    """`carry` after `config.epochs` epochs of `step` over `n` images, as a learn request has them.

    Batch size, learning rate and schedule are `config`'s; orders are drawn from `key`. What a step
    is given beside is drawn on the host. `progress.inflight` keeps the carry between epochs.
    """
    on_step, inflight = progress
    per_epoch = steps_per_epoch(n, config.batch_size)
    total = config.epochs * per_epoch
    done, carry = inflight.resume(carry) if inflight else (0, carry)
    for epoch in range(done, config.epochs):
        order = epoch_order(key, epoch, n, config.batch_size)
        first = epoch * per_epoch
        rates = (learning_rate(config, first + i, per_epoch) for i in range(per_epoch))
        xs = [
            draw(first + i, batch, np.float32(lr))
            for i, (batch, lr) in enumerate(zip(order, rates, strict=True))
        ]
        carry = take(step, carry, xs, even(per_epoch), part_of(on_step, first, total))
        if inflight and epoch + 1 < config.epochs:
            inflight.after_epoch(epoch + 1, carry)
    return carry
