"""Elastic weight consolidation (Kirkpatrick et al. 2017) of any number of tasks, on several heads.

sum_t F_t (theta - theta_t)^2, with F_t the Fisher information's diagonal, as CLPU's code (lsf.py)
estimates it: an image's share is weighted by the probability of its label.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from uncle_jax.core import resnet
from uncle_jax.core.losses import cross_entropy
from uncle_jax.core.pieces import piece
from uncle_jax.methods.multihead import network as multihead
from uncle_jax.methods.multihead.network import Model, MultiHead, Rows


class Ewc(NamedTuple):
    """sum_t F_t (theta - theta_t)^2 as one parabola a parameter: exact, and T times less work."""

    importance: Any  # sum_t F_t
    centre: Any  # sum_t F_t theta_t / sum_t F_t; 0 where nothing matters
    rest: Array  # sum over t and parameters of F_t (centre - theta_t)^2


@piece()
def ewc_of(fisher: Any, anchors: Any, kept: Array) -> Ewc:
    """The Ewc of the tasks `kept` [T] (1 or 0) from trees of [T, ...]."""
    fisher = jax.tree.map(lambda f: f * kept.reshape(-1, *[1] * (f.ndim - 1)), fisher)
    importance = jax.tree.map(lambda f: jnp.sum(f, axis=0), fisher)

    def mean(f: Array, a: Array, total: Array) -> Array:
        return jnp.where(total > 0, jnp.sum(f * a, axis=0) / jnp.where(total > 0, total, 1), 0)

    centre = jax.tree.map(mean, fisher, anchors, importance)
    rest = jax.tree.map(lambda f, a, c: jnp.sum(f * (c - a) ** 2), fisher, anchors, centre)
    return Ewc(importance, centre, jnp.asarray(sum(jax.tree.leaves(rest))))


def ewc_loss(params: Any, ewc: Ewc) -> Array:
    """sum_t sum F_t (theta - theta_t)^2."""
    parts = jax.tree.map(
        lambda p, f, c: jnp.sum(f * (p - c) ** 2), params, ewc.importance, ewc.centre
    )
    return sum(jax.tree.leaves(parts)) + ewc.rest


def fisher_sum(log_p: Array, grads: Any, weights: Array) -> Any:
    """sum_i weights_i p_i (d log p_i)^2; log p [B] of the labels, grads a tree of [B, ...]."""
    factors = weights * jnp.exp(log_p)
    return jax.tree.map(lambda g: jnp.tensordot(factors, g**2, axes=1), grads)


def fisher_of(
    net: MultiHead, model: Model, rows: Rows, key: Array, n_images: int | None, at_once: int
) -> Any:
    """mean_i p_i (d log p_i)^2 over `n_images` of `rows` drawn with `key`, like the parameters.

    `n_images`: None for all; `at_once`: per-image gradients held in memory. Running norm statistics
    whatever the settings: those of one image alone say nothing.
    """
    n = min(len(rows.labels), n_images or len(rows.labels))
    drawn = np.asarray(jax.random.permutation(key, len(rows.labels)))[:n]
    batch_of = multihead.rows_of(rows)
    place = np.arange(math.ceil(n / at_once) * at_once)
    total = jax.tree.map(jnp.zeros_like, model.params)
    for part in place.reshape(-1, at_once):
        weights = ((part < n) / n).astype(np.float32)
        total = _add(net, total, model, batch_of(drawn[part % n]), weights)
    return total


@piece(static_argnums=0)
def _add(net: MultiHead, total: Any, model: Model, rows: Rows, weights: Array) -> Any:
    def one(image: Array, label: Array, task: Array) -> tuple[Array, Any]:
        def log_p(params: Any) -> Array:
            x = multihead.normalise(net, image[None], task[None])
            outputs = resnet.apply(net, params, model.stats, x, False, batch_stats=False)[0]
            logits = multihead.pick(net, outputs, task[None])
            return -cross_entropy(logits, label[None])[0]

        return jax.value_and_grad(log_p)(model.params)

    log_p, grads = jax.vmap(one)(*rows)
    return jax.tree.map(jnp.add, total, fisher_sum(log_p, grads, weights))
