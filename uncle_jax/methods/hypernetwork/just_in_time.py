"""JiT-Hnet (Appendix F): JiT's smoothing of the forgotten task's network, by way of phi."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from uncle_jax.config import Config
from uncle_jax.core import hypernet, objectives, resnet, steps
from uncle_jax.core.hypernet import Phi
from uncle_jax.core.inputs import (
    BATCH_INDEPENDENT,
    TaskInput,
    batches_of,
    fit_images,
    normalise,
    task_input,
)
from uncle_jax.core.loop import OnStep, epoch_order
from uncle_jax.core.objectives import Anchor
from uncle_jax.core.state import CLState, snapshot, stats_of
from uncle_jax.core.status import UNLEARNED, checked
from uncle_jax.errors import UncleError
from uncle_jax.methods.hypernetwork.learner import answered, hypernetwork
from uncle_jax.methods.multihead.just_in_time import noisy_copy, ratio_loss
from uncle_jax.methods.multihead.network import ABSENT
from uncle_jax.methods.protocol import Method, Past
from uncle_jax.tasks import InputSpec, as_data


@dataclass(frozen=True)
class JitHnet:
    """JiT-Hnet's settings: JiT's, on phi."""

    lr: float = 1e-2  # of plain SGD on phi; inferred: of 3e-3, 1e-2, 3e-2 the least that forgets
    # on permuted digits (validation, seed 10); JiT's 3e-4 unclipped diverges
    sigma: float = 0.5  # of the noise on normalised images (JiT)
    copies: int = 25  # noisy ones of each image (JiT)
    batch: int = 128  # JiT
    clip_norm: float | None = 1.0  # of phi's gradient; inferred: without it phi diverges to nan
    reg: bool = False  # whether beta L_reg holds the retained tasks (inferred: the paper's do not)

    def __post_init__(self) -> None:
        for name in ("copies", "batch"):
            if getattr(self, name) < 1:
                raise UncleError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("lr", "sigma", "clip_norm"):
            if getattr(self, name) is not None and not 0 < getattr(self, name) < math.inf:
                raise UncleError(f"{name} must be above 0, not {getattr(self, name)}")


def jit_hnet(
    spec: InputSpec, n_tasks: int, config: Config | None = None, main_net: nn.Module | None = None,
    settings: JitHnet = JitHnet(),
) -> Method:  # fmt: skip
    """JiT on the hypernetwork; it reads the forgotten task's data."""
    config = config or Config()
    learner = hypernetwork(spec, n_tasks, config, main_net)
    net = learner.network
    module, layout = net.module, net.layout
    gains = hypernet.gains(layout, config.parametrisation)
    drift_gains = gains if config.output_space == "theta" else None
    from_batch = config.norm_stats != BATCH_INDEPENDENT
    bound = settings.clip_norm
    clip = optax.identity() if bound is None else optax.clip_by_global_norm(bound)

    def outputs(theta: Any, stats: Any, x: Array, task: TaskInput) -> Array:
        found = resnet.apply(module, theta, stats, x, train=False, batch_stats=from_batch)[0]
        return jnp.where(jnp.arange(found.shape[-1]) < task.n_classes, found, ABSENT)

    @jax.jit
    def look(
        theta: Any, stats: Any, images: Array, weights: Array, task: TaskInput, key: Array
    ) -> tuple[Array, Array]:
        copy, distance = noisy_copy(normalise(images, task), key, settings.sigma, weights)
        return outputs(theta, stats, copy, task), distance

    @jax.jit
    def step(
        phi: Phi, emb: Array, chunk_emb: Array, stats: Any, anchor: Anchor, task_emb: Array,
        task: TaskInput, images: Array, weights: Array, copies: Any, distances: Any,
    ) -> tuple[Phi, Array]:  # fmt: skip
        x = normalise(images, task)

        def loss(phi: Phi) -> Array:
            theta = hypernet.generate(phi, emb, chunk_emb, layout, config.parametrisation)
            logits = outputs(theta, stats, x, task)
            total = ratio_loss(logits, jnp.stack(copies), jnp.stack(distances), weights)
            if settings.reg:
                reg = objectives.drift(phi, anchor, task_emb, chunk_emb, layout, drift_gains)
                total += config.beta * reg
            return total

        value, grad = jax.value_and_grad(loss)(phi)
        grad, _ = clip.update(grad, clip.init(phi))
        return jax.tree.map(lambda p, g: p - settings.lr * g, phi, grad), value

    def unlearn(
        state: CLState, task: int, past: Past | None = None, /, *, on_step: OnStep | None = None
    ) -> CLState:
        task = checked(state, task, learned=True)
        if past is None or past.forget is None:
            raise UncleError(f"jit-hnet reads the forgotten task's data to unlearn task {task}")
        images, labels = as_data(past.forget, spec, f"task {task}", task)
        batch_of = batches_of(fit_images(images, net.shape), jnp.asarray(labels))
        _, k_order, k_noise = jax.random.split(state.key, 3)
        status = state.status.at[task].set(UNLEARNED)
        state = dataclasses.replace(state, status=status)
        anchor = steps.anchor(net, state)  # holds the retained tasks alone
        emb, stats, phi = state.task_emb[task], stats_of(state, task), state.phi
        inputs = task_input(spec, task, net.shape)
        order = epoch_order(k_order, 0, len(labels), settings.batch)
        for index, batch in enumerate(order):
            # What fills the last batch up must not count twice: the loss is a sum.
            left = len(labels) - index * settings.batch
            weights = (np.arange(settings.batch) < left).astype(np.float32)
            theta = steps.theta(net, phi, emb, state.chunk_emb)
            rows = batch_of(batch)[0]
            keys = jax.random.split(jax.random.fold_in(k_noise, index), settings.copies)
            found = [look(theta, stats, rows, weights, inputs, key) for key in keys]
            copies, distances = zip(*found, strict=True)
            phi, loss = step(
                phi, emb, state.chunk_emb, stats, anchor, state.task_emb, inputs, rows, weights,
                copies, distances,
            )  # fmt: skip
            if on_step:
                on_step(index + 1, len(order), loss)
        return snapshot(answered(dataclasses.replace(state, phi=phi)))

    return learner.method._replace(
        name="jit-hnet", unlearn=unlearn, reads="forget", settings=settings, iterations=None
    )
