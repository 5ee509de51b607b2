"""Requests under many settings, each scored: for choosing settings on validation data.

What comes before the first unlearning is learned once for all trials whose learning is the same,
which is what makes a grid cheap.
"""

import itertools
import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from jax import Array

from uncle_jax.config import Config, Hypernetwork, part, replace
from uncle_jax.core.loop import OnStep
from uncle_jax.data.benchmark import Benchmark
from uncle_jax.engine.sequence import run_sequence
from uncle_jax.errors import UncleError, out_of_memory
from uncle_jax.evaluation.answers import Run
from uncle_jax.methods import registry
from uncle_jax.methods.multihead.replay import Derpp
from uncle_jax.requests import Request, forgotten, retained, validate

NUMBERS = ("RA", "FA", "distance", "spill", "seconds", "score")


class Point(NamedTuple):
    """One method under one choice of settings."""

    name: str  # in the registry
    changes: Mapping[str, str]  # what differs, as text
    config: Config
    settings: Any  # the method's own; None if it has none


@dataclass(frozen=True)
class Trial:
    """What the requests under one `Point` led to; in percentage points, and seconds."""

    point: Point
    RA: float  # of the tasks that stay
    FA: float  # of the tasks that went
    distance: float  # of those from what they were worth before they were learned, mean
    spill: float
    seconds: float  # of an unlearning, or if there is none of all learning; compilation apart
    failed: str | None = None  # why there is no number

    @property
    def score(self) -> float:
        """RA - distance - spill; the highest is best, and a network in ruins never is."""
        finite = math.isfinite(self.RA) and not math.isinf(self.distance)
        lost = (x for x in (self.distance, self.spill) if not math.isnan(x))
        return self.RA - sum(lost) if finite else -math.inf


def point(
    name: str,
    config: Config,
    own: Mapping[str, str],
    changes: Mapping[str, str],
    preset: Any = None,
) -> Point:
    """`name` with its settings `own`, then `changes`: Config's by KEY, its own by METHOD.KEY.

    `preset`: UnCLe's settings for the benchmark. Raises UncleError.
    """
    mine = {k.rpartition(".")[2]: v for k, v in changes.items() if "." in k}
    theirs = {k: v for k, v in changes.items() if "." not in k}
    settings = registry.settings_of(name, registry.find(name), dict(own) | mine, preset)
    return Point(name, changes, replace(config, theirs), settings)


def points(
    name: str,
    config: Config,
    own: Mapping[str, str],
    grid: Mapping[str, Sequence[str]],
    preset: Any = None,
) -> list[Point]:
    """`name` as it is, then under every choice from `grid`; otherwise as `point`."""
    choices = itertools.product(*grid.values()) if grid else ()
    all_ = [{}, *(dict(zip(grid, choice, strict=True)) for choice in choices)]
    return [point(name, config, own, changes, preset) for changes in all_]


def learning_of(point: Point) -> tuple:
    """What decides `point`'s learned state: points of equal ones can share it."""
    for kind in (Derpp, Hypernetwork):
        if isinstance(point.settings, kind):
            more = getattr(point.settings, "learning", None)
            return point.config, part(kind, point.settings), more
    return point.config, point.name, point.settings


def check(requests: Sequence[Request], n_tasks: int) -> None:
    """Raise UncleError unless `requests` can be answered and scored."""
    validate(requests, n_tasks)
    if not retained(requests):
        raise UncleError("no task is retained after these requests, so there is nothing to score")


def sweep(
    trials: Iterable[Point],
    benchmark: Benchmark,
    requests: Sequence[Request],
    key: Array,
    main_net: Any = None,
    on_step: OnStep | None = None,
) -> Iterator[Trial]:
    """Answer `requests` under each point; up to the first unlearning once for all that learn alike.

    Accuracies are of the benchmark's test split, so pass `benchmark.held_out(seed)`. Raises
    UncleError.
    """
    check(requests, benchmark.n_tasks)
    first = next((i for i, (op, *_) in enumerate(requests) if op != "L"), len(requests))
    learned: dict[tuple, Run | str] = {}  # or why it cannot be learned
    for point in trials:
        method = registry.build(
            point.name, benchmark.spec, benchmark.n_tasks, point.config, point.settings, main_net
        )
        answer = partial(run_sequence, method, benchmark)
        if first == len(requests):
            yield judged(point, _tried(partial(answer, requests, key, on_step)))
            continue
        same = learning_of(point)
        if same not in learned:
            learned[same] = _tried(partial(answer, requests[:first], key, on_step))
        run = before = learned[same]
        if isinstance(before, Run):
            run = _tried(partial(answer, requests, key, on_step, done=before))
        yield judged(point, run)


def judged(point: Point, run: Run | str) -> Trial:
    """What `run` is worth; a line in its place says why there is none."""
    if isinstance(run, str):
        return Trial(point, *(math.nan,) * 5, failed=run)
    requests = [answer.request for answer in run.answers]
    gone, final = forgotten(requests), run.answers[-1].accuracy
    before: dict[int, float] = {}
    for answer in reversed(run.answers):  # the first time that it is learned
        if answer.request.op == "L":
            before[answer.request.task] = answer.measured["before"]
    unlearnings = [answer.seconds for answer in run.answers if answer.request.op == "U"]
    return Trial(
        point,
        run.metrics["RA"],
        run.metrics["FA"],
        statistics.fmean(abs(final[task] - before[task]) for task in gone) if gone else math.nan,
        run.metrics["spill"],
        statistics.fmean(unlearnings) if unlearnings else sum(a.seconds for a in run.answers),
    )


def as_told(trial: Trial) -> dict[str, Any]:
    """`trial` as JSON has it; what is undefined is None."""
    numbers = {name: getattr(trial, name) for name in NUMBERS}
    return (
        {"method": trial.point.name, "changes": dict(trial.point.changes)}
        | {name: x if math.isfinite(x) else None for name, x in numbers.items()}
        | ({} if trial.failed is None else {"failed": trial.failed})
    )


def _tried(run: Callable[[], Run]) -> Run | str:
    """What `run` returns, or in a line why it returned nothing: the next trial may."""
    try:
        return run()
    except UncleError as error:
        return str(error)
    except Exception as error:
        if (short := out_of_memory(error)) is None:
            raise
        return short
