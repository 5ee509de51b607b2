"""What an unlearn request is handed: a task's, and one of some of a task's classes."""

import jax
import numpy as np
import pytest

from uncle_jax.engine.sequence import run_sequence
from uncle_jax.engine.unlearning import gather, one_by_one, unlearn_classes
from uncle_jax.errors import UncleError
from uncle_jax.methods.protocol import Method
from uncle_jax.requests import Request, parse


@pytest.mark.parametrize(
    ("reads", "forget", "retained"),
    [
        ("none", None, None),
        ("buffer", None, None),
        ("forget", 1, []),
        ("forget+retain", 1, []),
        ("latest", None, [0]),
        ("all retained data", None, [2, 0]),
    ],
)
def test_a_method_is_handed_what_it_declares_and_nothing_else(
    blob_benchmark, reads, forget, retained
):
    handed = []

    def learn(state, task, data, *, on_step=None, inflight=None):
        return state

    def unlearn(state, task, *past, on_step=None):
        handed.append(past)
        return state

    method = Method(
        "spy", lambda key: 0, learn, unlearn, lambda s, t, x: np.zeros((len(x), 3)), reads
    )
    run_sequence(method, blob_benchmark, parse("L0 L1 L2 L3 U0 L0 U3 U1"), jax.random.key(0))
    *_, last = handed
    if retained is None:
        assert handed == [(), (), ()]
        return
    (past,) = last
    if forget is None:
        assert past.forget is None
    else:
        np.testing.assert_array_equal(past.forget.labels, blob_benchmark.load(1, "train").labels)
    assert list(past.retained) == retained
    for task, data in past.retained.items():
        np.testing.assert_array_equal(data.images, blob_benchmark.load(task, "train").images)


def test_past_data_excludes_what_is_held_out(blob_benchmark):
    method = Method("spy", *[lambda *_: None] * 4, "forget")  # type: ignore[list-item]
    held = blob_benchmark.held_out(5)
    past = gather(method, held, parse("L0 U0"))
    assert past is not None
    np.testing.assert_array_equal(past.forget.images, held.load(0, "train").images)
    assert len(past.forget.labels) < len(blob_benchmark.load(0, "train").labels)


def spy(reads, own=False):
    """(a method that changes nothing, what it was asked)."""
    asked = []

    def learn(state, task, data, *, on_step=None, inflight=None):
        asked.append(("learn", task, np.unique(data.labels).tolist()))
        return state

    def unlearn(state, task, *past, on_step=None):
        asked.append(("unlearn", task, *map(labels_of, past)))
        return state

    def classes(state, task, classes, *past, on_step=None):
        asked.append(("classes", task, classes, *map(labels_of, past)))
        return state

    def labels_of(past):
        forget = None if past.forget is None else np.unique(past.forget.labels).tolist()
        return forget, {t: np.unique(data.labels).tolist() for t, data in past.retained.items()}

    method = Method(
        "spy", lambda key: 0, learn, unlearn, lambda s, t, x: np.zeros((len(x), 3)), reads
    )
    return method._replace(unlearn_classes=classes if own else None), asked


@pytest.mark.parametrize(
    ("reads", "own", "expected"),
    [
        ("none", False, [("unlearn", 1), ("learn", 1, [0, 1])]),
        ("forget", False, [("unlearn", 1, ([0, 1, 2], {})), ("learn", 1, [0, 1])]),
        ("latest", False, [("unlearn", 1, (None, {0: [1, 2]})), ("learn", 1, [0, 1])]),
        ("all retained data", False, [("unlearn", 1, (None, {0: [1, 2]})), ("learn", 1, [0, 1])]),
        ("none", True, [("classes", 1, (2,))]),
        ("forget", True, [("classes", 1, (2,), ([2], {}))]),
        ("all retained data", True, [("classes", 1, (2,), (None, {0: [1, 2], 1: [0, 1]}))]),
    ],
)
def test_a_class_is_unlearned_with_its_task_or_in_the_methods_own_way(
    blob_benchmark, reads, own, expected
):
    """What was unlearned before (class 0 of task 0) nobody is shown again."""
    method, asked = spy(reads, own)
    run = run_sequence(method, blob_benchmark, parse("L0-0 L1 U1:2 L2 U1"), jax.random.key(0))
    assert asked[:2] == [("learn", 0, [1, 2]), ("learn", 1, [0, 1, 2])]
    assert asked[2 : 2 + len(expected)] == expected
    last = asked[-1][2:]
    assert last in {"none": [()], "forget": [(([0, 1], {}),)]}.get(reads, [last])
    third, end = run.answers[2].measured, run.answers[-1].measured
    # always answers class 0: what is measured of 1 is 0, of the class that task 0 lacks all
    assert (third["class_0:0"], third["class_1:2"], third["class_before"]) == (100, 0, 0)
    assert run.answers[1].accuracy[1] == pytest.approx(third["rest_before"] * 2 / 3)
    assert run.answers[2].accuracy[1] == third["rest"] == 50
    assert run.metrics["FA_class"] == 100 == end["class_0:0"]  # of task 1 nothing is left


def test_a_task_cannot_be_learned_again_without_its_other_classes():
    with pytest.raises(UncleError, match="needs the training data of its other classes"):
        unlearn_classes(spy("none")[0], 0, Request("C", 1, (2,)), None)


def test_what_stands_for_a_class_request_where_it_is_learned_again():
    asked = parse("L0 U0:1 U0:2 L1")
    both = one_by_one(spy("none")[0], asked)
    assert " ".join(map(str, both)) == "L0 U0 L0-1 U0 L0-1+2 L1"
    assert one_by_one(spy("none", own=True)[0], asked) == asked
