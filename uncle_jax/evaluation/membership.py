"""MIA: whether a classifier tells a task's training images from its test images by their outputs.

The attack of SalUn's code, which the paper reports: support vector machines on one feature of the
softmax each, trained on retained tasks (training images are members, test images are not) and asked
about the forgotten task. 50 is no better than a guess, and any answer that is constant gives
exactly that: it says nothing of what a network holds.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from uncle_jax.evaluation.uniformity import softmax

if TYPE_CHECKING:  # it imports jax, and tables need the names of the features
    from uncle_jax.methods.protocol import Method
    from uncle_jax.tasks import Data

PER_TASK = 500  # images of each retained task and split, at most (authors' code)
FEATURES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "correctness": lambda p, y: (p.argmax(axis=-1) == y)[:, None].astype(np.float32),
    "confidence": lambda p, y: p[np.arange(len(y)), y][:, None],
    "entropy": lambda p, y: -np.sum(p * np.log(np.maximum(p, 1e-30)), axis=-1, keepdims=True),
    "probability": lambda p, y: p,
}
"""{name: probabilities [B, Y], labels [B] -> [B, features]}."""

Outputs = tuple[np.ndarray, np.ndarray]  # probabilities [B, Y], labels [B]


def membership(
    members: Outputs, others: Outputs, targets: Outputs, unseen: Outputs
) -> dict[str, float]:
    """{feature: accuracy in per cent} of attacks trained on `members` against `others`.

    The mean of two shares: of `targets` (images that were trained on) that are called members, and
    of `unseen` (the same task's test images) that are not. nan where a probability is.
    """
    from sklearn.svm import SVC  # slow to import

    every = (members, others, targets, unseen)
    if not all(np.isfinite(probabilities).all() for probabilities, _ in every):
        return dict.fromkeys(FEATURES, float("nan"))  # the largest of nan is class 0: no answer
    found = {}
    for name, feature in FEATURES.items():
        yes, no, asked, never = (feature(*each) for each in every)
        labels = np.repeat([1, 0], [len(yes), len(no)])
        attack = SVC(C=3, kernel="rbf", gamma="auto").fit(np.concatenate([yes, no]), labels)
        hits = np.mean(attack.predict(asked) == 1), np.mean(attack.predict(never) == 0)
        found[name] = 100 * float(np.mean(hits))
    return found


def measure(
    method: "Method",
    state: Any,
    task: int,
    retained: Sequence[int],
    load: "Callable[[int, str], Data]",
) -> Mapping[str, float]:
    """{"MIA_<feature>": per cent} of a task that `state` has unlearned; {} if none is retained.

    `load(task, split)`: its data. Of a retained task the images are drawn the same every time.
    """
    if not retained:
        return {}

    def outputs(t: int, split: str, most: int | None = None) -> Outputs:
        images, labels = load(t, split)
        labels = np.asarray(labels)
        chosen = np.arange(len(labels))
        if most is not None and len(chosen) > most:
            chosen = np.sort(np.random.default_rng(t).permutation(len(labels))[:most])
        logits = np.asarray(method.logits(state, t, np.asarray(images)[chosen]))
        return softmax(logits), labels[chosen]

    def of_all(split: str) -> Outputs:
        probabilities, labels = zip(*(outputs(t, split, PER_TASK) for t in retained), strict=True)
        return np.concatenate(probabilities), np.concatenate(labels)

    found = membership(
        of_all("train"), of_all("test"), outputs(task, "train"), outputs(task, "test")
    )
    return {f"MIA_{name}": value for name, value in found.items()}
