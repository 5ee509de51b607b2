"""Prediction without a task id."""

from types import SimpleNamespace

import numpy as np
import pytest

from uncle_jax.evaluation.task_free import guess, measure
from uncle_jax.tasks import Data

SURE, LESS, NONE = np.log([0.98, 0.01, 0.01]), np.log([0.2, 0.6, 0.2]), np.zeros(3)


def answering(table):
    """A method whose task t answers image i with table[t][i]."""

    def logits(state, task, images):
        return np.stack([table[task][int(i)] for i in images])

    return SimpleNamespace(logits=logits)


def test_the_surest_of_the_retained_answers():
    method = answering({0: [SURE, NONE, LESS], 2: [LESS, LESS, SURE], 1: [SURE] * 3})
    found = guess(method, None, [0, 2], np.arange(3))
    assert found.task.tolist() == [0, 2, 2]
    assert found.label.tolist() == [0, 1, 0]
    assert found.entropy[0] == pytest.approx(0.1019, abs=1e-3)


def test_a_task_of_few_classes_has_no_advantage_and_nan_is_no_answer():
    two = np.array([0.5, 0.0, -np.inf])  # nearly a guess among two: 0.66 of ln 3, 0.95 of ln 2
    method = answering({0: [two, two], 1: [LESS, np.full(3, np.nan)]})
    found = guess(method, None, [0, 1], np.arange(2))
    assert found.task.tolist() == [1, 0]
    assert found.label.tolist() == [1, 0]


def test_what_is_measured():
    method = answering({0: [SURE, SURE, LESS], 1: [LESS, NONE, SURE], 5: [NONE] * 3})
    tests = {
        0: Data(np.array([0, 1]), np.array([0, 1])),  # both found to be 0's, one of its class
        1: Data(np.array([2, 0]), np.array([0, 0])),  # the second is taken for 0's
        5: Data(np.array([2]), np.array([0])),  # unlearned
    }
    found = measure(method, None, [0, 1], tests)
    assert found["TF_task"] == 100 * (1 + 0.5) / 2
    assert found["TF_accuracy"] == 100 * (0.5 + 0.5) / 2
    assert found["TF_sure"] == pytest.approx(found["TF_sure_gone"]) == pytest.approx(89.8, abs=0.1)
    assert measure(method, None, [], tests) == {}
    assert "TF_sure_gone" not in measure(method, None, [0, 1], {0: tests[0]})
