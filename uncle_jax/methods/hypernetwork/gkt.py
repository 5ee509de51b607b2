"""GKT-Hnet (Appendix F): a new hypernetwork learns from the old one on generated images alone."""

import dataclasses
from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from uncle_jax.config import Config
from uncle_jax.core import hypernet
from uncle_jax.core.loop import OnStep
from uncle_jax.core.state import CLState, snapshot
from uncle_jax.core.status import UNLEARNED, checked, describe
from uncle_jax.methods.hypernetwork.learner import hypernetwork
from uncle_jax.methods.multihead.gkt import (
    Generated,
    Generator,
    attention_transfer,
    generate,
    look,
    mean_kl,
    pseudo_batches,
)
from uncle_jax.methods.multihead.network import ABSENT, Model
from uncle_jax.methods.protocol import Method
from uncle_jax.tasks import InputSpec


@dataclass(frozen=True)
class GktHnet(Generated):
    """GKT's, on phi and embeddings; all of it inferred."""


class Student(NamedTuple):
    """The new learner and the generator it plays against."""

    weights: Any  # (phi, task embeddings [T, E], chunk embeddings [C, E])
    stats: Any  # tree of [T, ...]
    optimiser: Any
    generator: Any
    generator_optimiser: Any


def gkt_hnet(
    spec: InputSpec, n_tasks: int, config: Config | None = None, main_net: nn.Module | None = None,
    settings: GktHnet = GktHnet(),
) -> Method:  # fmt: skip
    """GKT on the hypernetwork: data-free; the forgotten task is never distilled."""
    config = config or Config()
    learner = hypernetwork(spec, n_tasks, config, main_net)
    net = learner.network
    generator = Generator(learner.network.shape, settings.generator_width or 2 * config.width)
    direction = optax.chain(
        optax.clip_by_global_norm(settings.clip_norm), optax.scale_by_adam()
    )  # fmt: skip
    n_classes = jnp.asarray([spec.task(task).n_classes for task in range(n_tasks)])

    def network(weights: Any, stats: Any, task: Array) -> Model:
        phi, task_emb, chunk_emb = weights
        theta = hypernet.generate(
            phi, task_emb[task], chunk_emb, net.layout, config.parametrisation
        )
        return Model(theta, jax.tree.map(lambda a: a[task], stats))

    def masked(logits: Array, task: Array) -> Array:
        return jnp.where(jnp.arange(logits.shape[-1]) < n_classes[task], logits, ABSENT)

    def compare(teacher: Model, student: Model, x: Array, task: Array) -> tuple[Array, Array, Any]:
        """(divergence, attention transfer, the student's norm statistics after)."""
        told, _, maps = look(net, teacher, x, train=False)
        found, stats, own = look(net, student, x, train=True)
        weights = jnp.ones(len(x))
        divergence = mean_kl(masked(told, task), masked(found, task), weights, n_classes[task])
        return divergence, attention_transfer(maps, own, weights), stats

    def moved(params: Any, grad: Any, optimiser: Any, lr: float) -> tuple[Any, Any]:
        update, optimiser = direction.update(grad, optimiser)
        return jax.tree.map(lambda p, u: p - lr * u, params, update), optimiser

    def kept(all_: Any, one: Any, task: Array) -> Any:
        return jax.tree.map(lambda a, b: a.at[task].set(b), all_, one)

    @jax.jit
    def worsen(carry: Student, teacher: Model, z: Array, task: Array) -> tuple[Student, Array]:
        def loss(made: Any) -> tuple[Array, Any]:
            x = generate(generator, made, z)
            student = network(carry.weights, carry.stats, task)
            divergence, _, stats = compare(teacher, student, x, task)
            return -divergence, stats

        (value, stats), grad = jax.value_and_grad(loss, has_aux=True)(carry.generator)
        made, optimiser = moved(
            carry.generator, grad, carry.generator_optimiser, settings.generator_lr
        )
        carry = carry._replace(
            stats=kept(carry.stats, stats, task), generator=made, generator_optimiser=optimiser
        )
        return carry, value

    @jax.jit
    def teach(carry: Student, teacher: Model, x: Array, task: Array) -> tuple[Student, Array]:
        def loss(weights: Any) -> tuple[Array, Any]:
            student = network(weights, carry.stats, task)
            divergence, transfer, stats = compare(teacher, student, x, task)
            return divergence + settings.beta_at * transfer, stats

        (value, stats), grad = jax.value_and_grad(loss, has_aux=True)(carry.weights)
        weights, optimiser = moved(carry.weights, grad, carry.optimiser, settings.student_lr)
        carry = carry._replace(
            weights=weights, stats=kept(carry.stats, stats, task), optimiser=optimiser
        )
        return carry, value

    @jax.jit
    def start(fresh: CLState, key: Array) -> Student:
        weights = (fresh.phi, fresh.task_emb, fresh.chunk_emb)
        made = generator.init(key, jnp.zeros((2, settings.latent)))["params"]
        optimisers = direction.init(weights), direction.init(made)
        return Student(weights, fresh.norm_stats, optimisers[0], made, optimisers[1])

    imagine = jax.jit(lambda made, z: generate(generator, made, z))
    teacher_of = jax.jit(network)

    def unlearn(
        state: CLState, task: int, /, *, on_step: OnStep | None = None
    ) -> CLState:  # fmt: skip
        task = checked(state, task, learned=True)
        retained = [t for t in describe(state)["learned"] if t != task]
        key, k_init, k_generator, k_task, k_z = jax.random.split(state.key, 5)
        carry = start(learner.method.init(k_init), k_generator)
        count = pseudo_batches(settings) if retained else 0
        each = settings.generator_iters + settings.student_iters
        before = (state.phi, state.task_emb, state.chunk_emb)
        chosen = np.asarray(jax.random.randint(k_task, (count,), 0, max(len(retained), 1)))
        for index, which in enumerate(chosen):
            t = np.int32(retained[which])
            teacher = teacher_of(before, state.norm_stats, t)
            z = jax.random.normal(
                jax.random.fold_in(k_z, index), (settings.batch, settings.latent)
            )  # fmt: skip
            images = None
            for number in range(each):
                if number < settings.generator_iters:
                    carry, loss = worsen(carry, teacher, z, t)
                else:
                    # The generator stands still from here on, so the images stay the same.
                    images = imagine(carry.generator, z) if images is None else images
                    carry, loss = teach(carry, teacher, images, t)
                if on_step:
                    on_step(index * each + number + 1, count * each, loss)
        phi, task_emb, chunk_emb = carry.weights
        return snapshot(
            dataclasses.replace(
                state,
                phi=phi,
                task_emb=task_emb,
                chunk_emb=chunk_emb,
                norm_stats=carry.stats,
                status=state.status.at[task].set(UNLEARNED),
                key=key,
                n_requests=state.n_requests + 1,
                n_unlearned=state.n_unlearned + 1,
            )
        )

    return learner.method._replace(
        name="gkt-hnet", unlearn=unlearn, settings=settings, iterations=None
    )
