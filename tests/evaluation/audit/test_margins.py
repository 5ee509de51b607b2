"""Attacks on margins: by hand, and on models of which it is known."""

import math

import numpy as np
import pytest

from uncle_jax.evaluation.audit.margins import (
    CAP,
    Margins,
    auc,
    epsilons,
    exchanged,
    forgetting,
    klom,
    margins,
    rmia,
    rmia_auc,
    true_positives,
    u_lira,
)
from uncle_jax.evaluation.audit.verdict import interval


def test_a_margins_sigmoid_is_the_probability_of_the_class():
    logits = np.array([[1.0, 2.0, 0.5], [300.0, 0.0, 0.0], [1.0, 2.0, -np.inf]])
    found = margins(logits, np.array([1, 0, 0]))
    p = np.exp(2) / (np.exp(1) + np.exp(2) + np.exp(0.5))
    assert 1 / (1 + np.exp(-found[0])) == pytest.approx(p)
    assert found[1] == 100  # clipped
    assert found[2] == pytest.approx(-1)
    assert np.isnan(margins(np.array([[np.nan, 1.0]]), np.array([0]))).all()


def test_auc_counts_pairs():
    assert auc(np.array([3.0, 1.0]), np.array([2.0, 0.0])) == 0.75
    assert auc(np.array([1.0, 1.0]), np.array([1.0])) == 0.5
    assert auc(np.array([2.0]), np.array([1.0, 0.0])) == 1
    scores = np.random.default_rng(0).normal(size=(2, 30)).round(1)
    by_hand = np.mean([(a > b) + (a == b) / 2 for a in scores[0] for b in scores[1]])
    assert auc(*scores) == pytest.approx(by_hand)


def test_true_positives_at_a_rate_of_false_ones():
    negative = np.arange(100.0)
    assert true_positives(np.array([98.5, 99.5, 0.0]), negative, 0.01) == pytest.approx(2 / 3)
    assert true_positives(np.array([98.5, 99.5, 0.0]), negative, 0.001) == pytest.approx(1 / 3)


def test_u_lira_on_models_never_trained_on_the_task_has_an_auc_of_a_half():
    inside = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        places = rng.normal(size=200)
        never, alike = (places + rng.normal(size=(12, 200)) for _ in range(2))
        found = interval([*u_lira(alike, never)], folds=True)
        inside.append(found.low < 0.5 < found.high)
    assert sum(inside) >= 35  # of 40 intervals of 95 %
    trained = u_lira(never + 3, never)
    assert trained.min() > 0.95
    np.testing.assert_array_equal(u_lira(never, never), 0.5)
    assert np.isnan(u_lira(never[:2], alike[:2])).all()


def test_u_lira_sees_a_spread_that_differs_at_an_equal_mean():
    rng = np.random.default_rng(1)
    constant = 0.01 * rng.normal(size=(8, 300))
    assert u_lira(constant, rng.normal(size=(8, 300))).mean() > 0.9


def logit(p):
    return math.log(p / (1 - p))


def test_rmia_by_hand_on_three_numbers():
    """A member and a population of two; a reference gives all 1/2, so P is (1.3 / 2 + 0.7) / 2."""
    model = Margins(np.array([logit(0.9)]), np.array([logit(0.8), logit(0.95)]))
    reference = np.zeros((1, 1)), np.zeros((1, 2))
    np.testing.assert_allclose(rmia(model, *reference), [1 / 2, 0, 1 / 2])
    assert rmia_auc(model, *reference) == pytest.approx(0.75)
    # a reference that knows the member as well takes it down: 0.9 / 0.935 against 0.8 / 0.675
    knows = np.array([[logit(0.9)]]), np.zeros((1, 2))
    np.testing.assert_allclose(rmia(model, *knows), [0, 0, 1 / 2])


def test_epsilon_is_capped_and_what_cannot_be_told_is_none():
    apart = np.array([[5.0], [6.0]])
    assert epsilons(apart, -apart).tolist() == [CAP]
    same = np.array([[1.0], [1.0]])
    assert epsilons(same, same).tolist() == [0]
    # thresholds above 3: FPR 1/4, FNR 1/4: ln(0.75 / 0.25)
    yes, no = np.array([[1.0, 4, 5, 6]]).T, np.array([[0.0, 2, 3, 4.5]]).T
    assert epsilons(yes, no)[0] == pytest.approx(math.log(3), abs=1e-4)


def test_forgetting_gives_points_by_epsilon_and_counts_what_is_left_of_usefulness():
    assert forgetting(np.array([0.0, 0.49, 0.5, 1.0])) == pytest.approx((1 + 1 + 0.5 + 0.25) / 4)
    assert forgetting(np.array([CAP])) == pytest.approx(2.0**-100)
    assert forgetting(np.array([0.0]), 0.9, 0.8) == pytest.approx(0.72)


def test_klom_is_by_bins_of_an_image():
    yes, no = np.array([[0.0, 1.0, 1.0]]).T, np.array([[0.0, 0.0, 1.0]]).T
    p, q = (np.array([n + 0.5 for n in counts] + [0.5] * 18) / 13 for counts in ((1, 2), (2, 1)))
    assert klom(yes, no) == pytest.approx([np.sum(p * np.log(p / q))])
    assert klom(np.ones((4, 1)), np.ones((4, 1))) == [0]  # no spread


def test_what_differs_is_above_what_exchanging_seeds_gives_by_chance():
    rng = np.random.default_rng(2)
    for of in (klom, epsilons):
        beyond = []
        for _ in range(20):
            never, alike = rng.normal(size=(2, 10, 30))
            found = exchanged(of, alike, never, draws=60)
            beyond.append(found.value > np.quantile(found.chance, 0.975))
        assert sum(beyond) <= 2
        apart = exchanged(of, never + 50, never, draws=60)
        assert apart.value > apart.chance.max()
