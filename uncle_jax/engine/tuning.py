"""One unlearning under many settings: each is tried on the same learned state.

For choosing a method's unlearning settings on validation data. Learning is done once for all trials
whose learning is the same, which is what makes a grid cheap.
"""

import itertools
import math
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
from uncle_jax.methods.multihead.derpp import Derpp
from uncle_jax.requests import Request, retained, validate


class Point(NamedTuple):
    """One method under one choice of settings."""

    name: str  # in the registry
    changes: Mapping[str, str]  # what differs, as text
    config: Config
    settings: Any  # the method's own; None if it has none


@dataclass(frozen=True)
class Trial:
    """What unlearning under one `Point` led to; in percentage points, and seconds."""

    point: Point
    RA: float  # of the tasks that stay
    FA: float  # of the task that goes
    spill: float
    seconds: float  # compilation apart
    excess: float  # of FA over chance
    failed: str | None = None  # why there is no number

    @property
    def score(self) -> float:
        """RA less what is left of the forgotten task above chance; the highest is best."""
        finite = math.isfinite(self.RA) and math.isfinite(self.excess)
        return self.RA - max(self.excess, 0.0) if finite else -math.inf


def points(
    name: str,
    config: Config,
    own: Mapping[str, str],
    grid: Mapping[str, Sequence[str]],
    preset: Any = None,
) -> list[Point]:
    """`name` with its settings `own` as they are, then under every choice from `grid`.

    Keys of `grid` are Config's, or METHOD.KEY for the method's own. `preset`: UnCLe's settings
    for the benchmark. Raises UncleError.
    """
    factory = registry.find(name)
    result = []
    for choice in [(), *(itertools.product(*grid.values()) if grid else ())]:
        changes = dict(zip(grid, choice, strict=False))
        mine = {k.rpartition(".")[2]: v for k, v in changes.items() if "." in k}
        theirs = {k: v for k, v in changes.items() if "." not in k}
        settings = registry.settings_of(name, factory, dict(own) | mine, preset)
        result.append(Point(name, changes, replace(config, theirs), settings))
    return result


def learning_of(point: Point) -> tuple:
    """What decides `point`'s learned state: points of equal ones can share it."""
    for kind in (Derpp, Hypernetwork):
        if isinstance(point.settings, kind):
            more = getattr(point.settings, "learning", None)
            return point.config, part(kind, point.settings), more
    return point.config, point.name, point.settings


def check(requests: Sequence[Request], n_tasks: int) -> None:
    """Raise UncleError unless `requests` can be answered and end in an unlearn request."""
    validate(requests, n_tasks)
    if not requests or requests[-1].op != "U":
        raise UncleError("the last request must be the unlearning that is tried, such as U0")
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
    """Unlearn under each point, from one learned state for all that learn alike.

    `requests`: any, the last of them an unlearn request, which is the one tried; what comes before
    is answered under the first point of those that learn alike. Accuracies are of the
    benchmark's test split, so pass `benchmark.held_out(seed)`. Raises UncleError.
    """
    check(requests, benchmark.n_tasks)
    chance = 100 / benchmark.spec.task(requests[-1].task).n_classes
    learned: dict[tuple, Run | str] = {}  # or why it cannot be learned
    for point in trials:
        method = registry.build(
            point.name, benchmark.spec, benchmark.n_tasks, point.config, point.settings, main_net
        )
        same = learning_of(point)
        if same not in learned:
            learned[same] = _tried(
                partial(run_sequence, method, benchmark, requests[:-1], key, on_step)
            )
        run = before = learned[same]
        if isinstance(before, Run):
            run = _tried(
                partial(run_sequence, method, benchmark, requests, key, on_step, done=before)
            )
        if isinstance(run, str):
            yield Trial(point, *(math.nan,) * 5, failed=run)
            continue
        last, metrics = run.answers[-1], run.metrics
        yield Trial(
            point,
            metrics["RA"],
            last.accuracy[last.request.task],
            _spill(run),
            last.seconds,
            last.accuracy[last.request.task] - chance,
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


def _spill(run: Run) -> float:
    """Mean |change| of the retained tasks at the last request."""
    before, last = run.answers[-2], run.answers[-1]
    kept = retained([answer.request for answer in run.answers])
    changes = [abs(last.accuracy[task] - before.accuracy[task]) for task in kept]
    return sum(changes) / len(changes) if changes else math.nan
