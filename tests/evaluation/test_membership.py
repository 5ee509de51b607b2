import math

import numpy as np
import pytest

from uncle_jax.evaluation.membership import PER_TASK, measure, membership
from uncle_jax.tasks import Data

RNG = np.random.default_rng(0)


def outputs(n, sure):
    """Probabilities of three classes, the label's about `sure`, and labels."""
    labels = RNG.integers(0, 3, n)
    p = np.full((n, 3), (1 - sure) / 2, np.float32)
    p[np.arange(n), labels] = sure
    p += RNG.uniform(-0.02, 0.02, p.shape).astype(np.float32)
    return p / p.sum(axis=-1, keepdims=True), labels


def constant(n):
    return np.tile(np.float32([0.5, 0.3, 0.2]), (n, 1)), RNG.integers(0, 3, n)


def test_a_constant_answer_gives_exactly_fifty():
    known = outputs(80, 0.95), outputs(80, 0.6)
    targets, labels = constant(40)
    unseen, others = constant(60)
    found = membership(*known, (targets, np.zeros_like(labels)), (unseen, np.zeros_like(others)))
    assert found == dict.fromkeys(("correctness", "confidence", "entropy", "probability"), 50.0)


def test_a_network_that_is_surer_of_what_it_saw_is_found_out():
    known = outputs(80, 0.95), outputs(80, 0.6)
    found = membership(*known, outputs(40, 0.95), outputs(60, 0.6))
    assert found["confidence"] > 95
    assert found["entropy"] > 95
    assert found["probability"] > 95
    assert found["correctness"] == pytest.approx(50, abs=1)  # it is always right


def test_a_network_that_is_no_surer_is_not():
    known = outputs(80, 0.95), outputs(80, 0.6)
    assert membership(*known, outputs(40, 0.6), outputs(60, 0.6))["confidence"] < 55


def test_no_number_in_no_number_out():
    known = outputs(20, 0.95), outputs(20, 0.6)
    broken = np.full((4, 3), np.nan, np.float32), np.zeros(4, int)
    assert all(map(math.isnan, membership(*known, broken, broken).values()))


def test_what_is_asked_of_a_method():
    asked = []

    class Stub:
        def logits(self, state, task, images):
            asked.append((task, len(images)))
            return images

    def load(task, split):
        n = 2 * PER_TASK if split == "train" else 30
        p, labels = outputs(n, 0.95 if split == "train" else 0.6)
        return Data(np.log(p), labels)

    found = measure(Stub(), None, 7, [1, 2], load)
    assert set(found) == {"MIA_correctness", "MIA_confidence", "MIA_entropy", "MIA_probability"}
    assert found["MIA_confidence"] > 95
    assert asked == [(1, PER_TASK), (2, PER_TASK), (1, 30), (2, 30), (7, 2 * PER_TASK), (7, 30)]
    assert measure(Stub(), None, 7, [], load) == {}
