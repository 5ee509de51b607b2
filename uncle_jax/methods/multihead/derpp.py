"""DER++ (Buzzega et al. 2020), task by task as in CLPU (Liu et al. 2022), and what unlearns on it.

An `Algorithm` is what a baseline adds: it sees a model and an unlearn request, and returns a model.
Everything else (learning, replay, status, which data it may read) is here, the same for all.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from uncle_jax.config import Config
from uncle_jax.core.inputs import batches_of, fit_images, logits_of
from uncle_jax.core.loop import Inflight, OnStep, run_epochs
from uncle_jax.core.losses import cross_entropy
from uncle_jax.core.status import LEARNED, NEW, UNLEARNED, checked, describe, in_range
from uncle_jax.errors import UncleError
from uncle_jax.methods.multihead import buffer as buffers
from uncle_jax.methods.multihead import network as multihead
from uncle_jax.methods.multihead.buffer import Buffer
from uncle_jax.methods.multihead.network import Model, MultiHead, Request, Rows
from uncle_jax.methods.protocol import Method, Past, Reads
from uncle_jax.tasks import Data, InputSpec, as_data


@dataclass(frozen=True)
class Derpp:
    """DER++'s own settings; those of a baseline on it come on top."""

    buffer_per_task: int = 500  # samples; inferred from the authors' code (CLPU: 200)
    w_mse: float = 0.5  # of the logits' mean squared error (CLPU; the paper's beta)
    w_ce: float = 1.0  # of the buffer's cross-entropy (CLPU; the paper's alpha)
    replay_batch: int | None = None  # over all earlier tasks; None: as many as the batch (inferred)
    norm: Literal["joint", "apart"] = "joint"  # batch and replay batch are normalised (BUILD.md)
    forget_source: Literal["full", "buffer"] = "full"  # the forgotten task's data (inferred)

    def __post_init__(self) -> None:
        for name in ("buffer_per_task", "replay_batch"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UncleError(f"{name} must be at least 1, not {value}")
        for name in ("w_mse", "w_ce"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UncleError(f"{name} must not be negative, not {getattr(self, name)}")


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


Algorithm = Callable[[Model, Request, Array, OnStep | None], Model]
"""(model before, request, key, on_step) -> model after."""


class Learning(NamedTuple):
    """What a learn request optimises and carries; donated from step to step."""

    params: Any
    stats: Any
    optimiser: Any
    source: Array  # [M] which of the task's images the reservoir holds
    logits: Array  # [M, Y] theirs, when they were drawn


class Replay(NamedTuple):
    """A replay batch."""

    images: Any  # [R, H, W, D]
    labels: Any  # [R]
    logits: Any  # [R, Y] stored
    tasks: Any  # [R]
    weights: Any  # [R]


def derpp(
    spec: InputSpec, n_tasks: int, config: Config | None = None, main_net: nn.Module | None = None,
    settings: Derpp = Derpp(),
) -> Method:  # fmt: skip
    """DER++ alone: unlearning only removes the task from the buffer."""
    return on_derpp("derpp", spec, n_tasks, config, main_net, settings, "none", _unchanged)


def _unchanged(net: MultiHead, settings: Derpp) -> Algorithm:
    del net, settings
    return lambda model, request, key, on_step: model


def on_derpp(
    name: str, spec: InputSpec, n_tasks: int, config: Config | None, main_net: nn.Module | None,
    settings: Derpp, reads: Reads, make: Callable[[MultiHead, Any], Algorithm],
    restart: bool = False,
) -> Method:  # fmt: skip
    """DER++ that answers an unlearn request with the algorithm `make(net, settings)`.

    `reads` is what the algorithm reads with `forget_source=full`: its request holds no other rows.
    With `restart` the buffer's logits are those of the new model after an unlearning.
    """
    config = config or Config()
    net = multihead.multihead(spec, n_tasks, config, main_net)
    algorithm = make(net, settings)
    step = make_step(net, settings)
    evaluate = jax.jit(
        lambda params, stats, images, tasks: multihead.forward(
            net, params, stats, images, tasks, train=False
        )[0]
    )
    if reads in ("forget", "forget+retain") and settings.forget_source == "buffer":
        kind, reads = reads, "buffer"
    else:
        kind = reads

    @jax.jit
    def init(key: Array) -> ReplayState:
        key, k_net = jax.random.split(key)
        model = multihead.init(net, k_net)
        zero = jnp.zeros((), jnp.int32)
        buffer = buffers.empty(n_tasks, settings.buffer_per_task, net.shape, net.n_classes)
        return ReplayState(
            model.params, model.stats, buffer, jnp.full(n_tasks, NEW), key, zero, zero
        )

    def learn(
        state: ReplayState, task: int, data: Data, *, on_step: OnStep | None = None,
        inflight: Inflight | None = None,
    ) -> ReplayState:  # fmt: skip
        task = checked(state, task, learned=False)
        rows = fitted(net, spec, task, data)
        return _learn(net, settings, step, state, task, rows, on_step, inflight)

    def unlearn(
        state: ReplayState, task: int, past: Past | None = None, /, *, on_step: OnStep | None = None
    ) -> ReplayState:
        task = checked(state, task, learned=True)
        retained = tuple(t for t in describe(state)["learned"] if t != task)
        forget = retain = None
        if kind in ("forget", "forget+retain"):
            if reads == "buffer":
                forget = buffers.rows(state.buffer, (task,))
            elif past is None or past.forget is None:
                raise UncleError(f"{name} reads the forgotten task's data to unlearn task {task}")
            else:
                forget = fitted(net, spec, task, past.forget)
        if kind == "forget+retain" and retained:
            retain = buffers.rows(state.buffer, retained)
        if kind == "all retained data" and retained:
            if past is None or set(past.retained) != set(retained):
                raise UncleError(f"{name} reads all retained tasks' data to unlearn task {task}")
            retain = multihead.join(
                *(fitted(net, spec, t, data) for t, data in past.retained.items())
            )
        key, k_unlearn = jax.random.split(state.key)
        request = Request(task, retained, forget, retain)
        model = algorithm(Model(state.params, state.stats), request, k_unlearn, on_step)
        buffer = buffers.remove(state.buffer, task)
        if restart:
            buffer = _refreshed(evaluate, spec, net, model, buffer, retained)
        return dataclasses.replace(
            state,
            params=model.params,
            stats=model.stats,
            buffer=buffer,
            status=state.status.at[task].set(UNLEARNED),
            key=key,
            n_requests=state.n_requests + 1,
            n_unlearned=state.n_unlearned + 1,
        )

    def logits(state: ReplayState, task: int, images: Any) -> Array:
        """Logits [B, Y] of `task`'s head; minus infinity for classes that it does not have."""
        task = in_range(state, task)
        tasks = np.full(config.eval_batch_size, task, np.int32)
        found = logits_of(
            lambda x: evaluate(state.params, state.stats, x, tasks), images, spec, net.shape,
            config.eval_batch_size,
        )  # fmt: skip
        return jnp.where(jnp.asarray(net.valid[task]), found, -jnp.inf)

    return Method(name, init, learn, unlearn, logits, reads, settings)


def fitted(net: MultiHead, spec: InputSpec, task: int, data: Data) -> Rows:
    """`data` of `task`, checked, on the device and fitted to the network's input."""
    images, labels = as_data(data, spec, f"task {task}", task)
    return multihead.one_task(fit_images(images, net.shape), labels, task)


def make_step(net: MultiHead, settings: Derpp) -> Any:
    """The jitted learning step: (Learning, rows, slots, index, Replay | None, lr) -> (.., loss)."""
    adam = optax.scale_by_adam()

    def forward(params: Any, stats: Any, rows: Rows, replay: Replay | None) -> Any:
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

    def step(
        carry: Learning, rows: Rows, slots: Array, index: Array, replay: Replay | None, lr: Array
    ) -> tuple[Learning, Array]:
        def loss(params: Any) -> tuple[Array, Any]:
            logits, past, stats = forward(params, carry.stats, rows, replay)
            total = jnp.mean(cross_entropy(logits, rows.labels))
            if replay is not None:
                squares = jnp.mean((past - replay.logits) ** 2, axis=-1)
                terms = settings.w_mse * squares
                terms += settings.w_ce * cross_entropy(past, replay.labels)
                total += jnp.sum(replay.weights * terms)
            return total, (logits, stats)

        (total, (logits, stats)), grad = jax.value_and_grad(loss, has_aux=True)(carry.params)
        update, optimiser = adam.update(grad, carry.optimiser)
        params = jax.tree.map(lambda p, u: p - lr * u, carry.params, update)
        kept = carry.source.at[slots].set(index, mode="drop")
        kept_logits = carry.logits.at[slots].set(logits, mode="drop")
        return Learning(params, stats, optimiser, kept, kept_logits), total

    return jax.jit(step, donate_argnums=0)


def _learn(
    net: MultiHead, settings: Derpp, step: Any, state: ReplayState, task: int, rows: Rows,
    on_step: OnStep | None, inflight: Inflight | None,
) -> ReplayState:  # fmt: skip
    config, size = net.config, settings.buffer_per_task
    key, k_head, k_order, k_draw = jax.random.split(state.key, 4)
    seed = np.asarray(jax.random.key_data(k_draw)).tolist()
    params = multihead.redraw_head(net, state.params, task, k_head)
    stats = jax.tree.map(jnp.copy, state.stats)  # the steps donate their carry
    carry = Learning(
        params, stats, optax.scale_by_adam().init(params), jnp.zeros(size, jnp.int32),
        jnp.zeros((size, net.n_classes)),
    )  # fmt: skip
    batch_of = multihead.rows_of(rows)
    count = np.asarray(state.buffer.count)
    earlier = [t for t in describe(state)["learned"] if count[t]]
    flat = [
        array.reshape(-1, *array.shape[2:])
        for array in (state.buffer.images, state.buffer.labels, state.buffer.logits)
    ]
    replayed = batches_of(*flat)

    def one(carry: Any, index: int, batch: np.ndarray, lr: np.float32) -> tuple[Any, Array]:
        rng = np.random.default_rng([*seed, index])
        slots = buffers.reservoir_slots(rng, index * len(batch), len(batch), size)
        replay = None
        if earlier:
            wanted = settings.replay_batch or config.batch_size
            tasks, items, weights = buffers.draw(rng, count, earlier, wanted)
            images, labels, logits = replayed(tasks * size + items)
            replay = Replay(images, labels, logits, tasks, weights)
        return step(carry, batch_of(batch), slots, batch.astype(np.int32), replay, lr)

    carry = run_epochs(config, k_order, len(rows.labels), carry, one, on_step, inflight)
    seen = config.epochs * math.ceil(len(rows.labels) / config.batch_size) * config.batch_size
    kept = np.asarray(carry.source)
    return dataclasses.replace(
        state,
        params=carry.params,
        stats=carry.stats,
        buffer=buffers.store(
            state.buffer, task, rows.images[kept], rows.labels[kept], carry.logits, min(size, seen)
        ),
        status=state.status.at[task].set(LEARNED),
        key=key,
        n_requests=state.n_requests + 1,
    )


def _refreshed(
    evaluate: Any, spec: InputSpec, net: MultiHead, model: Model, buffer: Buffer,
    retained: tuple[int, ...],
) -> Buffer:  # fmt: skip
    """`buffer` with the logits of `model`."""
    size = net.config.eval_batch_size
    for task in retained:
        predict = functools.partial(_answer, evaluate, model, np.full(size, task, np.int32))
        found = logits_of(predict, buffer.images[task], spec, net.shape, size)
        buffer = dataclasses.replace(buffer, logits=buffer.logits.at[task].set(found))
    return buffer


def _answer(evaluate: Any, model: Model, tasks: np.ndarray, images: Array) -> Array:
    return evaluate(model.params, model.stats, images, tasks)
