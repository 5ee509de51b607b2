"""GKT-Hnet (Appendix F): a new hypernetwork learns from the old one on generated images alone."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from uncle_jax.config import Config, Hypernetwork
from uncle_jax.core.loop import OnStep, descend, part_of
from uncle_jax.core.network import Network
from uncle_jax.core.pieces import piece
from uncle_jax.core.state import CLState, snapshot
from uncle_jax.core.status import checked, describe, unlearned
from uncle_jax.core.steps import generate
from uncle_jax.methods.hypernetwork.learner import hypernetwork
from uncle_jax.methods.multihead import gkt
from uncle_jax.methods.multihead.gkt import Generated
from uncle_jax.methods.multihead.network import ABSENT, Model
from uncle_jax.methods.protocol import Method, remembering
from uncle_jax.tasks import InputSpec


@dataclass(frozen=True)
class GktHnet(Generated, Hypernetwork):
    """GKT's, on phi and embeddings; all of it inferred."""


class Student(NamedTuple):
    """The new learner and the generator it plays against; donated from step to step."""

    weights: Any  # (phi, task embeddings [T, E], chunk embeddings [C, E])
    stats: Any  # tree of [T, ...]
    optimiser: Any
    generator: Any
    generator_optimiser: Any


class Lesson(NamedTuple):
    """What a pseudo-batch is about: one retained task, as the old learner has it."""

    teacher: Model
    task: Any  # int32
    n_classes: Any  # int32


@remembering
def gkt_hnet(
    spec: InputSpec,
    n_tasks: int,
    config: Config | None = None,
    main_net: nn.Module | None = None,
    settings: GktHnet = GktHnet(),
) -> Method:
    """GKT on the hypernetwork: data-free; the forgotten task is never distilled."""
    learner = hypernetwork(spec, n_tasks, config, main_net, settings)
    net = learner.network

    def unlearn(state: CLState, task: int, /, *, on_step: OnStep | None = None) -> CLState:
        task = checked(state, task, learned=True)
        retained = [t for t in describe(state)["learned"] if t != task]
        key, k_init, k_generator, k_task, k_z = jax.random.split(state.key, 5)
        student = start(net, settings, learner.method.init(k_init), k_generator)
        count = gkt.pseudo_batches(settings) if retained else 0
        before = (state.phi, state.task_emb, state.chunk_emb)
        chosen = np.asarray(jax.random.randint(k_task, (count,), 0, max(len(retained), 1)))
        each = settings.generator_iters + settings.student_iters
        for index, which in enumerate(chosen):
            t = np.int32(retained[which])
            teacher = network_of(net, before, state.norm_stats, t)
            lesson = Lesson(teacher, t, np.int32(spec.task(int(t)).n_classes))
            k_batch = jax.random.fold_in(k_z, index)
            tell = part_of(on_step, index * each, count * each)
            student = _pseudo_batch(net, settings, student, lesson, k_batch, tell)
        phi, task_emb, chunk_emb = student.weights
        after = unlearned(
            state,
            task,
            key,
            phi=phi,
            task_emb=task_emb,
            chunk_emb=chunk_emb,
            norm_stats=student.stats,
        )
        return snapshot(after)

    return learner.method._replace(
        name="gkt-hnet",
        unlearn=unlearn,
        unlearn_classes=None,
        settings=settings,
        iterations=None,
    )


def _pseudo_batch(
    net: Network,
    settings: GktHnet,
    student: Student,
    lesson: Lesson,
    key: Array,
    on_step: OnStep | None,
) -> Student:
    """`student` after a pseudo-batch, drawn from `key`: the generator's steps, then its own."""
    z = jax.random.normal(key, (settings.batch, settings.latent))
    each, images = settings.generator_iters + settings.student_iters, None
    for number in range(each):
        if number < settings.generator_iters:
            student, loss = step_generator(net, settings, student, lesson, z)
        else:
            # The generator stands still from here on, so the images stay the same.
            if images is None:
                images = gkt.imagine(gkt.generator_of(net, settings), student.generator, z)
            student, loss = step_student(net, settings, student, lesson, images)
        if on_step:
            on_step(number + 1, each, loss)
    return student


@piece(static_argnums=(0, 1))
def start(net: Network, settings: GktHnet, fresh: CLState, key: Array) -> Student:
    """A new learner, as `fresh` has it, and a new generator."""
    weights = jax.tree.map(jnp.copy, (fresh.phi, fresh.task_emb, fresh.chunk_emb))
    z, adam = jnp.zeros((2, settings.latent)), gkt.direction(settings)
    made = gkt.generator_of(net, settings).init(key, z)["params"]
    stats = jax.tree.map(jnp.copy, fresh.norm_stats)
    return Student(weights, stats, adam.init(weights), made, adam.init(made))


@piece(static_argnums=0)
def network_of(net: Network, weights: Any, stats: Any, task: Array) -> Model:
    """The network that (phi, task embeddings, chunk embeddings) generate for `task`."""
    phi, task_emb, chunk_emb = weights
    theta = generate(net, phi, task_emb[task], chunk_emb)
    return Model(theta, jax.tree.map(lambda a: a[task], stats))


@piece(static_argnums=(0, 1), donate_argnums=2)
def step_generator(
    net: Network, settings: GktHnet, carry: Student, lesson: Lesson, z: Array
) -> tuple[Student, Array]:
    """A step of the generator, which makes the student worse: (carry after, loss)."""

    def loss(made: Any) -> tuple[Array, Any]:
        x = gkt.generate(gkt.generator_of(net, settings), made, z)
        student = network_of(net, carry.weights, carry.stats, lesson.task)
        divergence, _, stats = _compare(net, lesson, student, x)
        return -divergence, stats

    (value, stats), grad = jax.value_and_grad(loss, has_aux=True)(carry.generator)
    update, optimiser = gkt.direction(settings).update(grad, carry.generator_optimiser)
    made = descend(carry.generator, update, settings.generator_lr)
    stats = _kept(carry.stats, stats, lesson.task)
    return carry._replace(stats=stats, generator=made, generator_optimiser=optimiser), value


@piece(static_argnums=(0, 1), donate_argnums=2)
def step_student(
    net: Network, settings: GktHnet, carry: Student, lesson: Lesson, x: Array
) -> tuple[Student, Array]:
    """A step of the new learner on images x: (carry after, loss)."""

    def loss(weights: Any) -> tuple[Array, Any]:
        student = network_of(net, weights, carry.stats, lesson.task)
        divergence, transfer, stats = _compare(net, lesson, student, x)
        return divergence + settings.beta_at * transfer, stats

    (value, stats), grad = jax.value_and_grad(loss, has_aux=True)(carry.weights)
    update, optimiser = gkt.direction(settings).update(grad, carry.optimiser)
    weights = descend(carry.weights, update, settings.student_lr)
    stats = _kept(carry.stats, stats, lesson.task)
    return carry._replace(weights=weights, stats=stats, optimiser=optimiser), value


def _compare(net: Network, lesson: Lesson, student: Model, x: Array) -> tuple[Array, Array, Any]:
    """(divergence, attention transfer, the student's norm statistics after)."""

    def masked(logits: Array) -> Array:
        return jnp.where(jnp.arange(logits.shape[-1]) < lesson.n_classes, logits, ABSENT)

    wanted, _, wanted_maps = gkt.look(net, lesson.teacher, x, train=False)
    logits, stats, maps = gkt.look(net, student, x, train=True)
    weights = jnp.ones(len(x))
    divergence = gkt.mean_kl(masked(wanted), masked(logits), weights, lesson.n_classes)
    return divergence, gkt.attention_transfer(wanted_maps, maps, weights), stats


def _kept(stacked: Any, one: Any, task: Array) -> Any:
    return jax.tree.map(lambda a, b: a.at[task].set(b), stacked, one)
