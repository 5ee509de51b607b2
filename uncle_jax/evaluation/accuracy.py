"""Accuracy of a task's network, and what guessing would reach."""

import math
from typing import Any

import numpy as np

from uncle_jax.errors import UncleError
from uncle_jax.methods.protocol import Method
from uncle_jax.tasks import Data, as_array, check_labels


def evaluate(method: Method, state: Any, task: int, data: Data | tuple[Any, Any]) -> float:
    """Accuracy, in per cent, of `task`'s network on labelled images: what `learn` takes will do.

    nan if any logit is nan or infinite (minus infinity apart, of classes that the task does not
    have): the largest of such logits is no prediction. Raises UncleError for images that do not
    fit the method, and for labels that `learn` would refuse.
    """
    images, labels = data
    labels = np.asarray(as_array(labels, f"task {task}"))
    check_labels(images, labels, f"task {task}")
    logits = np.asarray(method.logits(state, task, images))
    n = 1 + int(np.flatnonzero(np.any(logits != -np.inf, axis=0)).max(initial=0))
    if labels.min() < 0 or labels.max() >= n:
        run = f"labels run from {labels.min()} to {labels.max()}"
        raise UncleError(f"task {task}: {run} (0 to {n - 1})")
    if not np.all(np.isfinite(logits.max(axis=-1, initial=-np.inf))):
        return math.nan
    return 100 * float(np.mean(np.argmax(logits, axis=-1) == labels))


def chance(data: Data) -> float:
    """The accuracy in per cent that guessing stays under: the best constant answer's, plus 3 sigma.

    sigma is the binomial standard deviation for as many images.
    """
    labels = np.asarray(data.labels)
    p = float(np.bincount(labels).max()) / len(labels)
    return 100 * min(1.0, p + 3 * math.sqrt(p * (1 - p) / len(labels)))
