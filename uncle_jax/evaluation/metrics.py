"""What a run of requests is worth, from accuracies and from what else was measured after each.

`accuracy[i][t]` is task t's test accuracy in per cent after request i; tasks not seen by then are
absent. What is made of it is in percentage points. `measured[i]` has what else is known of request
i, by name (`Measured`). Undefined metrics (no such task, or not measured) are nan.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from uncle_jax.evaluation.classes import AFTER, REST, REST_BEFORE
from uncle_jax.evaluation.membership import FEATURES
from uncle_jax.evaluation.task_free import TASK_FREE
from uncle_jax.requests import Request, forgotten, lacking, retained

Accuracy = Sequence[Mapping[int, float]]


def retain_accuracy(requests: Sequence[Request], accuracy: Accuracy) -> float:
    """RA: mean final accuracy of the retained tasks; higher is better (Section 6.1)."""
    return _mean([accuracy[-1][task] for task in retained(requests)])


def forget_accuracy(requests: Sequence[Request], accuracy: Accuracy) -> float:
    """FA: mean final accuracy of the unlearned tasks; best at chance (Section 6.1)."""
    return _mean([accuracy[-1][task] for task in forgotten(requests)])


def spill(requests: Sequence[Request], accuracy: Accuracy) -> float:
    """Spill as Table 2 reports it: |change| at U, mean over retained tasks, then over U.

    Lower is better. Unlearnings that leave no other task retained count for nothing. (Equation 4
    sums over tasks, see `spill_sum`; only the mean fits the paper's numbers.)
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


def erosion(requests: Sequence[Request], accuracy: Accuracy) -> float:
    """Erosion: accuracy right after learning - at the end, mean over retained tasks.

    Lower is better. Spill counts what unlearning does to them; this counts what everything did. Of
    a task that lost classes it is what came after that.
    """
    return _mean(_erosions(requests, accuracy))


def erosion_worst(requests: Sequence[Request], accuracy: Accuracy) -> float:
    """The largest erosion of a retained task."""
    return max(_erosions(requests, accuracy), default=float("nan"))


def retain_worst(requests: Sequence[Request], accuracy: Accuracy) -> float:
    """The lowest final accuracy of a retained task, which RA hides."""
    return min((accuracy[-1][task] for task in retained(requests)), default=float("nan"))


def fall_worst(requests: Sequence[Request], accuracy: Accuracy) -> float:
    """The most that a task lost, at any time while it was retained, of what it had once learned.

    Lower is better. Erosion looks at the end alone, where a stream may have unlearned the task.
    """
    falls = [accuracy[start][t] - accuracy[i][t] for t, start, i in _while(requests, "LC")]
    return max(falls, default=float("nan"))


def reversal(requests: Sequence[Request], accuracy: Accuracy) -> float:
    """The most that came back of an unlearned task until it was learned again, mean over U.

    Lower is better; 0 where nothing rose. Relapse looks at the end alone. After SAFER's (2026)
    "forgetting reversal"; this definition is ours.
    """
    return _mean([*_reversals(requests, accuracy).values()])


def reversal_worst(requests: Sequence[Request], accuracy: Accuracy) -> float:
    """The most that came back after any unlearning."""
    return max(_reversals(requests, accuracy).values(), default=float("nan"))


def fallen(
    requests: Sequence[Request], accuracy: Accuracy, points: float
) -> dict[int, tuple[float, float]]:
    """{task: (accuracy once learned, accuracy now)} of what is retained and lost `points` or more.

    A task that was not measured then, or is not now, is left out.
    """
    at = _learned_at(requests)
    both = {t: (accuracy[at[t]].get(t), accuracy[-1].get(t)) for t in retained(requests)}
    known = {t: (a, b) for t, (a, b) in both.items() if a is not None and b is not None}
    return {t: (then, now) for t, (then, now) in known.items() if then - now >= points}


def backward_transfer(requests: Sequence[Request], accuracy: Accuracy) -> float:
    """BWT: accuracy at the end - right after learning, mean over retained tasks but the latest.

    Higher is better. Lopez-Paz and Ranzato 2017, Equation 3, on the tasks that are retained.
    """
    learned_at = _learned_at(requests)
    kept = sorted(retained(requests), key=lambda task: learned_at[task])[:-1]
    return _mean([accuracy[-1][task] - accuracy[learned_at[task]][task] for task in kept])


METRICS = {
    "RA": retain_accuracy,
    "FA": forget_accuracy,
    "spill": spill,
    "spill_sum": spill_sum,
    "relapse": relapse,
    "relapse_signed": relapse_signed,
    "erosion": erosion,
    "erosion_worst": erosion_worst,
    "RA_worst": retain_worst,
    "fall_worst": fall_worst,
    "reversal": reversal,
    "reversal_worst": reversal_worst,
    "BWT": backward_transfer,
}

Measured = Sequence[Mapping[str, float]]
"""Of each request, what there is of: UNI (of the task just unlearned), before (accuracy in per cent
of the task just before it was learned), guess (what a guess is worth on it), kept_bytes (of the
state afterwards), phi_norm (the L2 norm of phi afterwards, of a hypernetwork), read_bytes (of the
data that unlearning was handed), those of evaluation/classes.py, MIA by each feature, and after the
last request TASK_FREE."""


def uni(requests: Sequence[Request], measured: Measured) -> float:
    """UNI right after each unlearning, mean over them; 100 is a uniform answer."""
    return _mean([one.get("UNI", np.nan) for _, one in _zipped(requests, measured, "U")])


def forward_transfer(requests: Sequence[Request], measured: Measured) -> float:
    """FWT: accuracy just before learning - a guess's, mean over tasks but the first.

    Lopez-Paz and Ranzato 2017, Equation 4, with what a guess is worth in the place of what a
    network as drawn is. A task that was learned before is not counted.
    """
    found, seen = [], set()
    for (_, task, _), one in _zipped(requests, measured, "L"):
        if seen and task not in seen and "before" in one:
            found.append(one["before"] - one.get("guess", np.nan))
        seen.add(task)
    return _mean(found)


def megabytes_kept(requests: Sequence[Request], measured: Measured) -> float:
    """10^6 bytes of the state at the end: networks, buffers and all."""
    del requests
    return measured[-1].get("kept_bytes", np.nan) / 1e6 if measured else np.nan


def megabytes_read(requests: Sequence[Request], measured: Measured) -> float:
    """10^6 bytes of past data that an unlearning was handed, mean over unlearnings."""
    found = _zipped(requests, measured, "U")
    return _mean([one.get("read_bytes", np.nan) / 1e6 for _, one in found])


def forget_accuracy_classes(requests: Sequence[Request], measured: Measured) -> float:
    """FA_class: mean final accuracy on classes that retained tasks were to unlearn, or never had.

    Lower is better: who was never shown a class does not answer it.
    """
    gone = [AFTER.format(task, one) for task, of in lacking(requests).items() for one in of]
    return _mean([measured[-1].get(name, np.nan) for name in gone]) if measured else np.nan


def fall_of_rest(requests: Sequence[Request], measured: Measured) -> float:
    """fall_class: what a task's other classes lost when some were unlearned, mean over requests.

    Lower is better; below 0 where they gained.
    """
    found = [one for _, one in _zipped(requests, measured, "C")]
    return _mean([one.get(REST_BEFORE, np.nan) - one.get(REST, np.nan) for one in found])


def at_the_end(name: str) -> Callable[[Sequence[Request], Measured], float]:
    """What was measured after the last request alone (evaluation/task_free.py)."""

    def metric(requests: Sequence[Request], measured: Measured) -> float:
        del requests
        return measured[-1].get(name, np.nan) if measured else np.nan

    return metric


def phi_norm(requests: Sequence[Request], measured: Measured) -> float:
    """|| phi || at the end, of a hypernetwork."""
    del requests
    return measured[-1].get("phi_norm", np.nan) if measured else np.nan


def mia(feature: str) -> Callable[[Sequence[Request], Measured], float]:
    """MIA by a feature right after each unlearning, mean over them; 50 is a guess."""

    def metric(requests: Sequence[Request], measured: Measured) -> float:
        found = [one.get(f"MIA_{feature}") for _, one in _zipped(requests, measured, "U")]
        return _mean([value for value in found if value is not None])

    return metric


OF_MEASURED = {
    "UNI": uni,
    **{f"MIA_{feature}": mia(feature) for feature in FEATURES},
    "FWT": forward_transfer,
    "FA_class": forget_accuracy_classes,
    "fall_class": fall_of_rest,
    "MB_kept": megabytes_kept,
    "MB_read": megabytes_read,
    "phi_norm": phi_norm,
    **{name: at_the_end(name) for name in TASK_FREE},
}


def all_metrics(
    requests: Sequence[Request], accuracy: Accuracy, measured: Measured = ()
) -> dict[str, float]:
    """Every metric of METRICS and of OF_MEASURED for one run."""
    found = {name: metric(requests, accuracy) for name, metric in METRICS.items()}
    return found | {name: metric(requests, measured) for name, metric in OF_MEASURED.items()}


def _zipped(
    requests: Sequence[Request], measured: Measured, op: str
) -> list[tuple[Request, Mapping[str, float]]]:
    """Requests of one kind, with what was measured of each."""
    both = zip(requests, measured, strict=True) if measured else ((r, {}) for r in requests)
    return [(request, one) for request, one in both if request.op == op]


def _while(requests: Sequence[Request], ops: str) -> Iterator[tuple[int, int, int]]:
    """(task, place of its request of a kind in `ops`, each later place before its next request)."""
    for start, (kind, task, _) in enumerate(requests):
        if kind not in ops:
            continue
        for i in range(start + 1, len(requests)):
            if requests[i].task == task:
                break
            yield task, start, i


def _reversals(requests: Sequence[Request], accuracy: Accuracy) -> dict[int, float]:
    """{place of an unlearning that others followed: the most that came back of its task}."""
    found = dict[int, float]()
    for task, start, i in _while(requests, "U"):
        found[start] = max(found.get(start, 0.0), accuracy[i][task] - accuracy[start][task])
    return found


def _learned_at(requests: Sequence[Request]) -> dict[int, int]:
    """{task: the place of its last learn request, or of that which took classes from it since}."""
    return {task: i for i, (op, task, _) in enumerate(requests) if op != "U"}


def _erosions(requests: Sequence[Request], accuracy: Accuracy) -> list[float]:
    at = _learned_at(requests)
    return [accuracy[at[task]][task] - accuracy[-1][task] for task in retained(requests)]


def _spills(requests: Sequence[Request], accuracy: Accuracy) -> list[list[float]]:
    """For each unlearning, the absolute changes of the tasks retained through it."""
    spills = []
    for i, (op, own, _) in enumerate(requests):
        if op != "L":
            kept = [task for task in retained(requests[: i + 1]) if task != own]
            spills.append([abs(accuracy[i][task] - accuracy[i - 1][task]) for task in kept])
    return spills


def _relapses(requests: Sequence[Request], accuracy: Accuracy) -> list[float]:
    """Final accuracy minus that right after the last unlearning, for each forgotten task."""
    at = {task: i for i, (op, task, _) in enumerate(requests) if op == "U"}
    return [accuracy[-1][task] - accuracy[at[task]][task] for task in forgotten(requests)]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
