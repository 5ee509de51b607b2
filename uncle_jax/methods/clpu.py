"""CLPU (Liu et al. 2022) as the UnCLe paper adapts it: a network per task, deleted to unlearn it.

Forgetting is exact: what a task leaves is its status and the counters. T networks are kept.
"""

import dataclasses
from typing import Any, NamedTuple

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from uncle_jax.config import Config
from uncle_jax.core import resnet
from uncle_jax.core.inputs import (
    BATCH_INDEPENDENT,
    TaskInput,
    batches_of,
    fit_images,
    input_shape,
    logits_of,
    mask_logits,
    normalise,
    task_input,
)
from uncle_jax.core.loop import Inflight, OnStep, run_epochs
from uncle_jax.core.losses import cross_entropy
from uncle_jax.core.status import LEARNED, NEW, UNLEARNED, checked, in_range
from uncle_jax.methods.protocol import Method
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


class Training(NamedTuple):
    """What learning carries; donated from step to step."""

    params: Any
    stats: Any
    optimiser: Any


def clpu(
    spec: InputSpec, n_tasks: int, config: Config | None = None, main_net: nn.Module | None = None
) -> Method:
    """CLPU with independent networks; its temporary and permanent tasks are treated alike.

    `main_net`: any Linen module with spec.n_classes outputs, by default UnCLe's main network.
    """
    config = config or Config()
    module = main_net or resnet.from_config(config, spec.n_classes)
    shape = input_shape(spec, config.image_size)
    step = make_step(module)

    def fresh(key: Array) -> tuple[Any, Any]:
        variables = module.init(key, jnp.zeros((1, *shape)), train=False)
        return variables["params"], variables.get("batch_stats", {})

    @jax.jit
    def start(key: Array) -> Training:
        params, stats = fresh(key)
        return Training(params, stats, optax.scale_by_adam().init(params))

    @jax.jit
    def evaluate(params: Any, stats: Any, inputs: TaskInput, images: Array) -> Array:
        from_batch = config.norm_stats != BATCH_INDEPENDENT
        x = normalise(images, inputs)
        raw = resnet.apply(module, params, stats, x, train=False, batch_stats=from_batch)[0]
        return mask_logits(raw, inputs)

    @jax.jit
    def init(key: Array) -> IndependentState:
        params, stats = jax.tree.map(
            lambda a: jnp.zeros((n_tasks, *a.shape), a.dtype), jax.eval_shape(fresh, key)
        )
        zero = jnp.zeros((), jnp.int32)
        return IndependentState(params, stats, jnp.full(n_tasks, NEW), key, zero, zero)

    def learn(
        state: IndependentState, task: int, data: Data, *, on_step: OnStep | None = None,
        inflight: Inflight | None = None,
    ) -> IndependentState:  # fmt: skip
        task = checked(state, task, learned=False)
        images, labels = as_data(data, spec, f"task {task}", task)
        batch_of = batches_of(fit_images(images, shape), jnp.asarray(labels))
        inputs = task_input(spec, task, shape)
        k_init, k_order = jax.random.split(jax.random.fold_in(state.key, task))

        def one(carry: Any, index: int, batch: np.ndarray, lr: np.float32) -> tuple[Any, Array]:
            del index
            return step(carry, inputs, *batch_of(batch), lr)

        carry = run_epochs(config, k_order, len(labels), start(k_init), one, on_step, inflight)
        params, stats = _put(
            (state.params, state.stats), jnp.asarray(task), (carry.params, carry.stats)
        )
        return dataclasses.replace(
            state,
            params=params,
            stats=stats,
            status=state.status.at[task].set(LEARNED),
            n_requests=state.n_requests + 1,
        )

    def unlearn(
        state: IndependentState, task: int, *, on_step: OnStep | None = None
    ) -> IndependentState:
        del on_step  # nothing is optimised
        task = checked(state, task, learned=True)
        params, stats = erased((state.params, state.stats), jnp.asarray(task))
        return dataclasses.replace(
            state,
            params=params,
            stats=stats,
            status=state.status.at[task].set(UNLEARNED),
            n_requests=state.n_requests + 1,
            n_unlearned=state.n_unlearned + 1,
        )

    def logits(state: IndependentState, task: int, images: Any) -> Array:
        """Logits [B, Y] of `task`'s network; minus infinity for classes that it does not have.

        All others are 0 if the task has no network.
        """
        task = in_range(state, task)
        inputs = task_input(spec, task, shape)
        if int(state.status[task]) != LEARNED:
            check_images(np.asarray(images), spec)
            return mask_logits(jnp.zeros((len(images), spec.n_classes)), inputs)
        params, stats = (jax.tree.map(lambda a: a[task], t) for t in (state.params, state.stats))
        return logits_of(
            lambda x: evaluate(params, stats, inputs, x), images, spec, shape,
            config.eval_batch_size,
        )  # fmt: skip

    return Method("clpu", init, learn, unlearn, logits)


@jax.jit
def erased(stacked: Any, task: Array) -> Any:
    """A tree of [T, ...] with zeros in `task`'s slot."""
    return jax.tree.map(lambda a: a.at[task].set(0), stacked)


@jax.jit
def _put(stacked: Any, task: Array, one: Any) -> Any:
    return jax.tree.map(lambda a, b: a.at[task].set(b), stacked, one)


def make_step(module: nn.Module) -> Any:
    """The jitted step of Adam on CE: (Training, TaskInput, images, labels, lr) -> (.., loss)."""
    adam = optax.scale_by_adam()

    def step(
        carry: Training, inputs: TaskInput, images: Array, labels: Array, lr: Array
    ) -> tuple[Training, Array]:
        x = normalise(images, inputs)

        def loss(params: Any) -> tuple[Array, Any]:
            logits, stats = resnet.apply(module, params, carry.stats, x, train=True)
            return jnp.mean(cross_entropy(mask_logits(logits, inputs), labels)), stats

        (total, stats), grad = jax.value_and_grad(loss, has_aux=True)(carry.params)
        update, optimiser = adam.update(grad, carry.optimiser)
        params = jax.tree.map(lambda p, u: p - lr * u, carry.params, update)
        return Training(params, stats, optimiser), total

    return jax.jit(step, donate_argnums=0)
