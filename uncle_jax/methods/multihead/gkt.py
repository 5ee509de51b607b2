"""GKT (Chundawat et al. 2023, "zero-shot machine unlearning") on DER++: no data at all.

A generator makes images on which a fresh student differs most from the model before (its teacher);
the student learns there what the teacher says about retained tasks, and replaces it.
"""

import itertools
import math
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from uncle_jax.config import Count, NonNegative, NonNegativeInt, Positive, Settings, Share
from uncle_jax.core import precision
from uncle_jax.core.loop import OnStep, descend
from uncle_jax.core.losses import kl
from uncle_jax.core.network import Network
from uncle_jax.core.pieces import piece
from uncle_jax.core.resnet import Block, Bottleneck
from uncle_jax.methods.multihead import network as multihead
from uncle_jax.methods.multihead.derpp import Algorithm, on_derpp
from uncle_jax.methods.multihead.network import Model, MultiHead, Request
from uncle_jax.methods.multihead.replay import Derpp


@dataclass(frozen=True)
class Generated(Settings):
    """How a student learns from generated images: JiT's code for a CNN where not said otherwise."""

    # steps of the generator a pseudo-batch (JiT's code; GKT's: 1)
    generator_iters: NonNegativeInt = 2
    student_iters: Count = 15  # of the student, on the same z (JiT's code; GKT's: 10)
    # of the student a request, to the next whole pseudo-batch; inferred
    # from the paper's unlearning times
    student_steps: Count = 1000
    batch: Count = 128  # JiT's code; GKT's: 256
    generator_lr: NonNegative = 1e-3  # of Adam (GKT's code); inferred here
    student_lr: NonNegative = 1e-3  # of Adam (GKT's code); inferred here
    transfer_clip_norm: Positive = 5.0  # of either gradient (both codes)
    beta_at: NonNegative = 5.0  # of the attention transfer (JiT's code; GKT's: 250)
    latent: Count = 128  # size of z (both codes)
    generator_width: Count | None = None  # channels; None: twice the main network's width, which is
    # both codes' 128 for the paper's networks


@dataclass(frozen=True)
class Gkt(Generated, Derpp):
    """GKT's settings, beside DER++'s."""

    gate: Share | None = None  # the largest probability that the forgotten head may have on a used
    # image; None: any. Both codes: 0.01 for the forgotten class; inferred: no gate between heads


class Transfer(NamedTuple):
    """The two players; donated from step to step."""

    params: Any  # the student's
    stats: Any
    optimiser: Any
    generator: Any
    generator_optimiser: Any


class Lesson(NamedTuple):
    """What a pseudo-batch is about: a retained task, as the model before the request has it."""

    teacher: Model
    task: Array | np.int32
    forgotten: Array | np.int32  # the task whose head may close the gate


class Generator(nn.Module):
    """z [B, Z] -> images [B, *shape] of the network's normalised input.

    Every norm takes its batch's statistics: a generator is never used in eval mode.
    """

    shape: tuple[int, int, int]
    width: int = 128  # channels, half of them last (both codes: 128)

    @nn.compact
    def __call__(self, z: Array) -> Array:
        height, width, channels = self.shape
        start = (math.ceil(height / 4), math.ceil(width / 4))
        x = nn.Dense(start[0] * start[1] * self.width)(z).reshape(-1, *start, self.width)
        x = _norm()(x)
        for features in (self.width, math.ceil(self.width / 2)):
            x = jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)
            x = nn.Conv(features, (3, 3))(x)
            x = nn.leaky_relu(_norm()(x), 0.2)
        size = 7 if channels == 1 else 3  # as the authors have it for MNIST
        x = nn.Conv(channels, (size, size))(x[:, :height, :width])
        return _norm()(x)


def _norm() -> nn.BatchNorm:
    return nn.BatchNorm(use_running_average=False, epsilon=1e-5)


def generate(generator: Generator, params: Any, z: Array) -> Array:
    """Images [B, H, W, D] of z [B, Z]."""
    images, _ = generator.apply({"params": params}, z, mutable=["batch_stats"])
    assert isinstance(images, jax.Array)
    return images


def mean_kl(teacher: Array, logits: Array, weights: Array, n_classes: Array) -> Array:
    """KL(teacher || student), mean over samples (weighted) and classes, as torch's default."""
    return weighted_mean(kl(teacher, logits), weights) / n_classes


def attention(x: Array) -> Array:
    """[B, H * W] normalised to length 1: the mean over channels of squared x [B, H, W, D]."""
    x = jnp.mean(x**2, axis=-1).reshape(len(x), -1)
    squares = jnp.sum(x**2, axis=-1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.maximum(squares, 1e-24))


def attention_transfer(teacher: list[Array], student: list[Array], weights: Array) -> Array:
    """The sum over layers of the mean squared difference of attention maps; 0 without layers."""
    total = jnp.zeros(())
    for one, other in zip(teacher, student, strict=True):
        squares = jnp.mean((attention(one) - attention(other)) ** 2, axis=-1)
        total += weighted_mean(squares, weights)
    return total


def weighted_mean(values: Array, weights: Array) -> Array:
    """The mean of values [B] by weights [B] of 0 and 1; 0 if all are 0."""
    return jnp.sum(weights * values) / jnp.maximum(jnp.sum(weights), 1.0)


def gated(logits: Array, gate: float | None) -> Array:
    """[B] 1 where the largest probability of logits [B, Y] is at most `gate`, else 0."""
    if gate is None:
        return jnp.ones(len(logits))
    largest = jnp.max(jax.nn.softmax(logits), axis=-1)
    return (largest <= gate).astype(jnp.float32)


def pseudo_batches(settings: Generated) -> int:
    """Pseudo-batches of a request: enough for `student_steps`."""
    return math.ceil(settings.student_steps / settings.student_iters)


def stages(intermediates: Any) -> list[Array]:
    """The outputs [B, H, W, D] of the stages of a ResNet, of all captured outputs of its blocks.

    A stage ends where the next block's output has another shape.
    """
    found = {
        jax.tree_util.keystr(path): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(intermediates)
    }
    blocks = [found[name] for name in sorted(found, key=_numbered)]
    ends = [a for a, b in itertools.pairwise(blocks) if a.shape != b.shape]
    return ends + blocks[-1:]


def _numbered(name: str) -> list[str | int]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def look(
    net: MultiHead | Network, model: Model, x: Array, train: bool
) -> tuple[Array, Any, list[Array]]:
    """(outputs [B, T * Y], norm statistics after, stage outputs) of normalised input [B, H, W, D].

    As resnet.apply. A module without Block or Bottleneck has no stages.
    """
    params, x = precision.lowered((model.params, x), net.config.precision)
    variables = {"params": params, "batch_stats": model.stats}
    live = train or not net.config.batch_independent
    outputs, moved = net.module.apply(
        variables,
        x,
        train=live,
        mutable=["batch_stats", "intermediates"] if live else ["intermediates"],
        capture_intermediates=lambda module, name: (
            name == "__call__" and isinstance(module, Block | Bottleneck)
        ),
    )
    stats = moved.get("batch_stats", model.stats) if train else model.stats
    seen = stages(moved.get("intermediates", {}))
    return precision.raised(outputs), stats, precision.raised(seen)


imagine = piece(static_argnums=0)(generate)


def generator_of(net: MultiHead | Network, settings: Generated) -> Generator:
    """The generator of images for `net`."""
    return Generator(net.shape, settings.generator_width or 2 * net.config.width)


def direction(settings: Generated) -> optax.GradientTransformation:
    """Gradient -> direction of either player: Adam's, after clipping."""
    return optax.chain(
        optax.clip_by_global_norm(settings.transfer_clip_norm), optax.scale_by_adam()
    )


@piece(static_argnums=(0, 1))
def start(net: MultiHead, settings: Gkt, key: Array) -> Transfer:
    """Both players, drawn anew."""
    k_student, k_generator = jax.random.split(key)
    params, stats = multihead.init(net, k_student)
    z, adam = jnp.zeros((2, settings.latent)), direction(settings)
    made = generator_of(net, settings).init(k_generator, z)["params"]
    return Transfer(params, stats, adam.init(params), made, adam.init(made))


@piece(static_argnums=(0, 1), donate_argnums=2)
def step_generator(
    net: MultiHead,
    settings: Gkt,
    carry: Transfer,
    lesson: Lesson,
    z: Array,
) -> tuple[Transfer, Array]:
    """A step of the generator, which makes the student worse: (carry after, loss)."""

    def loss(made: Any) -> tuple[Array, Any]:
        x = generate(generator_of(net, settings), made, z)
        student = Model(carry.params, carry.stats)
        divergence, _, stats, used = _compare(net, settings, lesson, student, x)
        return -divergence, (stats, used)

    (value, (stats, used)), grad = jax.value_and_grad(loss, has_aux=True)(carry.generator)
    update, optimiser = direction(settings).update(grad, carry.generator_optimiser)
    made = descend(carry.generator, update, settings.generator_lr)
    new = carry._replace(stats=stats, generator=made, generator_optimiser=optimiser)
    return _unless_empty(settings, used, new, carry), value


@piece(static_argnums=(0, 1), donate_argnums=2)
def step_student(
    net: MultiHead,
    settings: Gkt,
    carry: Transfer,
    lesson: Lesson,
    x: Array,
) -> tuple[Transfer, Array]:
    """A step of the student on images x: (carry after, loss)."""

    def loss(params: Any) -> tuple[Array, Any]:
        student = Model(params, carry.stats)
        divergence, transfer, stats, used = _compare(net, settings, lesson, student, x)
        return divergence + settings.beta_at * transfer, (stats, used)

    (value, (stats, used)), grad = jax.value_and_grad(loss, has_aux=True)(carry.params)
    update, optimiser = direction(settings).update(grad, carry.optimiser)
    params = descend(carry.params, update, settings.student_lr)
    new = carry._replace(params=params, stats=stats, optimiser=optimiser)
    return _unless_empty(settings, used, new, carry), value


def _compare(
    net: MultiHead,
    settings: Gkt,
    lesson: Lesson,
    student: Model,
    x: Array,
) -> tuple[Array, Array, Any, Array]:
    """(divergence, attention transfer, the student's norm statistics, samples used)."""
    wanted, _, wanted_maps = look(net, lesson.teacher, x, train=False)
    outputs, stats, maps = look(net, student, x, train=True)
    tasks, forgotten = (jnp.full(len(x), task) for task in (lesson.task, lesson.forgotten))
    weights = gated(multihead.pick(net, wanted, forgotten), settings.gate)
    weights = jax.lax.stop_gradient(weights)
    n_classes = np.asarray(net.valid.sum(axis=1), np.float32)
    divergence = mean_kl(
        multihead.pick(net, wanted, tasks),
        multihead.pick(net, outputs, tasks),
        weights,
        jnp.asarray(n_classes)[lesson.task],
    )
    return divergence, attention_transfer(wanted_maps, maps, weights), stats, jnp.sum(weights)


def _unless_empty(settings: Gkt, used: Array, new: Transfer, old: Transfer) -> Transfer:
    if settings.gate is None:
        return new
    return jax.tree.map(lambda a, b: jnp.where(used > 0, a, b), new, old)


def algorithm(net: MultiHead, settings: Gkt) -> Algorithm:
    """What answers an unlearn request; the heads of tasks not retained stay freshly drawn."""
    generator = generator_of(net, settings)
    each = settings.generator_iters + settings.student_iters

    def unlearn(model: Model, request: Request, key: Array, on_step: OnStep | None) -> Model:
        k_start, k_task, k_z = jax.random.split(key, 3)
        carry = start(net, settings, k_start)
        if not request.retained:
            return Model(carry.params, carry.stats)
        count = pseudo_batches(settings)
        chosen = np.asarray(jax.random.randint(k_task, (count,), 0, len(request.retained)))
        forgotten = np.int32(request.task)
        for index, which in enumerate(chosen):
            lesson = Lesson(model, np.int32(request.retained[which]), forgotten)
            k_batch = jax.random.fold_in(k_z, index)
            z = jax.random.normal(k_batch, (settings.batch, settings.latent))
            images = None
            for number in range(each):
                if number < settings.generator_iters:
                    carry, loss = step_generator(net, settings, carry, lesson, z)
                else:
                    # The generator stands still from here on, so the images stay the same.
                    images = imagine(generator, carry.generator, z) if images is None else images
                    carry, loss = step_student(net, settings, carry, lesson, images)
                if on_step:
                    on_step(index * each + number + 1, count * each, loss)
        return Model(carry.params, carry.stats)

    return unlearn


gkt = on_derpp(
    "gkt",
    algorithm,
    Gkt(),
    reads="none",
    doc="GKT on DER++ (github.com/ayu987/zero-shot-unlearning; gkt.py of JiT's repository).",
)
