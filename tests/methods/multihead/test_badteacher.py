"""BadTeacher and UniCLUN: whose targets a sample gets, and how its divergence is averaged."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import TINY, blobs, same
from replaying import Wide, in_buffer, softmax

from uncle_jax.core.status import LEARNED, UNLEARNED
from uncle_jax.errors import UncleError
from uncle_jax.methods.multihead import badteacher as module
from uncle_jax.methods.multihead import network as multihead
from uncle_jax.methods.multihead.badteacher import (
    BadTeacher,
    Uniclun,
    badteacher,
    badteacher_algorithm,
    divergence,
    mixed_target,
    subset,
    uniclun,
    unlearning_loss,
)
from uncle_jax.methods.multihead.network import Request
from uncle_jax.methods.protocol import Past


@pytest.fixture(scope="module")
def batch():
    rng = np.random.RandomState(0)
    bad, good, student = (rng.normal(0, 2, (6, 4)).astype(np.float32) for _ in range(3))
    return bad, good, student, rng.randint(0, 4, 6), np.array([1, 0, 0, 1, 0, 0], bool)


def kl_of(batch):
    """[B] KL(q || p), in NumPy."""
    bad, good, student, _, forget = batch
    q = np.where(forget[:, None], softmax(bad), softmax(good))
    return (q * (np.log(q) - np.log(softmax(student)))).sum(-1)


def test_forgotten_samples_get_the_random_teachers_targets(batch):
    bad, good, _, _, forget = batch
    q = np.asarray(mixed_target(*map(jnp.asarray, (bad, good, forget))))
    np.testing.assert_allclose(q[forget], softmax(bad)[forget], rtol=1e-5)
    np.testing.assert_allclose(q[~forget], softmax(good)[~forget], rtol=1e-5)
    half = mixed_target(jnp.asarray(bad), jnp.asarray(good), jnp.full(6, 0.25))
    np.testing.assert_allclose(half, 0.25 * softmax(bad) + 0.75 * softmax(good), rtol=1e-5)


def test_the_loss_is_a_mean_over_batch_and_classes(batch):
    expected = kl_of(batch).sum() / (6 * 4)
    np.testing.assert_allclose(unlearning_loss(*map(jnp.asarray, batch)), expected, rtol=1e-5)


def test_uniclun_sums_over_classes_and_weighs_the_two_parts(batch):
    weights = np.where(batch[-1], 0.8, 0.2)
    settings = Uniclun(w_forget=0.8, w_retain=0.2)
    found = unlearning_loss(*map(jnp.asarray, batch), settings)
    np.testing.assert_allclose(found, (weights * kl_of(batch)).mean(), rtol=1e-5)
    default = unlearning_loss(*map(jnp.asarray, batch), Uniclun())
    np.testing.assert_allclose(default, 0.5 * kl_of(batch).mean(), rtol=1e-5)


def test_retained_samples_may_get_their_labels_instead(batch):
    _, _, student, labels, forget = batch
    hard = -np.log(softmax(student)[np.arange(6), labels])
    expected = np.where(forget, kl_of(batch) / 4, hard).mean()
    found = unlearning_loss(*map(jnp.asarray, batch), BadTeacher(retain_term="ce"))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_absent_classes_add_nothing():
    logits = jnp.array([[0.0, 1.0, multihead.ABSENT]])
    target = jnp.array([[0.5, 0.5, 0.0]])
    value, grad = jax.value_and_grad(lambda z: divergence(target, z)[0])(logits)
    p = softmax(np.array([0.0, 1.0]))
    np.testing.assert_allclose(value, np.sum(0.5 * (np.log(0.5) - np.log(p))), rtol=1e-5)
    np.testing.assert_allclose(grad[0], [*(p - 0.5), 0], atol=1e-6)


def test_a_subset_has_its_share_of_different_samples():
    index = subset(np.random.default_rng(0), 50, 0.3)
    assert len(index) == len(set(index.tolist())) == 15
    assert len(subset(np.random.default_rng(0), 2, 0.1)) == 1


def test_the_random_teacher_is_drawn_anew_for_each_request(spec, monkeypatch):
    drawn, original = [], multihead.init

    def recorded(net, key):
        model = original(net, key)
        kernel = model.params["Dense_1"]["kernel"]
        jax.debug.callback(lambda value: drawn.append(np.array(value)), kernel)
        return model

    net = dataclasses.replace(multihead.multihead(spec, 4, TINY, Wide()))  # not traced yet
    model = jax.jit(lambda key: original(net, key))(jax.random.key(0))
    monkeypatch.setattr(multihead, "init", recorded)
    answer = badteacher_algorithm(net, BadTeacher(batch_size=16))
    forget = multihead.one_task(*blobs(2, 16), 1)
    for seed in (1, 1, 2):
        answer(model, Request(1, (), forget, None), jax.random.key(seed), None)
    jax.effects_barrier()
    assert len(drawn) == 3
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert np.all(drawn[0] != drawn[2])
    assert np.all(drawn[0] != model.params["Dense_1"]["kernel"])


def test_the_student_follows_the_random_teacher_where_it_forgets_only(spec):
    net = multihead.multihead(spec, 2, TINY, Wide(6))
    model = jax.jit(lambda key: multihead.init(net, key))(jax.random.key(0))
    model.params["Dense_1"]["kernel"] *= 6  # sure of what it predicts
    forget, retain = (multihead.one_task(*blobs(2 * t, 32), t) for t in (0, 1))
    answer = badteacher_algorithm(net, BadTeacher(lr=1e-2, epochs=40, batch_size=64))
    losses = []
    request = Request(0, (1,), forget, retain)
    after = answer(model, request, jax.random.key(1), lambda step, n, loss: losses.append(loss))
    assert len(losses) == 40

    both = multihead.join(forget, retain)  # one batch, as the steps normalised it
    told, found = (
        multihead.forward(net, *m, both.images, both.tasks, train=train)[0]
        for m, train in ((model, False), (after, True))
    )
    old, new = softmax(np.asarray(told)), softmax(np.asarray(found))
    moved = (old * (np.log(old) - np.log(new))).sum(-1)
    assert losses[-1] < 0.1 * losses[0]
    assert moved[:32].mean() > 0.5
    assert moved[32:].mean() < 0.1 * moved[:32].mean()


@pytest.mark.parametrize(("make", "settings"), [(badteacher, BadTeacher), (uniclun, Uniclun)])
def test_a_request_of_its_own(spec, make, settings):
    traces, original = [], module.unlearning_loss

    def counted(*args):
        traces.append(args[-1])
        return original(*args)

    method = make(spec, 4, TINY, Wide(), settings(buffer_per_task=32))
    assert (method.name, method.reads) == (make.__name__, "forget+retain")
    state = in_buffer(method)
    before = jax.tree.map(np.array, (state.params, state.stats, state.buffer))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "unlearning_loss", counted)
        with pytest.raises(UncleError, match="reads the forgotten task's data"):
            method.unlearn(state, 0)
        after = method.unlearn(state, 0, Past(blobs(0)))
        last = method.unlearn(after, 2, Past(blobs(4)))
    assert same(before, (state.params, state.stats, state.buffer))
    assert after.status.tolist() == [UNLEARNED, 0, LEARNED, 0]
    assert not same(after.params, state.params)
    assert not same(after.stats, state.stats)
    assert int(after.buffer.count[0]) == 0
    # with nothing retained too, and by the same trace
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(last.params))
    assert len(traces) == 1
    assert traces[0] is method.settings


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"retain_fraction": 0.0}, "retain_fraction must be above 0"),
        ({"retain_fraction": 30}, "at most 1, not 30"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"w_retain": -1.0}, "w_retain must not be negative"),
        ({"retain_term": "kl"}, "unknown retain_term 'kl'"),
        ({"reduction": "sum"}, "unknown reduction 'sum'"),
        ({"w_mse": -1.0}, "w_mse"),
    ],
)
def test_settings_that_cannot_be_meant(wrong, message):
    with pytest.raises(UncleError, match=message):
        BadTeacher(**wrong)
