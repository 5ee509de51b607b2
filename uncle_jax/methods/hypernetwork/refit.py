"""Refit: unlearning by a hypernetwork drawn anew, fitted to the retained tasks' networks. Ours.

UnCLe's noise moves one point of the hypernetwork, and the task's network stays reachable from
others. Here nothing of the old hypernetwork is left: the state afterwards is made of the retained
tasks' networks and a key, and of nothing else. A network that is learned on a hypernetwork takes
over from those that it generates already, and keeps that (`inherit`). So each task is learned on
one of its own, drawn anew, before one is fitted to all: no network holds anything of another task.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from uncle_jax.config import Config, Count, Hypernetwork, Positive
from uncle_jax.core import refit as fits
from uncle_jax.core import status, steps
from uncle_jax.core.layout import Kind
from uncle_jax.core.loop import Inflight, OnStep, cosine, part_of, steps_per_epoch
from uncle_jax.core.network import Network
from uncle_jax.core.state import CLState, erase_task, snapshot, stats_of, with_row
from uncle_jax.core.status import checked, describe, learned, unlearned
from uncle_jax.methods.hypernetwork.learner import hypernetwork, without_classes
from uncle_jax.methods.protocol import Method, Past, remembering
from uncle_jax.tasks import Data, InputSpec, as_data


@dataclass(frozen=True)
class Refit(Hypernetwork):
    """What unlearning by a new hypernetwork adds; all inferred."""

    refit_steps: Count = 100  # then the heads are solved for
    refit_lr: Positive = 3e-3  # Adam's at first, falling to 0 by a cosine
    inherit: bool = False  # learn on the hypernetwork of the others, as UnCLe

    @property
    def learning(self) -> "Refit | None":
        """What else than the hypernetwork's settings decides a learned state."""
        return None if self.inherit else self


@remembering
def refit(
    spec: InputSpec,
    n_tasks: int,
    config: Config | None = None,
    main_net: nn.Module | None = None,
    settings: Refit = Refit(),
) -> Method:
    """UnCLe's learner, whose hypernetwork is drawn anew when a task is unlearned; reads nothing."""
    config = config or Config()
    learner = hypernetwork(spec, n_tasks, config, main_net, settings)
    net = learner.network

    def unlearn(state: CLState, task: int, /, *, on_step: OnStep | None = None) -> CLState:
        task = checked(state, task, learned=True)
        key, k_fit = jax.random.split(state.key)
        state = erase_task(state, task, net.fresh)
        kept = describe(state)["learned"]
        out = _generated(net, state, kept)
        new = _refitted(net, settings, n_tasks, kept, out, k_fit, on_step)
        return snapshot(unlearned(state, task, key, **new))

    def learn_apart(
        state: CLState,
        task: int,
        data: Data,
        *,
        on_step: OnStep | None = None,
        inflight: Inflight | None = None,
    ) -> CLState:
        """`task` on a hypernetwork of its own, then one for it and those that are retained."""
        task = checked(state, task, learned=False)
        data = as_data(data, spec, f"task {task}", task)
        key, k_own, k_fit = jax.random.split(state.key, 3)
        first = config.epochs * steps_per_epoch(len(data.labels), config.batch_size)
        total = first + settings.refit_steps
        own = learner.method.learn(
            steps.init(net, n_tasks, k_own),
            task,
            data,
            on_step=part_of(on_step, 0, total),
            inflight=inflight,
        )
        kept = describe(state)["learned"]
        theirs, its = _generated(net, state, kept), _generated(net, own, [task])
        out = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), theirs, its)
        tell = part_of(on_step, first, total)
        new = _refitted(net, settings, n_tasks, [*kept, task], out, k_fit, tell)
        stats = with_row(state.norm_stats, task, stats_of(own, task))
        return snapshot(learned(state, task, key, norm_stats=stats, **new))

    def unlearn_classes(
        state: CLState,
        task: int,
        classes: Sequence[int],
        past: Past | None = None,
        /,
        *,
        on_step: OnStep | None = None,
    ) -> CLState:
        del past  # it reads nothing
        kept, out = without_classes(net, spec, state, task, classes)
        key, k_fit = jax.random.split(state.key)
        new = _refitted(net, settings, n_tasks, kept, out, k_fit, on_step)
        return snapshot(status.without_classes(state, key, **new))

    return learner.method._replace(
        name="refit",
        unlearn_classes=unlearn_classes,
        learn=learner.method.learn if settings.inherit else learn_apart,
        onward=learner.method.learn,
        unlearn=unlearn,
        settings=settings,
        iterations=lambda n: settings.refit_steps,
    )


def _generated(net: Network, state: CLState, tasks: Sequence[int]) -> dict[Kind, Array]:
    """{kind: [N, W, C]} the networks of `tasks`."""
    emb = state.task_emb[jnp.asarray(tasks, int)]
    return fits.networks(net, state.phi, emb, state.chunk_emb)


def _refitted(
    net: Network,
    settings: Refit,
    n_tasks: int,
    tasks: Sequence[int],
    out: dict[Kind, Array],
    key: Array,
    on_step: OnStep | None,
) -> dict[str, Any]:
    """phi and all embeddings, drawn from `key` and fitted to the networks {kind: [N, W, C]}.

    They are those of `tasks`; all other task embeddings are as drawn. Without tasks nothing is
    fitted.
    """
    fresh = steps.init(net, n_tasks, key)
    if not tasks:
        return {"phi": fresh.phi, "task_emb": fresh.task_emb, "chunk_emb": fresh.chunk_emb}
    n, emb = len(tasks), fits.filled(fresh.task_emb[jnp.asarray(tasks)])
    to = fits.targets(out, len(emb))
    carry = fits.start(fresh.phi, emb, fresh.chunk_emb)
    for index in range(settings.refit_steps):
        lr = np.float32(cosine(settings.refit_lr, index, settings.refit_steps))
        carry, loss = fits.step(net, carry, to, lr)
        if on_step:
            on_step(index + 1, settings.refit_steps, loss)
    task_emb = fresh.task_emb.at[jnp.asarray(tasks)].set(carry.emb[:n])
    phi = fits.solve(net, carry, to)
    return {"phi": phi, "task_emb": task_emb, "chunk_emb": carry.chunk_emb}
