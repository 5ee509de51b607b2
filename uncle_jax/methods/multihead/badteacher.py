"""BadTeacher (Chundawat et al. 2023) on DER++, and UniCLUN (Chatterjee et al. 2024) as UnCLe does.

A random network teaches the forgotten task, the model before the request everything retained. UnCLe
holds UniCLUN's unlearning to be "effectively equivalent to our adaptation of BadTeacher".
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from uncle_jax.config import Count, NonNegative, Share
from uncle_jax.core.loop import OnStep, TrainState, epoch_order, steps_per_epoch
from uncle_jax.core.losses import cross_entropy
from uncle_jax.core.pieces import piece
from uncle_jax.methods.multihead import network as multihead
from uncle_jax.methods.multihead.derpp import Algorithm, on_derpp
from uncle_jax.methods.multihead.network import Model, MultiHead, Request, Rows
from uncle_jax.methods.multihead.replay import Derpp


@dataclass(frozen=True)
class BadTeacher(Derpp):
    """BadTeacher's settings; what its authors run, not their functions' defaults."""

    lr: NonNegative = 1e-4  # Adam's (authors' code)
    epochs: Count = 1  # over forgotten and retained samples together (authors' code)
    batch_size: Count = 256  # authors' code
    retain_fraction: Share = 1.0  # of the buffer; inferred (authors' code: 0.3 of a training set)
    retain_term: Literal["kd", "ce"] = "kd"  # distillation (authors' code) or labels (UnCLe, 2.2)
    reduction: Literal["mean", "batchmean"] = "mean"  # of KL: also over classes (authors' code)
    w_forget: NonNegative = 1.0  # of forgotten samples' terms
    w_retain: NonNegative = 1.0  # of retained samples' terms


@dataclass(frozen=True)
class Uniclun(BadTeacher):
    """UniCLUN's: KL summed over classes, L = gamma * L_retain + (1 - gamma) * L_forget."""

    reduction: Literal["mean", "batchmean"] = "batchmean"  # authors' code
    w_forget: NonNegative = 0.5  # the paper's 1 - gamma; inferred
    w_retain: NonNegative = 0.5  # the paper's gamma; inferred


class Teachers(NamedTuple):
    """Who teaches the student in a request."""

    bad: Model  # drawn at random: of the forgotten task
    good: Model  # the model before: of all that is retained


def mixed_target(incompetent: Array, competent: Array, forget: Array) -> Array:
    """Targets q [B, Y] = l * p_incompetent + (1 - l) * p_competent of logits [B, Y]; l [B]."""
    share = forget.astype(jnp.float32)[:, None]
    return share * jax.nn.softmax(incompetent) + (1 - share) * jax.nn.softmax(competent)


def divergence(target: Array, logits: Array) -> Array:
    """[B] KL(q || softmax(logits)) of probabilities q [B, Y], summed over classes."""
    log_p = jax.nn.log_softmax(logits)
    return jnp.sum(jax.scipy.special.xlogy(target, target) - target * log_p, axis=-1)


def unlearning_loss(
    incompetent: Array,
    competent: Array,
    logits: Array,
    labels: Array,
    forget: Array,
    settings: BadTeacher = BadTeacher(),
) -> Array:
    """The loss of a batch: logits [B, Y] of both teachers and the student, labels and l [B]."""
    terms = divergence(mixed_target(incompetent, competent, forget), logits)
    if settings.reduction == "mean":
        terms /= logits.shape[-1]  # torch's kl_div by default: a mean over every element
    if settings.retain_term == "ce":
        terms = jnp.where(forget, terms, cross_entropy(logits, labels))
    return jnp.mean(terms * jnp.where(forget, settings.w_forget, settings.w_retain))


def subset(rng: np.random.Generator, n: int, fraction: float) -> np.ndarray:
    """Indices of a random `fraction` of n samples, at least one, in order."""
    return np.sort(rng.choice(n, max(1, int(fraction * n)), replace=False))


@piece(static_argnums=(0, 1), donate_argnums=2)
def step(
    net: MultiHead,
    settings: BadTeacher,
    carry: TrainState,
    teachers: Teachers,
    rows: Rows,
    forget: Any,
) -> tuple[TrainState, Array]:
    """A step of the student on rows of any tasks, `forget` [B] those to forget: (carry, loss)."""
    incompetent, competent = (
        multihead.forward(net, *teacher, rows.images, rows.tasks, train=False)[0]
        for teacher in teachers
    )

    def loss(params: Any) -> tuple[Array, Any]:
        logits, stats = multihead.forward(
            net, params, carry.stats, rows.images, rows.tasks, train=True
        )
        total = unlearning_loss(incompetent, competent, logits, rows.labels, forget, settings)
        return total, stats

    (total, stats), grad = jax.value_and_grad(loss, has_aux=True)(carry.params)
    update, optimiser = optax.adam(settings.lr).update(grad, carry.optimiser)
    return TrainState(optax.apply_updates(carry.params, update), stats, optimiser), total


def badteacher_algorithm(net: MultiHead, settings: BadTeacher) -> Algorithm:
    """What answers an unlearn request."""

    def unlearn(model: Model, request: Request, key: Array, on_step: OnStep | None) -> Model:
        assert request.forget is not None
        k_teacher, k_subset, k_order = jax.random.split(key, 3)
        teachers = Teachers(multihead.drawn(net, k_teacher), model)
        rows = request.forget
        if request.retain is not None:
            retain = request.retain
            if settings.retain_fraction < 1:
                rng = np.random.default_rng(np.asarray(jax.random.key_data(k_subset)).tolist())
                index = subset(rng, len(retain.labels), settings.retain_fraction)
                retain = Rows(*(array[index] for array in retain))
            rows = multihead.join(rows, retain)
        params, stats = jax.tree.map(jnp.copy, tuple(model))  # the steps donate their carry
        carry = TrainState(params, stats, optax.adam(settings.lr).init(params))
        get, n, n_forget = multihead.rows_of(rows), len(rows.labels), len(request.forget.labels)
        steps, done = settings.epochs * steps_per_epoch(n, settings.batch_size), 0
        for epoch in range(settings.epochs):
            for batch in epoch_order(k_order, epoch, n, settings.batch_size):
                carry, loss = step(net, settings, carry, teachers, get(batch), batch < n_forget)
                done += 1
                if on_step:
                    on_step(done, steps, loss)
        return Model(carry.params, carry.stats)

    return unlearn


badteacher = on_derpp(
    "badteacher",
    badteacher_algorithm,
    BadTeacher(),
    reads="forget+retain",
    by_class=True,
    doc="BadTeacher on DER++ (github.com/vikram2000b/bad-teaching-unlearning, unlearn.py).",
)
uniclun = on_derpp(
    "uniclun",
    badteacher_algorithm,
    Uniclun(),
    reads="forget+retain",
    by_class=True,
    doc="UniCLUN's unlearning on DER++: BadTeacher with its KL (github.com/respailab/CLMUL).",
)
