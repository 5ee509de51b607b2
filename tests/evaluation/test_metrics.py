import math

import pytest

from uncle_jax.evaluation import metrics
from uncle_jax.requests import parse

REQUESTS = parse("L0 L1 L2 U0 L3 U1")
ACCURACY = [
    {0: 90.0},
    {0: 89.0, 1: 80.0},
    {0: 89.0, 1: 79.0, 2: 95.0},
    {0: 10.0, 1: 76.0, 2: 96.0},  # U0: retained 1 and 2 change by 3 and 1
    {0: 12.0, 1: 75.0, 2: 96.0, 3: 70.0},
    {0: 7.0, 1: 11.0, 2: 94.0, 3: 71.0},  # U1: retained 2 and 3 change by 2 and 1
]


def test_metrics_by_hand():
    values = metrics.all_metrics(REQUESTS, ACCURACY)
    assert values["RA"] == (94 + 71) / 2
    assert values["FA"] == (7 + 11) / 2
    assert values["spill"] == pytest.approx(((3 + 1) / 2 + (2 + 1) / 2) / 2)
    assert values["spill_sum"] == pytest.approx(((3 + 1) + (2 + 1)) / 2)
    assert values["relapse"] == (3 + 0) / 2  # task 0 went 10 -> 7 after U0, task 1 stayed
    assert values["relapse_signed"] == -3 / 2


def test_a_task_learned_again_counts_as_retained_and_does_not_relapse():
    requests = parse("L0 U0 L0")
    accuracy = [{0: 90.0}, {0: 10.0}, {0: 88.0}]
    values = metrics.all_metrics(requests, accuracy)
    assert values["RA"] == 88
    assert all(math.isnan(values[name]) for name in ("FA", "spill", "relapse"))


def test_unlearned_tasks_do_not_spill_on_each_other():
    requests = parse("L0 L1 U0 U1")
    accuracy = [{0: 90.0}, {0: 90.0, 1: 90.0}, {0: 10.0, 1: 88.0}, {0: 30.0, 1: 10.0}]
    assert metrics.spill(requests, accuracy) == 2  # U1 leaves nothing retained
    assert metrics.relapse(requests, accuracy) == 10


def test_erosion_is_what_a_retained_task_has_lost_since_it_was_learned():
    # at the end 2 and 3 are retained: 95 -> 94 and 70 -> 71
    assert metrics.erosion(REQUESTS, ACCURACY) == (1 - 1) / 2
    assert metrics.erosion_worst(REQUESTS, ACCURACY) == 1
    assert metrics.backward_transfer(REQUESTS, ACCURACY) == -1  # of 2 alone: 3 came last
    again = parse("L0 U0 L0 L1")  # from where it was learned last
    seen = [{0: 90.0}, {0: 10.0}, {0: 80.0}, {0: 75.0, 1: 90.0}]
    assert metrics.erosion(again, seen) == 2.5
    assert metrics.erosion_worst(again, seen) == 5


def test_what_a_stream_does_to_what_is_kept_and_to_what_is_gone():
    requests = parse("L0 L1 U0 L2 U1 L0")
    seen = [
        {0: 90.0},
        {0: 60.0, 1: 80.0},  # 0 falls by 30 while it is retained
        {0: 10.0, 1: 81.0},
        {0: 35.0, 1: 75.0, 2: 70.0},  # 0 is back by 25
        {0: 12.0, 1: 9.0, 2: 66.0},
        {0: 88.0, 1: 8.0, 2: 68.0},  # and what it has once learned again is no reversal
    ]
    values = metrics.all_metrics(requests, seen)
    assert values["RA_worst"] == 68
    assert values["fall_worst"] == 30
    assert values["reversal"] == (25 + 0) / 2
    assert values["reversal_worst"] == 25
    assert values["erosion_worst"] == 2  # the end alone shows nothing of the fall
    assert metrics.fallen(requests[:2], seen[:2], 10) == {0: (90, 60)}
    assert metrics.fallen(requests, seen, 2) == {2: (70, 68)}
    assert metrics.fallen(requests, seen, 2.1) == {}
    assert metrics.fallen(requests[:2], [{}, {1: 80.0}], 1) == {}  # not measured then
    assert math.isnan(metrics.reversal(parse("L0 U0"), seen[:2]))


def test_what_is_measured_beside_accuracy():
    requests = parse("L0 L1 U0 U1")
    measured = [
        {"before": 12.0, "guess": 10.0, "kept_bytes": 1e6},
        {"before": 25.0, "guess": 10.0, "kept_bytes": 1e6},
        {"UNI": 90.0, "read_bytes": 4e6, "kept_bytes": 1e6},
        {"UNI": -math.inf, "read_bytes": 0.0, "kept_bytes": 2e6},
    ]
    assert metrics.uni(requests, measured) == -math.inf
    assert metrics.uni(requests[:3], measured[:3]) == 90
    assert metrics.forward_transfer(requests, measured) == 15  # the first has nothing before it
    assert metrics.megabytes_kept(requests, measured) == 2
    assert metrics.megabytes_read(requests, measured) == 2


def test_what_was_not_measured_is_not_a_number():
    values = metrics.all_metrics(REQUESTS, ACCURACY)
    assert all(math.isnan(values[name]) for name in metrics.OF_MEASURED)
    values = metrics.all_metrics(REQUESTS, ACCURACY, [{}] * len(REQUESTS))
    assert all(math.isnan(values[name]) for name in metrics.OF_MEASURED)
