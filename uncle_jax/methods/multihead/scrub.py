"""SCRUB (Kurmanji et al. 2023) on DER++: away from the model before on forgotten data, only there.

Epochs alternate between a pass that maximises the distillation loss on the forgotten task (the
first few only) and one that minimises cross-entropy and distillation on what is retained.
"""

import functools
import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from uncle_jax.config import Config
from uncle_jax.core.loop import OnStep, epoch_order
from uncle_jax.core.losses import cross_entropy, distillation
from uncle_jax.errors import UncleError, allowed
from uncle_jax.methods.multihead import network as multihead
from uncle_jax.methods.multihead.derpp import Algorithm, Derpp, on_derpp
from uncle_jax.methods.multihead.network import Model, MultiHead, Request, Rows
from uncle_jax.methods.protocol import Method, Reads
from uncle_jax.tasks import InputSpec

READS: Reads = "forget+retain"


@dataclass(frozen=True)
class Scrub(Derpp):
    """SCRUB's settings: those of its authors' large-scale notebooks (CIFAR-10, Lacuna-10)."""

    epochs: int = 3  # authors' code
    msteps: int = 2  # the first epochs, those with a forget pass (authors' code)
    gamma: float = 0.99  # of the retained cross-entropy (authors' code)
    alpha: float = 0.001  # of the retained distillation (authors' code)
    temperature: float = 4.0  # of both distillations (authors' code)
    optimiser: Literal["sgd", "adam"] = "sgd"  # authors' code; adam: their small-scale notebooks
    lr: float = 5e-4  # authors' code
    momentum: float = 0.9  # of sgd (authors' code)
    weight_decay: float = 5e-4  # added to the gradient, as torch's (authors' code)
    lr_decay: float = 0.1  # times this for each of the epochs below that is over (authors' code)
    lr_decay_epochs: tuple[int, ...] = (3, 5, 9)  # authors' code
    forget_batch: int = 32  # inferred: the authors' for their smaller forget sets
    retain_batch: int = 128  # inferred: theirs
    max_forget_steps: int | None = None  # of one forget pass; None: all of the task's images
    clip_norm: float | None = None  # of the gradient; not in the authors' code (1 in JiT's)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("epochs", "forget_batch", "retain_batch"):
            if getattr(self, name) < 1:
                raise UncleError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("msteps", "max_forget_steps", "gamma", "alpha", "lr", "weight_decay"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise UncleError(f"{name} must not be negative, not {value}")
        for name in ("temperature", "clip_norm"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise UncleError(f"{name} must be above 0, not {value}")
        if self.optimiser not in ("sgd", "adam"):
            raise allowed("optimiser", self.optimiser, ("sgd", "adam"))


class Tuning(NamedTuple):
    """The student; donated from step to step."""

    params: Any
    stats: Any
    optimiser: Any


def scrub(
    spec: InputSpec, n_tasks: int, config: Config | None = None, main_net: nn.Module | None = None,
    settings: Scrub = Scrub(),
) -> Method:  # fmt: skip
    """SCRUB on DER++ (github.com/meghdadk/SCRUB, loops.py and notebooks)."""
    return on_derpp("scrub", spec, n_tasks, config, main_net, settings, READS, algorithm)


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
    clip = settings.clip_norm
    return optax.chain(
        optax.identity() if clip is None else optax.clip_by_global_norm(clip),
        optax.add_decayed_weights(settings.weight_decay),
        optax.scale_by_adam()
        if settings.optimiser == "adam"
        else optax.trace(settings.momentum),
    )  # fmt: skip


def algorithm(net: MultiHead, settings: Scrub) -> Algorithm:
    """What answers an unlearn request."""
    direction = transformation(settings)  # one for both kinds of pass, as the authors'
    temperature = settings.temperature

    def step(
        forget: bool, carry: Tuning, teacher: Model, rows: Rows, lr: np.float32
    ) -> tuple[Tuning, Array]:
        told, _ = multihead.forward(net, *teacher, rows.images, rows.tasks, train=False)

        def loss(params: Any) -> tuple[Array, Any]:
            logits, stats = multihead.forward(
                net, params, carry.stats, rows.images, rows.tasks, train=True
            )
            if forget:
                return forget_loss(told, logits, temperature), stats
            total = retain_loss(
                told, logits, rows.labels, settings.gamma, settings.alpha, temperature
            )
            return total, stats

        (total, stats), grad = jax.value_and_grad(loss, has_aux=True)(carry.params)
        update, optimiser = direction.update(grad, carry.optimiser, carry.params)
        params = jax.tree.map(lambda p, u: p - lr * u, carry.params, update)
        return Tuning(params, stats, optimiser), total

    steps = {
        forget: jax.jit(functools.partial(step, forget), donate_argnums=0)
        for forget in (True, False)
    }

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
        carry = Tuning(params, stats, direction.init(params))
        todo = [
            (epoch, forget, batch)
            for epoch, forget in passes(settings.epochs, settings.msteps, False in get)
            for batch in epoch_order(keys[forget], epoch, n[forget], size[forget])[
                : settings.max_forget_steps if forget else None
            ]
        ]
        for done, (epoch, forget, batch) in enumerate(todo, start=1):
            lr = np.float32(learning_rate(settings, epoch))
            carry, loss = steps[forget](carry, model, get[forget](batch), lr)
            if on_step:
                on_step(done, len(todo), loss)
        return Model(carry.params, carry.stats)

    return unlearn
