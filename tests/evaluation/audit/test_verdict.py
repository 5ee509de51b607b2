"""Verdicts: what may be said of so many numbers."""

import math

import pytest

from uncle_jax.evaluation.audit.verdict import (
    BLIND,
    LEAK,
    WITHIN,
    chance_of,
    holm,
    interval,
    over_chance,
    verdict,
)


def test_an_interval_is_students():
    found = interval([1.0, 2.0, 3.0, 4.0, 5.0])
    half = 2.776445 * math.sqrt(2.5 / 5)  # t of 4 degrees of freedom at 97.5 %
    assert found == pytest.approx((3, 3 - half, 3 + half, 5), abs=1e-5)
    assert interval([2.0]) == (2, -math.inf, math.inf, 1)
    assert math.isnan(interval([1.0, math.nan]).low)


@pytest.mark.parametrize(
    ("gap", "power", "told"),
    [
        ([30, 31, 29], [50, 51, 49], LEAK),
        ([30, 31, 29], [0, 1, -1], LEAK),  # what is seen is seen, whatever else is not
        ([0, 1, -1], [50, 51, 49], WITHIN),
        ([-9, -8, -10], [50, 51, 49], WITHIN),
        ([0, 1, -1], [0, 2, -1], BLIND),
        ([0, 40, -40], [50, 51, 49], BLIND),  # it could be a whole task
        ([30], [50], BLIND),
        ([0, 0, 0], [5, 5, 5], WITHIN),
        ([math.nan, 1, 1], [5, 5, 5], BLIND),
        ([5, 5, 5], [math.nan, 1, 1], LEAK),
    ],
)
def test_what_is_said(gap, power, told):
    assert verdict(interval(gap), interval(power)) == told


def test_a_value_over_chance_is_above_0_where_few_draws_reach_it():
    chance = list(range(101))
    found = over_chance(120, chance, 8)
    assert found == pytest.approx((70, 22.5, 117.5, 8))
    assert over_chance(90, chance, 8).low < 0


def test_p_values_are_one_sided_and_corrected():
    assert chance_of([1.0, 2.0, 3.0]) == pytest.approx(0.0371, abs=1e-4)
    assert chance_of([-1.0, -2.0, -3.0]) == pytest.approx(1 - 0.0371, abs=1e-4)
    assert [chance_of(values) for values in ([1, 1], [0, 0], [1], [math.nan, 1])] == [0, 1, 1, 1]
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
