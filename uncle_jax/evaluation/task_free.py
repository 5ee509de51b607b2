"""Whose task is it? Prediction without a task id, by the retained network that is surest.

Each image goes through every retained task's network; the answer of lowest entropy is taken
(Wortsman et al. 2020 and von Oswald et al. 2020 infer the task so, "HNET+ENT"). Entropy is relative
to that of a guess among the task's classes, so that tasks of few classes have no advantage.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from uncle_jax.evaluation.uniformity import softmax

if TYPE_CHECKING:  # metrics, which tables compute without jax, have the names
    from uncle_jax.methods.protocol import Method
    from uncle_jax.tasks import Data

TASK_FREE = ("TF_accuracy", "TF_task", "TF_sure", "TF_sure_gone")


class Guess(NamedTuple):
    """What images get, without anybody saying whose they are."""

    task: np.ndarray  # [N]
    label: np.ndarray  # [N] of that task's classes
    entropy: np.ndarray  # [N] of that answer, relative to a uniform one's: 0 is sure, 1 a guess


def guess(method: "Method", state: Any, tasks: Sequence[int], images: Any) -> Guess:
    """The surest answer of `tasks`' networks to images [N, H, W, D]."""
    found = [_answer(np.asarray(method.logits(state, task, images))) for task in tasks]
    labels, entropies = (np.stack(parts) for parts in zip(*found, strict=True))  # [T, N]
    surest, n = np.argmin(entropies, axis=0), np.arange(len(images))
    return Guess(np.asarray(tasks)[surest], labels[surest, n], entropies[surest, n])


def _answer(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    p = softmax(logits[:, ~np.all(logits == -np.inf, axis=0)])
    entropy = -np.sum(p * np.log(np.maximum(p, np.finfo(np.float32).tiny)), axis=-1)
    entropy = entropy / np.log(max(p.shape[-1], 2))
    # nan: an answer that is none is the least sure
    return np.argmax(p, axis=-1), np.where(np.isfinite(entropy), entropy, np.inf)


def measure(
    method: "Method", state: Any, kept: Sequence[int], tests: "Mapping[int, Data]"
) -> dict[str, float]:
    """In per cent, means over tasks; {} where nothing is retained.

    TF_accuracy: retained tasks' images whose task and class are found. TF_task: whose task is.
    TF_sure: 100 less the relative entropy of the answers to them; TF_sure_gone: of those to
    unlearned tasks' images, which somebody answers too.
    """
    if not kept:
        return {}
    found = {task: guess(method, state, kept, data.images) for task, data in tests.items()}
    whole, right, sure, gone = [], [], [], []
    for task, (whose, label, entropy) in found.items():
        if task in kept:
            right.append(np.mean(whose == task))
            whole.append(np.mean((whose == task) & (label == np.asarray(tests[task].labels))))
        (sure if task in kept else gone).append(1 - np.mean(entropy))
    told = dict(zip(TASK_FREE, (whole, right, sure, gone), strict=True))
    return {name: 100 * float(np.mean(values)) for name, values in told.items() if values}
