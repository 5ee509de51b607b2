"""The steps of learning and unlearning, and prediction: jitted pieces, one optimiser step each.

Every piece is traced once a process for each `Network`: what changes from step to step comes in as
an array, and batches have one size. Only what holds the retained tasks (holding.py) comes in
several sizes, so it is a piece of its own. The loops around the steps are methods', and scanned.py
says how they are taken.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from uncle_jax.config import Uncle
from uncle_jax.core import adversary, devices, holding, hypernet, objectives, resnet
from uncle_jax.core.adversary import Adversaries
from uncle_jax.core.holding import Held
from uncle_jax.core.hypernet import Phi
from uncle_jax.core.inputs import TaskInput, mask_logits, normalise
from uncle_jax.core.layout import Kind, unpack
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
    return _measured(net, hypernet.outputs(phi, emb, chunk_emb))


def _measured(net: Network, out: dict[Kind, Array]) -> dict[Kind, Array]:
    """Raw outputs {kind: [W, C]} as drift and noise measure them."""
    if net.hyper.output_space == "theta":
        return hypernet.scale(net.layout, net.hyper.parametrisation, out)
    return out


@piece(static_argnums=0)
def theta(net: Network, phi: Phi, emb: Array, chunk_emb: Array) -> dict[str, Any]:
    """theta of the task embedding [E], compiled."""
    return generate(net, phi, emb, chunk_emb)


@piece()
def revived(key: Array, phi: Phi, task_emb: Array, chunk_emb: Array) -> Phi:
    """`phi` whose units that are dead for the embeddings [N, E] are drawn anew, compiled."""
    return hypernet.revived(key, phi, task_emb, chunk_emb)[0]


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
    out, reg, force = holding.forward(net, *carry[:3], held, np.float32(net.hyper.beta))
    fit, out_grad, stats = _fit(net, out, carry.stats, task.input, batch)
    grads = holding.backward(net, *carry[:3], held, out_grad, force)
    params, optimisers, total = _step_learning(
        net, carry[:3], carry.optimiser, grads, task.train_chunks, (fit, reg), lr
    )
    phi, emb, chunk_emb = params
    return Learning(phi, emb, chunk_emb, stats, optimisers), Losses(total, fit, reg)


@piece(static_argnums=0)
def _fit(
    net: Network, out: dict[Kind, Array], before: Any, task: TaskInput, batch: Data
) -> tuple[Array, dict[Kind, Array], Any]:
    """(L_task, its gradient by the hypernetwork's outputs {kind: [W, C]}, norm statistics)."""
    x = normalise(batch.images, task)

    def loss(out: dict[Kind, Array]) -> tuple[Array, Any]:
        out = devices.everywhere(out)
        theta = unpack(net.layout, hypernet.scale(net.layout, net.hyper.parametrisation, out))
        logits, stats = resnet.apply(net, theta, before, x, train=True)
        return objectives.task_loss(mask_logits(logits, task), batch.labels), stats

    (fit, stats), grad = jax.value_and_grad(loss, has_aux=True)(out)
    return fit, grad, stats


@piece(static_argnums=0, donate_argnums=(1, 2))
def _step_learning(
    net: Network,
    params: tuple[Phi, Array, Array],
    optimisers: tuple[Any, Any],
    grads: tuple[Phi, Array, Array],
    train_chunks: Array,
    losses: tuple[Array, Array],
    lr: Array | np.float32,
) -> tuple[tuple[Phi, Array, Array], tuple[Any, Any], Array]:
    """(params, optimisers) after a step along `grads`, and Equation 2's value before."""
    phi, emb, chunk_emb = params
    phi_grad, emb_grad, chunk_grad = grads
    shared, own = net.shared_optimiser, net.own_optimiser
    shared_grad = phi_grad, chunk_grad * train_chunks
    shared_update, shared_state = shared.update(shared_grad, optimisers[0])
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
    phi, optimiser, adversaries = carry
    at = forgotten.emb, forgotten.chunk_emb
    weight = objectives.unlearn_weights(settings.gamma, settings.noise)[1]
    out, reg, force = holding.forward(net, phi, *at, held, np.float32(weight))
    forget, out_grad = _align(net, settings, out, forgotten.noise_key, key)
    elsewhere = None
    # Without these settings it is the paper's step.
    if settings.fresh_noise or settings.adversary_noise:
        more, elsewhere, adversaries = _align_elsewhere(
            net, settings, phi, adversaries, forgotten, key
        )
        forget += more
    grad, _, _ = holding.backward(net, phi, *at, held, out_grad, force)
    phi, optimiser, total = _step_unlearning(
        net, settings, phi, optimiser, grad, elsewhere, (forget, reg), lr
    )
    return Unlearning(phi, optimiser, adversaries), Losses(total, forget, reg)


@piece(static_argnums=(0, 1))
def _align(
    net: Network, settings: Uncle, out: dict[Kind, Array], noise_key: Array, key: Array
) -> tuple[Array, dict[Kind, Array]]:
    """(L_fgt, its weighted value's gradient by the forgotten task's outputs {kind: [W, C]})."""

    def loss(out: dict[Kind, Array]) -> tuple[Array, Array]:
        forget = _alignment(net, settings, _measured(net, out), noise_key, key)
        return _weighted(settings, forget), forget

    (_, forget), grad = jax.value_and_grad(loss, has_aux=True)(out)
    return forget, grad


@piece(static_argnums=(0, 1))
def _align_elsewhere(
    net: Network,
    settings: Uncle,
    phi: Phi,
    adversaries: Adversaries,
    forgotten: TaskToForget,
    key: Array,
) -> tuple[Array, Phi, Adversaries]:
    """The same at fresh and at adversaries' embeddings, by phi, and adversaries gone on."""
    layout, chunk_emb = net.layout, forgotten.chunk_emb
    if settings.adversary_noise:

        def distance(emb: Array) -> Array:
            return objectives.alignment(outputs(net, phi, emb, chunk_emb), forgotten.former, layout)

        adversaries = adversary.pursue(adversaries, distance, settings.adversary_lr)

    def mean_alignment(phi: Phi, emb_NxE: Array, key: Array) -> Array:
        def alignment(emb: Array, key: Array) -> Array:
            out = outputs(net, phi, emb, chunk_emb)
            return _alignment(net, settings, out, forgotten.noise_key, key)

        return jax.vmap(alignment)(emb_NxE, jax.random.split(key, len(emb_NxE))).mean()

    def loss(phi: Phi) -> tuple[Array, Array]:
        forget = jnp.zeros(())
        if settings.fresh_noise:
            k_emb, k_noise = jax.random.split(jax.random.fold_in(key, 1))
            emb_FxE = objectives.fresh_embeddings(
                k_emb, forgotten.emb, settings.fresh_draws, settings.fresh_radius
            )
            forget += settings.fresh_noise * mean_alignment(phi, emb_FxE, k_noise)
        if settings.adversary_noise:
            k_noise = jax.random.fold_in(key, 2)
            forget += settings.adversary_noise * mean_alignment(phi, adversaries.emb, k_noise)
        return _weighted(settings, forget), forget

    (_, forget), grad = jax.value_and_grad(loss, has_aux=True)(phi)
    return forget, grad, adversaries


def _alignment(
    net: Network, settings: Uncle, out: dict[Kind, Array], noise_key: Array, key: Array
) -> Array:
    """L_fgt at outputs as noise measures them; `key` draws the iteration's noise."""
    key = noise_key if settings.noise == "fixed" else key
    drawn = settings.noise, settings.noise_samples, settings.noise_form
    return objectives.noise_alignment(key, out, net.layout, *drawn)


def _weighted(settings: Uncle, forget: Array) -> Array:
    return objectives.unlearn_weights(settings.gamma, settings.noise)[0] * forget


@piece(static_argnums=(0, 1), donate_argnums=(2, 3))
def _step_unlearning(
    net: Network,
    settings: Uncle,
    phi: Phi,
    optimiser: Any,
    grad: Phi,
    elsewhere: Phi | None,
    losses: tuple[Array, Array],
    lr: Array | np.float32,
) -> tuple[Phi, Any, Array]:
    """(phi, optimiser) after a step along the gradients, and Equation 3's value before."""
    if elsewhere is not None:
        grad = jax.tree.map(jnp.add, grad, elsewhere)
    update, optimiser = net.shared_optimiser.update(grad, optimiser)
    of_forget, of_reg = objectives.unlearn_weights(settings.gamma, settings.noise)
    total = of_forget * losses[0] + of_reg * losses[1]
    return descend(phi, update, lr), optimiser, total


@piece(static_argnums=0)
def logits(net: Network, theta: Any, stats: Any, task: TaskInput, images: Array) -> Array:
    """[B, Y] of a generated network; minus infinity for classes that the task does not have."""
    x = normalise(images, task)
    raw = resnet.apply(net, theta, stats, x, train=False)[0]
    return mask_logits(raw, task)


@piece(static_argnums=0)
def calibrate(net: Network, theta: Any, stats: Any, task: TaskInput, images: Array) -> Any:
    """The norm statistics after one more batch at a theta that stands still."""
    return resnet.apply(net, theta, stats, normalise(images, task), train=True)[1]
