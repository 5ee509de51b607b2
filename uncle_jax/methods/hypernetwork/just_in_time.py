"""JiT-Hnet (Appendix F): JiT's smoothing of the forgotten task's network, by way of phi."""

import dataclasses
from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from uncle_jax.config import Config, Count, Hypernetwork, Positive
from uncle_jax.core import resnet, steps
from uncle_jax.core.holding import Held, drift, hold
from uncle_jax.core.hypernet import Phi
from uncle_jax.core.inputs import (
    TaskInput,
    batches_of,
    fit_images,
    normalise,
    task_input,
)
from uncle_jax.core.loop import OnStep, descend, epoch_order
from uncle_jax.core.network import Network
from uncle_jax.core.pieces import piece
from uncle_jax.core.state import CLState, snapshot, stats_of
from uncle_jax.core.status import UNLEARNED, checked, unlearned
from uncle_jax.errors import UncleError
from uncle_jax.methods.hypernetwork.learner import hypernetwork
from uncle_jax.methods.multihead.just_in_time import Noisy, noisy_copy, ratio_loss
from uncle_jax.methods.multihead.network import ABSENT
from uncle_jax.methods.protocol import Method, Past, remembering
from uncle_jax.tasks import InputSpec, as_data


@dataclass(frozen=True)
class JitHnet(Hypernetwork):
    """JiT-Hnet's settings: JiT's, on phi."""

    lr: Positive = 1e-2  # of plain SGD on phi; inferred: of 3e-3, 1e-2, 3e-2 the least that forgets
    # on permuted digits (validation, seed 10); JiT's 3e-4 unclipped diverges
    sigma: Positive = 0.5  # of the noise on normalised images (JiT)
    copies: Count = 25  # noisy ones of each image (JiT)
    batch: Count = 128  # JiT
    # of phi's gradient when unlearning; inferred: without it phi diverges to nan
    unlearn_clip_norm: Positive | None = 1.0
    reg: bool = False  # whether beta L_reg holds the retained tasks (inferred: the paper's do not)


@remembering
def jit_hnet(
    spec: InputSpec,
    n_tasks: int,
    config: Config | None = None,
    main_net: nn.Module | None = None,
    settings: JitHnet = JitHnet(),
) -> Method:
    """JiT on the hypernetwork; it reads the forgotten task's data."""
    learner = hypernetwork(spec, n_tasks, config, main_net, settings)
    net = learner.network

    def unlearn(
        state: CLState, task: int, past: Past | None = None, /, *, on_step: OnStep | None = None
    ) -> CLState:
        task = checked(state, task, learned=True)
        if past is None or past.forget is None:
            raise UncleError(f"jit-hnet reads the forgotten task's data to unlearn task {task}")
        images, labels = as_data(past.forget, spec, f"task {task}", task)
        batch_of = batches_of(fit_images(images, net.shape), jnp.asarray(labels))
        key, k_order, k_noise = jax.random.split(state.key, 3)
        released = dataclasses.replace(state, status=state.status.at[task].set(UNLEARNED))
        about = About(
            emb=state.task_emb[task],
            chunk_emb=state.chunk_emb,
            stats=stats_of(state, task),
            input=task_input(spec, task, net.shape),
            held=hold(net, released, unlearning=True),  # the retained tasks alone
        )
        phi = state.phi
        order = epoch_order(k_order, 0, len(labels), settings.batch)
        for index, batch in enumerate(order):
            # What fills the last batch up must not count twice: the loss is a sum.
            left = len(labels) - index * settings.batch
            weights = (np.arange(settings.batch) < left).astype(np.float32)
            filled = Filled(batch_of(batch)[0], weights)
            theta = steps.theta(net, phi, about.emb, about.chunk_emb)
            keys = jax.random.split(jax.random.fold_in(k_noise, index), settings.copies)
            seen = [look(net, settings, about, theta, filled, k) for k in keys]
            noisy = Noisy(*zip(*seen, strict=True))
            phi, loss = step(net, settings, about, phi, filled, noisy)
            if on_step:
                on_step(index + 1, len(order), loss)
        return snapshot(unlearned(state, task, key, phi=phi))

    return learner.method._replace(
        name="jit-hnet",
        unlearn=unlearn,
        unlearn_classes=None,
        reads="forget",
        settings=settings,
        iterations=None,
    )


class About(NamedTuple):
    """The forgotten task, and what L_reg holds the retained ones by: constant in a request."""

    emb: Array  # [E] the forgotten task's own
    chunk_emb: Array  # [C, E]
    stats: Any  # its norm statistics
    input: TaskInput
    held: Held


class Filled(NamedTuple):
    """A batch of fitted images, those that only fill it up with weight 0."""

    images: Any  # [B, H, W, D]
    weights: Any  # [B] float32


def _outputs(net: Network, about: About, theta: Any, x: Array) -> Array:
    raw = resnet.apply(net, theta, about.stats, x, train=False)[0]
    return jnp.where(jnp.arange(raw.shape[-1]) < about.input.n_classes, raw, ABSENT)


@piece(static_argnums=(0, 1))
def look(
    net: Network,
    settings: JitHnet,
    about: About,
    theta: Any,
    batch: Filled,
    key: Array,
) -> tuple[Array, Array]:
    """(logits [B, Y] of a noisy copy of each image, each one's distance [B] to its image)."""
    x = normalise(batch.images, about.input)
    copy, distance = noisy_copy(x, key, settings.sigma, batch.weights)
    return _outputs(net, about, theta, copy), distance


@piece(static_argnums=(0, 1))
def step(
    net: Network,
    settings: JitHnet,
    about: About,
    phi: Phi,
    batch: Filled,
    noisy: Noisy,
) -> tuple[Phi, Array]:
    """A step of plain SGD on phi: (phi after, loss)."""
    x = normalise(batch.images, about.input)

    def loss(phi: Phi) -> Array:
        theta = steps.generate(net, phi, about.emb, about.chunk_emb)
        logits = _outputs(net, about, theta, x)
        copies, distances = jnp.stack(noisy.copies), jnp.stack(noisy.distances)
        total = ratio_loss(logits, copies, distances, batch.weights)
        if settings.reg:
            total += net.hyper.beta * drift(net, phi, about.held)
        return total

    value, grad = jax.value_and_grad(loss)(phi)
    if settings.unlearn_clip_norm is not None:
        clip = optax.clip_by_global_norm(settings.unlearn_clip_norm)
        grad, _ = clip.update(grad, clip.init(phi))
    return descend(phi, grad, settings.lr), value
