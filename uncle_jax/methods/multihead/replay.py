"""DER++'s learning: a step on a batch of the new task and one of what the buffer replays.

Buzzega et al. 2020, task by task as in CLPU (Liu et al. 2022): a task has a reservoir of its own.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from uncle_jax.config import Count, NonNegative, Settings
from uncle_jax.core.inputs import resident, rows_at
from uncle_jax.core.loop import Progress, descend, run_epochs
from uncle_jax.core.losses import cross_entropy
from uncle_jax.core.pieces import piece
from uncle_jax.core.scanned import Step
from uncle_jax.core.status import NEW, describe, learned
from uncle_jax.methods.multihead import buffer as buffers
from uncle_jax.methods.multihead import network as multihead
from uncle_jax.methods.multihead.buffer import Buffer
from uncle_jax.methods.multihead.network import MultiHead, Rows


@dataclass(frozen=True)
class Derpp(Settings):
    """DER++'s own settings; those of a baseline on it come on top."""

    buffer_per_task: Count = 500  # samples; inferred from the authors' code (CLPU: 200)
    w_mse: NonNegative = 0.5  # of the logits' mean squared error (CLPU; the paper's beta)
    w_ce: NonNegative = 1.0  # of the buffer's cross-entropy (CLPU; the paper's alpha)
    # over all earlier tasks; None: as many as the batch (inferred)
    replay_batch: Count | None = None
    norm: Literal["joint", "apart"] = "joint"  # batch and replay batch are normalised (BUILD.md)
    forget_source: Literal["full", "buffer"] = "full"  # the forgotten task's data (inferred)


@flax.struct.dataclass
class ReplayState:
    """The state of a learner with a replay buffer; a frozen pytree."""

    params: Any  # backbone and all heads
    stats: Any  # running norm statistics
    buffer: Buffer
    status: Array  # [T] int32: NEW, LEARNED or UNLEARNED
    key: Array  # typed PRNG key; split once per request
    n_requests: Array  # int32: answered so far
    n_unlearned: Array  # int32: unlearn requests answered so far
    made_by: str = flax.struct.field(pytree_node=False, default="")  # protocol.remembering


class Learning(NamedTuple):
    """What a learn request optimises and carries; donated from step to step."""

    params: Any
    stats: Any
    optimiser: Any
    source: Array  # [M] which of the task's images the reservoir holds
    logits: Array  # [M, Y] theirs, when they were drawn


class NewBatch(NamedTuple):
    """A batch of the new task, and what of it the reservoir takes."""

    rows: Rows
    index: Any  # [B] which of the task's images they are
    slots: Any  # [B] their places in the reservoir, M for none


class Replay(NamedTuple):
    """A replay batch."""

    images: Any  # [R, H, W, D]
    labels: Any  # [R]
    logits: Any  # [R, Y] stored
    tasks: Any  # [R]
    weights: Any  # [R]


@piece(static_argnums=(0, 1))
def init(net: MultiHead, size: int, key: Array) -> ReplayState:
    """A state with room for `size` samples of every task, none learned."""
    key, k_net = jax.random.split(key)
    model = multihead.init(net, k_net)
    zero = jnp.zeros((), jnp.int32)
    buffer = buffers.empty(net.n_tasks, size, net.shape, net.n_classes)
    return ReplayState(
        model.params, model.stats, buffer, jnp.full(net.n_tasks, NEW), key, zero, zero
    )


@piece(static_argnums=(0, 1), donate_argnums=2)
def step(
    net: MultiHead,
    settings: Derpp,
    carry: Learning,
    batch: NewBatch,
    replay: Replay | None,
    lr: Array | np.float32,
) -> tuple[Learning, Array]:
    """A step on a batch of the new task and a replay batch: (carry after, loss)."""
    rows, index, slots = batch

    def loss(params: Any) -> tuple[Array, Any]:
        logits, past, stats = _forward(net, settings, params, carry.stats, rows, replay)
        total = jnp.mean(cross_entropy(logits, rows.labels))
        if replay is not None:
            squares = jnp.mean((past - replay.logits) ** 2, axis=-1)
            terms = settings.w_mse * squares
            terms += settings.w_ce * cross_entropy(past, replay.labels)
            total += jnp.sum(replay.weights * terms)
        return total, (logits, stats)

    (total, (logits, stats)), grad = jax.value_and_grad(loss, has_aux=True)(carry.params)
    update, optimiser = optax.scale_by_adam().update(grad, carry.optimiser)
    params = descend(carry.params, update, lr)
    kept = carry.source.at[slots].set(index, mode="drop")
    kept_logits = carry.logits.at[slots].set(logits, mode="drop")
    return Learning(params, stats, optimiser, kept, kept_logits), total


def _forward(
    net: MultiHead, settings: Derpp, params: Any, stats: Any, rows: Rows, replay: Replay | None
) -> Any:  # the batch's logits, the replay batch's, and norm statistics after
    n = len(rows.labels)
    if replay is None:
        logits, stats = multihead.forward(net, params, stats, rows.images, rows.tasks, True)
        return logits, None, stats
    if settings.norm == "joint":
        past = Rows(replay.images, replay.labels, replay.tasks)
        both = multihead.join(rows, past)
        logits, stats = multihead.forward(net, params, stats, both.images, both.tasks, True)
        return logits[:n], logits[n:], stats
    logits, stats = multihead.forward(net, params, stats, rows.images, rows.tasks, True)
    past, stats = multihead.forward(net, params, stats, replay.images, replay.tasks, True)
    return logits, past, stats


class Recalled(NamedTuple):
    """A step's replay batch, as it was drawn."""

    slots: np.ndarray  # [R] of the buffer, tasks outermost
    tasks: np.ndarray  # [R]
    weights: np.ndarray  # [R]


class Drawn(NamedTuple):
    """What a learn request's steps differ by."""

    images: np.ndarray  # [B] int32: which
    lr: np.float32
    slots: np.ndarray  # [B] of the buffer that they go to
    past: Recalled | None  # None before there is any


def _step(static: Any, carry: Any, given: Any, x: Drawn) -> tuple[Any, Array]:
    (net, settings), (rows, buffer) = static, given
    replay = None
    if x.past is not None:
        images, labels, logits = rows_at(buffer, x.past.slots)
        replay = Replay(images, labels, logits, x.past.tasks, x.past.weights)
    new = NewBatch(rows_at(rows, x.images), x.images, x.slots)
    return step(net, settings, carry, new, replay, x.lr)


def learn(
    net: MultiHead,
    settings: Derpp,
    state: ReplayState,
    task: int,
    rows: Rows,
    progress: Progress,
) -> ReplayState:
    """`state` after `task`'s rows: its head drawn anew, its reservoir filled as they are seen."""
    config, size = net.config, settings.buffer_per_task
    key, k_head, k_order, k_draw = jax.random.split(state.key, 4)
    seed = np.asarray(jax.random.key_data(k_draw)).tolist()
    params = multihead.redraw_head(net, state.params, task, k_head)
    stats = jax.tree.map(jnp.copy, state.stats)  # the steps donate their carry
    held = jnp.zeros(size, jnp.int32), jnp.zeros((size, net.n_classes))
    carry = Learning(params, stats, optax.scale_by_adam().init(params), *held)
    count = np.asarray(state.buffer.count)
    earlier = [t for t in describe(state)["learned"] if count[t]]
    flat = [
        array.reshape(-1, *array.shape[2:])
        for array in (state.buffer.images, state.buffer.labels, state.buffer.logits)
    ]

    def draw(index: int, batch: np.ndarray, lr: np.float32) -> Drawn:
        rng = np.random.default_rng([*seed, index])
        slots = buffers.reservoir_slots(rng, index * len(batch), len(batch), size)
        past = None
        if earlier:
            wanted = settings.replay_batch or config.batch_size
            tasks, items, weights = buffers.draw(rng, count, earlier, wanted)
            past = Recalled(tasks * size + items, tasks, weights)
        return Drawn(batch.astype(np.int32), lr, slots, past)

    one = Step(_step, (net, settings), (resident(rows), resident(tuple(flat))))
    carry = run_epochs(config, k_order, len(rows.labels), carry, one, progress, draw)
    seen = config.epochs * math.ceil(len(rows.labels) / config.batch_size) * config.batch_size
    kept = np.asarray(carry.source)
    buffer = buffers.store(
        state.buffer, task, rows.images[kept], rows.labels[kept], carry.logits, min(size, seen)
    )
    return learned(state, task, key, params=carry.params, stats=carry.stats, buffer=buffer)
