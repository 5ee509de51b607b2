"""SCRUB (Kurmanji et al. 2023) on DER++: away from the model before on forgotten data, only there.

Epochs alternate between a pass that maximises the distillation loss on the forgotten task (the
first few only) and one that minimises cross-entropy and distillation on what is retained.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from uncle_jax.config import Count, NonNegative, NonNegativeInt, Positive
from uncle_jax.core.loop import OnStep, TrainState, descend, epoch_order
from uncle_jax.core.losses import cross_entropy, distillation
from uncle_jax.core.pieces import piece
from uncle_jax.methods.multihead import network as multihead
from uncle_jax.methods.multihead.derpp import Algorithm, on_derpp
from uncle_jax.methods.multihead.network import Model, MultiHead, Request, Rows
from uncle_jax.methods.multihead.replay import Derpp


@dataclass(frozen=True)
class Scrub(Derpp):
    """SCRUB's settings: those of its authors' large-scale notebooks (CIFAR-10, Lacuna-10)."""

    epochs: Count = 3  # authors' code
    msteps: NonNegativeInt = 2  # the first epochs, those with a forget pass (authors' code)
    gamma: NonNegative = 0.99  # of the retained cross-entropy (authors' code)
    alpha: NonNegative = 0.001  # of the retained distillation (authors' code)
    temperature: Positive = 4.0  # of both distillations (authors' code)
    optimiser: Literal["sgd", "adam"] = "sgd"  # authors' code; adam: their small-scale notebooks
    lr: NonNegative = 5e-4  # authors' code
    momentum: NonNegative = 0.9  # of sgd (authors' code)
    weight_decay: NonNegative = 5e-4  # added to the gradient, as torch's (authors' code)
    # times this for each of the epochs below that is over (authors' code)
    lr_decay: NonNegative = 0.1
    lr_decay_epochs: tuple[int, ...] = (3, 5, 9)  # authors' code
    forget_batch: Count = 32  # inferred: the authors' for their smaller forget sets
    retain_batch: Count = 128  # inferred: theirs
    # of one forget pass; None: all of the task's images
    max_forget_steps: NonNegativeInt | None = None
    clip_norm: Positive | None = None  # of the gradient; not in the authors' code (1 in JiT's)


def forget_loss(teacher: Array, logits: Array, temperature: float) -> Array:
    """Minus the distillation loss, mean over the batch: its descent is the ascent wanted."""
    return -jnp.mean(distillation(teacher, logits, temperature))


def retain_loss(
    teacher: Array, logits: Array, labels: Array, gamma: float, alpha: float, temperature: float
) -> Array:
    """gamma * cross-entropy + alpha * distillation loss, means over the batch."""
    hard = jnp.mean(cross_entropy(logits, labels))
    return gamma * hard + alpha * jnp.mean(distillation(teacher, logits, temperature))


def passes(epochs: int, msteps: int, retained: bool) -> list[tuple[int, bool]]:
    """The passes over data in order, as (epoch from 1, is it a forget pass)."""
    order = []
    for epoch in range(1, epochs + 1):
        order += [(epoch, True)] if epoch <= msteps else []
        order += [(epoch, False)] if retained else []
    return order


def learning_rate(settings: Scrub, epoch: int) -> float:
    """The learning rate of `epoch` (from 1): decayed once for each decay epoch before it."""
    over = sum(epoch > end for end in settings.lr_decay_epochs)
    return settings.lr * settings.lr_decay**over


def transformation(settings: Scrub) -> optax.GradientTransformation:
    """Gradient -> direction, as torch's SGD and Adam: weight decay is part of the gradient."""
    clip, adam = settings.clip_norm, settings.optimiser == "adam"
    return optax.chain(
        optax.identity() if clip is None else optax.clip_by_global_norm(clip),
        optax.add_decayed_weights(settings.weight_decay),
        optax.scale_by_adam() if adam else optax.trace(settings.momentum),
    )


@piece(static_argnums=(0, 1), donate_argnums=2)
def forget_step(
    net: MultiHead,
    settings: Scrub,
    carry: TrainState,
    teacher: Model,
    rows: Rows,
    lr: np.float32,
) -> tuple[TrainState, Array]:
    """A step of the student in a forget pass: (carry after, loss)."""
    wanted, _ = multihead.forward(net, *teacher, rows.images, rows.tasks, train=False)

    def loss(logits: Array) -> Array:
        return forget_loss(wanted, logits, settings.temperature)

    return _descended(net, transformation(settings), carry, rows, lr, loss)


@piece(static_argnums=(0, 1), donate_argnums=2)
def retain_step(
    net: MultiHead,
    settings: Scrub,
    carry: TrainState,
    teacher: Model,
    rows: Rows,
    lr: np.float32,
) -> tuple[TrainState, Array]:
    """A step of the student in a retain pass: (carry after, loss)."""
    wanted, _ = multihead.forward(net, *teacher, rows.images, rows.tasks, train=False)
    gamma, alpha, temperature = settings.gamma, settings.alpha, settings.temperature

    def loss(logits: Array) -> Array:
        return retain_loss(wanted, logits, rows.labels, gamma, alpha, temperature)

    return _descended(net, transformation(settings), carry, rows, lr, loss)


def _descended(
    net: MultiHead,
    optimiser: optax.GradientTransformation,
    carry: TrainState,
    rows: Rows,
    lr: np.float32,
    loss_of: Callable[[Array], Array],  # of the student's logits [B, Y]
) -> tuple[TrainState, Array]:
    def loss(params: Any) -> tuple[Array, Any]:
        logits, stats = multihead.forward(
            net, params, carry.stats, rows.images, rows.tasks, train=True
        )
        return loss_of(logits), stats

    (total, stats), grad = jax.value_and_grad(loss, has_aux=True)(carry.params)
    update, state = optimiser.update(grad, carry.optimiser, carry.params)
    return TrainState(descend(carry.params, update, lr), stats, state), total


def algorithm(net: MultiHead, settings: Scrub) -> Algorithm:
    """What answers an unlearn request."""

    def unlearn(model: Model, request: Request, key: Array, on_step: OnStep | None) -> Model:
        assert request.forget is not None
        keys = dict(zip((True, False), jax.random.split(key), strict=True))
        get = {True: multihead.rows_of(request.forget)}
        n = {True: len(request.forget.labels)}
        if request.retain is not None:
            get[False] = multihead.rows_of(request.retain)
            n[False] = len(request.retain.labels)
        size = {True: settings.forget_batch, False: settings.retain_batch}
        params, stats = jax.tree.map(jnp.copy, tuple(model))  # the steps donate their carry
        # One optimiser for both kinds of pass, as the authors'.
        carry = TrainState(params, stats, transformation(settings).init(params))
        todo = [
            (epoch, forget, batch)
            for epoch, forget in passes(settings.epochs, settings.msteps, False in get)
            for batch in epoch_order(keys[forget], epoch, n[forget], size[forget])[
                : settings.max_forget_steps if forget else None
            ]
        ]
        for done, (epoch, forget, batch) in enumerate(todo, start=1):
            lr = np.float32(learning_rate(settings, epoch))
            step = forget_step if forget else retain_step
            carry, loss = step(net, settings, carry, model, get[forget](batch), lr)
            if on_step:
                on_step(done, len(todo), loss)
        return Model(carry.params, carry.stats)

    return unlearn


scrub = on_derpp(
    "scrub",
    algorithm,
    Scrub(),
    reads="forget+retain",
    by_class=True,
    doc="SCRUB on DER++ (github.com/meghdadk/SCRUB, loops.py and notebooks).",
)
