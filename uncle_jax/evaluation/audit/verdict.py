"""What an attack's numbers allow one to say: leak, within the reference, or nothing.

No jax. One number a seed: what the attack found of the unlearned task, less what it finds of the
same task in the reference, which never learned it (the gap); and what it finds in a state that
still has it, less the same (the power). Never "passed": other attacks may find more.
"""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

LEAK = "leak"
WITHIN = "within the reference"
BLIND = "no evidence: power too low"
LEVEL = 0.95


class Interval(NamedTuple):
    """A mean over seeds with its confidence interval (Student's t)."""

    mean: float
    low: float
    high: float
    seeds: int


def interval(values: Sequence[float], level: float = LEVEL, folds: bool = False) -> Interval:
    """The interval of the mean of `values`, one a seed; of one seed it is everything.

    With `folds` each seed's value was found with what the others gave. nan where a value is.
    """
    from scipy.special import stdtrit

    n, mean = len(values), statistics.fmean(values)
    if n < 2:
        return Interval(mean, -math.inf, math.inf, n)
    half = float(stdtrit(n - 1, (1 + level) / 2)) * _error(values, folds)
    return Interval(mean, mean - half, mean + half, n)


def over_chance(value: float, chance: Sequence[float], seeds: int) -> Interval:
    """How far `value` is above what it would be by chance: from the mean of that, and 95 %."""
    import numpy as np

    low, high = np.quantile(chance, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value - float(np.mean(chance)), value - float(high), value - float(low), seeds)


def _error(values: Sequence[float], folds: bool) -> float:
    """The standard error of the mean; of folds, which share what they were fitted to, Nadeau and
    Bengio's (2003): without it 95 % intervals of U-LiRA hold the truth in 74 to 88 % of cases."""
    n = len(values)
    if not all(map(math.isfinite, values)):
        return math.nan
    return statistics.stdev(values) * math.sqrt(1 / n + (1 / (n - 1) if folds else 0))


def chance_of(values: Sequence[float], folds: bool = False) -> float:
    """The one-sided p-value of a mean that is not above 0 (t-test); 1 where there is none.

    Of equal values 0 if they are above 0, else 1. `folds`: as in `interval`.
    """
    from scipy.special import stdtr

    n, mean = len(values), statistics.fmean(values)
    if n < 2 or not math.isfinite(mean):
        return 1.0
    error = _error(values, folds)
    if not error:
        return 0.0 if mean > 0 else 1.0
    return float(stdtr(n - 1, -mean / error))


def holm(values: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979), in the order given."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found, most = [1.0] * len(values), 0.0
    for rank, index in enumerate(order):
        most = max(most, min(1.0, (len(values) - rank) * values[index]))
        found[index] = most
    return found


def verdict(gap: Interval, power: Interval) -> str:
    """LEAK where the gap's interval is above 0.

    WITHIN where it is not, and ends below the power's: the attack would have seen a whole task, and
    sees less than that. BLIND otherwise: too few seeds, or an attack that does not find what is
    there.
    """
    if gap.low > 0:
        return LEAK
    if power.low > 0 and gap.high < power.low:
        return WITHIN
    return BLIND
