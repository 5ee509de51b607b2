"""PALL: Privacy-Aware Lifelong Learning (Özdenizci, Rueckert and Legenstein, ICLR 2025).

One network; a task is a sparse subset of its weights and a head of its own. Weights of tasks that
are retained are frozen, but later tasks may use them, so that unlearning can delete exactly what a
task trained: its weights are drawn anew, and those that later tasks use too are fine-tuned on a
small buffer of theirs. What the paper leaves open is as its authors' code has it.

Other than there: Adam, as every learner here (they: SGD); a task's norm statistics are its own and
running (they: the batch's, at test too); leaves of one dimension outside of heads, norms' scales
and biases, stay as drawn (they have none); a leaf is drawn anew by the network's own initialiser.

Shapes: T tasks, M samples a task, Y classes of a task, B batch.
"""

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, NamedTuple

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from uncle_jax.config import Bound, Config, Count, NonNegative, NonNegativeInt, Settings
from uncle_jax.core.inputs import resident, rows_at
from uncle_jax.core.loop import Batch, Inflight, OnStep, Progress, TrainState, descend, run_epochs
from uncle_jax.core.losses import cross_entropy
from uncle_jax.core.pieces import piece
from uncle_jax.core.scanned import Step
from uncle_jax.core.state import row_of, with_row
from uncle_jax.core.status import LEARNED, NEW, checked, describe, in_range, learned, unlearned
from uncle_jax.methods.multihead import buffer as buffers
from uncle_jax.methods.multihead import network as multihead
from uncle_jax.methods.multihead.buffer import Buffer
from uncle_jax.methods.multihead.network import Model, MultiHead, Rows
from uncle_jax.methods.protocol import MainNetwork, Method, TaskNetwork, remembering
from uncle_jax.tasks import Data, InputSpec


@dataclasses.dataclass(frozen=True)
class Pall(Settings):
    """What is PALL's own; values are those of its authors' CIFAR-10 example."""

    sparsity: Annotated[float, Bound(least=0, below=1)] = 0.8  # of a task's subset, leaf by leaf
    buffer_per_task: Count = 50  # samples of a task that fine-tuning reads
    k_shot: NonNegativeInt = 50  # fine-tuning steps of an unlearning
    alpha: NonNegative = 0.5  # weight of the distance from the stored logits
    beta: NonNegative = 1.0  # weight of the stored labels' cross-entropy


@flax.struct.dataclass
class PallState:
    """The state of PALL; a frozen pytree."""

    params: Any  # backbone and all heads
    masks: Any  # tree of [T, ...] bool: the weights that a task uses; none of one not retained
    stats: Any  # tree of [T, ...]: running norm statistics; as drawn likewise
    tuned: Any  # tree of [T, ...] bool: what an unlearning of the task fine-tuned ...
    tuned_on: Array  # [T, T] bool: ... and on whose samples
    buffer: Buffer
    learned_at: Array  # [T] int32: the request that learned it
    status: Array  # [T] int32: NEW, LEARNED or UNLEARNED
    key: Array  # typed PRNG key; split once per request
    n_requests: Array  # int32: answered so far
    n_unlearned: Array  # int32: unlearn requests answered so far
    made_by: str = flax.struct.field(pytree_node=False, default="")  # protocol.remembering


@remembering
def pall(
    spec: InputSpec,
    n_tasks: int,
    config: Config | None = None,
    main_net: nn.Module | None = None,
    settings: Pall = Pall(),
) -> Method:
    """PALL for up to `n_tasks` tasks; `main_net`: any Linen module with a head a task."""
    net = multihead.multihead(spec, n_tasks, config or Config(), main_net)

    def learn(
        state: PallState,
        task: int,
        data: Data,
        *,
        on_step: OnStep | None = None,
        inflight: Inflight | None = None,
    ) -> PallState:
        task = checked(state, task, learned=False)
        rows = multihead.fitted(net, task, data)
        return _learn(net, settings, state, task, rows, Progress(on_step, inflight))

    def unlearn(state: PallState, task: int, /, *, on_step: OnStep | None = None) -> PallState:
        return _unlearn(net, settings, state, checked(state, task, learned=True), on_step)

    def network(state: PallState, task: int) -> TaskNetwork:
        model = _of_task(state, in_range(state, task))
        return TaskNetwork(model.params, model.stats)

    def logits(state: PallState, task: int, images: Any) -> Array:
        """Logits [B, Y] of `task`'s head; minus infinity for classes that it does not have."""
        task = in_range(state, task)
        return multihead.answer(net, _of_task(state, task), task, images)

    init, main = partial(_init, net, settings.buffer_per_task), MainNetwork(net.module, net.shape)
    reads = "buffer"
    return Method("pall", init, learn, unlearn, logits, reads, settings, network=network, main=main)


def subset(score: Array, sparsity: float) -> Array:
    """The weights of largest |score|: all but `sparsity` of them, bool."""
    size = np.size(score)
    smallest = round(sparsity * (size - 1))
    return jnp.abs(score) >= jnp.sort(jnp.abs(score).reshape(-1))[smallest]


@jax.custom_vjp
def straight_through(score: Array, mask: Array) -> Array:
    """`mask` as numbers; its gradient is the score's."""
    return mask.astype(score.dtype)


straight_through.defvjp(
    lambda score, mask: (straight_through(score, mask), None), lambda _, grad: (grad, None)
)


def _of_task(state: PallState, task: int) -> Model:
    """The network of a retained task; of any other the whole, as the authors' code answers."""
    return _model(state.params, state.masks, state.stats, state.status, task)


@piece()
def _model(params: Any, masks: Any, stats: Any, status: Array, task: int | Array) -> Model:
    whole = status[task] != LEARNED
    masked = jax.tree.map(lambda p, m: p * (m | whole), params, row_of(masks, task))
    return Model(masked, row_of(stats, task))


def _used(masks: Any, tasks: Sequence[int]) -> Any:
    """Tree of bool: what any of `tasks` uses."""
    of = np.isin(np.arange(jax.tree.leaves(masks)[0].shape[0]), tasks)
    return jax.tree.map(lambda m: np.any(np.asarray(m)[of], axis=0), masks)


@piece(static_argnums=(0, 1))
def _init(net: MultiHead, size: int, key: Array) -> PallState:
    key, k_net = jax.random.split(key)
    model, n = multihead.init(net, k_net), net.n_tasks
    none = jax.tree.map(lambda p: jnp.zeros((n, *p.shape), bool), model.params)
    stats = jax.tree.map(lambda a: jnp.broadcast_to(a, (n, *a.shape)), model.stats)
    zero, zeros = jnp.zeros((), jnp.int32), jnp.zeros(n, jnp.int32)
    buffer = buffers.empty(n, size, net.shape, net.n_classes)
    whom = jnp.zeros((n, n), bool)
    return PallState(
        model.params, none, stats, none, whom, buffer, zeros, zeros + NEW, key, zero, zero
    )


class Trained(NamedTuple):
    """What learning trains."""

    weights: Any
    scores: Any  # which choose among them; of length 0 for leaves without subsets


class Given(NamedTuple):
    """What the steps of a learn request share."""

    rows: Rows
    still: Any  # tree of bool: weights that must not move
    fixed: Any  # tree of bool: the task's part of leaves without subsets; empty of the others


@piece(static_argnums=(0, 2))
def _start(net: MultiHead, params: Any, scored: tuple[bool, ...], key: Array) -> TrainState:
    """What the learning of a task begins with; scores as torch draws a layer's weights."""
    k_scores, k_stats = jax.random.split(key)
    leaves, tree = jax.tree.flatten(params)

    def drawn(leaf: Array, has: bool, key: Array) -> Array:
        bound = float(1 / np.sqrt(np.prod(leaf.shape[:-1])))
        shape = leaf.shape if has else (0,)
        return jax.random.uniform(key, shape, minval=-bound, maxval=bound)

    keys = jax.random.split(k_scores, len(leaves))
    scores = jax.tree.unflatten(tree, map(drawn, leaves, scored, keys))
    trained = Trained(params, scores)
    stats = multihead.init(net, k_stats).stats
    return TrainState(trained, stats, optax.scale_by_adam().init(trained))


def _mask(sparsity: float, score: Array, fixed: Array) -> Array:
    """A leaf's part that the task uses, as numbers whose gradient is the scores'."""
    if not score.size:
        return fixed.astype(jnp.float32)
    return straight_through(score, subset(score, sparsity))


@piece(static_argnums=(0, 1), donate_argnums=2)
def step(
    net: MultiHead,
    settings: Pall,
    carry: TrainState,
    still: Any,
    fixed: Any,
    rows: Rows,
    lr: Array | np.float32,
) -> tuple[TrainState, Array]:
    """A step of Adam on weights and scores: (carry after, loss)."""

    def loss(trained: Trained) -> tuple[Array, Any]:
        masks = jax.tree.map(partial(_mask, settings.sparsity), trained.scores, fixed)
        params = jax.tree.map(jnp.multiply, trained.weights, masks)
        logits, stats = multihead.forward(net, params, carry.stats, rows.images, rows.tasks, True)
        return jnp.mean(cross_entropy(logits, rows.labels)), stats

    (total, stats), grad = jax.value_and_grad(loss, has_aux=True)(carry.params)
    moving = jax.tree.map(lambda g, s: jnp.where(s, 0, g), grad.weights, still)
    update, optimiser = optax.scale_by_adam().update(Trained(moving, grad.scores), carry.optimiser)
    return TrainState(descend(carry.params, update, lr), stats, optimiser), total


def _step(static: Any, carry: Any, given: Given, x: Batch) -> tuple[Any, Array]:
    net, settings = static
    return step(net, settings, carry, given.still, given.fixed, rows_at(given.rows, x.images), x.lr)


@piece(static_argnums=0)
def _chosen(settings: Pall, scores: Any, fixed: Any) -> Any:
    """Tree of bool: the weights that a learned task uses."""
    return jax.tree.map(
        lambda score, own: subset(score, settings.sparsity) if score.size else own, scores, fixed
    )


def _learn(
    net: MultiHead,
    settings: Pall,
    state: PallState,
    task: int,
    rows: Rows,
    progress: Progress,
) -> PallState:
    key, k_start, k_order, k_fresh, k_buffer = jax.random.split(state.key, 5)
    own, heads, scored = _parts(net, state.params, task)
    used = _used(state.masks, describe(state)["learned"])
    still = jax.tree.map(
        lambda u, o, h, s: u if s else (~o if h else np.ones_like(u)), used, own, heads, scored
    )
    fixed = jax.tree.map(
        lambda o, h, s: np.zeros(0, bool) if s else (o if h else np.ones_like(o)),
        own,
        heads,
        scored,
    )
    carry = _start(net, state.params, tuple(jax.tree.leaves(scored)), k_start)
    given = Given(resident(rows), *jax.tree.map(jnp.asarray, (still, fixed)))
    one = Step(_step, (net, settings), given)
    carry = run_epochs(net.config, k_order, len(rows.labels), carry, one, progress)
    (weights, scores), stats, _ = carry
    mask = _chosen(settings, scores, given.fixed)
    masks = with_row(state.masks, task, mask)
    model = Model(jax.tree.map(jnp.multiply, weights, mask), stats)
    kept = _balanced(k_buffer, rows.labels, settings.buffer_per_task)
    images = rows.images[kept]
    logits = multihead.predict(net, model, images, rows.tasks[kept])
    whole = [jnp.resize(a, (settings.buffer_per_task, *a.shape[1:])) for a in (images, logits)]
    labels = jnp.resize(rows.labels[kept], (settings.buffer_per_task,))
    buffer = buffers.store(state.buffer, task, whole[0], labels, whole[1], len(kept))
    used = jax.tree.map(jnp.logical_or, used, mask)
    return learned(
        state,
        task,
        key,
        params=jax.tree.map(jnp.where, used, weights, multihead.drawn(net, k_fresh).params),
        masks=masks,
        stats=with_row(state.stats, task, stats),
        buffer=buffer,
        learned_at=state.learned_at.at[task].set(state.n_requests),
    )


def _parts(net: MultiHead, params: Any, task: int) -> tuple[Any, Any, Any]:
    """(tree of bool: the task's head; whether a leaf is of heads; whether it has subsets).

    Subsets are of leaves of two dimensions and more, heads apart.
    """
    own = multihead.head_mask(net, params, task)
    heads = jax.tree.map(lambda mask: bool(np.any(mask)), own)
    return own, heads, jax.tree.map(lambda p, head: p.ndim > 1 and not head, params, heads)


def _balanced(key: Array, labels: Any, size: int) -> np.ndarray:
    """Up to `size` images, as many of each class, +-1, drawn by `key`."""
    order = np.asarray(jax.random.permutation(key, len(labels)))
    theirs = np.asarray(labels)[order]
    rank = np.zeros(len(order), int)
    for label in np.unique(theirs):
        rank[theirs == label] = np.arange(np.sum(theirs == label))
    return order[np.argsort(rank, kind="stable")][:size]


def _unlearn(
    net: MultiHead, settings: Pall, state: PallState, task: int, on_step: OnStep | None
) -> PallState:
    key, k_fresh, k_draw = jax.random.split(state.key, 3)
    at = np.asarray(state.learned_at)
    kept = [t for t in describe(state)["learned"] if t != task]
    _, heads, scored = _parts(net, state.params, task)
    mine = jax.tree.map(  # leaves that are trained by nobody stay
        lambda m, h, s: np.asarray(m) & (h or s), row_of(state.masks, task), heads, scored
    )
    before = _used(state.masks, [t for t in kept if at[t] < at[task]])
    after = _used(state.masks, [t for t in kept if at[t] > at[task]])
    # What an earlier unlearning fine-tuned on this task's samples, though it trained it not.
    leaked = _used(state.tuned, np.flatnonzero(np.asarray(state.tuned_on)[:, task]).tolist())
    leak = jax.tree.map(lambda m, b, past: m & b & past, mine, before, leaked)
    reset = jax.tree.map(lambda m, b, own: (m & ~b) | own, mine, before, leak)
    tune = jax.tree.map(lambda m, b, a, own: (m & ~b & a) | own, mine, before, after, leak)
    none = jax.tree.map(np.zeros_like, mine)
    masks = with_row(state.masks, task, none)
    fresh = multihead.drawn(net, k_fresh)
    params = jax.tree.map(jnp.where, reset, fresh.params, state.params)
    stats = with_row(state.stats, task, fresh.stats)
    buffer = buffers.remove(state.buffer, task)
    tuned, tuned_on = state.tuned, state.tuned_on.at[:, task].set(False)
    tuned, tuned_on = with_row(tuned, task, none), tuned_on.at[task].set(False)
    if any(map(np.any, jax.tree.leaves(tune))) and kept:
        params, stats = _fine_tuned(
            net, settings, (params, masks, stats), buffer, kept, tune, k_draw, on_step
        )
        tuned = with_row(tuned, task, tune)
        tuned_on = tuned_on.at[task, np.asarray(kept)].set(True)
    return unlearned(
        state,
        task,
        key,
        params=params,
        masks=masks,
        stats=stats,
        tuned=tuned,
        tuned_on=tuned_on,
        buffer=buffer,
        learned_at=state.learned_at.at[task].set(0),
    )


def _fine_tuned(
    net: MultiHead,
    settings: Pall,
    networks: tuple[Any, Any, Any],
    buffer: Buffer,
    kept: Sequence[int],
    tune: Any,
    key: Array,
    on_step: OnStep | None,
) -> tuple[Any, Any]:
    """(params, stats) after `k_shot` steps of the weights `tune` on what is kept of each task."""
    params, masks, stats = networks
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).tolist())
    count, optimiser = np.asarray(buffer.count), optax.scale_by_adam().init(params)
    for index in range(settings.k_shot):
        grads, total = [], 0.0
        for task in kept:
            drawn = rng.permutation(count[task])[: net.config.batch_size]
            rows = Rows(buffer.images[task, drawn], buffer.labels[task, drawn], jnp.int32(task))
            own, logits = (row_of(masks, task), row_of(stats, task)), buffer.logits[task, drawn]
            loss, grad, moved = _recall(net, settings, params, own, rows, logits)
            stats = with_row(stats, task, moved)
            grads.append(grad)
            total += loss / len(kept)
        mean = jax.tree.map(lambda *parts: sum(parts) / len(kept), *grads)
        params, optimiser = _tune(params, optimiser, mean, tune, np.float32(net.config.lr))
        if on_step:
            on_step(index + 1, settings.k_shot, jnp.asarray(total))
    return params, stats


@piece(static_argnums=(0, 1))
def _recall(
    net: MultiHead, settings: Pall, params: Any, own: tuple[Any, Any], rows: Rows, logits: Array
) -> tuple[Array, Any, Any]:
    """(loss on one task's samples, its gradient, the task's norm statistics after)."""
    mask, stats = own
    tasks = jnp.broadcast_to(rows.tasks, rows.labels.shape)

    def loss(params: Any) -> tuple[Array, Any]:
        whole = jax.tree.map(jnp.multiply, params, mask)
        found, moved = multihead.forward(net, whole, stats, rows.images, tasks, True)
        total = settings.alpha * jnp.mean((found - logits) ** 2)
        return total + settings.beta * jnp.mean(cross_entropy(found, rows.labels)), moved

    (total, moved), grad = jax.value_and_grad(loss, has_aux=True)(params)
    return total, grad, moved


@piece()
def _tune(params: Any, optimiser: Any, grad: Any, tune: Any, lr: Any) -> tuple[Any, Any]:
    """(params, optimiser) after a step of the weights `tune`."""
    own = jax.tree.map(lambda g, m: jnp.where(m, g, 0), grad, tune)
    update, optimiser = optax.scale_by_adam().update(own, optimiser)
    return descend(params, update, lr), optimiser
