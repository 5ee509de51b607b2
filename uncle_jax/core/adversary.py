"""Adversaries: embeddings that search for the forgotten network while phi is pulled away from it.

The task's own embedding is one point of the hypernetwork; networks like the task's are generated at
others too. An adversary goes where they still are, so that noise can be aligned there as well. It
needs no data: it searches the network that the state generated when the request came. Ours, not the
paper's.

Shapes: A adversaries, E embedding.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from uncle_jax.core.loop import descend


class Adversaries(NamedTuple):
    """Where the search is; a burn-in carries it from iteration to iteration."""

    emb: Array  # [A, E]
    optimiser: optax.OptState


def start(key: Array, count: int, size: int) -> Adversaries:
    """`count` adversaries at N(0, I), as the embedding of a task that is learned starts."""
    emb_AxE = jax.random.normal(key, (count, size))
    return Adversaries(emb_AxE, optax.scale_by_adam().init(emb_AxE))


def pursue(
    adversaries: Adversaries, distance: Callable[[Array], Array], lr: float | np.float32
) -> Adversaries:
    """`adversaries` after a step of Adam on the `distance` of each, a scalar of an embedding [E].

    Gradients are of unit length: distances shrink by orders of magnitude within a burn-in.
    """
    grad_AxE = jax.vmap(jax.grad(distance))(adversaries.emb)
    length_Ax1 = jnp.linalg.norm(grad_AxE, axis=-1, keepdims=True)
    unit_AxE = grad_AxE / jnp.maximum(length_Ax1, 1e-12)
    update, optimiser = optax.scale_by_adam().update(unit_AxE, adversaries.optimiser)
    return Adversaries(descend(adversaries.emb, update, lr), optimiser)
