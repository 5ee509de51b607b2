"""The jitted pieces of learning, unlearning and prediction: one optimiser step each.

Every function here is traced once for a whole sequence of requests: tasks are padded to T_max slots
and masked, batches have one size, and what changes from step to step comes in as an array. The
loops around them (methods/uncle.py) are Python's, since a convolution inside `lax.scan` is many
times slower on a CPU than the same step called from Python.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from uncle_jax import hypernet, objectives, resnet
from uncle_jax.config import Config
from uncle_jax.data.benchmark import InputSpec, check_images
from uncle_jax.hypernet import Array, Phi
from uncle_jax.layout import Layout
from uncle_jax.objectives import Anchor
from uncle_jax.state import CLState

BATCH_INDEPENDENT = "running"  # the norm_stats under which a prediction ignores its batch


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


class TaskInput(NamedTuple):
    """One task's normalisation and number of classes, as arrays: no trace depends on them."""

    mean: Array  # [D] of images scaled to 0..1
    std: Array  # [D]
    n_classes: Array  # int32; logits from here on are masked


def task_input(spec: InputSpec, task: int, shape: tuple[int, ...]) -> TaskInput:
    """The TaskInput of `task` for fitted images of `shape` [H, W, D]."""
    one = spec.task(task)
    mean, std = (jnp.broadcast_to(jnp.asarray(v), shape[-1:]) for v in (one.mean, one.std))
    return TaskInput(mean, std, jnp.asarray(one.n_classes, jnp.int32))


def input_shape(spec: InputSpec, image_size: int | None) -> tuple[int, int, int]:
    """[H, W, D] of the main network's input; with `image_size` square RGB, as the authors' is."""
    return spec.image_shape if image_size is None else (image_size, image_size, 3)


def fit_images(images: Any, shape: tuple[int, int, int], block: int = 1024) -> Array:
    """Images [N, h, w, d] on the device, resized (bilinear, antialiased) and repeated to `shape`.

    Once a request, not once a step. uint8 stays uint8, rounded, as the authors' PIL images are.
    """
    images = jnp.asarray(images)
    if images.shape[1:] == tuple(shape) or not len(images):
        return images
    # Blocks of one size, the last filled up: one trace, and little memory beside the result.
    block = min(block, len(images))
    index = np.arange(math.ceil(len(images) / block) * block) % len(images)
    parts = [_fit(images[part], tuple(shape)) for part in index.reshape(-1, block)]
    return jnp.concatenate(parts)[: len(images)]


def logits_of(
    function: Callable[[Array], Array], images: Any, spec: InputSpec, shape: tuple[int, int, int],
    size: int,
) -> Array:  # fmt: skip
    """Logits [N, Y] by `function` ([size, *shape] -> [size, Y]) of any images that fit `spec`.

    Raises UncleError for images that do not.
    """
    if not isinstance(images, jax.Array):
        images = np.asarray(images)
    check_images(images, spec)
    if not len(images):
        return jnp.zeros((0, spec.n_classes))
    images = fit_images(images, shape)
    # The last batch is filled up with the first images again: one shape, one trace.
    order = np.arange(math.ceil(len(images) / size) * size) % len(images)
    parts = [function(images[index]) for index in order.reshape(-1, size)]
    return jnp.concatenate(parts)[: len(images)]


@functools.partial(jax.jit, static_argnames="shape")
def _fit(images: Array, shape: tuple[int, int, int]) -> Array:
    x = images.astype(jnp.float32)
    x = jax.image.resize(x, (len(x), *shape[:2], x.shape[-1]), "bilinear")
    if images.dtype == jnp.uint8:
        x = jnp.clip(jnp.round(x), 0, 255).astype(jnp.uint8)
    return jnp.repeat(x, shape[-1] // x.shape[-1], axis=-1)


def batches_of(*arrays: Array) -> Callable[[np.ndarray], tuple[Any, ...]]:
    """index [B] -> the rows `index` of each array [N, ...], gathered where the arrays are.

    On a CPU by NumPy, without a copy of the whole: XLA's gather goes byte by byte there, which took
    a tenth of a small step.
    """
    if all(device.platform == "cpu" for device in arrays[0].devices()):
        host = [np.asarray(array) for array in arrays]
        return lambda index: tuple(array[index] for array in host)
    return lambda index: _gather(arrays, index)


@jax.jit
def _gather(arrays: tuple[Array, ...], index: Array) -> tuple[Array, ...]:
    return tuple(array[index] for array in arrays)


def normalise(images: Array, task: TaskInput) -> Array:
    """float32 input from images [B, H, W, D], uint8 in 0..255 or float in 0..1."""
    x = images.astype(jnp.float32)
    if images.dtype == jnp.uint8:
        x = x / 255
    return (x - task.mean) / task.std


def mask_logits(logits: Array, task: TaskInput) -> Array:
    """Logits [B, Y] with those of classes that the task does not have at minus infinity."""
    return jnp.where(jnp.arange(logits.shape[-1]) < task.n_classes, logits, -jnp.inf)


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
