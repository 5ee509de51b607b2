"""The jitted pieces of learning, unlearning and prediction: one optimiser step each.

Every function here is traced once a process for each `Network`: tasks are padded to T_max slots and
masked, batches have one size, and what changes from step to step comes in as an array. The loops
around them (methods/) are Python's, since a convolution inside `lax.scan` is many times slower on a
CPU than the same step called from Python.
"""

import dataclasses
import functools
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from uncle_jax.config import Config, Hypernetwork, Uncle
from uncle_jax.core import adversary, hypernet, objectives, resnet
from uncle_jax.core.adversary import Adversaries
from uncle_jax.core.hypernet import Phi
from uncle_jax.core.inputs import TaskInput, mask_logits, normalise
from uncle_jax.core.interning import interned
from uncle_jax.core.layout import Kind, Layout
from uncle_jax.core.loop import descend
from uncle_jax.core.objectives import Anchor
from uncle_jax.core.state import CLState
from uncle_jax.core.status import NEW
from uncle_jax.tasks import Data


@dataclasses.dataclass(frozen=True, eq=False)
class Network:
    """What is static: the main network, its layout, and the settings.

    Hashed by identity, which costs a step nothing; `network` makes one for equal arguments.
    """

    module: nn.Module
    shape: tuple[int, int, int]  # [H, W, D] of the main network's input
    layout: Layout
    fresh: Any  # norm statistics that have seen nothing
    config: Config
    hyper: Hypernetwork

    @functools.cached_property
    def drift_gains(self) -> dict[Kind, np.ndarray] | None:
        """{kind: [W]} that outputs are scaled by where the drift is measured in theta."""
        if self.hyper.output_space != "theta":
            return None
        return hypernet.gains(self.layout, self.hyper.parametrisation)

    @functools.cached_property
    def shared_optimiser(self) -> optax.GradientTransformation:
        """Of phi and the chunk embeddings."""
        return optimiser(self.hyper.clip_norm)

    @functools.cached_property
    def own_optimiser(self) -> optax.GradientTransformation:
        """Of a task's embedding, which is not clipped (authors' code)."""
        return optimiser(None)


@interned
def network(
    module: nn.Module, shape: tuple[int, int, int], config: Config, hyper: Hypernetwork
) -> Network:
    """The Network of `module` on images [H, W, D]: the same one for equal arguments.

    So the steps of a second learner with equal settings are compiled already.
    """
    layout, fresh = resnet.plan(module, shape, hyper.chunks)
    return Network(module, shape, layout, fresh, config, hyper)


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
    adversaries: Adversaries  # none of them unless `adversary_noise`


class TaskToLearn(NamedTuple):
    """The task of a learning request, and what L_reg holds the retained ones by: both constant."""

    input: TaskInput
    train_chunks: Array  # float32: 1 in the first request, whose chunk embeddings train, then 0
    anchor: Anchor
    task_emb: Array  # [T, E]


class TaskToForget(NamedTuple):
    """The task of an unlearning request, and what L_reg holds the retained ones by: constant."""

    task: Array | int  # int32
    anchor: Anchor
    task_emb: Array  # [T, E]
    chunk_emb: Array  # [C, E]
    noise_key: Array  # typed PRNG key: draws the one z of `noise=fixed`
    former: dict[Kind, Array]  # {kind: [W, C]} H(e_f; phi) as it was: what adversaries search


class Losses(NamedTuple):
    """The terms of a step's loss, before the step."""

    total: Array
    task: Array  # L_task when learning, L_fgt when unlearning
    reg: Array  # L_reg


def optimiser(clip_norm: float | None) -> optax.GradientTransformation:
    """Adam's direction, after clipping by global norm; the step applies the learning rate."""
    clip = optax.identity() if clip_norm is None else optax.clip_by_global_norm(clip_norm)
    return optax.chain(clip, optax.scale_by_adam())


def generate(net: Network, phi: Phi, emb: Array, chunk_emb: Array) -> dict[str, Any]:
    """theta of the task embedding [E]; traced where it is called."""
    return hypernet.generate(phi, emb, chunk_emb, net.layout, net.hyper.parametrisation)


def outputs(net: Network, phi: Phi, emb: Array, chunk_emb: Array) -> dict[Kind, Array]:
    """{kind: [W, C]} H(e; phi) of the embedding [E], as drift and noise measure it; traced."""
    out = hypernet.outputs(phi, emb, chunk_emb)
    if net.hyper.output_space == "theta":
        out = hypernet.scale(net.layout, net.hyper.parametrisation, out)
    return out


@partial(jax.jit, static_argnums=0)
def theta(net: Network, phi: Phi, emb: Array, chunk_emb: Array) -> dict[str, Any]:
    """theta of the task embedding [E], compiled."""
    return generate(net, phi, emb, chunk_emb)


@partial(jax.jit, static_argnums=(0, 1))
def init(net: Network, n_tasks: int, key: Array) -> CLState:
    """A state with room for `n_tasks` tasks, none learned."""
    hyper = net.hyper
    key, noise_key, k_task, k_chunk, k_phi = jax.random.split(key, 5)
    task_emb = jax.random.normal(k_task, (n_tasks, hyper.embedding))
    chunk_emb = jax.random.normal(k_chunk, (hyper.chunks, hyper.embedding))
    phi = hypernet.init(k_phi, net.layout, task_emb, chunk_emb, hyper.trunk, hyper.parametrisation)
    return CLState(
        phi=phi,
        task_emb=task_emb,
        chunk_emb=chunk_emb,
        status=jnp.full(n_tasks, NEW),
        norm_stats=jax.tree.map(lambda a: jnp.broadcast_to(a, (n_tasks, *a.shape)), net.fresh),
        phi_star=phi,
        key=key,
        noise_key=noise_key,
        n_requests=jnp.zeros((), jnp.int32),
        n_unlearned=jnp.zeros((), jnp.int32),
    )


@partial(jax.jit, static_argnums=0)
def anchor(net: Network, state: CLState) -> Anchor:
    """What L_reg needs of phi*, for the retained tasks; once a request."""
    hyper, layout = net.hyper, net.layout
    retained = state.retained.astype(jnp.float32)
    count = len(retained) if hyper.reg_mean == "benchmark" else retained.sum()
    weight = retained / jnp.maximum(count, 1)
    rows = len(retained) * layout.chunks
    form = objectives.choose_form(hyper.drift, rows, hyper.trunk[-1] + 1, sum(layout.whole))
    return objectives.drift_anchor(
        state.phi_star, state.task_emb, state.chunk_emb, weight, layout, form, net.drift_gains
    )


@partial(jax.jit, static_argnums=0)
def start_learning(net: Network, state: CLState, emb: Array) -> Learning:
    """What a learn request starts from, with the task's new embedding [E]."""
    # A copy, because the steps donate their carry and the caller keeps `state`.
    phi, chunk_emb, stats = jax.tree.map(jnp.copy, (state.phi, state.chunk_emb, net.fresh))
    optimisers = net.shared_optimiser.init((phi, chunk_emb)), net.own_optimiser.init(emb)
    return Learning(phi, emb, chunk_emb, stats, optimisers)


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def learn(
    net: Network,
    carry: Learning,
    task: TaskToLearn,
    batch: Data,
    lr: Array | np.float32,
) -> tuple[Learning, Losses]:
    """One step on Equation 2, on fitted images [B, H, W, D] and labels [B]: (carry after, losses).

    `lr`: a scalar.
    """
    x = normalise(batch.images, task.input)

    def loss(params: tuple[Phi, Array, Array]) -> tuple[Array, tuple[Losses, Any]]:
        phi, emb, chunk_emb = params
        logits, stats = resnet.apply(
            net.module, generate(net, phi, emb, chunk_emb), carry.stats, x, train=True
        )
        fit = objectives.task_loss(mask_logits(logits, task.input), batch.labels)
        frozen = jax.lax.stop_gradient(chunk_emb)  # nothing is retained while they train
        reg = objectives.drift(phi, task.anchor, task.task_emb, frozen, net.layout, net.drift_gains)
        total = fit + net.hyper.beta * reg  # Equation 2
        return total, (Losses(total, fit, reg), stats)

    params = (carry.phi, carry.emb, carry.chunk_emb)
    (phi_grad, emb_grad, chunk_grad), (losses, stats) = jax.grad(loss, has_aux=True)(params)
    chunk_grad = chunk_grad * task.train_chunks
    shared, own = net.shared_optimiser, net.own_optimiser
    shared_update, shared_state = shared.update((phi_grad, chunk_grad), carry.optimiser[0])
    own_update, own_state = own.update(emb_grad, carry.optimiser[1])
    phi, chunk_emb = descend((carry.phi, carry.chunk_emb), shared_update, lr)
    emb = descend(carry.emb, own_update, lr)
    return Learning(phi, emb, chunk_emb, stats, (shared_state, own_state)), losses


def start_unlearning(
    net: Network, settings: Uncle, state: CLState, task: Array | int, key: Array
) -> tuple[Unlearning, TaskToForget]:
    """What an unlearn request of `task` starts from, and what stays the same in it.

    `task` is not among those that `state` retains any more; `key` draws the adversaries.
    """
    carry, former = _start_unlearning(net, settings, state, task, key)
    held = anchor(net, state)
    constant = TaskToForget(task, held, state.task_emb, state.chunk_emb, state.noise_key, former)
    return carry, constant


@partial(jax.jit, static_argnums=(0, 1))
def _start_unlearning(
    net: Network, settings: Uncle, state: CLState, task: Array | int, key: Array
) -> tuple[Unlearning, dict[Kind, Array]]:
    phi = jax.tree.map(jnp.copy, state.phi)
    count = settings.adversaries if settings.adversary_noise else 0
    searching = adversary.start(key, count, net.hyper.embedding)
    former = outputs(net, phi, state.task_emb[task], state.chunk_emb) if count else {}
    return Unlearning(phi, net.shared_optimiser.init(phi), searching), former


@partial(jax.jit, static_argnums=(0, 1), donate_argnums=2)
def unlearn(
    net: Network,
    settings: Uncle,
    carry: Unlearning,
    forgotten: TaskToForget,
    key: Array,
    lr: Array | np.float32,
) -> tuple[Unlearning, Losses]:
    """One iteration of the burn-in, Equation 3, or 6 for `noise=norm`: (carry after, losses).

    With `fresh_noise` and `adversary_noise` noise is aligned at other embeddings too. `key` draws
    the iteration's noise and fresh embeddings; `lr`: a scalar.
    """
    layout, adversaries = net.layout, carry.adversaries
    task_emb, chunk_emb = forgotten.task_emb, forgotten.chunk_emb
    # Branches while tracing: without these settings it is the paper's step, to the bit.
    if settings.adversary_noise:

        def distance(emb: Array) -> Array:
            return objectives.alignment(
                outputs(net, carry.phi, emb, chunk_emb), forgotten.former, layout
            )

        adversaries = adversary.pursue(adversaries, distance, settings.adversary_lr)

    def alignment(phi: Phi, emb: Array, key: Array) -> Array:
        return objectives.noise_alignment(
            forgotten.noise_key if settings.noise == "fixed" else key,
            outputs(net, phi, emb, chunk_emb),
            layout,
            settings.noise,
            settings.noise_samples,
            settings.noise_form,
        )

    def mean_alignment(phi: Phi, emb_NxE: Array, key: Array) -> Array:
        return jax.vmap(partial(alignment, phi))(
            emb_NxE, jax.random.split(key, len(emb_NxE))
        ).mean()

    def loss(phi: Phi) -> tuple[Array, Losses]:
        emb = task_emb[forgotten.task]
        forget = alignment(phi, emb, key)
        if settings.fresh_noise:
            k_emb, k_noise = jax.random.split(jax.random.fold_in(key, 1))
            emb_FxE = objectives.fresh_embeddings(
                k_emb, emb, settings.fresh_draws, settings.fresh_radius
            )
            forget += settings.fresh_noise * mean_alignment(phi, emb_FxE, k_noise)
        if settings.adversary_noise:
            k_noise = jax.random.fold_in(key, 2)
            forget += settings.adversary_noise * mean_alignment(phi, adversaries.emb, k_noise)
        reg = objectives.drift(phi, forgotten.anchor, task_emb, chunk_emb, layout, net.drift_gains)
        total = objectives.unlearn_loss(forget, reg, settings.gamma, settings.noise)
        return total, Losses(total, forget, reg)

    grad, losses = jax.grad(loss, has_aux=True)(carry.phi)
    update, state = net.shared_optimiser.update(grad, carry.optimiser)
    return Unlearning(descend(carry.phi, update, lr), state, adversaries), losses


@partial(jax.jit, static_argnums=0)
def logits(net: Network, theta: Any, stats: Any, task: TaskInput, images: Array) -> Array:
    """[B, Y] of a generated network; minus infinity for classes that the task does not have."""
    from_batch = not net.config.batch_independent
    x = normalise(images, task)
    raw = resnet.apply(net.module, theta, stats, x, train=False, batch_stats=from_batch)[0]
    return mask_logits(raw, task)


@partial(jax.jit, static_argnums=0)
def calibrate(net: Network, theta: Any, stats: Any, task: TaskInput, images: Array) -> Any:
    """The norm statistics after one more batch at a theta that stands still."""
    return resnet.apply(net.module, theta, stats, normalise(images, task), train=True)[1]
