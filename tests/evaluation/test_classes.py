import math

import numpy as np
import pytest

from uncle_jax.evaluation import classes, metrics
from uncle_jax.methods.protocol import Method
from uncle_jax.requests import parse
from uncle_jax.tasks import Data, only_classes, without_classes

DATA = Data(np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1), np.array([0, 0, 1, 1, 2, 2]))


def answering(labels):
    """A method that gives image i the label labels[i]."""
    logits = lambda state, task, x: np.eye(3)[np.asarray(labels)[np.ravel(x)]]  # noqa: E731
    return Method("spy", *[lambda *_: None] * 3, logits)  # type: ignore[list-item]


def test_images_by_class():
    assert only_classes(DATA, [2, 0]).labels.tolist() == [0, 0, 2, 2]
    assert np.ravel(without_classes(DATA, [2, 0]).images).tolist() == [2, 3]
    assert without_classes(DATA, ()) is DATA
    assert len(only_classes(DATA, ()).labels) == 0


def test_what_a_network_knows_of_a_class(blob_benchmark):
    spoken = answering([0, 1, 1, 1, 2, 0])
    request = parse("U0:0+2")[0]
    assert classes.before(spoken, None, request, DATA) == {"class_before": 50, "rest_before": 100}
    known = classes.measure(
        spoken, None, type("B", (), {"load": lambda *_: DATA})(), {3: (0, 1), 4: (2,)}
    )
    assert known == {"class_3:0": 50, "class_3:1": 100, "class_4:2": 50}
    lone = only_classes(DATA, [1])  # a test split that lacks it
    assert math.isnan(classes.before(spoken, None, request, lone)["class_before"])


def test_metrics_of_classes_by_hand():
    requests = parse("L0 L1 U0:1 U1 L1 U1:2")
    accuracy = [
        {0: 90.0},
        {0: 91.0, 1: 80.0},
        {0: 88.0, 1: 78.0},  # spill 2 on task 1; its own rest is no spill
        {0: 88.0, 1: 10.0},  # spill 0 on task 0
        {0: 85.0, 1: 81.0},
        {0: 86.0, 1: 75.0},  # spill 1 on task 0
    ]
    measured = [{} for _ in requests]
    measured[2] = {"rest_before": 92.0, "rest": 88.0}
    measured[5] = {"rest_before": 74.0, "rest": 75.0, "class_0:1": 4.0, "class_1:2": 1.0}
    found = metrics.all_metrics(requests, accuracy, measured)
    assert found["FA_class"] == 2.5
    assert found["fall_class"] == (4 - 1) / 2
    assert found["spill"] == pytest.approx((2 + 0 + 1) / 3)
    assert found["erosion"] == (88 - 86 + 75 - 75) / 2  # since the classes went
    assert math.isnan(metrics.all_metrics(parse("L0"), [{0: 1.0}], [{}])["FA_class"])
