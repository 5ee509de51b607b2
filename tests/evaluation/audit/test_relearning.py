"""Relearning: a head start shows, and none is none."""

import dataclasses

import jax
import numpy as np
import pytest
from conftest import HYPER, SPEC, TINY, Small, blobs

from uncle_jax.evaluation.audit.relearning import Relearning, epochs_of, one_epoch, relearn
from uncle_jax.evaluation.audit.target import Target
from uncle_jax.methods.clpu import clpu
from uncle_jax.methods.uncle import uncle
from uncle_jax.tasks import Data

SETTINGS = Relearning(epochs=(0.5, 1.0, 4.0), repeats=2)
CONFIG = dataclasses.replace(TINY, epochs=20)


def target(seed: int) -> Target:
    return Target(0, blobs(2 * seed, 96), blobs(2 * seed + 1), SPEC)


@pytest.fixture(scope="module")
def brief():
    return uncle(SPEC, 3, one_epoch(CONFIG), Small(), HYPER)


@pytest.fixture(scope="module")
def states():
    """A state that learned task 0 and did not unlearn it, and one that learned nothing."""
    method = uncle(SPEC, 3, CONFIG, Small(), HYPER)
    fresh = method.init(jax.random.key(0))
    return method.learn(fresh, 0, target(0).train), fresh


def test_a_task_that_was_not_unlearned_is_back_at_once(brief, states):
    learned, fresh = states
    there = relearn(brief, learned, target(0), SETTINGS, jax.random.key(1))
    never = relearn(brief, fresh, target(0), SETTINGS, jax.random.key(1))
    assert there.shape == never.shape == (2, 3)
    assert there[:, 0].min() > 90
    assert never[:, 0].max() < 75
    assert np.all(never[:, 2] > never[:, 0])  # it is learned in the end


def test_another_task_has_no_such_start(brief, states):
    there = relearn(brief, states[0], target(0), SETTINGS, jax.random.key(1))
    other = relearn(brief, states[0], target(3), SETTINGS, jax.random.key(1))
    assert there[:, 0].mean() > other[:, 0].mean() + 15


def test_equal_keys_and_states_give_equal_numbers(brief, states):
    heard = []
    once, again, other = (
        relearn(brief, states[1], target(0), SETTINGS, jax.random.key(k), on_learned)
        for k, on_learned in ((1, None), (1, lambda *told: heard.append(told)), (2, None))
    )
    np.testing.assert_array_equal(once, again)
    assert not np.array_equal(once, other)
    assert heard == [(i, 6) for i in range(1, 7)]


def test_what_a_method_would_learn_anew_is_relearned_on_what_the_state_holds(brief, states):
    anew = brief._replace(learn=None, onward=brief.learn)
    there, same = (
        relearn(method, states[0], target(0), SETTINGS, jax.random.key(1))
        for method in (anew, brief)
    )
    np.testing.assert_array_equal(there, same)


def test_any_method_can_be_relearned_with():
    method = clpu(SPEC, 3, one_epoch(CONFIG), Small())
    found = relearn(method, method.init(jax.random.key(0)), target(0), SETTINGS, jax.random.key(1))
    assert np.all(np.isfinite(found))


def test_the_learner_takes_one_epoch_at_the_full_rate():
    brief = one_epoch(dataclasses.replace(CONFIG, schedule="cosine"))
    assert (brief.epochs, brief.schedule, brief.lr) == (1, "constant", CONFIG.lr)


@pytest.mark.parametrize(
    ("epochs", "counts"), [(0.5, {0: 5, 1: 5}), (1.0, {1: 10}), (2.5, {2: 5, 3: 5})]
)
def test_epochs_hold_every_image_equally_often(epochs, counts):
    data = Data(np.zeros((10, 2, 2, 1), np.uint8), np.arange(10))
    found = epochs_of(data, epochs, seed=3).labels
    times, images = np.unique(np.bincount(found, minlength=10), return_counts=True)
    assert dict(zip(times.tolist(), images.tolist(), strict=True)) == counts
    assert not np.array_equal(found[:10], np.arange(len(found))[:10])


def test_no_part_of_an_epoch_is_nothing():
    data = Data(np.zeros((10, 2, 2, 1), np.uint8), np.arange(10))
    assert len(epochs_of(data, 0.01, seed=0).labels) == 1
