"""An audit of a task that a store has forgotten, by what needs no other run: the state is all.

Reference and power come from the attacker's other data: images of tasks that were never learned,
and of retained ones, which are attacked as if they were forgotten. There is one state and no seeds,
so an interval is over the attack's own draws: what it does not hold is how much easier one task is
than another. Ours.
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array

from uncle_jax.config import Count, Settings, as_dict
from uncle_jax.core.loop import OnStep
from uncle_jax.errors import UncleError
from uncle_jax.evaluation.audit import rounding
from uncle_jax.evaluation.audit.embedding_search import EmbeddingSearch, search
from uncle_jax.evaluation.audit.relearning import Relearning, brief, relearn, relearn_few
from uncle_jax.evaluation.audit.rounding import Rounding
from uncle_jax.evaluation.audit.target import Target
from uncle_jax.evaluation.audit.verdict import BLIND, LEAK, Interval, interval, verdict
from uncle_jax.methods.protocol import Method
from uncle_jax.store.copies import digest_of, read_tests
from uncle_jax.store.store import INFLIGHT, Store, input_spec, now
from uncle_jax.tasks import Data, holdout

UNREFERENCED = "no evidence: no reference"
HELD_OUT = 0.2  # of images that come without test images


@dataclass(frozen=True)
class StoreAudit(Settings):
    """How a store's task is attacked."""

    draws: Count = 5  # of everything that an attack draws
    search: EmbeddingSearch = field(default_factory=lambda: EmbeddingSearch(starts=4))  # a draw
    relearning: Relearning = field(default_factory=lambda: Relearning(epochs=(0.5, 1.0)))
    rounding: Rounding = field(default_factory=Rounding)


class Evidence(NamedTuple):
    """What an attacker has."""

    unlearned: Target
    never: tuple[Target, ...]  # tasks that were never learned, in the forgotten one's slot
    retained: tuple[Target, ...]


class Finding(NamedTuple):
    """What an attack came to, a number a draw, in per cent of test images."""

    attack: str
    unlearned: list[float]
    reference: list[float]  # empty: none was given
    power: list[float]  # of retained tasks; empty: none was given
    spread: float | None = None  # standard error where nothing is drawn (binomial)

    def told(self) -> dict[str, Any]:
        """As the ledger has it."""
        gap, power = (self._over(values) for values in (self.unlearned, self.power))
        return {
            "attack": self.attack,
            "draws": len(self.unlearned),
            "unlearned": _mean(self.unlearned),
            "reference": _mean(self.reference),
            "gap": None if gap is None else _numbers(gap),
            "power": None if power is None else _numbers(power),
            "verdict": _verdict(gap, power),
        }

    def _over(self, values: Sequence[float]) -> Interval | None:
        if not values or not self.reference:
            return None
        if self.spread is not None:
            mean, half = values[0] - self.reference[0], 1.96 * self.spread
            return Interval(mean, mean - half, mean + half, 1)
        return interval([a - b for a, b in zip(values, self.reference, strict=True)])


def _verdict(gap: Interval | None, power: Interval | None) -> str:
    if gap is None:
        return UNREFERENCED
    if power is None:
        return LEAK if gap.low > 0 else BLIND
    return verdict(gap, power)


def _mean(values: Sequence[float]) -> float | None:
    mean = statistics.fmean(values) if values else math.nan
    return round(mean, 4) if math.isfinite(mean) else None


def _numbers(one: Interval) -> list[float | None]:
    """[mean, low, high]; what is not finite is null."""
    return [round(v, 4) if math.isfinite(v) else None for v in one[:3]]


def evidence_of(
    store: Store,
    task: int,
    data: Data,
    test: Data | None = None,
    never: Sequence[Data] = (),
    retained: Mapping[int, Data] | None = None,
) -> Evidence:
    """What is known of forgotten `task` and others, split where no test images are given.

    `retained` None: the test images that the store has kept of its tasks. Raises UncleError unless
    the task is forgotten, those retained are, and no request is under way.
    """
    tasks, spec = store.tasks, input_spec(store)
    if task not in tasks["unlearned"]:
        gone = ", ".join(map(str, tasks["unlearned"])) or "none"
        raise UncleError(f"task {task} is not forgotten in {store.folder} (are: {gone})")
    if any((store.folder / INFLIGHT).glob("*.json")):
        raise UncleError(f"a request is under way in {store.folder}; ask for it again first")
    kept = read_tests(store)[0] if retained is None else dict(retained)
    for one in kept:
        if one not in tasks["learned"]:
            raise UncleError(f"task {one} is not retained in {store.folder}: {tasks['learned']}")

    def target(slot: int, images: Data) -> Target:
        return Target(slot, *holdout(images, 0, HELD_OUT), spec)

    own = target(task, data) if test is None else Target(task, data, test, spec)
    return Evidence(
        own,
        tuple(target(task, one) for one in never),
        tuple(target(slot, one) for slot, one in kept.items()),
    )


def audit(
    method: Method,
    state: Any,
    evidence: Evidence,
    settings: StoreAudit,
    key: Array,
    on_step: OnStep | None = None,
    on_attack: Callable[[str], None] = lambda name: None,
) -> list[Finding]:
    """Every attack that a store's method has something for, on its state."""
    found: list[Finding] = []
    if method.generator is not None:
        on_attack("embedding search")
        found += _search(method, state, evidence, settings, key, on_step)
    on_attack("relearning")
    found += _relearning(method, state, evidence, settings, key)
    on_attack("rounding")
    found.append(_rounding(method, state, evidence, settings.rounding))
    return found


def entry_of(
    store: Store,
    evidence: Evidence,
    found: Sequence[Finding],
    settings: StoreAudit,
    environment: Mapping[str, Any],
) -> dict[str, Any]:
    """The ledger's line on an audit."""
    task = evidence.unlearned.task
    asked = [entry for entry in store.requests if entry["task"] == task]
    return {
        "event": "audited",
        "time": now(),
        "step": asked[-1]["step"],  # of the request that unlearned the task
        "task": task,
        "after_requests": store.step,
        "state": store.requests[-1]["state"],
        "attacks": [one.told() for one in found],
        "data": digest_of(evidence.unlearned.train),
        "never": [digest_of(one.train) for one in evidence.never],
        "retained": [one.task for one in evidence.retained],
        "settings": as_dict(settings),
        **environment,
    }


def _each(targets: Sequence[Target], of: Callable[[Target], np.ndarray]) -> Any:
    """What `of` finds, the mean over targets; none without any."""
    return np.mean([of(one) for one in targets], axis=0).tolist() if targets else []


def _search(
    method: Method,
    state: Any,
    evidence: Evidence,
    settings: StoreAudit,
    key: Array,
    on_step: OnStep | None,
) -> list[Finding]:
    """A draw's best of so many starts."""
    how = replace(settings.search, starts=settings.search.starts * settings.draws)

    def best(target: Target) -> np.ndarray:
        found = search(method, state, target, how, key, on_step)
        return found.accuracy.reshape(1, settings.draws, -1).max(axis=-1)

    return _findings(["embedding search"], evidence, best)


def _relearning(
    method: Method, state: Any, evidence: Evidence, settings: StoreAudit, key: Array
) -> list[Finding]:
    """Of all images and of few: a draw's mean over the curve."""
    shorter = brief(method)
    assert shorter.origin
    batch, how = (
        shorter.origin.config.batch_size,
        replace(settings.relearning, repeats=settings.draws),
    )

    def curves(target: Target) -> np.ndarray:
        every = relearn(shorter, state, target, how, key).mean(axis=-1)
        few = relearn_few(shorter, state, target, how, batch, key).mean(axis=-1)
        return np.stack([every, *few.T])

    names = ["relearning", *(f"relearning, {count} images" for count in how.examples)]
    return _findings(names, evidence, curves)


def _rounding(method: Method, state: Any, evidence: Evidence, how: Rounding) -> Finding:
    """The best of all numbers of bits; the reference is the best constant answer."""

    def best(target: Target) -> np.ndarray:
        return np.array([max(rounding.measure(method, state, target, how))])

    labels = np.asarray(evidence.unlearned.test.labels)
    p = float(np.bincount(labels).max()) / len(labels)
    return Finding(
        "rounding",
        _each([evidence.unlearned], best),
        [100 * p],
        _each(evidence.retained, best),
        100 * math.sqrt(p * (1 - p) / len(labels)),
    )


def _findings(
    names: Sequence[str], evidence: Evidence, of: Callable[[Target], np.ndarray]
) -> list[Finding]:
    """A finding for each of `names`, of which `of` finds [names, draws] in a target."""
    targets = ([evidence.unlearned], evidence.never, evidence.retained)
    told = [_each(one, of) or [[]] * len(names) for one in targets]
    return [Finding(name, *draws) for name, *draws in zip(names, *told, strict=True)]


def key_of(task: int) -> Array:
    """The key of an audit: the same attack on the same state draws the same."""
    return jax.random.key(task)
