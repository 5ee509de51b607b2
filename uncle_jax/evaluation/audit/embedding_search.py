"""Embedding search: does the hypernetwork still generate a forgotten task's network somewhere?

phi and the chunk embeddings stand still; one task embedding is optimised on the task's training
images, from many starts. A task that was never learned is the reference: 32 numbers fit any task a
little. Ours.

Shapes: S starts, E embedding, B batch.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from uncle_jax.config import Count, Positive, Settings
from uncle_jax.core import convolution, objectives, resnet
from uncle_jax.core.hypernet import Phi
from uncle_jax.core.inputs import TaskInput, batches_of, fit_images, mask_logits, normalise
from uncle_jax.core.inputs import task_input as task_input_of
from uncle_jax.core.loop import OnStep, cosine, descend
from uncle_jax.core.network import Network
from uncle_jax.core.state import CLState
from uncle_jax.core.steps import generate
from uncle_jax.errors import UncleError
from uncle_jax.evaluation.audit.target import Target
from uncle_jax.methods.protocol import Method
from uncle_jax.tasks import Data


@dataclass(frozen=True)
class EmbeddingSearch(Settings):
    """How the search is made; rate and steps by power on retained tasks (docs/audit.md)."""

    starts: Count = 16
    steps: Count = 150
    batch: Count = 32
    lr: Positive = 0.1  # Adam's at first, falling to 0 by a cosine
    # N(0, I), or the task's own embedding plus `radius`, or every other one this and that
    start: Literal["fresh", "own", "both"] = "fresh"
    radius: Positive = 0.3  # own: standard deviation of what is added
    # statistics at test: of each batch, or those that the training images give, as a task's own are
    norm: Literal["batch", "fitted"] = "batch"
    calibration: Count = 20  # fitted: batches


class Found(NamedTuple):
    """What a search came to, from each start."""

    accuracy: np.ndarray  # [S] per cent, on the test images
    emb: np.ndarray  # [S, E]


class Searching(NamedTuple):
    """What a step hands to the next."""

    emb: Array  # [S, E]
    optimiser: optax.OptState


class Frozen(NamedTuple):
    """What stands still in a search."""

    phi: Phi
    chunk_emb: Array  # [C, E]
    input: TaskInput


def search(
    method: Method,
    state: CLState,
    target: Target,
    settings: EmbeddingSearch,
    key: Array,
    on_step: OnStep | None = None,
) -> Found:
    """The embeddings of `target` that the search finds in `state`, which stays as it is.

    Norm statistics are those of the batch while searching, since the task's own are erased. Raises
    UncleError for a method that generates no networks.
    """
    net = method.generator
    if net is None:
        raise UncleError(f"{method.name} has no hypernetwork, so there is no embedding to search")
    k_start, k_order = jax.random.split(key)
    emb = jax.random.normal(k_start, (settings.starts, net.hyper.embedding))
    if settings.start != "fresh":
        own = state.task_emb[target.task] + settings.radius * emb
        every = 1 if settings.start == "own" else 2
        emb = jnp.where(jnp.arange(len(emb))[:, None] % every == 0, own, emb)
    carry = Searching(emb, optax.scale_by_adam().init(emb))
    given = task_input_of(target.spec, target.task, net.shape)
    frozen = Frozen(state.phi, state.chunk_emb, given)
    images, labels = fit_images(target.train.images, net.shape), jnp.asarray(target.train.labels)
    batch_of = batches_of(images, labels)
    order = np.asarray(
        jax.random.randint(k_order, (settings.steps, settings.batch), 0, len(labels))
    )
    for index, batch in enumerate(order):
        lr = np.float32(cosine(settings.lr, index, settings.steps))
        carry, losses = _step(net, carry, frozen, Data(*batch_of(batch)), lr)
        if on_step:
            on_step(index + 1, settings.steps, losses.mean())
    stats = None
    if settings.norm == "fitted":
        stats = jax.tree.map(lambda a: jnp.stack([a] * len(emb)), net.fresh)
        for batch in np.resize(order, (settings.calibration, settings.batch)):
            stats = _settled(net, carry.emb, stats, frozen, *batch_of(batch)[:1])
    return Found(_accuracy(net, carry.emb, stats, frozen, target), np.asarray(carry.emb))


def _accuracy(net: Network, emb: Array, stats: Any, frozen: Frozen, target: Target) -> np.ndarray:
    """[S] in per cent. Test images are shuffled into batches, whose statistics they share.

    `stats`: each start's own, [S, ...], which they have in place of those.
    """
    images, labels = fit_images(target.test.images, net.shape), np.asarray(target.test.labels)
    order = np.random.RandomState(0).permutation(len(labels))
    size = min(net.config.eval_batch_size, len(order))
    batches = np.resize(order, (math.ceil(len(order) / size), size))
    batch_of = batches_of(images)
    answers = [np.asarray(_answers(net, emb, stats, frozen, *batch_of(batch))) for batch in batches]
    found = np.concatenate(answers, axis=1)[:, : len(order)]
    return 100 * np.mean(found == labels[order], axis=1)


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def _step(
    net: Network, carry: Searching, frozen: Frozen, batch: Data, lr: np.float32
) -> tuple[Searching, Array]:
    """A step of Adam from every start: (carry after, losses [S])."""

    def loss(emb: Array) -> Array:
        return objectives.task_loss(_logits(net, emb, frozen, batch.images), batch.labels)

    losses, grads = _each(jax.value_and_grad(loss))(carry.emb)
    update, optimiser = optax.scale_by_adam().update(grads, carry.optimiser)
    return Searching(descend(carry.emb, update, lr), optimiser), losses


@partial(jax.jit, static_argnums=0)
def _answers(net: Network, emb: Array, stats: Any, frozen: Frozen, images: Array) -> Array:
    """[S, B] the class that every start's network answers."""

    def one(start: Any) -> Array:
        return jnp.argmax(_logits(net, start[0], frozen, images, start[1]), axis=-1)

    return _each(one)((emb, stats))


@partial(jax.jit, static_argnums=0)
def _settled(net: Network, emb: Array, stats: Any, frozen: Frozen, images: Array) -> Any:
    """Every start's norm statistics after a batch."""

    def one(start: Any) -> Any:
        return _apply(net, start[0], frozen, images, start[1], train=True)[1]

    return _each(one)((emb, stats))


def _logits(net: Network, emb: Array, frozen: Frozen, images: Array, stats: Any = None) -> Array:
    """Logits [B, Y]; with the batch's norm statistics, unless there are `stats`."""
    own = net.fresh if stats is None else stats
    raw, _ = _apply(net, emb, frozen, images, own, train=stats is None)
    return mask_logits(raw, frozen.input)


def _apply(net: Network, emb: Array, frozen: Frozen, images: Array, stats: Any, train: bool) -> Any:
    """What the network of `emb` answers, and its norm statistics after the batch."""
    theta = generate(net, frozen.phi, emb, frozen.chunk_emb)
    x = normalise(images, frozen.input)
    with convolution.as_products():
        return resnet.apply(net, theta, stats, x, train, batch_stats=False)


def _each(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`function` of every start, at once: vmapped, or on a CPU one after another in one program.

    A vmapped network is a batch of small products, at which XLA:CPU is half as fast (measured on
    permuted digits, 16 starts).
    """
    if jax.default_backend() == "cpu":
        return partial(jax.lax.map, function)
    return jax.vmap(function)
