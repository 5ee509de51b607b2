"""What a run of requests is worth: RA, FA, spill and relapse, from accuracies alone.

`accuracy[i][t]` is task t's test accuracy in per cent after request i; tasks not seen by then are
absent. All four metrics are in percentage points. Undefined ones (no such task) are nan.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from uncle_jax.requests import Request, forgotten, retained

Accuracy = Sequence[Mapping[int, float]]


def retain_accuracy(requests: Sequence[Request], accuracy: Accuracy) -> float:
    """RA: mean final accuracy of the retained tasks; higher is better (Section 6.1)."""
    return _mean([accuracy[-1][task] for task in retained(requests)])


def forget_accuracy(requests: Sequence[Request], accuracy: Accuracy) -> float:
    """FA: mean final accuracy of the unlearned tasks; best at chance (Section 6.1)."""
    return _mean([accuracy[-1][task] for task in forgotten(requests)])


def spill(requests: Sequence[Request], accuracy: Accuracy) -> float:
    """Spill as Table 2 reports it: |change| at U, mean over retained tasks, then over U.

    Lower is better. Unlearnings that leave no task retained count for nothing. (Equation 4 sums
    over tasks, see `spill_sum`; only the mean fits the paper's numbers.)
    """
    return _mean([_mean(changes) for changes in _spills(requests, accuracy) if changes])


def spill_sum(requests: Sequence[Request], accuracy: Accuracy) -> float:
    """Spill as Equation 4 writes it: summed over retained tasks, mean over U. Lower is better."""
    return _mean([sum(changes) for changes in _spills(requests, accuracy) if changes])


def relapse(requests: Sequence[Request], accuracy: Accuracy) -> float:
    """Relapse, Equation 5: |accuracy right after U - at the end|, mean over unlearned tasks.

    Lower is better. A task that was learned again is not counted.
    """
    return _mean([abs(change) for change in _relapses(requests, accuracy)])


def relapse_signed(requests: Sequence[Request], accuracy: Accuracy) -> float:
    """Relapse with its sign: positive where the task's accuracy came back, mean over tasks."""
    return _mean(_relapses(requests, accuracy))


METRICS = {
    "RA": retain_accuracy,
    "FA": forget_accuracy,
    "spill": spill,
    "spill_sum": spill_sum,
    "relapse": relapse,
    "relapse_signed": relapse_signed,
}


def all_metrics(requests: Sequence[Request], accuracy: Accuracy) -> dict[str, float]:
    """Every metric of METRICS for one run."""
    return {name: metric(requests, accuracy) for name, metric in METRICS.items()}


def _spills(requests: Sequence[Request], accuracy: Accuracy) -> list[list[float]]:
    """For each unlearning, the absolute changes of the tasks retained through it."""
    spills = []
    for i, (op, _) in enumerate(requests):
        if op == "U":
            kept = retained(requests[: i + 1])
            spills.append([abs(accuracy[i][task] - accuracy[i - 1][task]) for task in kept])
    return spills


def _relapses(requests: Sequence[Request], accuracy: Accuracy) -> list[float]:
    """Final accuracy minus that right after the last unlearning, for each forgotten task."""
    at = {task: i for i, (op, task) in enumerate(requests) if op == "U"}
    return [accuracy[-1][task] - accuracy[at[task]][task] for task in forgotten(requests)]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
