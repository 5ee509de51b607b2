"""SalUn: which weights are salient, which samples get which labels, and what stays as it is."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import TINY, Linear, blobs, same
from replaying import Wide, in_buffer

from uncle_jax.core.status import LEARNED, UNLEARNED
from uncle_jax.errors import UncleError
from uncle_jax.methods.multihead import network as multihead
from uncle_jax.methods.multihead import salun as module
from uncle_jax.methods.multihead.network import Request
from uncle_jax.methods.multihead.salun import (
    Salun,
    algorithm,
    candidates,
    epoch_batches,
    masked_update,
    random_labels,
    salun,
    top_mask,
)
from uncle_jax.methods.protocol import Past


def flat(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def test_the_mask_is_the_top_of_the_whole_tree():
    scores = {"a": np.array([[5.0, 1.0], [4.0, 0.5]]), "b": np.array([3.0, 2.0, 6.0])}
    mask = top_mask(scores, 0.5)  # 3 of 7
    np.testing.assert_array_equal(mask["a"], [[True, False], [True, False]])
    np.testing.assert_array_equal(mask["b"], [False, False, True])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.77, 1.0])
def test_the_mask_has_its_share_also_with_ties(share):
    rng = np.random.RandomState(0)
    scores = [jnp.asarray(rng.randint(0, 3, shape) * 1.0) for shape in ((7, 3), (5,), (2, 2, 3))]
    chosen = flat(top_mask(scores, share))
    assert chosen.sum() == int(share * 38)
    if share < 1:
        assert flat(scores)[chosen].min() >= flat(scores)[~chosen].max()
    assert flat(top_mask([np.zeros(9)], share)).sum() == int(share * 9)


def test_only_candidates_are_counted_and_chosen():
    scores = [np.array([9.0, 8.0, 0.0, 0.0, 0.0])]
    mask = top_mask(scores, 0.67, [np.array([False, True, True, False, True])])
    np.testing.assert_array_equal(mask[0], [False, True, True, False, False])


def test_other_tasks_heads_are_no_candidates(spec):
    net = multihead.multihead(spec, 4, TINY, Wide())
    among = candidates(net, multihead.init(net, jax.random.key(0)).params, 1)
    assert np.all(flat(among["Dense_0"]))
    assert np.all(flat(among["BatchNorm_0"]))
    own = np.arange(12) // 3 == 1
    np.testing.assert_array_equal(among["Dense_1"]["bias"], own)
    np.testing.assert_array_equal(among["Dense_1"]["kernel"], np.tile(own, (10, 1)))


def test_random_labels_are_uniform_over_the_classes_of_the_task():
    valid = np.array([True, True, False, True])
    labels = random_labels(np.random.default_rng(0), valid, 3000)
    share = np.bincount(labels, minlength=4) / 3000
    np.testing.assert_allclose(share, [1 / 3, 1 / 3, 0, 1 / 3], atol=0.04)


def test_both_orders_hold_every_sample():
    key = jax.random.key(0)
    mixed = epoch_batches(key, 0, 6, 10, 4, "mixed")
    assert sorted(mixed.ravel()) == list(range(16))
    assert any(0 < (batch < 6).sum() < 4 for batch in mixed)
    apart = epoch_batches(key, 0, 6, 10, 4, "apart")
    assert apart.shape == (2 + 3, 4)
    assert set(apart[:2].ravel()) == set(range(6))
    assert set(apart[2:].ravel()) == set(range(6, 16))
    assert not np.array_equal(apart, epoch_batches(key, 1, 6, 10, 4, "apart"))
    assert set(epoch_batches(key, 0, 6, 0, 4, "apart").ravel()) == set(range(6))


def test_weights_outside_the_mask_keep_every_bit():
    """In spite of weight decay, and of momentum that is there already; inside it is torch's SGD."""
    rng = np.random.RandomState(0)
    params, grad, push = (rng.normal(size=20).astype(np.float32) for _ in range(3))
    mask = rng.rand(20) < 0.5
    sgd = optax.chain(optax.add_decayed_weights(0.1), optax.trace(0.9))
    new, state = jnp.asarray(params), sgd.init(jnp.asarray(params))
    expected, momentum = params.astype(np.float64), 0.0
    for slope in (grad, push):
        new, state = masked_update(sgd, state, jnp.asarray(slope), new, mask, 0.1)
        momentum = 0.9 * momentum + slope + 0.1 * expected
        expected = expected - 0.1 * momentum
    np.testing.assert_array_equal(np.asarray(new)[~mask], params[~mask])
    np.testing.assert_allclose(np.asarray(new)[mask], expected[mask], rtol=1e-4, atol=1e-6)
    assert np.all(flat(state)[~mask] == 0)


def test_the_mask_is_of_the_gradient_summed_over_batches(spec, monkeypatch):
    """On a linear model: |sum over batches of each one's mean gradient|, the last batch smaller."""
    net = multihead.multihead(spec, 2, TINY, Linear(6))
    model = multihead.init(net, jax.random.key(0))
    forget = multihead.one_task(*blobs(2, 20), 1)
    told = []

    def recorded(scores, share, among):
        told.append((scores, top_mask(scores, share, among)))
        return told[-1][1]

    monkeypatch.setattr(module, "top_mask", recorded)
    settings = Salun(batch_size=8, epochs=2, lr=0.05, weight_decay=0.1)
    after = algorithm(net, settings)(model, Request(1, (), forget, None), jax.random.key(1), None)
    (scores, mask) = told[0]

    dense = model.params["Dense_0"]
    x = ((np.asarray(forget.images) / 255 - 0.5) / 0.25).reshape(20, -1)
    z = (x @ np.asarray(dense["kernel"]) + np.asarray(dense["bias"]))[:, 3:]
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    error = p - np.eye(3)[np.asarray(forget.labels)]
    total = np.zeros((36, 6))
    for batch in np.split(np.arange(20), [8, 16]):
        total[:, 3:] += x[batch].T @ error[batch] / len(batch)
    np.testing.assert_allclose(scores["Dense_0"]["kernel"], abs(total), rtol=1e-4, atol=1e-5)
    assert flat(mask).sum() == 37 * 3 // 2  # half of the task's own head: there is no backbone
    changed = jax.tree.map(lambda a, b: np.asarray(a != b), after.params, model.params)
    assert same(changed, mask)


@pytest.mark.parametrize("order", ["mixed", "apart"])
def test_the_forgotten_task_alone_gets_random_labels(spec, monkeypatch, order):
    """Labels that a loss sees, by task; drawn anew in each epoch."""
    net = dataclasses.replace(multihead.multihead(spec, 2, TINY, Linear(6)))  # not traced yet
    model = multihead.init(net, jax.random.key(0))
    forget, retain = (multihead.one_task(*blobs(2 * t, 16), t) for t in (0, 1))
    drawn, seen, steps = [], [], []

    def recorded(rng, valid, n):
        drawn.append(random_labels(rng, valid, n))
        return drawn[-1]

    original = module.cross_entropy

    def watched(logits, labels):
        jax.debug.callback(lambda value: seen.append(np.array(value)), labels)
        return original(logits, labels)

    monkeypatch.setattr(module, "random_labels", recorded)
    monkeypatch.setattr(module, "cross_entropy", watched)
    settings = Salun(batch_size=32 if order == "mixed" else 16, epochs=2, order=order)
    algorithm(net, settings)(
        model,
        Request(0, (1,), forget, retain),
        jax.random.key(1),
        lambda step, n, loss: steps.append((step, n)),
    )
    jax.effects_barrier()
    true = [np.bincount(rows.labels, minlength=3) for rows in (forget, retain)]
    random = [np.bincount(labels, minlength=3) for labels in drawn]
    counts = [np.bincount(labels, minlength=3).tolist() for labels in seen]
    assert len(drawn) == 2
    assert not np.array_equal(drawn[0], drawn[1])
    assert max(map(max, drawn)) < 3
    if order == "mixed":  # the mask's batch is filled up to twice the data
        expected = [2 * true[0], *(labels + true[1] for labels in random)]
    else:
        expected = [true[0], random[0], true[1], random[1], true[1]]
    assert counts == [part.tolist() for part in expected]
    assert steps == [(step, len(counts) - 1) for step in range(1, len(counts))]


def test_a_request_of_its_own(spec):
    traces, original = [], module.masked_update

    def counted(*args):
        traces.append(1)
        return original(*args)

    method = salun(spec, 4, TINY, Wide(), Salun(buffer_per_task=32, lr=0.1, batch_size=32))
    assert (method.name, method.reads) == ("salun", "forget+retain")
    state = in_buffer(method)
    before = jax.tree.map(np.array, (state.params, state.stats, state.buffer))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "masked_update", counted)
        with pytest.raises(UncleError, match="reads the forgotten task's data"):
            method.unlearn(state, 0)
        after = method.unlearn(state, 0, Past(blobs(0)))
        last = method.unlearn(after, 2, Past(blobs(4)))
    assert same(before, (state.params, state.stats, state.buffer))
    assert after.status.tolist() == [UNLEARNED, 0, LEARNED, 0]
    assert last.status.tolist() == [UNLEARNED, 0, UNLEARNED, 0]
    assert len(traces) == 1
    changed = flat(after.params) != flat(state.params)
    n_candidates = 36 * 10 + 10 + 2 * 10 + (10 + 1) * 3
    assert 0 < changed.sum() <= n_candidates // 2
    heads = np.asarray(after.params["Dense_1"]["kernel"] != state.params["Dense_1"]["kernel"])
    assert heads[:, :3].any()
    assert not heads[:, 3:].any()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"share": 0.0}, "share must be above 0"),
        ({"share": 50}, "at most 1, not 50"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"lr": -1.0}, "lr must not be negative"),
        ({"order": "shuffled"}, "unknown order 'shuffled'"),
        ({"w_ce": -1.0}, "w_ce"),
    ],
)
def test_settings_that_cannot_be_meant(wrong, message):
    with pytest.raises(UncleError, match=message):
        Salun(**wrong)
