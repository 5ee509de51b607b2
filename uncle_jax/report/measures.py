"""What each attack of finished audits measured, and what that allows one to say.

No jax, and nothing is written. Over the seeds of a row: of each seed one number, the mean over its
unlearned tasks. The reference is the same task in the control, which learned and unlearned another
in its place, and as many tasks as the run; where there is none, in the state that never learned it.
What tells models from models does it against both. Power is what is found of the task where it
still is, or of retained tasks of the run that are withheld, whichever is more: either shows that
the attack finds what is there.
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from uncle_jax.evaluation.audit import margins
from uncle_jax.evaluation.audit.margins import Margins
from uncle_jax.evaluation.audit.verdict import (
    BLIND,
    Interval,
    chance_of,
    interval,
    over_chance,
    verdict,
)
from uncle_jax.report.audit import Audited, Found

T = TypeVar("T")
ENOUGH = 8
"""Models a side below which epsilon and KLoM say nothing: they count models, and of fewer pairs
chance alone exchanges too few."""


class Measured(NamedTuple):
    """One attack on a row: its means over seeds, and what they allow one to say."""

    name: str
    unlearned: float
    reference: float  # where the task never was
    kept: float  # where it still is, or of retained tasks that are attacked alike
    gap: Interval  # unlearned less reference
    power: Interval  # that less reference
    p: float  # one-sided, of no gap
    few: bool = False  # too few models for any verdict
    any_task: bool = False  # an unlearning of whatever task would show

    @property
    def verdict(self) -> str:
        """What may be said."""
        return BLIND if self.few else verdict(self.gap, self.power)


def of_seeds(
    name: str,
    unlearned: Sequence[float],
    reference: Sequence[float],
    kept: Sequence[float],
    folds: bool = False,
) -> Measured:
    """From a number of each seed in each state. `folds`: found with what the other seeds gave."""
    gap, power = (
        [a - b for a, b in zip(values, reference, strict=True)] for values in (unlearned, kept)
    )
    return Measured(
        name,
        statistics.fmean(unlearned),
        statistics.fmean(reference),
        statistics.fmean(kept),
        interval(gap, folds=folds),
        interval(power, folds=folds),
        chance_of(gap, folds),
    )


def best(values: Sequence[float | None]) -> float:
    """The largest; nan if one is missing."""
    return math.nan if None in values else max(v for v in values if v is not None)


def mean(values: Sequence[Any]) -> float:
    """Of numbers nested in lists; nan if one is missing."""
    return float(np.mean(np.array(values, np.float64)))


def number(value: float | None) -> float:
    """nan where there is none."""
    return math.nan if value is None else value


def of_examples(index: int) -> Callable[[Found], float]:
    """Mean accuracy over the steps of relearning on the settings' so-manieth number of images."""
    return lambda found: mean([repeat[index] for repeat in found["few"]])


def probe_at(index: int) -> Callable[[Found], float]:
    """Balanced accuracy of a linear classifier on the settings' so-manieth number of images."""
    return lambda found: number(found["probe"][index])


SINGLE: tuple[tuple[str, str, Callable[[Found], float]], ...] = (
    ("relearning, all images (%)", "relearning", lambda f: mean(f["accuracy"])),
    ("embedding search, best start (%)", "embedding search", lambda f: best(f["accuracy"])),
    ("linear probe, last layer (%)", "representation", lambda f: number(f["probe"][-1])),
    ("classes, probe of all (%)", "classes", lambda f: number(f["probe"][-1])),
    ("CKA with kept, last layer", "representation", lambda f: 100 * number(f["cka kept"][-1])),
    ("weights: share of the way to kept (%)", "weights", lambda f: 100 * number(f["share"])),
    ("best on the line from never (%)", "weights", lambda f: best(f["accuracy"])),
    ("rounded, best (%)", "rounding", lambda f: best(f["accuracy"])),
)
"""(name, attack, what counts of a finding) of what a seed's finding says alone."""


def measured(one: Audited) -> list[Measured]:
    """Every attack that was made on a row, on all of its seeds."""
    rows = [_single(one, name, attack, of) for name, attack, of in _singles(one)]
    return [row for row in rows if row is not None] + _of_margins(one)


def _singles(one: Audited) -> list[tuple[str, str, Callable[[Found], float]]]:
    audits = list(one.audits.values())
    counts = audits[0]["settings"].get("relearning", {}).get("examples", ()) if audits else ()
    few = [
        (f"relearning, {count} images (%)", "relearning", of_examples(index))
        for index, count in enumerate(counts)
    ]
    counts = audits[0]["settings"].get("classes", {}).get("examples", ()) if audits else ()
    for index, count in enumerate(counts):
        few.append((f"classes, {count} images of each (%)", "classes", of_examples(index)))
        few.append((f"classes, probe of {count} each (%)", "classes", probe_at(index)))
    return [*few, *SINGLE]


def _single(one: Audited, name: str, attack: str, of: Callable[[Found], float]) -> Measured | None:
    """A measure of findings; None unless each seed has it of each state."""
    states = ("run", "kept", "never", "swapped")
    found = {state: _per_seed(one, attack, state, of) for state in states}
    control = "swapped" if found["swapped"].keys() == found["run"].keys() else "never"
    seeds = sorted(one.audits)
    there = [found[state] for state in ("run", control, "kept")]
    if not seeds or any(values.keys() != set(seeds) for values in there):
        return None
    unlearned, reference, kept = ([values[seed] for seed in seeds] for values in there)
    withheld = _per_seed(one, attack, "run", of, "retained")
    if withheld.keys() == set(seeds):
        kept = max(kept, [withheld[seed] for seed in seeds], key=statistics.fmean)
    return of_seeds(name, unlearned, reference, kept)


def _per_seed(
    one: Audited,
    attack: str,
    state: str,
    of: Callable[[Found], float],
    role: str = "unlearned",
) -> dict[int, float]:
    """{seed: mean over tasks of a role}."""
    found = by_seed(one, attack, state, of, role)
    return {seed: statistics.fmean(values) for seed, values in found.items()}


def by_seed(
    one: Audited, attack: str, state: str, of: Callable[[Found], T], role: str = "unlearned"
) -> dict[int, list[T]]:
    """{seed: what counts of each task of a role}; {} where a finding is of an earlier version."""
    values: dict[int, list[T]] = {}
    for seed, found in one.found(attack, role, state):
        try:
            values.setdefault(seed, []).append(of(found))
        except (KeyError, IndexError):
            return {}
    return values


class Rows(NamedTuple):
    """A task's margins in one state, a row a seed."""

    members: np.ndarray  # [M, N]
    others: np.ndarray  # [M, N']


def arrays(one: Audited) -> dict[int, dict[str, Rows]]:
    """{task: {state: margins}} of tasks whose margins every seed has: in the run's state, never's
    and kept's, and in the control's, if there is one. {} unless all can be compared."""
    found: dict[int, dict[str, dict[int, Found]]] = {}
    for state in ("run", "never", "kept", "swapped"):
        for seed, told in one.found("margins", "unlearned", state):
            task = found.setdefault(told["piece"]["task"], {})
            task.setdefault(state, {})[seed] = told
    seeds = sorted(one.audits)
    whole = {
        task: states
        for task, states in found.items()
        if {"run", "never", "kept"} <= states.keys()
        and all(told.keys() == set(seeds) for told in states.values())
    }
    if not all(map(_comparable, whole.values())):
        return {}

    def rows(told: Mapping[int, Found]) -> Rows:
        return Rows(*(np.array([told[seed][split] for seed in seeds]) for split in Rows._fields))

    return {
        task: {state: rows(told) for state, told in states.items()}
        for task, states in whole.items()
    }


def _comparable(states: Mapping[str, Mapping[int, Found]]) -> bool:
    """Whether all of a task's margins are of as many images, and finite: nan has no margin."""
    for split in Rows._fields:
        every = [found[split] for told in states.values() for found in told.values()]
        if len(set(map(len, every))) > 1 or any(None in values for values in every):
            return False
    return True


def _of_margins(one: Audited) -> list[Measured]:
    tasks, n = list(arrays(one).values()), len(one.audits)
    if not tasks:
        return []
    controlled = all("swapped" in task for task in tasks)
    rows: list[Measured] = []
    if n >= 3:
        rows += _told_from(tasks, "never", "never", controlled, n)
        rows += _told_from(tasks, "swapped", "the control", False, n) if controlled else []
    if n >= 2:
        states = ("run", "swapped" if controlled else "never", "kept")
        run, reference, kept = (_over(tasks, _rmia, state, "never") for state in states)
        rows.append(of_seeds("RMIA, AUC (%)", run, reference, kept, folds=True))
    return rows


def _told_from(
    tasks: Sequence[dict[str, Rows]], against: str, name: str, any_task: bool, n: int
) -> list[Measured]:
    """How well a state's models are told from those of state `against`, which is called `name`."""
    run, kept = (_over(tasks, _lira, state, against) for state in ("run", "kept"))
    told = [of_seeds(f"U-LiRA, AUC against {name} (%)", run, [50.0] * n, kept, folds=True)]
    for label, of in (("epsilon", margins.epsilons), ("KLoM", margins.klom)):
        told.append(_exchanged(f"{label} against {name}", of, tasks, against, n))
    return [one._replace(any_task=any_task) for one in told]


def _over(
    tasks: Sequence[dict[str, Rows]],
    of: Callable[[dict[str, Rows], str, str], np.ndarray],
    state: str,
    against: str,
) -> list[float]:
    """A number of each seed, the mean over tasks."""
    return np.mean([of(task, state, against) for task in tasks], axis=0).tolist()


def _lira(task: dict[str, Rows], state: str, against: str) -> np.ndarray:
    return 100 * margins.u_lira(task[state].members, task[against].members)


def _rmia(task: dict[str, Rows], state: str, against: str) -> np.ndarray:
    reference, here = task[against], task[state]
    found = []
    for seed in range(len(here.members)):
        members, others = (np.delete(part, seed, 0) for part in reference)
        found.append(
            margins.rmia_auc(Margins(here.members[seed], here.others[seed]), members, others)
        )
    return 100 * np.array(found)


def _exchanged(
    name: str,
    of: Callable[[np.ndarray, np.ndarray], np.ndarray],
    tasks: Sequence[dict[str, Rows]],
    against: str,
    n: int,
) -> Measured:
    """A measure of many models: its reference is chance, with seeds' pairs exchanged."""
    told = {}
    for state in ("run", "kept"):
        each = [margins.exchanged(of, t[state].members, t[against].members) for t in tasks]
        told[state] = (
            statistics.fmean(one.value for one in each),
            np.mean([one.chance for one in each], axis=0),
        )
    (run, chance), (kept, other) = told["run"], told["kept"]
    gap, power = (over_chance(*pair, n) for pair in ((run, chance), (kept, other)))
    p = (1 + float(np.sum(chance >= run))) / (1 + len(chance))
    few = n < ENOUGH
    return Measured(name, run, float(chance.mean()), kept, gap, power, 1.0 if few else p, few)


def forgetting_scores(one: Audited) -> str:
    """F of the NeurIPS 2023 competition, of the run and of the state that kept all; "" for none.

    Accuracy is held against the never-learned state's, means over seeds.
    """
    every = arrays(one)
    if not every or len(one.audits) < 2:
        return ""
    told = []
    for name, state in (("unlearned", "run"), ("kept", "kept")):
        left = [_left(one, state, split) for split in ("train", "test")]
        values = [
            margins.forgetting(margins.epsilons(t[state].members, t["never"].members), *left)
            for t in every.values()
        ]
        told.append(f"{name} {statistics.fmean(values):.3f}")
    n = len(one.audits)
    return f"F, by {n} models a side (1 at best; few models give little): {', '.join(told)}"


def _left(one: Audited, state: str, split: str) -> float:
    """Accuracy on retained tasks over that where the unlearned ones never were."""
    here, there = (
        [number(found["retained"][split]) for _, found in one.found("margins", "unlearned", s)]
        for s in (state, "never")
    )
    return statistics.fmean(here) / statistics.fmean(there)
