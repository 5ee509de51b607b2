"""PALL: what a task trained is its own, and goes with it."""

import dataclasses

import jax
import numpy as np
import pytest
from conftest import TINY, Heads, blobs

from uncle_jax.core.status import describe
from uncle_jax.evaluation.accuracy import evaluate
from uncle_jax.methods.multihead import pall as module
from uncle_jax.methods.multihead.pall import Pall, pall, straight_through, subset

CONFIG = dataclasses.replace(TINY, lr=0.02, epochs=4)
SETTINGS = Pall(sparsity=0.5, buffer_per_task=12, k_shot=3)


@pytest.fixture(scope="module")
def method(spec):
    return pall(spec, 4, CONFIG, Heads(), SETTINGS)


@pytest.fixture(scope="module")
def two(method):
    state = method.learn(method.init(jax.random.key(0)), 0, blobs(0))
    return method.learn(state, 2, blobs(4))


def answers(method, state, task):
    return np.asarray(method.logits(state, task, blobs(2 * task + 1).images))


def test_tasks_are_learned_and_later_ones_move_no_answer_of_earlier_ones(method, two):
    for task in (0, 2):
        assert evaluate(method, two, task, blobs(2 * task + 1)) > 80
    after = method.learn(two, 1, blobs(2))
    for task in (0, 2):
        np.testing.assert_array_equal(answers(method, after, task), answers(method, two, task))


def test_a_subset_is_of_the_largest_scores_and_its_gradient_the_scores():
    score = np.array([[0.1, -0.9], [0.3, -0.2]], np.float32)
    assert np.asarray(subset(score, 0.5)).tolist() == [[False, True], [True, False]]
    assert np.asarray(subset(score, 0.0)).all()
    weight = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
    found = jax.grad(lambda s: (straight_through(s, subset(s, 0.5)) * weight).sum())(score)
    np.testing.assert_array_equal(found, weight)


def test_of_the_task_learned_last_nothing_is_left_and_nothing_else_moves(method, two):
    steps = []
    after = method.unlearn(two, 2, on_step=lambda *told: steps.append(told))
    assert steps == []  # nobody else uses its weights
    np.testing.assert_array_equal(answers(method, after, 0), answers(method, two, 0))
    used = jax.tree.map(lambda m: np.asarray(m[0]), two.masks)
    own = jax.tree.map(lambda m, before: np.asarray(m[2]) & ~before, two.masks, used)
    for old, new, mine in zip(*map(jax.tree.leaves, (two.params, after.params, own)), strict=True):
        if old.ndim > 1:
            assert np.all(np.asarray(old)[mine] != np.asarray(new)[mine])
            np.testing.assert_array_equal(np.asarray(old)[~mine], np.asarray(new)[~mine])
    assert not any(np.any(m[2]) for m in jax.tree.leaves(after.masks))
    assert int(after.buffer.count[2]) == 0
    assert describe(after) == {"learned": [0], "unlearned": [2]}


def test_what_a_later_task_uses_too_is_tuned_on_its_samples_alone(method, two):
    steps = []
    after = method.unlearn(two, 0, on_step=lambda step, n, loss: steps.append((step, n)))
    assert steps == [(1, 3), (2, 3), (3, 3)]
    assert np.asarray(after.tuned_on).nonzero() == (np.array([0]), np.array([2]))
    tuned = [np.asarray(m[0]) for m in jax.tree.leaves(after.tuned)]
    masks = [np.asarray(m[2]) for m in jax.tree.leaves(two.masks)]
    assert any(map(np.any, tuned))
    assert not any(np.any(t & ~m) for t, m in zip(tuned, masks, strict=True))
    assert not any(np.any(t) for t in tuned if t.ndim == 1 and t.size < 12)  # no bias of no head


def test_what_was_tuned_on_a_tasks_samples_goes_with_it(method, two, monkeypatch):
    """0 goes, its weights in 1 and 2 are tuned on 1's and 2's samples; then 2 goes, too."""
    three = method.learn(two, 1, blobs(2))  # 0, 2, 1 in this order
    without = method.unlearn(three, 0)
    tuned = jax.tree.map(lambda m: np.asarray(m[0]), without.tuned)
    seen = {}

    def spy(net, settings, networks, buffer, kept, tune, key, on_step):
        seen.update(kept=kept, tune=tune, params=networks[0])
        return networks[0], networks[2]

    monkeypatch.setattr(module, "_fine_tuned", spy)
    after = method.unlearn(without, 1)  # learned last, so that 2 had trained what they share
    assert seen["kept"] == [2]
    leaves = zip(*map(jax.tree.leaves, (seen["tune"], without.masks, tuned)), strict=True)
    wide = [(told, masks[1] & masks[2] & past) for told, masks, past in leaves if told.ndim > 1]
    assert any(np.any(leak) for _, leak in wide)
    for told, leak in wide:
        np.testing.assert_array_equal(told, leak)
    assert not np.any(np.asarray(after.tuned_on)[:, 1])


def test_the_last_task_leaves_a_network_as_drawn(method):
    state = method.unlearn(method.learn(method.init(jax.random.key(1)), 3, blobs(6)), 3)
    assert not any(np.any(m) for m in jax.tree.leaves(state.masks))
    assert np.asarray(state.buffer.images).sum() == 0


def test_a_buffer_has_as_many_of_each_class(method, two):
    labels = np.asarray(two.buffer.labels[0])
    assert np.bincount(labels, minlength=3).tolist() == [4, 4, 4]
