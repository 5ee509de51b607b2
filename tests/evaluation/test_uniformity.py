import math

import numpy as np
import pytest

from uncle_jax.evaluation.uniformity import uniformity


def logits_of(off):
    """Ten classes, of which nine have the probability `off` each."""
    p = np.full((3, 10), off, np.float64)
    p[:, 4] = 1 - 9 * off
    return np.log(p).astype(np.float32)


@pytest.mark.parametrize(
    ("off", "expected"), [(0.1, 100), (1e-2, 46.6), (1e-4, -54.8), (8e-8, -215)]
)
def test_known_values(off, expected):
    assert uniformity(logits_of(off)) == pytest.approx(expected, abs=0.5 if off < 1e-5 else 0.05)


def test_a_probability_that_underflows_is_minus_infinity():
    assert uniformity(np.array([[0.0, -200.0]])) == -math.inf


def test_a_constant_answer_that_is_sure_of_nothing_is_uniform():
    assert uniformity(np.zeros((5, 3))) == pytest.approx(100, abs=1e-4)


def test_classes_that_a_task_does_not_have_do_not_count():
    missing = np.full((3, 2), -np.inf, np.float32)
    assert uniformity(np.hstack([logits_of(0.1), missing])) == pytest.approx(100, abs=1e-4)


def test_no_number_in_no_number_out():
    assert math.isnan(uniformity(np.array([[np.nan, 1.0]])))
