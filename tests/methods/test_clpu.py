"""CLPU: a network per task, and that a deleted one leaves nothing."""

import dataclasses

import jax
import numpy as np
import pytest
from conftest import TINY, Linear, Small, blobs, same

from uncle_jax.core.status import LEARNED, NEW, UNLEARNED
from uncle_jax.engine.sequence import run_sequence
from uncle_jax.errors import UncleError
from uncle_jax.evaluation.accuracy import evaluate
from uncle_jax.methods.clpu import clpu
from uncle_jax.requests import parse
from uncle_jax.tasks import InputSpec, TaskSpec


@pytest.fixture(scope="module")
def method(spec):
    return clpu(spec, 3, dataclasses.replace(TINY, lr=0.02, epochs=4), Small())


@pytest.fixture(scope="module")
def two_learned(method):
    state = method.init(jax.random.key(0))
    return method.learn(method.learn(state, 0, blobs(0)), 2, blobs(4))


def learned(state):
    """All that a state holds apart from its history's record."""
    return state.params, state.stats, jax.random.key_data(state.key)


def test_after_deletion_the_state_is_that_of_one_that_never_learned_the_task(method, two_learned):
    never = method.learn(method.init(jax.random.key(0)), 2, blobs(4))
    after = method.unlearn(two_learned, 0)
    assert not same(learned(two_learned), learned(never))
    assert same(learned(after), learned(never))
    assert after.status.tolist() == [UNLEARNED, NEW, LEARNED]
    assert (int(after.n_requests), int(after.n_unlearned)) == (3, 1)
    # Nor does it matter, later on, that the task was learned before.
    again = method.learn(after, 0, blobs(0))
    assert same(learned(again), learned(two_learned))


def test_a_deleted_slot_is_zeros_and_no_other_prediction_moves(method, two_learned):
    images = blobs(5).images
    before = method.logits(two_learned, 2, images)
    after = method.unlearn(two_learned, 0)
    for leaf in jax.tree.leaves((after.params, after.stats)):
        assert not np.any(leaf[:2])  # deleted, and never learned
        assert np.any(leaf[2])
    np.testing.assert_array_equal(method.logits(after, 2, images), before)
    for task in (0, 1):
        np.testing.assert_array_equal(method.logits(after, task, images), np.zeros((48, 3)))
    assert np.any(two_learned.params["Dense_0"]["kernel"][0])  # the caller's stays


def test_tasks_are_learned_apart(method, two_learned):
    for task in (0, 2):
        held = blobs(2 * task + 1)
        found = method.logits(two_learned, task, held.images).argmax(-1)
        assert np.mean(np.asarray(found) == held.labels) > 0.9
    kernels = two_learned.params["Dense_0"]["kernel"]
    assert not np.allclose(kernels[0], kernels[2], atol=0.05)


def test_a_step_is_adam_on_the_cross_entropy(spec):
    """One whole batch at lr 0.01: the loss, and Adam's first step, which is lr * sign."""
    config = dataclasses.replace(TINY, epochs=2, lr=0.01, schedule="constant")
    data = blobs(0, 16)
    told = []
    method = clpu(spec, 2, config, Linear(3))
    state = method.init(jax.random.key(3))
    after = method.learn(state, 1, data, on_step=lambda s, n, loss: told.append((s, n, loss)))
    assert [t[:2] for t in told] == [(1, 2), (2, 2)]
    k_init = jax.random.split(jax.random.fold_in(jax.random.key(3), 1))[0]
    start = Linear(3).init(k_init, np.zeros((1, 6, 6, 1)), train=False)["params"]["Dense_0"]
    x = (data.images.reshape(16, -1) / 255 - 0.5) / 0.25
    weights = {k: np.asarray(v, np.float64) for k, v in start.items()}
    mu, nu = (dict.fromkeys(weights, 0.0) for _ in range(2))
    for step in (1, 2):
        z = x @ weights["kernel"] + weights["bias"]
        p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
        chosen = np.arange(16), data.labels
        np.testing.assert_allclose(told[step - 1][2], -np.log(p[chosen]).mean(), rtol=1e-4)
        p[chosen] -= 1
        for name, grad in {"kernel": x.T @ p / 16, "bias": p.mean(0)}.items():
            mu[name] = 0.9 * mu[name] + 0.1 * grad
            nu[name] = 0.999 * nu[name] + 0.001 * grad**2
            up, down = mu[name] / (1 - 0.9**step), nu[name] / (1 - 0.999**step)
            weights[name] = weights[name] - 0.01 * up / (np.sqrt(down) + 1e-8)
    for name, one in after.params["Dense_0"].items():
        np.testing.assert_allclose(one[1], weights[name], atol=2e-4)


def test_absent_classes_are_minus_infinity_with_and_without_a_network():
    each = tuple(TaskSpec(n, (0.5,), (0.25,)) for n in (3, 2))
    spec = InputSpec((6, 6, 1), 3, (0.5,), (0.25,), each)
    method = clpu(spec, 2, dataclasses.replace(TINY, epochs=1), Linear(3))
    data = blobs(0)
    few = data._replace(images=data.images[data.labels < 2], labels=data.labels[data.labels < 2])
    state = method.init(jax.random.key(0))
    for at in (state, method.learn(state, 1, few)):
        found = np.asarray(method.logits(at, 1, few.images))
        assert np.all(np.isneginf(found[:, 2]))
        assert np.all(np.isfinite(found[:, :2]))


def test_a_sequence_has_no_spill(blob_benchmark, method):
    requests = parse("L0 L1 L2 U1 U0")
    run = run_sequence(method, blob_benchmark, requests, jax.random.key(1))
    kept = [answer.accuracy[2] for answer in run.answers[2:]]
    assert kept == [kept[0]] * 3
    assert kept[0] > 90
    assert kept[0] == evaluate(method, run.state, 2, blob_benchmark.load(2, "test"))


def test_requests_that_cannot_be_answered(method, two_learned):
    with pytest.raises(UncleError, match="not learned"):
        method.unlearn(two_learned, 1)
    with pytest.raises(UncleError, match="already learned"):
        method.learn(two_learned, 2, blobs(4))
    assert method.logits(two_learned, 0, blobs(0).images[:0]).shape == (0, 3)
