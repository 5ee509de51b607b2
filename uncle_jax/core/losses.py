"""Losses that the baselines share, on logits [B, Y]; the first argument is the target's."""

import jax
import jax.numpy as jnp
from jax import Array


def cross_entropy(logits: Array, labels: Array) -> Array:
    """[B] -log p(label)."""
    log_p = jax.nn.log_softmax(logits)
    return -jnp.take_along_axis(log_p, labels[:, None], axis=-1)[:, 0]


def kl(target: Array, logits: Array, temperature: float = 1.0) -> Array:
    """[B] KL(p_T(target) || p_T(logits)), summed over classes; p_T = softmax(logits / T)."""
    log_q, log_p = (jax.nn.log_softmax(z / temperature) for z in (target, logits))
    return jnp.sum(jnp.exp(log_q) * (log_q - log_p), axis=-1)


def distillation(target: Array, logits: Array, temperature: float) -> Array:
    """[B] T^2 KL(p_T(target) || p_T(logits)) (Hinton et al. 2015)."""
    return temperature**2 * kl(target, logits, temperature)
