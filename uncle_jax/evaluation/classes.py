"""Classes that were unlearned of a task which is retained: what its network still knows of them."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from uncle_jax.requests import Request
from uncle_jax.tasks import Data, only_classes, without_classes

if TYPE_CHECKING:  # metrics, which tables compute without jax, have the names
    from uncle_jax.data.benchmark import Benchmark
    from uncle_jax.methods.protocol import Method

AFTER = "class_{}:{}"  # task, class
BEFORE, REST_BEFORE, REST = "class_before", "rest_before", "rest"


def measure(
    method: "Method", state: Any, benchmark: "Benchmark", lacking: Mapping[int, Sequence[int]]
) -> dict[str, float]:
    """{"class_3:7": per cent of the test images of task 3's class 7 that its network calls so}.

    Of a network that was never shown the class it is near 0, not near chance.
    """
    found = dict[str, float]()
    for task, classes in lacking.items():
        test = benchmark.load(task, "test")
        for one in classes:
            found[AFTER.format(task, one)] = accuracy_of(method, state, task, test, [one])
    return found


def before(method: "Method", state: Any, request: Request, test: Data) -> dict[str, float]:
    """Accuracy on the classes that `request` unlearns, and on its task's others, just before it.

    `test` has the test images of all of them.
    """
    task, gone = request.task, request.classes
    return {
        BEFORE: accuracy_of(method, state, task, test, gone),
        REST_BEFORE: _accuracy(method, state, task, without_classes(test, gone)),
    }


def accuracy_of(
    method: "Method", state: Any, task: int, test: Data, classes: Sequence[int]
) -> float:
    """Accuracy in per cent on the images of some classes of `test`; nan if there is none."""
    return _accuracy(method, state, task, only_classes(test, classes))


def _accuracy(method: "Method", state: Any, task: int, data: Data) -> float:
    from uncle_jax.evaluation.accuracy import evaluate

    return evaluate(method, state, task, data) if len(data.labels) else math.nan
