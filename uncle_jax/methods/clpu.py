"""CLPU (Liu et al. 2022) as the UnCLe paper adapts it: a network per task, deleted to unlearn it.

Forgetting is exact: what a task leaves is its status and the counters. T networks are kept.
"""

import functools
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from uncle_jax.config import Config
from uncle_jax.core import backbones, resnet
from uncle_jax.core.inputs import (
    TaskInput,
    fit_images,
    input_shape,
    logits_of,
    mask_logits,
    normalise,
    resident,
    rows_at,
    task_input,
)
from uncle_jax.core.interning import interned
from uncle_jax.core.loop import Batch, Inflight, OnStep, Progress, TrainState, descend, run_epochs
from uncle_jax.core.losses import cross_entropy
from uncle_jax.core.pieces import piece
from uncle_jax.core.scanned import Step
from uncle_jax.core.status import LEARNED, NEW, checked, in_range, learned, unlearned
from uncle_jax.methods.protocol import MainNetwork, Method, TaskNetwork, remembering
from uncle_jax.tasks import Data, InputSpec, as_data, check_images


@flax.struct.dataclass
class IndependentState:
    """The state of a learner with a network per task; a frozen pytree."""

    params: Any  # tree of [T, ...]; zeros for tasks that are not learned
    stats: Any  # tree of [T, ...]: running norm statistics; zeros likewise
    status: Array  # [T] int32: NEW, LEARNED or UNLEARNED
    key: Array  # typed PRNG key; never changes, so that no task depends on another's history
    n_requests: Array  # int32: answered so far
    n_unlearned: Array  # int32: unlearn requests answered so far
    made_by: str = flax.struct.field(pytree_node=False, default="")  # protocol.remembering


@dataclass(frozen=True, eq=False)
class Networks:
    """What is static: a task's module, its input, the settings; equal only to itself.

    Jitted functions take it as a static argument.
    """

    module: nn.Module
    shape: tuple[int, int, int]  # [H, W, D] of its input
    n_tasks: int
    config: Config


@interned
def networks(spec: InputSpec, n_tasks: int, config: Config, main_net: nn.Module | None) -> Networks:
    """The networks of `n_tasks` tasks; `main_net` None: UnCLe's main network for `config`."""
    shape = input_shape(spec, config.image_size)
    module = backbones.main_network(main_net, config, shape, spec.n_classes)
    return Networks(module, shape, n_tasks, config)


@remembering
def clpu(
    spec: InputSpec, n_tasks: int, config: Config | None = None, main_net: nn.Module | None = None
) -> Method:
    """CLPU with independent networks; its temporary and permanent tasks are treated alike.

    `main_net`: any Linen module with spec.n_classes outputs, by default UnCLe's main network.
    """
    config = config or Config()
    net = networks(spec, n_tasks, config, main_net)

    def learn(
        state: IndependentState,
        task: int,
        data: Data,
        *,
        on_step: OnStep | None = None,
        inflight: Inflight | None = None,
    ) -> IndependentState:
        task = checked(state, task, learned=False)
        images, labels = as_data(data, spec, f"task {task}", task)
        fitted = Data(fit_images(images, net.shape), jnp.asarray(labels))
        given = task_input(spec, task, net.shape), resident(fitted)
        k_init, k_order = jax.random.split(jax.random.fold_in(state.key, task))

        carry = start(net, k_init)
        progress = Progress(on_step, inflight)
        one = Step(_step, net, given)
        carry = run_epochs(config, k_order, len(labels), carry, one, progress)
        params, stats = _put(
            (state.params, state.stats), jnp.asarray(task), (carry.params, carry.stats)
        )
        return learned(state, task, state.key, params=params, stats=stats)

    def logits(state: IndependentState, task: int, images: Any) -> Array:
        """Logits [B, Y] of `task`'s network; minus infinity for classes that it does not have.

        All others are 0 if the task has no network.
        """
        task = in_range(state, task)
        inputs = task_input(spec, task, net.shape)
        if int(state.status[task]) != LEARNED:
            check_images(np.asarray(images), spec)
            return mask_logits(jnp.zeros((len(images), spec.n_classes)), inputs)
        params, stats = _network(state, task)
        predicted = functools.partial(predict, net, params, stats, inputs)
        size, mixed = config.eval_batch_size, not config.batch_independent
        return logits_of(predicted, images, spec, net.shape, size, mixed)

    init, main = functools.partial(_init, net), MainNetwork(net.module, net.shape)
    return Method("clpu", init, learn, _unlearn, logits, network=_network, main=main)


def _unlearn(
    state: IndependentState, task: int, *, on_step: OnStep | None = None
) -> IndependentState:
    del on_step  # nothing is optimised
    task = checked(state, task, learned=True)
    params, stats = erased((state.params, state.stats), jnp.asarray(task))
    return unlearned(state, task, state.key, params=params, stats=stats)


def _network(state: IndependentState, task: int) -> TaskNetwork:
    """`task`'s own network; zeros unless it is learned."""
    task = in_range(state, task)
    return TaskNetwork(*(jax.tree.map(lambda a: a[task], t) for t in (state.params, state.stats)))


def drawn(net: Networks, key: Array) -> tuple[Any, Any]:
    """(parameters, norm statistics) of a freshly drawn network."""
    variables = net.module.init(key, jnp.zeros((1, *net.shape)), train=False)
    return variables["params"], variables.get("batch_stats", {})


@piece(static_argnums=0)
def _init(net: Networks, key: Array) -> IndependentState:
    params, stats = jax.tree.map(
        lambda a: jnp.zeros((net.n_tasks, *a.shape), a.dtype),
        jax.eval_shape(functools.partial(drawn, net), key),
    )
    zero = jnp.zeros((), jnp.int32)
    return IndependentState(params, stats, jnp.full(net.n_tasks, NEW), key, zero, zero)


@piece(static_argnums=0)
def start(net: Networks, key: Array) -> TrainState:
    """What the learning of a task begins with."""
    params, stats = drawn(net, key)
    return TrainState(params, stats, optax.scale_by_adam().init(params))


@piece(static_argnums=0, donate_argnums=1)
def step(
    net: Networks, carry: TrainState, inputs: TaskInput, images: Array, labels: Array, lr: Array
) -> tuple[TrainState, Array]:
    """A step of Adam on the batch's mean cross-entropy: (carry after, loss)."""
    x = normalise(images, inputs)

    def loss(params: Any) -> tuple[Array, Any]:
        logits, stats = resnet.apply(net, params, carry.stats, x, train=True)
        return jnp.mean(cross_entropy(mask_logits(logits, inputs), labels)), stats

    (total, stats), grad = jax.value_and_grad(loss, has_aux=True)(carry.params)
    update, optimiser = optax.scale_by_adam().update(grad, carry.optimiser)
    return TrainState(descend(carry.params, update, lr), stats, optimiser), total


def _step(net: Networks, carry: Any, given: tuple[TaskInput, Data], x: Batch) -> Any:
    inputs, data = given
    return step(net, carry, inputs, *rows_at(data, x.images), x.lr)


@piece(static_argnums=0)
def predict(net: Networks, params: Any, stats: Any, inputs: TaskInput, images: Array) -> Array:
    """Logits [B, Y] as at test, of fitted images [B, H, W, D]."""
    x = normalise(images, inputs)
    raw = resnet.apply(net, params, stats, x, train=False)[0]
    return mask_logits(raw, inputs)


@piece()
def erased(stacked: Any, task: Array) -> Any:
    """A tree of [T, ...] with zeros in `task`'s slot."""
    return jax.tree.map(lambda a: a.at[task].set(0), stacked)


@piece()
def _put(stacked: Any, task: Array, one: Any) -> Any:
    return jax.tree.map(lambda a, b: a.at[task].set(b), stacked, one)
