"""Classes of a task that are gone, and whether they come back."""

import dataclasses
import math

import jax
import numpy as np
import pytest
from conftest import HYPER, SPEC, TINY, Heads, Small, blobs

from uncle_jax.evaluation.audit.classes import ClassRelearning, balanced, measure
from uncle_jax.evaluation.audit.target import Target
from uncle_jax.methods.multihead.controls import delete_head
from uncle_jax.methods.uncle import uncle
from uncle_jax.tasks import without_classes

OWN = dataclasses.replace(TINY, epochs=20, class_unlearning="own")
TRAIN, TEST = blobs(0, 96), blobs(1, 64)
HOW = ClassRelearning(examples=(1, 4), steps=(1, 8), lr=1e-3)


def test_balanced_accuracy_of_a_constant_answer_is_a_half():
    labels = np.array([0, 0, 0, 2])
    assert balanced(np.eye(3)[[2, 2, 2, 2]], labels, [2]) == 50
    assert balanced(np.eye(3)[[0, 0, 1, 2]], labels, [2]) == pytest.approx(50 * (2 / 3 + 1))
    assert math.isnan(balanced(np.eye(3)[[0, 0]], np.array([0, 1]), [2]))
    assert math.isnan(balanced(np.full((4, 3), np.nan), labels, [2]))


@pytest.mark.parametrize("make", [uncle, delete_head])
def test_what_deletes_an_output_keeps_what_its_features_know(make):
    net = (Small(), HYPER) if make is uncle else (Heads(),)
    method = make(SPEC, 4, OWN, *net)
    state = method.init(jax.random.key(0))
    kept = method.learn(state, 1, TRAIN)
    never = method.learn(state, 1, without_classes(TRAIN, [2]))
    gone = method.unlearn_classes(kept, 1, [2])
    target = Target(1, TRAIN, TEST, SPEC)
    found = {
        name: measure(method, one, target, (2,), HOW)
        for name, one in (("kept", kept), ("never", never), ("gone", gone))
    }
    assert found["kept"].few.shape == (2, 2)
    assert found["kept"].probe.shape == (3,)
    assert found["kept"].few[0, 0] > 80 > found["gone"].few[0, 0]
    np.testing.assert_allclose(found["gone"].probe, found["kept"].probe, atol=1.0)
    assert found["gone"].few[-1, -1] > found["gone"].few[0, 0]
