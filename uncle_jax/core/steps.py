"""The steps of learning and unlearning, and prediction: jitted pieces, one optimiser step each.

Every piece is traced once a process for each `Network`: what changes from step to step comes in as
an array, and batches have one size. Only what holds the retained tasks (holding.py) comes in
several sizes, so it is a piece of its own. The loops around the steps (methods/) are Python's,
since a convolution inside `lax.scan` is many times slower on a CPU than the same step called from
Python.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from uncle_jax.config import Uncle
from uncle_jax.core import adversary, holding, hypernet, objectives, resnet
from uncle_jax.core.adversary import Adversaries
from uncle_jax.core.holding import Held
from uncle_jax.core.hypernet import Phi
from uncle_jax.core.inputs import TaskInput, mask_logits, normalise
from uncle_jax.core.layout import Kind
from uncle_jax.core.loop import descend
from uncle_jax.core.network import Network
from uncle_jax.core.pieces import piece
from uncle_jax.core.state import CLState
from uncle_jax.core.status import NEW
from uncle_jax.tasks import Data


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
    """The task of a learning request: constant."""

    input: TaskInput
    train_chunks: Array  # float32: 1 in the first request, whose chunk embeddings train, then 0


class TaskToForget(NamedTuple):
    """The task of an unlearning request: constant."""

    emb: Array  # [E] its own
    chunk_emb: Array  # [C, E]
    noise_key: Array  # typed PRNG key: draws the one z of `noise=fixed`
    former: dict[Kind, Array]  # {kind: [W, C]} H(e_f; phi) as it was: what adversaries search


class Losses(NamedTuple):
    """The terms of a step's loss, before the step."""

    total: Array
    task: Array  # L_task when learning, L_fgt when unlearning
    reg: Array  # L_reg


def generate(net: Network, phi: Phi, emb: Array, chunk_emb: Array) -> dict[str, Any]:
    """theta of the task embedding [E]; traced where it is called."""
    return hypernet.generate(phi, emb, chunk_emb, net.layout, net.hyper.parametrisation)


def outputs(net: Network, phi: Phi, emb: Array, chunk_emb: Array) -> dict[Kind, Array]:
    """{kind: [W, C]} H(e; phi) of the embedding [E], as drift and noise measure it; traced."""
    out = hypernet.outputs(phi, emb, chunk_emb)
    if net.hyper.output_space == "theta":
        out = hypernet.scale(net.layout, net.hyper.parametrisation, out)
    return out


@piece(static_argnums=0)
def theta(net: Network, phi: Phi, emb: Array, chunk_emb: Array) -> dict[str, Any]:
    """theta of the task embedding [E], compiled."""
    return generate(net, phi, emb, chunk_emb)


@piece(static_argnums=(0, 1))
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


@piece(static_argnums=0)
def start_learning(net: Network, state: CLState, emb: Array) -> Learning:
    """What a learn request starts from, with the task's new embedding [E]."""
    # A copy, because the steps donate their carry and the caller keeps `state`.
    phi, chunk_emb, stats = jax.tree.map(jnp.copy, (state.phi, state.chunk_emb, net.fresh))
    optimisers = net.shared_optimiser.init((phi, chunk_emb)), net.own_optimiser.init(emb)
    return Learning(phi, emb, chunk_emb, stats, optimisers)


def learn(
    net: Network,
    carry: Learning,
    task: TaskToLearn,
    held: Held,
    batch: Data,
    lr: Array | np.float32,
) -> tuple[Learning, Losses]:
    """One step on Equation 2, on fitted images [B, H, W, D] and labels [B]: (carry after, losses).

    `held`: the retained tasks; `lr`: a scalar. `carry` is given away.
    """
    fit, fit_grad, stats = _fit(net, carry[:4], task, batch)
    reg, reg_grad = holding.pull(net, carry.phi, held, np.float32(net.hyper.beta))
    params, optimisers, total = _step_learning(
        net, carry[:3], carry.optimiser, fit_grad, reg_grad, (fit, reg), lr
    )
    phi, emb, chunk_emb = params
    return Learning(phi, emb, chunk_emb, stats, optimisers), Losses(total, fit, reg)


@piece(static_argnums=0)
def _fit(
    net: Network,
    carry: tuple[Phi, Array, Array, Any],
    task: TaskToLearn,
    batch: Data,
) -> tuple[Array, tuple[Phi, Array, Array], Any]:
    """(L_task, its gradient by phi, the task's embedding and the chunks', norm statistics)."""
    *params, before = carry
    x = normalise(batch.images, task.input)

    def loss(params: Any) -> tuple[Array, Any]:
        phi, emb, chunk_emb = params
        theta = generate(net, phi, emb, chunk_emb)
        logits, stats = resnet.apply(net.module, theta, before, x, train=True)
        return objectives.task_loss(mask_logits(logits, task.input), batch.labels), stats

    (fit, stats), grad = jax.value_and_grad(loss, has_aux=True)(tuple(params))
    phi_grad, emb_grad, chunk_grad = grad
    return fit, (phi_grad, emb_grad, chunk_grad * task.train_chunks), stats


@piece(static_argnums=0, donate_argnums=(1, 2))
def _step_learning(
    net: Network,
    params: tuple[Phi, Array, Array],
    optimisers: tuple[Any, Any],
    fit_grad: tuple[Phi, Array, Array],
    reg_grad: Phi,
    losses: tuple[Array, Array],
    lr: Array | np.float32,
) -> tuple[tuple[Phi, Array, Array], tuple[Any, Any], Array]:
    """(params, optimisers) after a step along both gradients, and Equation 2's value before."""
    phi, emb, chunk_emb = params
    phi_grad, emb_grad, chunk_grad = fit_grad
    phi_grad = jax.tree.map(jnp.add, phi_grad, reg_grad)
    shared, own = net.shared_optimiser, net.own_optimiser
    shared_update, shared_state = shared.update((phi_grad, chunk_grad), optimisers[0])
    own_update, own_state = own.update(emb_grad, optimisers[1])
    phi, chunk_emb = descend((phi, chunk_emb), shared_update, lr)
    fit, reg = losses
    total = fit + net.hyper.beta * reg
    return (phi, descend(emb, own_update, lr), chunk_emb), (shared_state, own_state), total


@piece(static_argnums=(0, 1))
def start_unlearning(
    net: Network, settings: Uncle, state: CLState, task: Array | int, key: Array
) -> tuple[Unlearning, TaskToForget]:
    """What an unlearn request of `task` starts from, and what stays the same in it.

    `key` draws the adversaries.
    """
    phi, emb = jax.tree.map(jnp.copy, state.phi), state.task_emb[task]
    count = settings.adversaries if settings.adversary_noise else 0
    searching = adversary.start(key, count, net.hyper.embedding)
    former = outputs(net, phi, emb, state.chunk_emb) if count else {}
    carry = Unlearning(phi, net.shared_optimiser.init(phi), searching)
    return carry, TaskToForget(emb, state.chunk_emb, state.noise_key, former)


def unlearn(
    net: Network,
    settings: Uncle,
    carry: Unlearning,
    forgotten: TaskToForget,
    held: Held,
    key: Array,
    lr: Array | np.float32,
) -> tuple[Unlearning, Losses]:
    """One iteration of the burn-in, Equation 3, or 6 for `noise=norm`: (carry after, losses).

    With `fresh_noise` and `adversary_noise` noise is aligned at other embeddings too. `held`: the
    retained tasks; `key` draws the iteration's noise and fresh embeddings; `lr`: a scalar. `carry`
    is given away.
    """
    weight = objectives.unlearn_weights(settings.gamma, settings.noise)[1]
    reg, reg_grad = holding.pull(net, carry.phi, held, np.float32(weight))
    forget, grad, adversaries = _align(net, settings, carry.phi, carry.adversaries, forgotten, key)
    phi, optimiser, total = _step_unlearning(
        net, settings, carry.phi, carry.optimiser, grad, reg_grad, (forget, reg), lr
    )
    return Unlearning(phi, optimiser, adversaries), Losses(total, forget, reg)


@piece(static_argnums=(0, 1))
def _align(
    net: Network,
    settings: Uncle,
    phi: Phi,
    adversaries: Adversaries,
    forgotten: TaskToForget,
    key: Array,
) -> tuple[Array, Phi, Adversaries]:
    """(L_fgt, the gradient of its weighted value by phi, adversaries that have gone on)."""
    layout, chunk_emb = net.layout, forgotten.chunk_emb
    # Branches while tracing: without these settings it is the paper's step, to the bit.
    if settings.adversary_noise:

        def distance(emb: Array) -> Array:
            return objectives.alignment(outputs(net, phi, emb, chunk_emb), forgotten.former, layout)

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

    def loss(phi: Phi) -> tuple[Array, Array]:
        forget = alignment(phi, forgotten.emb, key)
        if settings.fresh_noise:
            k_emb, k_noise = jax.random.split(jax.random.fold_in(key, 1))
            emb_FxE = objectives.fresh_embeddings(
                k_emb, forgotten.emb, settings.fresh_draws, settings.fresh_radius
            )
            forget += settings.fresh_noise * mean_alignment(phi, emb_FxE, k_noise)
        if settings.adversary_noise:
            k_noise = jax.random.fold_in(key, 2)
            forget += settings.adversary_noise * mean_alignment(phi, adversaries.emb, k_noise)
        weight = objectives.unlearn_weights(settings.gamma, settings.noise)[0]
        return weight * forget, forget

    (_, forget), grad = jax.value_and_grad(loss, has_aux=True)(phi)
    return forget, grad, adversaries


@piece(static_argnums=(0, 1), donate_argnums=(2, 3))
def _step_unlearning(
    net: Network,
    settings: Uncle,
    phi: Phi,
    optimiser: Any,
    forget_grad: Phi,
    reg_grad: Phi,
    losses: tuple[Array, Array],
    lr: Array | np.float32,
) -> tuple[Phi, Any, Array]:
    """(phi, optimiser) after a step along both gradients, and Equation 3's value before."""
    grad = jax.tree.map(jnp.add, forget_grad, reg_grad)
    update, optimiser = net.shared_optimiser.update(grad, optimiser)
    of_forget, of_reg = objectives.unlearn_weights(settings.gamma, settings.noise)
    total = of_forget * losses[0] + of_reg * losses[1]
    return descend(phi, update, lr), optimiser, total


@piece(static_argnums=0)
def logits(net: Network, theta: Any, stats: Any, task: TaskInput, images: Array) -> Array:
    """[B, Y] of a generated network; minus infinity for classes that the task does not have."""
    from_batch = not net.config.batch_independent
    x = normalise(images, task)
    raw = resnet.apply(net.module, theta, stats, x, train=False, batch_stats=from_batch)[0]
    return mask_logits(raw, task)


@piece(static_argnums=0)
def calibrate(net: Network, theta: Any, stats: Any, task: TaskInput, images: Array) -> Any:
    """The norm statistics after one more batch at a theta that stands still."""
    return resnet.apply(net.module, theta, stats, normalise(images, task), train=True)[1]
