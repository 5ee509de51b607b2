"""The jitted pieces of learning, unlearning and prediction: one optimiser step each.

Every function here is traced once for a whole sequence of requests: tasks are padded to T_max slots
and masked, batches have one size, and what changes from step to step comes in as an array. The
loops around them (methods/uncle.py) are Python's, since a convolution inside `lax.scan` is many
times slower on a CPU than the same step called from Python.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax import Array

from uncle_jax.config import Config
from uncle_jax.core import hypernet, objectives, resnet
from uncle_jax.core.hypernet import Phi
from uncle_jax.core.inputs import BATCH_INDEPENDENT, TaskInput, mask_logits, normalise
from uncle_jax.core.layout import Layout
from uncle_jax.core.objectives import Anchor
from uncle_jax.core.state import CLState


class Network(NamedTuple):
    """What is static: the main network, its layout, and the settings."""

    module: nn.Module
    layout: Layout
    config: Config


class Learning(NamedTuple):
    """What a learning request optimises and carries; donated from step to step."""

    phi: Phi
    emb: Array  # [E] the task's own
    chunk_emb: Array  # [C, E]
    stats: Any  # the task's norm statistics
    optimiser: Any


class Unlearning(NamedTuple):
    """What an unlearning request optimises and carries; donated from step to step."""

    phi: Phi
    optimiser: Any


class Losses(NamedTuple):
    """The terms of a step's loss, before the step."""

    total: Array
    task: Array  # L_task when learning, L_fgt when unlearning
    reg: Array  # L_reg


def optimiser(clip_norm: float | None) -> optax.GradientTransformation:
    """Adam's direction, after clipping by global norm; the step applies the learning rate."""
    clip = optax.identity() if clip_norm is None else optax.clip_by_global_norm(clip_norm)
    return optax.chain(clip, optax.scale_by_adam())


def _descend(params: Any, updates: Any, lr: Array) -> Any:
    return jax.tree.map(lambda p, u: p - lr * u, params, updates)


class Steps(NamedTuple):
    """The jitted functions of one `Network`."""

    anchor: Any  # (state) -> Anchor
    start_learning: Any  # (state, emb, stats) -> Learning
    learn: Any  # (Learning, Anchor, task_emb, train_chunks, TaskInput, images, labels, lr) -> ...
    start_unlearning: Any  # (state) -> Unlearning
    unlearn: Any  # (Unlearning, Anchor, task_emb, chunk_emb, task, key, lr) -> ..., Losses
    theta: Any  # (phi, emb, chunk_emb) -> theta
    calibrate: Any  # (theta, stats, TaskInput, images) -> stats
    logits: Any  # (theta, stats, TaskInput, images) -> [B, Y]


def make_steps(net: Network) -> Steps:
    """The steps of `net`, jitted; compiled at first use."""
    module, layout, config = net
    gains = hypernet.gains(layout, config.parametrisation)
    drift_gains = gains if config.output_space == "theta" else None
    shared = optimiser(config.clip_norm)  # phi and chunk embeddings
    own = optimiser(None)  # a task's embedding is not clipped (authors' code)

    def generate(phi: Phi, emb: Array, chunk_emb: Array) -> dict[str, Any]:
        return hypernet.generate(phi, emb, chunk_emb, layout, config.parametrisation)

    def anchor(state: CLState) -> Anchor:
        retained = state.retained.astype(jnp.float32)
        count = len(retained) if config.reg_mean == "benchmark" else retained.sum()
        weight = retained / jnp.maximum(count, 1)
        rows = len(retained) * layout.chunks
        form = objectives.choose_form(config.drift, rows, config.trunk[-1] + 1, sum(layout.whole))
        return objectives.drift_anchor(
            state.phi_star, state.task_emb, state.chunk_emb, weight, layout, form, drift_gains
        )

    def start_learning(state: CLState, emb: Array, stats: Any) -> Learning:
        # A copy, because the steps donate their carry and the caller keeps `state`.
        phi, chunk_emb = jax.tree.map(jnp.copy, (state.phi, state.chunk_emb))
        return Learning(phi, emb, chunk_emb, stats, (shared.init((phi, chunk_emb)), own.init(emb)))

    def learn(
        carry: Learning, anchor: Anchor, task_emb: Array, train_chunks: Array, task: TaskInput,
        images: Array, labels: Array, lr: Array,
    ) -> tuple[Learning, Losses]:  # fmt: skip
        x = normalise(images, task)

        def loss(params: tuple[Phi, Array, Array]) -> tuple[Array, tuple[Losses, Any]]:
            phi, emb, chunk_emb = params
            theta = generate(phi, emb, chunk_emb)
            logits, stats = resnet.apply(module, theta, carry.stats, x, train=True)
            fit = objectives.task_loss(mask_logits(logits, task), labels)
            frozen = jax.lax.stop_gradient(chunk_emb)  # nothing is retained while they train
            reg = objectives.drift(phi, anchor, task_emb, frozen, layout, drift_gains)
            total = fit + config.beta * reg  # Equation 2
            return total, (Losses(total, fit, reg), stats)

        params = (carry.phi, carry.emb, carry.chunk_emb)
        (phi_grad, emb_grad, chunk_grad), (losses, stats) = jax.grad(loss, has_aux=True)(params)
        chunk_grad = chunk_grad * train_chunks
        shared_update, shared_state = shared.update((phi_grad, chunk_grad), carry.optimiser[0])
        own_update, own_state = own.update(emb_grad, carry.optimiser[1])
        phi, chunk_emb = _descend((carry.phi, carry.chunk_emb), shared_update, lr)
        emb = _descend(carry.emb, own_update, lr)
        return Learning(phi, emb, chunk_emb, stats, (shared_state, own_state)), losses

    def start_unlearning(state: CLState) -> Unlearning:
        phi = jax.tree.map(jnp.copy, state.phi)
        return Unlearning(phi, shared.init(phi))

    def unlearn(
        carry: Unlearning, anchor: Anchor, task_emb: Array, chunk_emb: Array, task: Array,
        key: Array, lr: Array,
    ) -> tuple[Unlearning, Losses]:  # fmt: skip
        def loss(phi: Phi) -> tuple[Array, Losses]:
            out = hypernet.outputs(phi, task_emb[task], chunk_emb)
            if config.output_space == "theta":
                out = hypernet.scale(layout, config.parametrisation, out)
            forget = objectives.noise_alignment(
                key, out, layout, config.noise, config.noise_samples, config.noise_form
            )
            reg = objectives.drift(phi, anchor, task_emb, chunk_emb, layout, drift_gains)
            total = objectives.unlearn_loss(forget, reg, config.gamma, config.noise)
            return total, Losses(total, forget, reg)

        grad, losses = jax.grad(loss, has_aux=True)(carry.phi)
        update, state = shared.update(grad, carry.optimiser)
        return Unlearning(_descend(carry.phi, update, lr), state), losses

    def logits(theta: Any, stats: Any, task: TaskInput, images: Array) -> Array:
        x = normalise(images, task)
        from_batch = config.norm_stats != BATCH_INDEPENDENT
        raw = resnet.apply(module, theta, stats, x, train=False, batch_stats=from_batch)[0]
        return mask_logits(raw, task)

    def calibrate(theta: Any, stats: Any, task: TaskInput, images: Array) -> Any:
        return resnet.apply(module, theta, stats, normalise(images, task), train=True)[1]

    return Steps(
        jax.jit(anchor),
        jax.jit(start_learning),
        jax.jit(learn, donate_argnums=0),
        jax.jit(start_unlearning),
        jax.jit(unlearn, donate_argnums=0),
        jax.jit(generate),
        jax.jit(calibrate),
        jax.jit(logits),
    )
