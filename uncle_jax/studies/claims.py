"""What the paper says of its tables and figures, as tests on finished rows. No jax.

A claim on a difference holds where its 95 % interval over seeds lies on the claimed side of 0, and
does not where it lies on the other. One seed has no interval, and decides nothing.
"""

import itertools
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from uncle_jax.evaluation.audit.verdict import Interval, holm, interval
from uncle_jax.report.compare import Row
from uncle_jax.report.paired import LEVEL, differences, two_sided, value
from uncle_jax.report.results import SeedRun
from uncle_jax.requests import parse, retained

HOLDS, FAILS, OPEN = "holds", "does not hold", "not told from noise"
IN_PART, ALONE, NOT_RUN = "holds in part", "one seed only", "not run"

Rows = Mapping[str, Row | None]
"""By a line's name; None: it is not run."""


class Told(NamedTuple):
    """A verdict, and the figures that it rests on."""

    verdict: str
    words: str


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper's, and what decides it."""

    words: str
    test: Callable[[Rows], Told]
    datasets: tuple[str, ...] = ()  # of the paper; (): each that its table has


def above(line: str, other: str, metric: str) -> Callable[[Rows], Told]:
    """`line` has more of `metric` than `other`, on the same seeds."""
    return partial(_above, line, other, metric)


def best(line: str, metric: str, lowest: bool = False, less: float = 0.0) -> Callable[[Rows], Told]:
    """`line` is better than every other row by more than -`less`; Holm's correction over them.

    Broken rows (RA near chance) count for nothing where less is better.
    """
    return partial(_best, line, metric, lowest, less)


def near(line: str, metric: str, target: float, within: float) -> Callable[[Rows], Told]:
    """The mean of `metric` is `within` so much of `target`; FA's target is each task's chance."""
    return partial(_near, line, metric, target, within)


def all_near(metric: str, target: float, within: float) -> Callable[[Rows], Told]:
    """Every row's mean is `within` so much of `target`."""
    return partial(_all_near, metric, target, within)


def falling(lines: Sequence[str], metric: str) -> Callable[[Rows], Told]:
    """Each of `lines` has less of `metric` than the one before."""
    return partial(_falling, lines, metric)


def stays(line: str, within: float, task: int | None = None) -> Callable[[Rows], Told]:
    """A task keeps its accuracy until it is unlearned, is then at chance, and stays there.

    Each `within` so many points, the mean over unlearned tasks (or `task` alone) and seeds.
    """
    return partial(_stays, line, within, task)


def remaining(line: str, other: str) -> Callable[[Rows], Told]:
    """Every task that remains ends higher in `line` than in `other`."""
    return partial(_remaining, line, other)


def together(told: Sequence[Told]) -> str:
    """One verdict of several."""
    found = {one.verdict for one in told} - {NOT_RUN}
    if not found:
        return NOT_RUN
    if len(found) == 1:
        return found.pop()
    if HOLDS in found:
        return IN_PART
    return FAILS if FAILS in found else OPEN


def _above(line: str, other: str, metric: str, rows: Rows) -> Told:
    ours, theirs = rows.get(line), rows.get(other)
    if ours is None or theirs is None:
        return Told(NOT_RUN, "")
    found = differences(ours, theirs, metric)
    if not found:
        return Told(NOT_RUN, f"{metric} is not defined, or no seed is in common")
    what = "FA's distance from chance" if metric == "FA" else metric
    return _side(found, f"{line} less {other}, {what}")


def _side(found: Sequence[float], what: str) -> Told:
    told = interval(found)
    verdict = HOLDS if told.low > 0 else FAILS if told.high < 0 else OPEN
    return Told(verdict if told.seeds > 1 else ALONE, f"{what}: {in_words(told)}")


def in_words(told: Interval) -> str:
    """A mean with its interval, or that there is none."""
    if told.seeds < 2:
        return f"{told.mean:+.2f}, one seed"
    return f"{told.mean:+.2f} [{told.low:+.2f}, {told.high:+.2f}]"


def _best(line: str, metric: str, lowest: bool, less: float, rows: Rows) -> Told:
    ours = rows.get(line)
    others = {name: row for name, row in rows.items() if name != line and row is not None}
    broken = [name for name, row in others.items() if row.broken or not row.finite]
    able = {name: row for name, row in others.items() if name not in broken}
    if ours is None or not able:
        return Told(NOT_RUN, "")
    sign = -1 if lowest else 1
    found = {
        name: [sign * one + less for one in differences(ours, row, metric)]
        for name, row in able.items()
    }
    found = {name: values for name, values in found.items() if values}
    lost = [name for name, row in able.items() if not lowest and bottomless(row, metric)]
    if not found:
        return Told(NOT_RUN, f"{metric} is not defined, or no seed is in common")
    names = [*found]
    chances = dict(zip(names, holm([two_sided(found[name]) for name in names]), strict=True))
    told = {name: statistics.fmean(found[name]) for name in names}
    better = [name for name in names if told[name] > 0 and chances[name] < LEVEL]
    worse = [name for name in names if told[name] < 0 and chances[name] < LEVEL]
    open_ = [name for name in names if name not in (*better, *worse)]
    better += lost if not bottomless(ours, metric) else []
    names += lost
    parts = [f"better than {len(better)} of {len(names)}"]
    parts += [f"minus infinity: {', '.join(lost)}"] if lost else []
    parts += [f"worse than {', '.join(worse)}"] if worse else []
    parts += [f"not told from {', '.join(open_)}"] if open_ else []
    absent = [name for name, row in rows.items() if row is None]
    parts += [f"broken: {', '.join(broken)}"] if broken else []
    parts += [f"not run: {', '.join(absent)}"] if absent else []
    margin = f" (within {less:g} points)" if less else ""
    verdict = FAILS if worse else HOLDS if len(better) == len(names) else OPEN
    verdict = ALONE if all(len(values) < 2 for values in found.values()) else verdict
    return Told(verdict, f"{metric}{margin}: {'; '.join(parts)}")


def bottomless(row: Row, metric: str) -> bool:
    """Whether its mean is minus infinity, as UNI of networks that are sure can be."""
    return any(value(run, metric) == -math.inf for run in row.runs)


def _near(line: str, metric: str, target: float, within: float, rows: Rows) -> Told:
    row = rows.get(line)
    if row is None:
        return Told(NOT_RUN, "")
    values = [value(run, metric) for run in row.runs]
    if not all(map(math.isfinite, values)):
        return Told(NOT_RUN, f"{metric} is not defined, or was not measured")
    apart = [one if metric == "FA" else one - target for one in values]
    what = "FA from chance, by task" if metric == "FA" else f"{metric} less {target:g}"
    told = interval(apart)
    words = f"{line}, {what}: {in_words(told)}"
    if told.seeds < 2:
        return Told(ALONE, words)
    inside = -within <= told.low and told.high <= within
    outside = told.low > within or told.high < -within
    return Told(HOLDS if inside else FAILS if outside else OPEN, words)


def _all_near(metric: str, target: float, within: float, rows: Rows) -> Told:
    run = [name for name, row in rows.items() if row is not None]
    told = {name: _near(name, metric, target, within, rows) for name in run}
    told = {name: one for name, one in told.items() if one.verdict != NOT_RUN}
    if not told:
        return Told(NOT_RUN, "")
    by_verdict = {
        verdict: [name for name, one in told.items() if one.verdict == verdict]
        for verdict in (HOLDS, FAILS, OPEN, ALONE)
    }
    words = f"{metric} within {within:g} of {target:g}: {len(by_verdict[HOLDS])} of {len(told)}"
    words += f"; outside: {', '.join(by_verdict[FAILS])}" if by_verdict[FAILS] else ""
    words += f"; not told: {', '.join(by_verdict[OPEN])}" if by_verdict[OPEN] else ""
    words += f"; one seed: {', '.join(by_verdict[ALONE])}" if by_verdict[ALONE] else ""
    decided = (verdict for verdict in (FAILS, OPEN, HOLDS) if by_verdict[verdict])
    return Told(next(decided, ALONE), words)


def _falling(lines: Sequence[str], metric: str, rows: Rows) -> Told:
    told = [_above(one, other, metric, rows) for one, other in itertools.pairwise(lines)]
    if any(one.verdict == NOT_RUN for one in told):
        return Told(NOT_RUN, "")
    verdict = together(told)
    if verdict == IN_PART:  # an order holds whole or not at all
        verdict = FAILS if any(one.verdict == FAILS for one in told) else OPEN
    return Told(verdict, "; ".join(one.words for one in told))


def _stays(line: str, within: float, task: int | None, rows: Rows) -> Told:
    row = rows.get(line)
    if row is None:
        return Told(NOT_RUN, "")
    paths = [_path(run, task) for run in row.runs]
    moved, off, end = (
        statistics.fmean(one for path in paths for one in path[part]) for part in range(3)
    )
    words = f"moved {moved:.1f} points until unlearned"
    words += f"; then {off:.1f} from chance, at the end {end:.1f}"
    seeds = f"mean over {len(row.runs)} seeds" if len(row.runs) > 1 else "one seed"
    verdict = HOLDS if max(moved, off, end) <= within else FAILS
    verdict = verdict if len(row.runs) > 1 else ALONE
    return Told(verdict, f"{line} {words} ({seeds})")


def _path(run: SeedRun, task: int | None) -> tuple[list[float], list[float], list[float]]:
    """Of each unlearned task: how far it moved until then; from chance after that; at the end."""
    requests, chances = parse(run.told["requests"]), run.chances or {}
    moved, after, end = [], [], []
    for at, (op, one, _) in enumerate(requests):
        if op == "U" and task in (None, one):
            learned = max(i for i, (o, t, _) in enumerate(requests[:at]) if (o, t) == ("L", one))
            moved.append(abs(run.accuracy[at - 1][one] - run.accuracy[learned][one]))
            after.append(abs(run.accuracy[at][one] - chances[one]))
            end.append(abs(run.accuracy[-1][one] - chances[one]))
    return moved, after, end


def _remaining(line: str, other: str, rows: Rows) -> Told:
    ours, theirs = rows.get(line), rows.get(other)
    if ours is None or theirs is None:
        return Told(NOT_RUN, "")
    runs = {run.seed: run for run in theirs.runs}
    both = [(run, runs[run.seed]) for run in ours.runs if run.seed in runs]
    if not both:
        return Told(NOT_RUN, "no seed is in common")
    tasks = sorted(retained(parse(ours.runs[0].told["requests"])))
    gains = {t: [a.accuracy[-1][t] - b.accuracy[-1][t] for a, b in both] for t in tasks}
    means = {task: statistics.fmean(values) for task, values in gains.items()}
    higher = sum(mean > 0 for mean in means.values())
    whole = _side([statistics.fmean(one) for one in zip(*gains.values(), strict=True)], "mean gain")
    words = f"{higher} of {len(tasks)} tasks end higher; {whole.words}"
    if whole.verdict == HOLDS and higher < len(tasks):
        return Told(OPEN, words)
    return Told(whole.verdict, words)
