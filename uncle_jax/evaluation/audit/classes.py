"""Classes that were unlearned of a retained task: how few images bring them back?

The task's network is trained on few images of each of its classes, those that are gone among them,
once as it is and once with their outputs laid flat (core/heads.py), whichever learns more; and a
linear classifier on its last features, with as few images and with all. Asked is how well it then
tells the classes that are gone, and the others: the mean of both accuracies, so that answering only
one kind is worth half. A network that was never shown the classes is the reference, for such images
teach it as well. Ours; a state of any method that tells its network.

Shapes: B batch, Y classes of a task.
"""

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from uncle_jax.config import Bound, Count, Positive, Settings
from uncle_jax.core import heads
from uncle_jax.core.inputs import TaskInput, fit_images, normalise, task_input
from uncle_jax.core.loop import descend
from uncle_jax.errors import UncleError
from uncle_jax.evaluation.audit import representation
from uncle_jax.evaluation.audit.target import Target
from uncle_jax.methods.protocol import Method, TaskNetwork
from uncle_jax.tasks import Data


@dataclass(frozen=True)
class ClassRelearning(Settings):
    """How the network is trained, and when it is asked."""

    examples: Annotated[tuple[int, ...], Bound(least=1)] = (1, 10)  # images of each class
    steps: Annotated[tuple[int, ...], Bound(least=1)] = (5, 20, 50)  # of Adam, on all of them
    lr: Positive = 1e-3
    most: Count = 1000  # images of a split for the linear classifier, at most


class Found(NamedTuple):
    """Balanced accuracy in per cent: the mean of that on what is gone, and on the rest."""

    few: np.ndarray  # [examples, steps]
    probe: np.ndarray  # [examples + 1] of a linear classifier on the last layer's features


def measure(
    method: Method, state: Any, target: Target, classes: Sequence[int], settings: ClassRelearning
) -> Found:
    """How well `classes` of the task come back. `target` has images of all of its classes."""
    assert method.main is not None
    assert method.network is not None
    module, shape = method.main
    train, test = target.train, representation.some(target.test, settings.most)
    given = task_input(target.spec, target.task, shape)
    network = method.network(state, target.task)
    tuned, x = _network(module, network, shape, target), _prepared(test.images, shape, given)
    few = []
    for count in settings.examples:
        shown = _of_each(train, count)
        batch = _prepared(shown.images, shape, given), jnp.asarray(shown.labels)
        rows = []
        for params in _starts(tuned, network.params, classes):
            now, done, row = _Tuning(params, optax.scale_by_adam().init(params)), 0, []
            for steps in sorted(settings.steps):
                for _ in range(steps - done):
                    now = _step(tuned, network.stats, np.float32(settings.lr), now, *batch)
                done, logits = steps, _answer(tuned, network.stats, now.params, x)
                row.append(balanced(np.asarray(logits), np.asarray(test.labels), classes))
            rows.append(row)
        few.append(np.max(rows, axis=0))
    probes = _probes(method, state, target._replace(test=test), classes, settings)
    return Found(np.array(few), np.array(probes))


def _prepared(images: Any, shape: tuple[int, int, int], given: TaskInput) -> Array:
    return normalise(fit_images(images, shape), given)


def balanced(logits: np.ndarray, labels: np.ndarray, classes: Sequence[int]) -> float:
    """The mean of accuracy on `classes` and on the others, in per cent; nan if either is absent."""
    right, gone = logits.argmax(-1) == labels, np.isin(labels, np.asarray(classes))
    if gone.all() or not gone.any() or not np.isfinite(logits).all():
        return float("nan")
    return 50 * float(right[gone].mean() + right[~gone].mean())


def _probes(
    method: Method, state: Any, target: Target, classes: Sequence[int], settings: ClassRelearning
) -> list[float]:
    train, test = representation.some(target.train, settings.most), target.test
    shown = [*(_of_each(target.train, count) for count in settings.examples), train]
    asked = list(representation.features(method, state, target, test).values())[-1]
    found = []
    for data in shown:
        seen = list(representation.features(method, state, target, data).values())[-1]
        guess = representation.guesses(seen, data.labels, asked)
        if guess is None:
            found.append(math.nan)
            continue
        answers = np.eye(target.spec.n_classes)[guess]
        found.append(balanced(answers, np.asarray(test.labels), classes))
    return found


class _Network(NamedTuple):
    """What is static of a network that is tuned."""

    module: nn.Module
    first: int  # of its outputs that are the task's: of a network with a head a task, its head's
    n: int  # of them
    width: int  # outputs in all


class _Tuning(NamedTuple):
    """What a step hands to the next."""

    params: Any
    optimiser: Any


def _network(
    module: nn.Module, network: TaskNetwork, shape: tuple[int, ...], target: Target
) -> _Network:
    variables = representation.variables(network.params, network.stats)
    out: Any = jax.eval_shape(partial(module.apply, train=False), variables, jnp.zeros((1, *shape)))
    spec, width = target.spec, int(out.shape[-1])
    first = target.task * spec.n_classes if width > spec.n_classes else 0
    return _Network(module, first, spec.task(target.task).n_classes, width)


def _of_each(data: Data, count: int) -> Data:
    """So many images of each class, the first ones."""
    labels = np.asarray(data.labels)
    index = np.concatenate([np.flatnonzero(labels == one)[:count] for one in np.unique(labels)])
    return Data(np.asarray(data.images)[index], labels[index])


def _starts(net: _Network, params: Any, classes: Sequence[int]) -> list[Any]:
    """The network as it is, and with the classes' outputs laid flat, if it has one head."""
    parts = heads.columns(net.width, net.first, net.n, classes)
    with suppress(UncleError):
        return [params, heads.without_classes(params, *parts)]
    return [params]


@partial(jax.jit, static_argnums=0)
def _step(
    net: _Network, stats: Any, lr: Array | np.float32, now: _Tuning, x: Array, labels: Array
) -> _Tuning:
    def loss(params: Any) -> Array:
        logits = _logits(net, stats, params, x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    update, optimiser = optax.scale_by_adam().update(jax.grad(loss)(now.params), now.optimiser)
    return _Tuning(descend(now.params, update, lr), optimiser)


@partial(jax.jit, static_argnums=0)
def _answer(net: _Network, stats: Any, params: Any, x: Array) -> Array:
    return _logits(net, stats, params, x)


def _logits(net: _Network, stats: Any, params: Any, x: Array) -> Array:
    out: Any = net.module.apply(representation.variables(params, stats), x, train=False)
    return out[:, net.first : net.first + net.n]
