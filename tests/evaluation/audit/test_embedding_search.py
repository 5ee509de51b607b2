"""Embedding search: it finds what is there, and not what never was."""

import dataclasses
import math

import jax
import numpy as np
import pytest
from conftest import HYPER, SPEC, TINY, Small, blobs

from uncle_jax.errors import UncleError
from uncle_jax.evaluation.accuracy import evaluate
from uncle_jax.evaluation.audit.embedding_search import EmbeddingSearch, search
from uncle_jax.evaluation.audit.target import Target
from uncle_jax.methods.clpu import clpu
from uncle_jax.methods.uncle import uncle

SETTINGS = EmbeddingSearch(starts=6, steps=120, batch=16)


def target(seed: int) -> Target:
    return Target(0, blobs(2 * seed, 96), blobs(2 * seed + 1), SPEC)


@pytest.fixture(scope="module")
def method():
    return uncle(SPEC, 3, dataclasses.replace(TINY, epochs=20), Small(), HYPER)


@pytest.fixture(scope="module")
def learned(method):
    """A state that has learned task 0, blobs 0."""
    return method.learn(method.init(jax.random.key(0)), 0, target(0).train)


def test_a_task_that_was_not_unlearned_is_found_and_one_never_learned_is_not(method, learned):
    assert evaluate(method, learned, 0, target(0).test) > 95
    there = search(method, learned, target(0), SETTINGS, jax.random.key(1))
    never = search(method, learned, target(3), SETTINGS, jax.random.key(1))
    assert there.accuracy.shape == (6,)
    assert there.emb.shape == (6, HYPER.embedding)
    assert there.accuracy.min() > 95
    assert never.accuracy.max() < 70


def test_equal_keys_find_the_same_and_the_state_stays_usable(method, learned):
    few = dataclasses.replace(SETTINGS, starts=2, steps=3)
    losses = []
    once = search(method, learned, target(0), few, jax.random.key(1), lambda *a: losses.append(a))
    again = search(method, learned, target(0), few, jax.random.key(1))
    other = search(method, learned, target(0), few, jax.random.key(2))
    np.testing.assert_array_equal(once.emb, again.emb)
    assert not np.array_equal(once.emb, other.emb)
    assert [(step, steps) for step, steps, _ in losses] == [(1, 3), (2, 3), (3, 3)]
    assert all(not leaf.is_deleted() for leaf in jax.tree.leaves(learned))


def test_a_search_may_start_at_the_tasks_own_embedding(method, learned):
    near = dataclasses.replace(SETTINGS, start="own", radius=0.01, steps=1, lr=1e-6)
    found = search(method, learned, target(0), near, jax.random.key(1))
    np.testing.assert_allclose(found.emb, np.tile(learned.task_emb[0], (6, 1)), atol=0.05)
    assert found.accuracy.min() > 90


def test_every_other_start_may_be_near_the_tasks_own(method, learned):
    both = dataclasses.replace(SETTINGS, start="both", radius=0.01, steps=1, lr=1e-6)
    fresh = dataclasses.replace(both, start="fresh")
    found, other = (
        search(method, learned, target(0), s, jax.random.key(1)).emb for s in (both, fresh)
    )
    np.testing.assert_array_equal(found[1::2], other[1::2])
    own = np.asarray(learned.task_emb[0])
    assert np.abs(found[::2] - own).max() < 0.1 < np.abs(other[::2] - own).max()


def test_norm_statistics_may_be_fitted_to_the_training_images(method, learned):
    fitted = dataclasses.replace(SETTINGS, norm="fitted", starts=3)
    one = target(0)
    found = search(method, learned, one, fitted, jax.random.key(1))
    assert found.accuracy.min() > 90
    # an image's answer then depends on no other: a single image is answered as among all
    alone = one._replace(test=type(one.test)(one.test.images[:1], one.test.labels[:1]))
    assert set(search(method, learned, alone, fitted, jax.random.key(1)).accuracy) == {100}


def test_test_images_count_once_each_whatever_the_batch(learned):
    few = dataclasses.replace(SETTINGS, starts=2, steps=1)
    for size in (48, 100):  # of 48 images: one batch, of as many
        config = dataclasses.replace(TINY, epochs=20, eval_batch_size=size)
        method = uncle(SPEC, 3, config, Small(), HYPER)
        found = search(method, learned, target(0), few, jax.random.key(1))
        assert all(math.isclose(a * 48 / 100, round(a * 48 / 100)) for a in found.accuracy)


def test_starts_may_be_vmapped_as_on_an_accelerator(method, learned, monkeypatch):
    few = dataclasses.replace(SETTINGS, starts=3, steps=4)
    looped = search(method, learned, target(0), few, jax.random.key(1))
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    again = uncle(SPEC, 3, dataclasses.replace(TINY, epochs=19), Small(), HYPER)  # traced anew
    vmapped = search(again, learned, target(0), few, jax.random.key(1))
    np.testing.assert_allclose(vmapped.emb, looped.emb, rtol=1e-4, atol=1e-4)


def test_what_has_no_hypernetwork_is_refused():
    method = clpu(SPEC, 3, TINY, Small())
    with pytest.raises(UncleError, match="clpu has no hypernetwork"):
        search(method, method.init(jax.random.key(0)), target(0), SETTINGS, jax.random.key(1))
