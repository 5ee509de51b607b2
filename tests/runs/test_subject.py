"""A finished run's state, and those that it is held against."""

import numpy as np

from uncle_jax.core.status import describe
from uncle_jax.data.load import Choice
from uncle_jax.evaluation.accuracy import evaluate
from uncle_jax.runs import subject as subjects
from uncle_jax.runs.subject import Subject


def test_the_states_are_the_runs_and_of_those_that_never_learned_the_task(run):
    subject = Subject(run, Choice())
    states = {name: subject[name].state for name in ("run", "never", "swapped", "kept")}
    assert {name: describe(state) for name, state in states.items()} == {
        "run": {"learned": [1, 2], "unlearned": [0]},
        "never": {"learned": [1, 2], "unlearned": []},
        "swapped": {"learned": [1, 2], "unlearned": [0]},
        "kept": {"learned": [0, 1, 2], "unlearned": []},
    }
    for state in states.values():
        assert evaluate(subject.method, state, 1, subject.benchmark.load(1, "test")) > 80


def test_the_control_learned_another_task_in_the_unlearned_ones_place(run):
    subject = Subject(run, Choice())
    assert subject.unused == [*range(3, 20)]  # of the benchmark, then to spare
    assert subject.swap == {0: 19}
    benchmark = subjects.swapped(subject)
    for split in ("train", "test"):
        images = [one.load(t, split).images for one, t in ((benchmark, 0), (subject.benchmark, 19))]
        np.testing.assert_array_equal(*images)
    np.testing.assert_array_equal(
        benchmark.load(1, "train").images, subject.benchmark.load(1, "train").images
    )
