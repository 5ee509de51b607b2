"""UnCLe: Algorithm 1 of the paper. This is unlearning, without data; learning is
hypernetwork/learner.py's."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np
from jax import Array

from uncle_jax.config import Config, Hypernetwork, Uncle
from uncle_jax.core import devices, steps
from uncle_jax.core.holding import hold
from uncle_jax.core.loop import Inflight, OnStep, cosine
from uncle_jax.core.network import Network
from uncle_jax.core.scanned import Step, powers, take
from uncle_jax.core.state import CLState, erase_task, snapshot
from uncle_jax.core.status import checked, checked_classes, describe, in_range, unlearned
from uncle_jax.methods.hypernetwork.learner import hypernetwork, settled
from uncle_jax.methods.protocol import Method, remembering
from uncle_jax.tasks import Data, InputSpec


@remembering
def uncle(
    spec: InputSpec,
    n_tasks: int,
    config: Config | None = None,
    main_net: nn.Module | None = None,
    settings: Uncle = Uncle(),
) -> Method:
    """UnCLe for up to `n_tasks` tasks of images like `spec`.

    `main_net`: any Linen module called as module(x, train=...) with spec.n_classes outputs; by
    default the one that `config.backbone` names. Weights are generated, so it needs none.
    """
    learner = hypernetwork(spec, n_tasks, config, main_net, settings)

    def unlearn(state: CLState, task: int, /, *, on_step: OnStep | None = None) -> CLState:
        task = checked(state, task, learned=True)
        if settings.noise == "discard":
            return _discard(learner.network, state, task)
        return _unlearn(learner.network, settings, state, task, on_step)

    def iterations(n_unlearned: int) -> int:
        return 0 if settings.noise == "discard" else burn_in_iterations(settings, n_unlearned)

    return learner.method._replace(name="uncle", unlearn=unlearn, iterations=iterations)


@remembering
def only_learning(
    spec: InputSpec,
    n_tasks: int,
    config: Config | None = None,
    main_net: nn.Module | None = None,
    settings: Hypernetwork = Hypernetwork(),
) -> Method:
    """UnCLe that answers no unlearning request: the reference of Table 3 and Figures 5 and 7.

    What it was to unlearn it has, so to learn that again changes nothing either.
    """
    learner = hypernetwork(spec, n_tasks, config, main_net, settings)

    def learn(
        state: CLState,
        task: int,
        data: Data,
        *,
        on_step: OnStep | None = None,
        inflight: Inflight | None = None,
    ) -> CLState:
        if in_range(state, task) in describe(state)["learned"]:
            return state
        return learner.method.learn(state, task, data, on_step=on_step, inflight=inflight)

    def unlearn(state: CLState, task: int, /, *, on_step: OnStep | None = None) -> CLState:
        del task, on_step
        return state

    def unlearn_classes(
        state: CLState, task: int, classes: Sequence[int], /, *, on_step: OnStep | None = None
    ) -> CLState:
        checked_classes(classes, spec.task(task).n_classes)
        return unlearn(state, task, on_step=on_step)

    return learner.method._replace(
        name="only-learning", learn=learn, unlearn=unlearn, unlearn_classes=unlearn_classes
    )


def burn_in_iterations(settings: Uncle, n_unlearned: int) -> int:
    """Iterations of the next unlearning: 100, 90, 81, 72, ... with a floor of 20 (Appendix C.2)."""
    iterations = settings.burn_in
    for _ in range(n_unlearned):
        iterations = int(settings.burn_in_decay * iterations)
    return max(iterations, min(settings.burn_in_floor, settings.burn_in))


class Iteration(NamedTuple):
    """What a burn-in's iterations differ by."""

    number: np.int32
    lr: np.float32


def unlearning_rates(settings: Uncle, iterations: int) -> list[float]:
    """The learning rate of each iteration of a burn-in, by `unlearn_schedule`."""
    if settings.unlearn_schedule == "constant":
        return [settings.unlearn_lr] * iterations
    return [cosine(settings.unlearn_lr, index, iterations) for index in range(iterations)]


def _unlearn(
    net: Network, settings: Uncle, state: CLState, task: int, on_step: OnStep | None
) -> CLState:
    key, k_emb, k_noise = jax.random.split(state.key, 3)
    state = erase_task(state, task, net.fresh)  # first, so that drift no longer holds the task
    k_search = jax.random.fold_in(k_emb, 1)
    place = devices.place(net)
    wide, spread = place.net, place.out(state)
    carry, forgotten = steps.start_unlearning(wide, settings, spread, task, k_search)
    carry, held = place.out(carry), hold(wide, spread, unlearning=True)
    iterations = burn_in_iterations(settings, int(state.n_unlearned))
    step = Step(_step, (wide, settings), (forgotten, held, k_noise))
    rates = unlearning_rates(settings, iterations)
    each = [Iteration(np.int32(index), np.float32(lr)) for index, lr in enumerate(rates)]
    carry = take(step, carry, each, powers(iterations), on_step)
    task_emb = state.task_emb
    if settings.embedding_after == "redraw":
        task_emb = task_emb.at[task].set(jax.random.normal(k_emb, (net.hyper.embedding,)))
    phi = settled(net, state, place.home(carry.phi), state.chunk_emb)
    return snapshot(unlearned(state, task, key, phi=phi, task_emb=task_emb))


def _step(static: Any, carry: Any, given: Any, x: Iteration) -> tuple[Any, Array]:
    (net, settings), (forgotten, held, key) = static, given
    key = jax.random.fold_in(key, x.number)
    carry, losses = steps.unlearn(net, settings, carry, forgotten, held, key, x.lr)
    return carry, losses.total


def _discard(net: Network, state: CLState, task: int) -> CLState:
    """`noise=discard`: e_f is replaced by a random embedding (Appendix E), and nothing else.

    Its norm statistics stay, since whoever asks for the task still has the network they belong to.
    """
    key, k_emb, _ = jax.random.split(state.key, 3)
    emb = jax.random.normal(k_emb, (net.hyper.embedding,))
    return snapshot(unlearned(state, task, key, task_emb=state.task_emb.at[task].set(emb)))
