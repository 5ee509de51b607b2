"""LWSF, Learning with Selective Forgetting (Shibata et al. 2021), as CLPU's code has it (lsf.py).

Every class has a mnemonic code, a noise image that is mixed into its training images. EWC, the
codes' cross-entropy and distillation hold the learned tasks; a forgotten one is dropped from all
three, and what forgets it is more training on the task learned last.

Shapes: B batch, T tasks, Y classes of a task, P mnemonic codes of earlier tasks in a step.
"""

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from uncle_jax.config import Config, Count, NonNegative, NonNegativeInt, Positive, Settings
from uncle_jax.core import resnet
from uncle_jax.core.inputs import resident, rows_at
from uncle_jax.core.loop import (
    Batch,
    Inflight,
    OnStep,
    Progress,
    descend,
    learning_rate,
    run_epochs,
    steps_per_epoch,
)
from uncle_jax.core.losses import cross_entropy, kl
from uncle_jax.core.pieces import piece
from uncle_jax.core.scanned import Step
from uncle_jax.core.status import (
    NEW,
    UNLEARNED,
    checked,
    describe,
    in_range,
    learned,
    unlearned,
)
from uncle_jax.errors import UncleError
from uncle_jax.methods.multihead import network as multihead
from uncle_jax.methods.multihead.ewc import Ewc, ewc_loss, ewc_of, fisher_of
from uncle_jax.methods.multihead.network import ABSENT, Model, MultiHead, Rows, fitted
from uncle_jax.methods.protocol import MainNetwork, Method, Past, TaskNetwork, remembering
from uncle_jax.tasks import Data, InputSpec


@dataclass(frozen=True)
class Lwsf(Settings):
    """LWSF's own settings; the optimiser, epochs, batch and learning rate are Config's."""

    w_ce: NonNegative = 1.0  # of CE(x) + CE(x_hat) (the paper; CLPU's code takes their mean: 0.5)
    lambda_ewc: NonNegative = 100.0  # CLPU's code
    gamma_lsf: NonNegative = 10.0  # of the codes' cross-entropy (CLPU's code)
    alpha_lwf: NonNegative = 1.0  # of the distillation (CLPU's code)
    temperature: Positive = 2.0  # of the distillation (CLPU's code)
    # Epochs that train the heads alone, before the others; none while no task is learned.
    head_epochs: NonNegativeInt | None = None  # None: as many as the others (CLPU's code)
    fisher_images: Count | None = 1024  # of the task's; inferred (CLPU's code: all; None)
    fisher_batch: Count = 16  # per-image gradients held at once; a matter of memory only
    norm: Literal["joint", "apart"] = "joint"  # images and codes; inferred (CLPU's code: apart)


@flax.struct.dataclass
class LwsfState:
    """The state of LWSF; a frozen pytree. What a task has is zeros unless it is learned."""

    params: Any  # backbone and all heads
    stats: Any  # running norm statistics
    codes: Array  # [T, Y, H, W, D] mnemonic codes, in normalised input space
    anchors: Any  # tree of [T, ...]: params as they were once the task was learned
    fisher: Any  # tree of [T, ...]: how much each parameter matters to the task
    learned_at: Array  # [T] int32: the number of the request that learned it, from 1
    status: Array  # [T] int32: NEW, LEARNED or UNLEARNED
    key: Array  # typed PRNG key; split once per request
    n_requests: Array  # int32: answered so far
    n_unlearned: Array  # int32: unlearn requests answered so far
    made_by: str = flax.struct.field(pytree_node=False, default="")  # protocol.remembering


class Earlier(NamedTuple):
    """What a step holds learned tasks by."""

    old: Model  # the model before the request
    ewc: Ewc
    codes: Array  # [P, H, W, D]
    labels: Array  # [P]
    tasks: Array  # [P]
    weights: Array  # [P]
    task_weights: Array  # [T] 1 / (number of learned tasks) for those, else 0


class Coded(NamedTuple):
    """A batch of the task that is trained on, with what its images are mixed with."""

    rows: Rows
    codes: Array  # [Y, H, W, D] the task's own
    key: Array  # draws how much of each image is left


class Mixed(NamedTuple):
    """A batch as the loss sees it: normalised images, without and with their classes' codes."""

    x: Array  # [B, H, W, D]
    x_hat: Array  # [B, H, W, D]
    labels: Any  # [B]
    tasks: Any  # [B]


class Learning(NamedTuple):
    """What training carries; donated from step to step."""

    params: Any
    stats: Any
    optimiser: Any
    head_optimiser: Any


@remembering
def lwsf(
    spec: InputSpec,
    n_tasks: int,
    config: Config | None = None,
    main_net: nn.Module | None = None,
    settings: Lwsf = Lwsf(),
) -> Method:
    """LWSF; it unlearns by training on, with the task learned last (CLPU's code, lsf.py)."""
    net = multihead.multihead(spec, n_tasks, config or Config(), main_net)

    def learn(
        state: LwsfState,
        task: int,
        data: Data,
        *,
        on_step: OnStep | None = None,
        inflight: Inflight | None = None,
    ) -> LwsfState:
        task = checked(state, task, learned=False)
        rows = fitted(net, task, data)
        return _learn(net, settings, state, task, rows, Progress(on_step, inflight))

    def unlearn(
        state: LwsfState, task: int, past: Past | None = None, /, *, on_step: OnStep | None = None
    ) -> LwsfState:
        task = checked(state, task, learned=True)
        state = erase(state, task)
        retained = retained_of(state)
        latest = max(retained, key=state.learned_at.tolist().__getitem__, default=None)
        if latest is not None and (past is None or set(past.retained) != {latest}):
            raise UncleError(f"lwsf reads task {latest}'s data (learned last) to unlearn {task}")
        key, k_train = jax.random.split(state.key)
        if latest is not None and past is not None:
            rows = fitted(net, latest, past.retained[latest])
            model = train(net, settings, state, rows, k_train, Progress(on_step))
            state = dataclasses.replace(state, params=model.params, stats=model.stats)
        return unlearned(state, task, key)

    init, logits = functools.partial(_init, net), functools.partial(_logits, net)
    made = Method("lwsf", init, learn, unlearn, logits, "latest", settings, network=_network)
    return made._replace(main=MainNetwork(net.module, net.shape))


def _network(state: LwsfState, task: int) -> TaskNetwork:
    in_range(state, task)
    return TaskNetwork(state.params, state.stats)


def _logits(net: MultiHead, state: LwsfState, task: int, images: Any) -> Array:
    """Logits [B, Y] of `task`'s head; minus infinity for classes that it does not have."""
    task = in_range(state, task)
    return multihead.answer(net, Model(state.params, state.stats), task, images)


def _learn(
    net: MultiHead, settings: Lwsf, state: LwsfState, task: int, rows: Rows, progress: Progress
) -> LwsfState:
    key, k_head, k_code, k_train, k_fisher = jax.random.split(state.key, 5)
    params = multihead.redraw_head(net, state.params, task, k_head)
    codes = jax.random.normal(k_code, (net.n_classes, *net.shape))
    codes = jnp.where(jnp.asarray(net.valid[task])[:, None, None, None], codes, 0.0)
    state = dataclasses.replace(state, params=params, codes=state.codes.at[task].set(codes))
    model = train(net, settings, state, rows, k_train, progress)
    fisher = fisher_of(net, model, rows, k_fisher, settings.fisher_images, settings.fisher_batch)
    slot = jnp.asarray(task)
    return learned(
        state,
        task,
        key,
        params=model.params,
        stats=model.stats,
        anchors=_put(state.anchors, slot, model.params),
        fisher=_put(state.fisher, slot, fisher),
        learned_at=state.learned_at.at[task].set(state.n_requests + 1),
    )


@piece(static_argnums=0)
def _init(net: MultiHead, key: Array) -> LwsfState:
    key, k_net = jax.random.split(key)
    params, stats = multihead.init(net, k_net)
    stacked = jax.tree.map(lambda a: jnp.zeros((net.n_tasks, *a.shape), a.dtype), params)
    zero, zeros = jnp.zeros((), jnp.int32), jnp.zeros(net.n_tasks, jnp.int32)
    codes = jnp.zeros((net.n_tasks, net.n_classes, *net.shape))
    status = jnp.full(net.n_tasks, NEW)
    return LwsfState(params, stats, codes, stacked, stacked, zeros, status, key, zero, zero)


def retained_of(state: LwsfState) -> tuple[int, ...]:
    """The learned tasks."""
    return tuple(describe(state)["learned"])


def erase(state: LwsfState, task: int) -> LwsfState:
    """`state` with `task` UNLEARNED and zeros for its codes, anchor, Fisher and place in order."""
    nothing = jax.tree.map(jnp.zeros_like, state.params)
    slot = jnp.asarray(task)
    return dataclasses.replace(
        state,
        codes=state.codes.at[task].set(0),
        anchors=_put(state.anchors, slot, nothing),
        fisher=_put(state.fisher, slot, nothing),
        learned_at=state.learned_at.at[task].set(0),
        status=state.status.at[task].set(UNLEARNED),
    )


def mix(x: Array, codes: Array, share: Array) -> Array:
    """x_hat = share x + (1 - share) m_y [B, H, W, D]; share [B] in 0..1."""
    share = share[:, None, None, None]
    return share * x + (1 - share) * codes


def code_batch(
    tasks: Sequence[int], valid: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(tasks [P], labels [P], weights [P]) of `tasks`' classes, repeated to P = T * Y in all.

    Weights make the weighted sum a mean over tasks of the mean over each one's classes. P never
    changes, and a batch holds nothing of other tasks: norm layers see what is in it.
    """
    pairs = [(task, label) for task in tasks for label in np.flatnonzero(valid[task])]
    index = np.arange(valid.size) % len(pairs)
    task, label = np.array(pairs, np.int32)[index].T
    times = np.bincount(index)[index]
    weights = 1 / (len(tasks) * valid[task].sum(1) * times)
    return task, label, weights.astype(np.float32)


def earlier_of(net: MultiHead, state: LwsfState) -> Earlier | None:
    """What holds the learned tasks of `state`, and nothing of the others; None without any."""
    retained = retained_of(state)
    if not retained:
        return None
    kept = jnp.asarray(np.isin(np.arange(net.n_tasks), retained), jnp.float32)
    tasks, labels, weights = (jnp.asarray(a) for a in code_batch(retained, net.valid))
    old, ewc = Model(state.params, state.stats), ewc_of(state.fisher, state.anchors, kept)
    codes = state.codes[tasks, labels]
    return Earlier(old, ewc, codes, labels, tasks, weights, kept / len(retained))


def distillation_loss(old: Array, new: Array, weights: Array, temperature: float) -> Array:
    """sum_t weights_t mean_x KL(p_T(old head t) || p_T(new head t)); logits [B, T, Y].

    CLPU's code has the cross-entropy, which has the same gradient, and no factor T^2.
    """
    return jnp.sum(weights * jnp.mean(kl(old, new, temperature), axis=0))


@piece(static_argnums=0)
def start(net: MultiHead, params: Any, stats: Any) -> Learning:
    """What training carries at first: a copy, as the steps donate it and the caller's stays."""
    params, stats = jax.tree.map(jnp.copy, (params, stats))
    adam, heads = optax.scale_by_adam(), split_heads(net, params)[0]
    return Learning(params, stats, adam.init(params), adam.init(heads))


def train(
    net: MultiHead,
    settings: Lwsf,
    state: LwsfState,
    rows: Rows,
    key: Array,
    progress: Progress,
) -> Model:
    """The model of `state` after training on `rows`, all of one task; `key` draws their order."""
    config = net.config
    earlier = earlier_of(net, state)
    carry = start(net, state.params, state.stats)
    codes = state.codes[rows.tasks[0]]
    k_order, k_share = jax.random.split(key)

    ahead = config.epochs if settings.head_epochs is None else settings.head_epochs
    ahead = 0 if earlier is None else ahead
    alone = dataclasses.replace(config, epochs=max(ahead, 1))
    both = dataclasses.replace(config, epochs=ahead + config.epochs)
    per_epoch = steps_per_epoch(len(rows.labels), config.batch_size)

    def draw(index: int, batch: np.ndarray, lr: np.float32) -> Batch | Numbered:
        del lr  # each part has the schedule of its own epochs
        if index < ahead * per_epoch:
            return Batch(batch, np.float32(learning_rate(alone, index, per_epoch)))
        lr = np.float32(learning_rate(config, index - ahead * per_epoch, per_epoch))
        return Numbered(batch, lr, np.int32(index))

    one = Step(_step, (net, settings), (resident(rows), codes, k_share, earlier))
    carry = run_epochs(both, k_order, len(rows.labels), carry, one, progress, draw)
    return Model(carry.params, carry.stats)


class Numbered(NamedTuple):
    """What the steps of the whole network differ by."""

    images: np.ndarray  # [B] int32: which
    lr: np.float32
    number: np.int32  # of the step, which draws the shares of codes


def _step(static: Any, carry: Any, given: Any, x: Batch | Numbered) -> tuple[Any, Array]:
    (net, settings), (rows, codes, key, earlier) = static, given
    batch = rows_at(rows, x.images)
    if isinstance(x, Batch):
        return head_step(net, carry, batch, x.lr)
    coded = Coded(batch, codes, jax.random.fold_in(key, x.number))
    return step(net, settings, carry, coded, earlier, x.lr)


def split_heads(net: MultiHead, params: Any) -> tuple[list[Any], Any]:
    """(the leaves of the heads' layer, a function that puts others in their place)."""
    mask = multihead.head_mask(net, params, 0)
    leaves, form = jax.tree.flatten(params)
    places = [i for i, m in enumerate(jax.tree.leaves(mask)) if m.any()]

    def join(heads: list[Any]) -> Any:
        changed = dict(zip(places, heads, strict=True))
        return jax.tree.unflatten(form, [changed.get(i, a) for i, a in enumerate(leaves)])

    return [leaves[i] for i in places], join


@piece(static_argnums=0, donate_argnums=1)
def head_step(net: MultiHead, carry: Learning, rows: Rows, lr: Array) -> tuple[Learning, Array]:
    """A step of the heads alone on CE(x): (carry after, loss)."""
    heads, join = split_heads(net, carry.params)

    def loss(heads: list[Any]) -> tuple[Array, Any]:
        logits, stats = multihead.forward(
            net, join(heads), carry.stats, rows.images, rows.tasks, train=True
        )
        return jnp.mean(cross_entropy(logits, rows.labels)), stats

    (total, stats), grad = jax.value_and_grad(loss, has_aux=True)(heads)
    update, optimiser = optax.scale_by_adam().update(grad, carry.head_optimiser)
    heads = descend(heads, update, lr)
    return Learning(join(heads), stats, carry.optimiser, optimiser), total


def loss_of(
    net: MultiHead,
    settings: Lwsf,
    model: Model,
    batch: Mixed,
    earlier: Earlier | None,
) -> tuple[Array, Any]:
    """(loss, norm statistics after) of a batch, as `model` has it."""
    (params, stats), n = model, len(batch.x)
    images = [batch.x, batch.x_hat]
    if earlier is not None and settings.norm == "joint":
        images.append(earlier.codes)
    outputs, stats = resnet.apply(net, params, stats, jnp.concatenate(images), train=True)
    entropies = [
        jnp.mean(cross_entropy(multihead.pick(net, part, batch.tasks), batch.labels))
        for part in (outputs[:n], outputs[n : 2 * n])
    ]
    total = settings.w_ce * sum(entropies, jnp.zeros(()))
    if earlier is None:
        return total, stats
    if settings.norm == "joint":
        of_codes = outputs[2 * n :]
    else:
        of_codes, stats = resnet.apply(net, params, stats, earlier.codes, train=True)
    of_codes = cross_entropy(multihead.pick(net, of_codes, earlier.tasks), earlier.labels)
    before = resnet.apply(net, *earlier.old, batch.x, train=False)[0]
    total += settings.lambda_ewc * ewc_loss(params, earlier.ewc)
    total += settings.gamma_lsf * jnp.sum(earlier.weights * of_codes)
    old, new = _all_heads(net, before), _all_heads(net, outputs[:n])
    total += settings.alpha_lwf * distillation_loss(
        old, new, earlier.task_weights, settings.temperature
    )
    return total, stats


def _all_heads(net: MultiHead, outputs: Array) -> Array:
    logits = outputs.reshape(len(outputs), net.n_tasks, net.n_classes)
    return jnp.where(jnp.asarray(net.valid), logits, ABSENT)


@piece(static_argnums=(0, 1), donate_argnums=2)
def step(
    net: MultiHead,
    settings: Lwsf,
    carry: Learning,
    batch: Coded,
    earlier: Earlier | None,
    lr: Array | np.float32,
) -> tuple[Learning, Array]:
    """A step of all parameters: (carry after, loss)."""
    rows, codes, key = batch
    x = multihead.normalise(net, jnp.asarray(rows.images), rows.tasks)
    x_hat = mix(x, codes[rows.labels], jax.random.uniform(key, (len(x),)))
    mixed = Mixed(x, x_hat, rows.labels, rows.tasks)

    def loss(params: Any) -> tuple[Array, Any]:
        return loss_of(net, settings, Model(params, carry.stats), mixed, earlier)

    (total, stats), grad = jax.value_and_grad(loss, has_aux=True)(carry.params)
    update, optimiser = optax.scale_by_adam().update(grad, carry.optimiser)
    params = descend(carry.params, update, lr)
    return Learning(params, stats, optimiser, carry.head_optimiser), total


@piece()
def _put(stacked: Any, task: Array, one: Any) -> Any:
    return jax.tree.map(lambda a, b: a.at[task].set(b), stacked, one)
