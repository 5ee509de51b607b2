"""JiT (Foster et al. 2024, "zero-shot unlearning at scale") on DER++: forgetting by smoothing.

One pass over the forgotten task's images that makes the model's outputs change little where the
input does: it descends on a local Lipschitz ratio, estimated with noisy copies of each image.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from uncle_jax.config import Count, NonNegative, Positive
from uncle_jax.core import resnet
from uncle_jax.core.loop import OnStep, descend, epoch_order
from uncle_jax.core.pieces import piece
from uncle_jax.methods.multihead import network as multihead
from uncle_jax.methods.multihead.derpp import Algorithm, on_derpp
from uncle_jax.methods.multihead.network import Model, MultiHead, Request, Rows
from uncle_jax.methods.multihead.replay import Derpp


@dataclass(frozen=True)
class Jit(Derpp):
    """JiT's settings: those of its authors' full-class experiments with a CNN."""

    lr: NonNegative = 3e-4  # of plain SGD (authors' code, VGG; inferred for a ResNet)
    # noise of the normalised input (authors' code, VGG; inferred for a ResNet)
    sigma: Positive = 0.5
    copies: Count = 25  # noisy ones of each image (authors' code)
    batch: Count = 128  # authors' code; the loss is a sum, so lr goes with it
    mode: Literal["eval", "train"] = "eval"  # norm statistics: the running ones, or the batch's,
    # which every forward then moves; inferred: their code never calls eval(), but on nets without
    accumulate: bool = False  # step along the sum of all gradients so far, as the authors' code
    # does (its loop never zeroes them); the paper does not


class Smoothing(NamedTuple):
    """What a step moves; donated from step to step."""

    params: Any
    stats: Any
    total: Any  # the sum of the gradients so far; None without `accumulate`


class Filled(NamedTuple):
    """A batch, those rows that only fill it up with weight 0."""

    rows: Rows
    weights: Any  # [B] float32


class Noisy(NamedTuple):
    """What is known of a batch's N noisy copies."""

    copies: Any  # N times logits [B, Y]
    distances: Any  # N times [B]: each copy's to its image


def noisy_copy(
    x: Array, key: Array, sigma: float, weights: Array | None = None
) -> tuple[Array, Array]:
    """(x [B, ...] plus N(0, sigma^2), clamped to the range of x; each one's distance [B] to x).

    Samples of weight 0 have no part in the range.
    """
    real = jnp.ones(len(x), bool) if weights is None else weights > 0
    real = real.reshape(-1, *[1] * (x.ndim - 1))
    low, high = jnp.min(jnp.where(real, x, jnp.inf)), jnp.max(jnp.where(real, x, -jnp.inf))
    copy = jnp.clip(x + sigma * jax.random.normal(key, x.shape), low, high)
    return copy, norm(copy - x)


def norm(x: Array) -> Array:
    """[B] the Euclidean norm of each x [B, ...], with gradient 0 where it is 0, as torch's."""
    squares = jnp.sum(x.reshape(len(x), -1) ** 2, axis=-1)
    positive = squares > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squares, 1.0)), 0.0)


def ratio_loss(
    logits: Array, copies: Array, distances: Array, weights: Array | None = None
) -> Array:
    """The sum over the batch of the mean over copies of ||logits - copies|| / distance.

    logits [B, Y]; copies [N, B, Y], which get no gradient; distances [N, B], a 0 counts as ratio 0;
    weights [B].
    """
    apart = jax.vmap(lambda one: norm(logits - one))(jax.lax.stop_gradient(copies))
    moved = distances > 0
    ratios = jnp.where(moved, apart / jnp.where(moved, distances, 1.0), 0.0)
    each = jnp.mean(ratios, axis=0)
    return jnp.sum(each if weights is None else weights * each)


def lipschitz_loss(
    f: Callable[[Array], Array],
    x: Array,
    key: Array,
    sigma: float,
    n: int,
    weights: Array | None = None,
) -> Array:
    """JiT's loss of f: x [B, ...] -> logits [B, Y] with `n` noisy copies; weights [B]."""
    found = [noisy_copy(x, jax.random.fold_in(key, i), sigma, weights) for i in range(n)]
    copies = jnp.stack([jax.lax.stop_gradient(f(copy)) for copy, _ in found])
    return ratio_loss(f(x), copies, jnp.stack([distance for _, distance in found]), weights)


@piece(static_argnums=(0, 1))
def look(
    net: MultiHead,
    settings: Jit,
    model: Model,
    batch: Filled,
    key: Array,
    index: Array | np.int32,
) -> tuple[Array, Array, Any]:
    """(logits [B, Y] of noisy copy number `index`, its distances [B], norm statistics after)."""
    train, rows = settings.mode == "train", batch.rows
    x = multihead.normalise(net, rows.images, rows.tasks)
    copy, distance = noisy_copy(x, jax.random.fold_in(key, index), settings.sigma, batch.weights)
    outputs, stats = resnet.apply(net, *model, copy, train)
    return multihead.pick(net, outputs, rows.tasks), distance, stats


@piece(static_argnums=(0, 1), donate_argnums=2)
def step(
    net: MultiHead,
    settings: Jit,
    carry: Smoothing,
    batch: Filled,
    noisy: Noisy,
) -> tuple[Smoothing, Array]:
    """A step on a batch whose noisy copies were looked at: (carry after, loss)."""
    train, rows = settings.mode == "train", batch.rows

    def loss(params: Any) -> tuple[Array, Any]:
        logits, stats = multihead.forward(net, params, carry.stats, rows.images, rows.tasks, train)
        copies, distances = jnp.stack(noisy.copies), jnp.stack(noisy.distances)
        return ratio_loss(logits, copies, distances, batch.weights), stats

    (value, stats), grad = jax.value_and_grad(loss, has_aux=True)(carry.params)
    if settings.accumulate:
        grad = jax.tree.map(jnp.add, carry.total, grad)
    params = descend(carry.params, grad, settings.lr)
    return Smoothing(params, stats, grad if settings.accumulate else None), value


def algorithm(net: MultiHead, settings: Jit) -> Algorithm:
    """What answers an unlearn request."""

    def unlearn(model: Model, request: Request, key: Array, on_step: OnStep | None) -> Model:
        assert request.forget is not None
        k_order, k_noise = jax.random.split(key)
        n = len(request.forget.labels)
        get = multihead.rows_of(request.forget)
        params, stats = jax.tree.map(jnp.copy, tuple(model))  # the steps donate their carry
        total = jax.tree.map(jnp.zeros_like, params) if settings.accumulate else None
        carry = Smoothing(params, stats, total)
        order = epoch_order(k_order, 0, n, settings.batch)
        # The loss is a sum: what fills up the last batch must not count twice.
        real = (np.arange(order.size) < n).reshape(order.shape).astype(np.float32)
        for index, (batch, weights) in enumerate(zip(order, real, strict=True)):
            filled, k_batch = Filled(get(batch), weights), jax.random.fold_in(k_noise, index)
            noisy = Noisy([], [])
            for i in range(settings.copies):
                now = Model(carry.params, carry.stats)
                seen, distance, stats = look(net, settings, now, filled, k_batch, np.int32(i))
                carry = carry._replace(stats=stats)
                noisy.copies.append(seen)
                noisy.distances.append(distance)
            carry, loss = step(net, settings, carry, filled, noisy)
            if on_step:
                on_step(index + 1, len(order), loss)
        return Model(carry.params, carry.stats)

    return unlearn


jit_unlearning = on_derpp(
    "jit",
    algorithm,
    Jit(),
    reads="forget",
    by_class=True,
    doc="JiT on DER++ (github.com/jwf40/Zeroshot-Unlearning-At-Scale, lipschitz.py).",
)
