"""Representation: do a task's features, layer by layer, still tell its classes apart?

A linear classifier is trained on each layer's features (a probe, Alain & Bengio 2016), and features
are compared with those of other states by linear CKA (Kornblith et al. 2019). Zeroing a head, or
answering a constant, changes neither. Norm statistics are those of the batch, since the task's own
may be erased.

Shapes: N images, F features of a layer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jax import Array

from uncle_jax.config import Count, Settings
from uncle_jax.core.inputs import fit_images, normalise, task_input
from uncle_jax.errors import UncleError
from uncle_jax.evaluation.audit.target import Target, drawn
from uncle_jax.methods.protocol import Method
from uncle_jax.tasks import Data


@dataclass(frozen=True)
class Representation(Settings):
    """What is looked at."""

    most: Count = 1000  # images of a split, at most


Features = dict[str, np.ndarray]
"""{layer: [N, F]}, from the first to the last before the classifier."""


def features(method: Method, state: Any, target: Target, data: Data) -> Features:
    """What each layer of the task's network makes of `data`, means over positions.

    A layer is a part of the main module (`nn.Module.__call__` of its children), the last, which is
    the classifier, apart. Raises UncleError for a method that does not tell its network.
    """
    if method.main is None or method.network is None:
        raise UncleError(f"{method.name} does not tell its network, so its layers are not to see")
    module, shape = method.main
    x = normalise(fit_images(data.images, shape), task_input(target.spec, target.task, shape))
    params, stats = method.network(state, target.task)
    found = _children(module, params, stats, x)
    order = _order(module, params, stats, x)
    return {name: np.asarray(found[name]) for name in order[:-1]}


def some(data: Data, most: int) -> Data:
    """At most so many of the images, the same every time."""
    chosen = drawn(data, most)
    return Data(np.asarray(data.images)[chosen], np.asarray(data.labels)[chosen])


def probe(
    train: np.ndarray, train_labels: np.ndarray, test: np.ndarray, test_labels: np.ndarray
) -> float:
    """Test accuracy in per cent of a linear (ridge) classifier on features [N, F], standardised."""
    found = guesses(train, train_labels, test)
    return float("nan") if found is None else 100 * float(np.mean(found == test_labels))


def guesses(train: np.ndarray, train_labels: np.ndarray, test: np.ndarray) -> np.ndarray | None:
    """[N] the labels that such a classifier gives `test`; None where features are not finite."""
    from sklearn.linear_model import RidgeClassifier  # slow to import
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if not (np.isfinite(train).all() and np.isfinite(test).all()):
        return None
    fitted = make_pipeline(StandardScaler(), RidgeClassifier(alpha=1.0)).fit(train, train_labels)
    return np.asarray(fitted.predict(test))


def cka(a: np.ndarray, b: np.ndarray) -> float:
    """Linear CKA of features [N, F] and [N, G] of the same images: 1 if one is the other, turned.

    0 where either is constant.
    """
    a, b = (np.asarray(x, np.float64) - np.mean(x, axis=0, dtype=np.float64) for x in (a, b))
    both, own, other = (np.sum((x.T @ y) ** 2) for x, y in ((a, b), (a, a), (b, b)))
    return float(both / np.sqrt(own * other)) if own > 0 and other > 0 else 0.0


def measure(
    method: Method,
    state: Any,
    target: Target,
    others: Mapping[str, tuple[Method, Any]],
    settings: Representation,
) -> dict[str, list[Any]]:
    """{"layers": names, "probe": per cent of each, "cka NAME": of each with another state's}."""
    train, test = (some(data, settings.most) for data in (target.train, target.test))
    seen, asked = (features(method, state, target, data) for data in (train, test))
    told: dict[str, list[Any]] = {"layers": list(asked)}
    told["probe"] = [probe(seen[name], train.labels, asked[name], test.labels) for name in asked]
    for name, (theirs, other) in others.items():
        there = features(theirs, other, target, test)
        told[f"cka {name}"] = [cka(asked[layer], there[layer]) for layer in asked]
    return told


def variables(params: Any, stats: Any) -> dict[str, Any]:
    """A `TaskNetwork`, as its module takes it."""
    return {"params": params, **({"batch_stats": stats} if jax.tree.leaves(stats) else {})}


def _captured(module: nn.Module, called: list[str], params: Any, stats: Any, x: Array) -> Any:
    """What the module's children give for x, by name; `called` is told their order."""

    def child(one: nn.Module, function: str) -> bool:
        if function != "__call__" or len(one.path) != 1:
            return False
        called.append(one.path[0])
        return True

    mutable = ["intermediates", "batch_stats"]
    _, seen = module.apply(
        variables(params, stats), x, train=True, capture_intermediates=child, mutable=mutable
    )
    return seen["intermediates"]


@partial(jax.jit, static_argnums=0)
def _children(module: nn.Module, params: Any, stats: Any, x: Array) -> dict[str, Array]:
    seen = _captured(module, [], params, stats, x)
    values = {name: inside["__call__"][-1] for name, inside in seen.items()}
    return {name: v.mean(tuple(range(1, v.ndim - 1))) for name, v in values.items()}


def _order(module: nn.Module, params: Any, stats: Any, x: Array) -> list[str]:
    """The children's names as they are called, each once: its last call."""
    called: list[str] = []
    jax.eval_shape(partial(_captured, module, called), params, stats, x)
    return [name for i, name in enumerate(called) if name not in called[i + 1 :]]
